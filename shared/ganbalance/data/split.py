"""Which images are for what: drawn once per seed, written once, read by every later stage."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ganbalance.config import Fold
from ganbalance.data.holdout import deal, held_count, hold_out
from ganbalance.errors import DataError
from ganbalance.keys import digest
from ganbalance.seeding import numpy_rng

Indices = NDArray[np.int64]
FEWEST_KEPT = 3  # of a class: two to train on and one to validate on
PARTS = ("train", "validation", "tuning", "removed", "test")
MOST_TUNING = 300
"""Removed images of a rare class that tuning gets. Chosen on twelve images, a penalty cost `none` .008 of AUC."""


@dataclass(frozen=True)
class Split:
    """Rows of one dataset, int64 and rising, in parts that share no row.

    Where images are grouped, no group is on two of three sides: what can be learned from (train, removed), what is held
    out (validation, tuning), and test.

    train       kept real images that arms and GANs learn from
    validation  kept real images held out before anything trains; may be empty (`kind: paper`)
    tuning      images that the imbalance took away, for tuning and calibration: nothing trains on them either
    removed     the others that it took away; only the oracle sees them
    test        the dataset's test part, whole and the same for every seed; with folds, the fold of this seed
    """

    train: Indices
    validation: Indices
    tuning: Indices
    removed: Indices
    test: Indices

    def __post_init__(self) -> None:
        for one, other in combinations(PARTS, 2):
            shared = np.intersect1d(getattr(self, one), getattr(self, other))
            if len(shared):
                raise DataError(
                    f"leak: {len(shared)} images are both in '{one}' and in '{other}' (first: row {shared[0]}); "
                    "delete this imbalance artifact and run again"
                )

    @property
    def held_out(self) -> Indices:
        """The real images outside the test part that nothing trains on, rising."""
        return np.union1d(self.validation, self.tuning)

    def check_groups(self, groups_N: NDArray[np.int64]) -> None:
        """Raise DataError where images of one group are on two sides; `groups_N` are the groups of all rows."""
        sides = {
            "learned from": np.union1d(self.train, self.removed),
            "held out": self.held_out,
            "tested on": self.test,
        }
        for (one, its), (other, others) in combinations(sides.items(), 2):
            shared = np.intersect1d(groups_N[its], groups_N[others])
            if len(shared):
                raise DataError(
                    f"leak: images of {len(shared)} groups are both {one} and {other} (first: that of row "
                    f"{np.flatnonzero(groups_N == shared[0])[0]}); delete this imbalance artifact and run again"
                )

    @property
    def hashes(self) -> dict[str, str]:
        """A SHA-256 per part."""
        return {part: digest(getattr(self, part).tolist()) for part in PARTS}

    def save(self, path: Path) -> None:
        """Write the index arrays to an .npz file."""
        np.savez(path, **{part: getattr(self, part) for part in PARTS})

    @classmethod
    def load(cls, path: Path) -> "Split":
        """Read what `save` wrote. Raises DataError when the parts overlap."""
        with np.load(path, allow_pickle=False) as arrays:
            return cls(**{part: arrays[part] for part in PARTS})


def draw(  # noqa: PLR0913 - what a draw depends on
    labels_N: NDArray[np.int64],
    n_train: int,
    *,
    keep: Mapping[int, float],
    validation: float,
    seed: int,
    groups_N: NDArray[np.int64] | None = None,
    fold: Fold | None = None,
) -> Split:
    """Draw the kept images of every rare class, the validation images of every class, and the tuning images.

    `labels_N` are the labels of all rows, the first `n_train` of which may be trained on; `keep` maps a rare
    label to the share that stays; `validation` is the share of the kept images of each class to hold out, 0 for
    none. Of a rare class tuning gets up to `MOST_TUNING` removed images, at most half of them: the others are the
    oracle's. Where there are `groups_N`, equal for images that belong together, all of these are shares and numbers
    of groups. With a `fold`, all rows are dealt into folds, the same for every seed, this one is the test part, and
    `n_train` says nothing. A plan sees to it that no class keeps fewer than `FEWEST_KEPT`, nor lacks images on a side.
    """
    from imblearn.datasets import make_imbalance

    groups = np.arange(len(labels_N)) if groups_N is None else groups_N
    tested = np.arange(len(labels_N)) >= n_train if fold is None else in_fold(labels_N, groups, fold)
    pool, test = np.flatnonzero(~tested), np.flatnonzero(tested)
    # what is kept or removed is a class's images of one group
    classes = labels_N.max() + 1
    units, unit_of = np.unique((groups * classes + labels_N)[pool], return_inverse=True)
    counts = sorted(Counter((units % classes).tolist()).items())
    numbers = {label: round(keep.get(label, 1.0) * count) for label, count in counts}
    kept_units, _ = make_imbalance(
        np.arange(len(units))[:, None], units % classes, sampling_strategy=numbers, random_state=seed % 2**32
    )
    is_kept = np.isin(unit_of, kept_units)
    kept, removed = pool[is_kept], pool[~is_kept]
    if not validation:
        return Split(train=kept, validation=kept[:0], tuning=kept[:0], removed=removed, test=test)
    rng = np.random.default_rng(seed)
    stay, held = hold_out(labels_N[kept], groups[kept], lambda count: held_count(count, validation), rng)
    train, held_out = kept[stay], kept[held]
    # images of a group that holds several classes may be on one side already, where the others follow; else this draw
    # is one of its own, so that the parts above stay as they are
    oracles, tuning = hold_out(
        labels_N[removed], groups[removed], lambda count: min(MOST_TUNING, count // 2), numpy_rng(seed, "tuning"),
        held=groups[held_out], stay=groups[train],
    )  # fmt: skip
    return Split(train=train, validation=held_out, tuning=removed[tuning], removed=removed[oracles], test=test)


def in_fold(labels_N: Indices, groups_N: Indices, fold: Fold) -> NDArray[np.bool_]:
    """Tell which rows are in the fold, bool (N,). Each round of folds is another division of the same rows."""
    dealt = deal(labels_N, groups_N, fold.folds, numpy_rng(fold.round, "folds"))
    return np.equal(dealt, fold.number)


def training_rows(
    split: Split, labels_N: Indices, removed: str | None, *, seed: int, matched: Mapping[int, int]
) -> Indices:
    """List the real images that an arm trains on, rising: the kept ones, and what it gets back of the `removed` ones.

    `removed` is None, "all", or "matched": of each rare class as many as `matched` says, or all where there are fewer.
    """
    if removed is None:
        return split.train
    if removed == "all":
        return np.sort(np.concatenate([split.train, split.removed]))
    rng = numpy_rng(seed, "training-set")
    given = [rng.permutation(split.removed[labels_N[split.removed] == c])[:count] for c, count in matched.items()]
    return np.sort(np.concatenate([split.train, *given]))


def class_counts(labels: NDArray[np.int64], n_classes: int) -> list[int]:
    """Count the rows of each class."""
    return [int(count) for count in np.bincount(labels, minlength=n_classes)]


def synthetic_count(train_counts: Sequence[int], label: int, n: int | str) -> int:
    """Count the images of class `label` to add to training classes of these sizes: `n`, "balance" or "half" of it."""
    missing = max(train_counts) - train_counts[label]  # a class that is the largest already needs none
    return {"balance": missing, "half": missing // 2}[n] if isinstance(n, str) else n
