"""Groups of images are split whole."""

from pathlib import Path

import numpy as np
import pytest

from ganbalance.data.holdout import held_count, hold_out
from ganbalance.data.split import PARTS, Split, draw
from ganbalance.errors import ConfigError, DataError
from ganbalance.metrics.weighted import grouped_draws
from ganbalance.pipeline.grouping import check_sides
from tests.unit.grouped_images import PATTERN, dataset, grouped, pets


def test_the_test_part_holds_whole_groups_and_the_share_of_each_class(tmp_path: Path) -> None:
    found = grouped(dataset(pets(tmp_path), PATTERN))
    trained, tested = (set(found.groups[rows]) for rows in (slice(found.n_train), slice(found.n_train, None)))
    assert not trained & tested
    assert np.bincount(found.labels[found.n_train :]).tolist() == [2 * 3, 4 * 3]


def held(labels: np.ndarray, groups: np.ndarray, seed: int, fraction: float) -> list[int]:
    """How many of the groups of each class are held out."""
    rng = np.random.default_rng(seed)
    _, rows = hold_out(labels, groups, lambda count: held_count(count, fraction), rng)
    return [len(set(groups[rows]) & set(groups[labels == c])) for c in range(labels.max() + 1)]


def test_the_class_with_the_fewest_groups_is_drawn_first() -> None:
    labels, groups = np.r_[np.zeros(40, int), np.ones(4, int)], np.r_[np.arange(40), np.arange(4)]
    assert {tuple(held(labels, groups, seed, 0.25)) for seed in range(30)} == {(10, 1)}


def test_a_class_that_lost_enough_groups_to_others_loses_no_more() -> None:
    labels, groups = np.repeat([0, 1, 2], [11, 4, 4]), np.r_[np.arange(11), np.arange(8)]
    assert {tuple(held(labels, groups, seed, 0.1)) for seed in range(30)} == {(2, 1, 1)}


def random_groups(rng: np.random.Generator, kind: str, classes: int = 2) -> tuple[np.ndarray, np.ndarray, int]:
    """Labels, groups, and how many are to train on; groups of one class, of several, or of any one time or another."""
    labels, groups = [], []
    for group in range(90):
        own = int(rng.integers(classes))
        of_several = kind == "several" or (kind == "some" and group % 2)
        for _ in range(int(rng.integers(1, 9))):
            labels.append(int(rng.integers(classes)) if of_several else own)
            groups.append(group)
    of_train = np.array(groups) < 70
    order = np.r_[rng.permutation(np.flatnonzero(of_train)), np.flatnonzero(~of_train)]
    return np.array(labels)[order], np.array(groups)[order], int(of_train.sum())


@pytest.mark.parametrize("kind", ["one", "some", "several"])
@pytest.mark.parametrize("classes", [2, 4])
def test_no_group_is_on_two_sides_and_every_class_on_all(kind: str, classes: int) -> None:
    for seed in range(25):
        labels, groups, n_train = random_groups(np.random.default_rng(seed), kind, classes)
        keep = {classes - 1: 0.4} if seed % 2 else {classes - 1: 0.5, 0: 0.6}
        split = drawn(labels, groups, n_train, keep=keep, seed=seed)
        split.check_groups(groups)
        assert np.array_equal(np.sort(np.concatenate([getattr(split, part) for part in PARTS])), np.arange(len(labels)))
        for part in (split.train, split.validation):
            assert set(labels[part]) == set(range(classes))
        for c, share in keep.items():
            kept, lost = (np.union1d(one, other) for one, other in both(split))
            its = [set(groups[rows][labels[rows] == c]) for rows in (kept, lost)]
            assert not its[0] & its[1], "what is removed of a class is removed by group"
            assert len(its[0]) == round(share * len(its[0] | its[1]))
            assert its[1]
        assert set(labels[np.union1d(split.tuning, split.removed)]) == set(keep)


def both(split: Split) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    return (split.train, split.validation), (split.tuning, split.removed)


def drawn(labels: np.ndarray, groups: np.ndarray, n_train: int, *, keep: dict[int, float], seed: int = 0) -> Split:
    return draw(labels, n_train, keep=keep, validation=0.25, seed=seed, groups_N=groups)


def test_shares_are_of_groups() -> None:
    labels = np.repeat([0, 1, 0, 1], [100, 300, 10, 10])
    groups = np.r_[np.arange(100), 100 + np.arange(300) // 10, 130 + np.arange(20)]  # of ten images; 30 of class 1
    split = drawn(labels, groups, 400, keep={1: 0.4})
    per_part = {part: len(set(groups[getattr(split, part)]) & set(range(100, 130))) for part in PARTS}
    assert per_part == {"train": 9, "validation": 3, "tuning": 9, "removed": 9, "test": 0}
    assert np.bincount(labels[split.train]).tolist() == [75, 90]


def test_groups_of_one_image_are_split_as_images_are() -> None:
    labels, _, n_train = random_groups(np.random.default_rng(0), "several")
    alone = draw(labels, n_train, keep={1: 0.4}, validation=0.25, seed=3)
    assert drawn(labels, np.arange(len(labels)), n_train, keep={1: 0.4}, seed=3).hashes == alone.hashes


def test_every_seed_splits_the_groups_anew() -> None:
    labels, groups, n_train = random_groups(np.random.default_rng(0), "one")
    assert (
        len({drawn(labels, groups, n_train, keep={1: 0.4}, seed=seed).hashes["validation"] for seed in range(20)}) > 15
    )


def test_images_of_one_group_on_two_sides_stop_everything() -> None:
    split = Split(*(np.array([row]) for row in range(5)))
    split.check_groups(np.array([0, 1, 1, 0, 2]))  # train with removed, validation with tuning
    with pytest.raises(DataError, match=r"1 groups are both learned from and held out \(first: that of row 0\)"):
        split.check_groups(np.array([0, 0, 1, 2, 3]))
    with pytest.raises(DataError, match="learned from and tested on"):
        split.check_groups(np.array([0, 1, 2, 3, 3]))
    with pytest.raises(DataError, match="held out and tested on"):
        split.check_groups(np.array([0, 1, 2, 3, 2]))


def test_a_class_whose_groups_all_went_to_the_other_side_is_refused() -> None:
    # each group of class 2 holds images of one more class, whose groups are not fewer and may decide first
    labels = np.r_[np.repeat([0, 1], 12), 2, 2, 2]
    groups = np.r_[np.arange(3).repeat(4), np.arange(3, 6).repeat(4), 0, 1, 3]
    refused = []
    for seed in range(30):
        split = drawn(labels, groups, len(labels), keep={2: 1.0}, seed=seed)
        try:
            check_sides(labels, split, [f"class {c}" for c in range(3)])
        except ConfigError as error:
            refused.append(str(error))
        else:
            assert {*labels[split.train]} == {*labels[split.validation]} == {0, 1, 2}
    assert 0 < len(refused) < 30
    assert {one.partition(":")[0] for one in refused} == {"class 'class 2' has no images to validate with at a seed"}


def test_a_class_without_images_does_not_keep_groups_from_being_drawn() -> None:
    drawn = grouped_draws(np.array([1, 1, 1]), np.array([0, 1, 2]), 5, np.random.default_rng(0))
    assert drawn.sum(axis=1).tolist() == [3] * 5
