"""Kept, validation, removed and test images never meet, and a seed fixes who is where."""

from pathlib import Path

import numpy as np
import pytest

from ganbalance.data.imbalance import Imbalancer
from ganbalance.data.split import PARTS, Split, draw
from ganbalance.errors import ConfigError, DataError

LABELS = np.concatenate([np.repeat([0, 1], 600), np.repeat([0, 1], 100)])
N_TRAIN = 1200


def a_split(seed: int = 0, keep: float = 0.2, validation: float = 0.2) -> Split:
    return draw(LABELS, N_TRAIN, class_names=("shirt", "trouser"), keep={1: keep}, validation=validation, seed=seed)


def counts(rows: np.ndarray) -> list[int]:
    return np.bincount(LABELS[rows], minlength=2).tolist()


def test_the_rare_class_keeps_its_share_and_validation_comes_out_of_it() -> None:
    split = a_split()
    assert counts(split.train) == [480, 96]
    assert counts(split.validation) == [120, 24]
    assert counts(split.removed) == [0, 480]
    assert counts(split.test) == [100, 100]


def test_the_parts_cover_every_image_once() -> None:
    split = a_split()
    together = np.concatenate([getattr(split, part) for part in PARTS])
    assert np.array_equal(np.sort(together), np.arange(len(LABELS)))


def test_a_seed_fixes_the_draw_and_another_seed_changes_it() -> None:
    assert a_split(3).hashes == a_split(3).hashes
    assert a_split(3).hashes["train"] != a_split(4).hashes["train"]
    assert a_split(3).hashes["test"] == a_split(4).hashes["test"]


def test_the_paper_protocol_holds_nothing_out() -> None:
    split = a_split(validation=0)
    assert counts(split.train) == [600, 120]
    assert len(split.validation) == 0


def test_a_leak_stops_everything() -> None:
    split = a_split()
    with pytest.raises(DataError, match=r"leak: 1 images are both in 'train' and in 'test'"):
        Split(np.append(split.train, split.test[:1]), split.validation, split.removed, split.test)


def test_a_leak_is_found_when_a_split_is_read(tmp_path: Path) -> None:
    parts = {part: np.arange(3) + 3 * i for i, part in enumerate(PARTS)} | {"validation": np.array([1])}
    np.savez(tmp_path / "split.npz", **parts)
    with pytest.raises(DataError, match="'train' and in 'validation'"):
        Split.load(tmp_path / "split.npz")


def test_a_split_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    a_split().save(tmp_path / "split.npz")
    assert Split.load(tmp_path / "split.npz").hashes == a_split().hashes


def test_too_few_rare_images_are_refused_before_anything_trains() -> None:
    with pytest.raises(ConfigError, match="class 'trouser' keeps 2 images"):
        a_split(keep=0.003)


@pytest.mark.parametrize(("given", "left"), [(0.25, 25), (1.0, 100), (40, 40), (1, 1)])
def test_the_sampling_strategy_is_a_share_or_a_number(given: int | float, left: int) -> None:
    y = np.repeat([0, 1], 100)
    X = np.arange(200)[:, None, None] * np.ones((1, 4, 4))
    imbalancer = Imbalancer(sampling_strategy={1: given}, random_state=0)
    X_kept, y_kept = imbalancer.fit_resample(X, y)
    assert np.bincount(y_kept).tolist() == [100, left]
    assert X_kept.shape == (100 + left, 4, 4)
    assert np.array_equal(X_kept[:, 0, 0], imbalancer.sample_indices_)
    assert imbalancer.sampling_strategy_ == {0: 100, 1: left}


@pytest.mark.parametrize("given", [0, 0.0, 2.0, 101, -3, 0.001])
def test_an_impossible_sampling_strategy_names_the_original_count(given: int | float) -> None:
    with pytest.raises(ConfigError, match="100 samples"):
        Imbalancer(sampling_strategy={1: given}, random_state=0).fit_resample(np.zeros(200), np.repeat([0, 1], 100))


def test_a_class_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigError, match="names class 7"):
        Imbalancer(sampling_strategy={7: 0.5}, random_state=0).fit_resample(np.zeros(4), np.array([0, 0, 1, 1]))
