"""Kept, validation, tuning, removed and test images never meet, and a seed fixes who is where."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ganbalance.data import split as split_module
from ganbalance.data.split import MOST_TUNING, PARTS, Split, class_counts, draw, synthetic_count, training_rows
from ganbalance.errors import DataError

LABELS = np.concatenate([np.repeat([0, 1], 600), np.repeat([0, 1], 100)])
N_TRAIN = 1200


def a_split(seed: int = 0, keep: float = 0.2, validation: float = 0.2) -> Split:
    return draw(LABELS, N_TRAIN, keep={1: keep}, validation=validation, seed=seed)


def counts(rows: np.ndarray) -> list[int]:
    return np.bincount(LABELS[rows], minlength=2).tolist()


def test_the_rare_class_keeps_its_share_and_validation_comes_out_of_it() -> None:
    split = a_split()
    assert counts(split.train) == [480, 96]
    assert counts(split.validation) == [120, 24]
    assert counts(split.tuning) == [0, 240]
    assert counts(split.removed) == [0, 240]
    assert counts(split.test) == [100, 100]


@pytest.mark.parametrize(
    ("images", "keep", "tuning"), [(900, 0.1, 300), (602, 0.5, 150), (600, 0.005, 298), (100, 0.99, 0), (100, 0.98, 1)]
)
def test_tuning_gets_at_most_300_removed_images_and_at_most_half_of_them(images: int, keep: float, tuning: int) -> None:
    labels = np.repeat([0, 1, 0, 1], [600, images, 5, 5])
    split = draw(labels, 600 + images, keep={1: keep}, validation=0.2, seed=0)
    removed = images - round(images * keep)
    assert MOST_TUNING == 300
    assert len(split.tuning) == tuning == min(300, removed // 2)
    assert len(split.removed) == removed - tuning
    assert set(labels[split.tuning]) <= {1}


def test_every_rare_class_has_tuning_images_of_its_own() -> None:
    labels = np.repeat([0, 1, 2, 0, 1, 2], [100, 200, 1000, 5, 5, 5])
    keep = {1: 0.5, 2: 0.1}
    split = draw(labels, 1300, keep=keep, validation=0.2, seed=0)
    assert np.bincount(labels[split.tuning], minlength=3).tolist() == [0, 50, 300]
    assert np.bincount(labels[split.removed], minlength=3).tolist() == [0, 50, 600]


def test_tuning_images_are_drawn_at_random_and_anew_for_every_seed() -> None:
    one, other = a_split(0), a_split(1)
    outside = np.sort(np.concatenate([one.tuning, one.removed]))
    assert not np.array_equal(one.tuning, outside[:240])
    assert not np.array_equal(one.tuning, outside[240:])
    assert not np.array_equal(one.tuning, other.tuning)
    assert (np.diff(one.tuning) > 0).all()


def test_tuning_takes_from_the_removed_images_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    with_it = a_split()
    monkeypatch.setattr(split_module, "MOST_TUNING", 0)
    without = a_split()
    for part in ("train", "validation", "test"):
        assert np.array_equal(getattr(with_it, part), getattr(without, part))
    assert len(without.tuning) == 0
    assert np.array_equal(np.union1d(with_it.tuning, with_it.removed), without.removed)


def test_a_small_draw_is_the_known_one() -> None:
    labels = np.repeat([0, 1, 0, 1], [6, 20, 3, 3])
    split = draw(labels, 26, keep={1: 0.5}, validation=0.2, seed=0)
    # as drawn before there was a tuning part, which came out of `removed`
    assert split.train.tolist() == [0, 1, 2, 4, 5, 6, 8, 15, 17, 19, 20, 21, 25]
    assert split.validation.tolist() == [3, 9, 11]
    assert np.union1d(split.tuning, split.removed).tolist() == [7, 10, 12, 13, 14, 16, 18, 22, 23, 24]
    assert split.test.tolist() == [26, 27, 28, 29, 30, 31]


def test_where_nothing_is_removed_nothing_is_for_tuning() -> None:
    split = a_split(keep=1.0)
    assert len(split.removed) == len(split.tuning) == 0
    assert counts(split.train) == [480, 480]


def test_validation_and_tuning_images_are_the_held_out_ones_in_rising_order() -> None:
    split = a_split()
    assert np.array_equal(split.held_out, np.sort(np.concatenate([split.validation, split.tuning])))
    assert len(split.held_out) == 144 + 240
    assert split.tuning.min() < split.validation.max()  # they interleave


def test_the_removed_and_the_tuning_images_are_of_the_rare_class() -> None:
    split = a_split()
    assert set(LABELS[np.concatenate([split.tuning, split.removed])]) == {1}


def test_the_parts_cover_every_image_once() -> None:
    split = a_split()
    together = np.concatenate([getattr(split, part) for part in PARTS])
    assert np.array_equal(np.sort(together), np.arange(len(LABELS)))


def test_a_seed_fixes_the_draw_and_another_seed_changes_it() -> None:
    assert a_split(3).hashes == a_split(3).hashes
    assert a_split(3).hashes["train"] != a_split(4).hashes["train"]
    assert a_split(3).hashes["tuning"] != a_split(4).hashes["tuning"]
    assert a_split(3).hashes["test"] == a_split(4).hashes["test"]


def test_the_paper_protocol_holds_nothing_out() -> None:
    split = a_split(validation=0)
    assert counts(split.train) == [600, 120]
    assert counts(split.removed) == [0, 480]
    assert len(split.validation) == len(split.tuning) == len(split.held_out) == 0


def test_a_leak_stops_everything() -> None:
    split = a_split()
    with pytest.raises(DataError, match=r"leak: 1 images are both in 'train' and in 'test'"):
        replace(split, train=np.append(split.train, split.test[:1]))


@pytest.mark.parametrize("part", ["train", "validation", "removed", "test"])
def test_a_tuning_image_in_another_part_is_a_leak(part: str) -> None:
    split = a_split()
    with pytest.raises(DataError, match=rf"leak: 1 images .*first: row {split.tuning[0]}\)"):
        replace(split, **{part: np.append(getattr(split, part), split.tuning[0])})


def test_a_leak_is_found_when_a_split_is_read(tmp_path: Path) -> None:
    parts = {part: np.arange(3) + 3 * i for i, part in enumerate(PARTS)} | {"validation": np.array([1])}
    np.savez(tmp_path / "split.npz", **parts)
    with pytest.raises(DataError, match="'train' and in 'validation'"):
        Split.load(tmp_path / "split.npz")


def test_a_split_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    a_split().save(tmp_path / "split.npz")
    assert Split.load(tmp_path / "split.npz").hashes == a_split().hashes


def test_a_split_is_not_unpickled(tmp_path: Path) -> None:
    parts = {part: np.array([{}], dtype=object) for part in PARTS}
    np.savez(tmp_path / "split.npz", **parts)
    with pytest.raises(ValueError, match="allow_pickle"):
        Split.load(tmp_path / "split.npz")


def test_class_counts_hold_a_zero_for_a_class_that_is_not_there() -> None:
    assert class_counts(np.array([2, 0, 2]), 4) == [1, 0, 2, 0]


@pytest.mark.parametrize(
    ("counts", "label", "n", "added"),
    [
        ([72, 24], 1, "balance", 48),
        ([72, 24], 0, "balance", 0),
        ([50, 9, 70], 1, "balance", 61),
        ([72, 24], 1, "half", 24),
        ([72, 24], 0, "half", 0),
        ([50, 9, 70], 1, "half", 30),
        ([10, 9], 1, "half", 0),
        ([72, 24], 1, 7, 7),
        ([72, 24], 1, 100, 100),
    ],
)
def test_balance_is_what_the_largest_class_has_more_and_half_is_half_of_it_rounded_down(
    counts: list[int], label: int, n: int | str, added: int
) -> None:
    assert synthetic_count(counts, label, n) == added


def given(removed: str | None, seed: int = 0, **matched: int) -> np.ndarray:
    """The training rows of an arm; `rare` is how many images of the rare class a GAN adds."""
    return training_rows(a_split(), LABELS, removed, seed=seed, matched={1: matched.get("rare", 25)})


@pytest.mark.parametrize("removed", [None, "all", "matched"])
def test_no_arm_is_given_validation_tuning_or_test_images(removed: str | None) -> None:
    split, rows = a_split(), given(removed)
    for part in (split.validation, split.tuning, split.test):
        assert part.size
        assert not np.intersect1d(rows, part).size
    assert (np.diff(rows) > 0).all()
    assert set(split.train) <= set(rows)
    assert bool(np.intersect1d(rows, split.removed).size) == (removed is not None)


def test_an_arm_trains_on_the_kept_images_alone_or_on_all_removed_ones_too() -> None:
    split = a_split()
    assert np.array_equal(given(None), split.train)
    assert np.array_equal(given("all"), np.sort(np.concatenate([split.train, split.removed])))


@pytest.mark.parametrize(("rare", "back"), [(0, 0), (25, 25), (240, 240), (241, 240), (1000, 240)])
def test_matched_gives_back_as_many_removed_images_as_it_is_asked_for_or_all_there_are(rare: int, back: int) -> None:
    split, rows = a_split(), given("matched", rare=rare)
    assert len(split.removed) == 240
    assert len(rows) == len(set(rows)) == len(split.train) + back
    assert set(split.train) <= set(rows) <= set(split.train) | set(split.removed)


def test_matched_draws_anew_for_every_seed_and_alike_for_the_same() -> None:
    assert np.array_equal(given("matched", 5), given("matched", 5))
    drawn = {given("matched", seed).tobytes() for seed in range(20)}
    assert len(drawn) == 20


@pytest.mark.parametrize("order", ["sorted", "shuffled"])
def test_matched_gives_every_rare_class_its_own_number(order: str) -> None:
    labels = np.repeat([0, 1, 2, 0, 1, 2], [60, 60, 60, 5, 5, 5])
    if order == "shuffled":
        labels = np.random.default_rng(0).permutation(labels)
    split = draw(labels, 180, keep={1: 0.2, 2: 0.2}, validation=0.25, seed=0)
    rows = training_rows(split, labels, "matched", seed=0, matched={1: 7, 2: 20})
    assert np.bincount(labels[np.setdiff1d(rows, split.train)], minlength=3).tolist() == [0, 7, 20]


# as drawn when this was an arm of its own
@pytest.mark.parametrize(("seed", "drawn"), [(0, [14, 24]), (1, [12, 18]), (2, [12, 16]), (3, [16, 18])])
def test_a_known_draw_of_the_matched_images_stays_the_known_one(seed: int, drawn: list[int]) -> None:
    labels = np.repeat([0, 1, 0, 1], [6, 20, 3, 3])
    split = draw(labels, 26, keep={1: 0.5}, validation=0.2, seed=0)
    rows = training_rows(split, labels, "matched", seed=seed, matched={1: 2})
    assert np.setdiff1d(rows, split.train).tolist() == drawn


@pytest.mark.parametrize(("share", "left"), [(0.25, 25), (1.0, 100), (0.01, 1), (0.125, 12)])
def test_what_is_kept_is_the_share_of_the_class_rounded(share: float, left: int) -> None:
    labels = np.tile([0, 1], 100)
    split = draw(labels, 200, keep={1: share}, validation=0, seed=0)
    assert np.bincount(labels[split.train]).tolist() == [100, left]
    assert (np.diff(split.train) > 0).all()


def test_any_whole_number_is_a_seed_of_its_own() -> None:
    labels = np.repeat([0, 1], 100)
    seeds = [*range(80), 2**32 - 1, 2**63 - 1 - 2**31]
    drawn = {draw(labels, 200, keep={1: 0.5}, validation=0, seed=seed).train.tobytes() for seed in seeds}
    assert len(drawn) == len(seeds)
