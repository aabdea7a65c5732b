"""Every arm chooses training rows by its own rule, and only the oracle looks at what was removed."""

import numpy as np
import pytest

from ganbalance import arms
from ganbalance.data.split import Split, draw
from ganbalance.errors import ConfigError
from ganbalance.models import gans

LABELS = np.concatenate([np.repeat([0, 1], 100), np.repeat([0, 1], 20)])
SPLIT: Split = draw(LABELS, 200, class_names=("0", "1"), keep={1: 0.2}, validation=0.25, seed=0)
EVERY = [*arms.names(), *gans.names()]


def rows_and_weights(arm: str, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    chosen = arms.find(arm).training_set(SPLIT, LABELS, seed=seed)
    return chosen.rows, chosen.weights


def test_the_documented_arms_are_there() -> None:
    assert {"none", "threshold", "class-weight", "oversample", "oracle"} <= set(arms.names())


@pytest.mark.parametrize("arm", EVERY)
def test_no_arm_trains_on_validation_or_test_images(arm: str) -> None:
    rows, weights = rows_and_weights(arm)
    assert not np.intersect1d(rows, np.concatenate([SPLIT.validation, SPLIT.test])).size
    assert rows.shape == weights.shape
    assert (weights > 0).all()


@pytest.mark.parametrize("arm", EVERY)
def test_only_an_arm_that_says_so_trains_on_removed_images(arm: str) -> None:
    rows, _ = rows_and_weights(arm)
    assert bool(np.intersect1d(rows, SPLIT.removed).size) == arms.find(arm).needs_removed


@pytest.mark.parametrize("arm", EVERY)
def test_equal_seeds_choose_equal_rows(arm: str) -> None:
    assert np.array_equal(rows_and_weights(arm, 5)[0], rows_and_weights(arm, 5)[0])


def test_class_weights_make_the_classes_weigh_the_same() -> None:
    rows, weights = rows_and_weights("class-weight")
    assert np.bincount(LABELS[rows], weights).tolist() == pytest.approx([45.0, 45.0])
    assert np.bincount(LABELS[rows]).tolist() == [75, 15]


def test_oversampling_repeats_rare_images_until_the_classes_are_equal() -> None:
    rows, weights = rows_and_weights("oversample")
    assert np.bincount(LABELS[rows]).tolist() == [75, 75]
    assert set(rows) == set(SPLIT.train)
    assert set(weights) == {1.0}


def test_the_oracle_gets_back_exactly_what_was_removed() -> None:
    rows, _ = rows_and_weights("oracle")
    assert np.array_equal(rows, np.sort(np.concatenate([SPLIT.train, SPLIT.removed])))


def test_a_gan_is_an_arm_that_adds_to_the_rows_of_none() -> None:
    assert arms.gan_of("dcgan") == "dcgan"
    assert arms.gan_of("none") is None
    assert np.array_equal(rows_and_weights("dcgan")[0], rows_and_weights("none")[0])


def test_an_unknown_arm_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"no arm 'smoke'; choose among class-weight.*dcgan"):
        arms.find("smoke")
