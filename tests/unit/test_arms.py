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
ADDED = {1: 25}


def rows_and_weights(arm: str, seed: int = 0, added: dict[int, int] = ADDED) -> tuple[np.ndarray, np.ndarray]:
    chosen = arms.find(arm).training_set(SPLIT, LABELS, seed=seed, added=added)
    return chosen.rows, chosen.weights


def test_the_documented_arms_are_there() -> None:
    assert {"none", "threshold", "class-weight", "oversample", "oracle", "oracle-matched"} <= set(arms.names())


@pytest.mark.parametrize("arm", EVERY)
def test_no_arm_trains_on_validation_tuning_or_test_images(arm: str) -> None:
    rows, weights = rows_and_weights(arm)
    for part in (SPLIT.validation, SPLIT.tuning, SPLIT.test):
        assert part.size
        assert not np.intersect1d(rows, part).size
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


def test_oversampling_repeats_other_images_for_every_seed() -> None:
    drawn = {rows_and_weights("oversample", seed)[0].tobytes() for seed in range(80)}
    assert len(drawn) == 80


def test_the_oracle_gets_back_exactly_what_was_removed() -> None:
    rows, _ = rows_and_weights("oracle")
    assert np.array_equal(rows, np.sort(np.concatenate([SPLIT.train, SPLIT.removed])))


@pytest.mark.parametrize(("added", "given"), [(0, 0), (25, 25), (40, 40), (41, 40), (60, 40)])
def test_the_matched_oracle_gets_as_many_removed_images_as_a_gan_adds_or_all_there_are(added: int, given: int) -> None:
    rows, weights = rows_and_weights("oracle-matched", added={1: added})
    assert len(SPLIT.removed) == 40
    assert len(rows) == len(set(rows)) == len(SPLIT.train) + given
    assert set(SPLIT.train) <= set(rows) <= set(SPLIT.train) | set(SPLIT.removed)
    assert (weights == 1).all()


def test_the_matched_oracle_draws_anew_for_every_seed() -> None:
    assert not np.array_equal(rows_and_weights("oracle-matched", 0)[0], rows_and_weights("oracle-matched", 1)[0])


def test_the_matched_oracle_gives_every_rare_class_its_own_number() -> None:
    labels = np.repeat([0, 1, 2, 0, 1, 2], [60, 60, 60, 5, 5, 5])
    split = draw(labels, 180, class_names=("a", "b", "c"), keep={1: 0.2, 2: 0.2}, validation=0.25, seed=0)
    chosen = arms.find("oracle-matched").training_set(split, labels, seed=0, added={1: 7, 2: 20})
    assert np.bincount(labels[np.setdiff1d(chosen.rows, split.train)]).tolist() == [0, 7, 20]


def test_the_matched_oracle_knows_the_class_of_every_removed_image() -> None:
    labels = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], 60))
    split = draw(labels, 170, class_names=("a", "b", "c"), keep={1: 0.2, 2: 0.2}, validation=0.25, seed=0)
    chosen = arms.find("oracle-matched").training_set(split, labels, seed=0, added={1: 9, 2: 4})
    assert np.bincount(labels[np.setdiff1d(chosen.rows, split.train)]).tolist() == [0, 9, 4]


@pytest.mark.parametrize("arm", EVERY)
def test_only_the_matched_oracle_asks_how_many_images_a_gan_adds(arm: str) -> None:
    assert arms.find(arm).matches_synthetic == (arm == "oracle-matched")
    if arm != "oracle-matched":
        assert np.array_equal(rows_and_weights(arm)[0], rows_and_weights(arm, added={})[0])


@pytest.mark.parametrize("arm", EVERY)
def test_only_the_threshold_corrects_the_scores_of_another_arm(arm: str) -> None:
    assert arms.find(arm).rescores == ("none" if arm == "threshold" else None)


def test_a_gan_is_an_arm_that_adds_to_the_rows_of_none() -> None:
    assert arms.gan_of("dcgan") == "dcgan"
    assert arms.gan_of("none") is None
    assert np.array_equal(rows_and_weights("dcgan")[0], rows_and_weights("none")[0])


def test_an_unknown_arm_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"no arm 'smoke'; choose among class-weight.*dcgan"):
        arms.find("smoke")
