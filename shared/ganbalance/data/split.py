"""Which images are for what: drawn once per seed, written once, read by every later stage."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ganbalance.data.holdout import hold_out
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

    train       kept real images that arms and GANs learn from
    validation  kept real images held out before anything trains; may be empty (`protocol: paper`)
    tuning      images that the imbalance took away, for tuning and calibration: nothing trains on them either
    removed     the others that it took away; only the oracle sees them
    test        the dataset's own test part, whole and the same for every seed
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


def draw(
    labels_N: NDArray[np.int64], n_train: int, *, keep: Mapping[int, float], validation: float, seed: int
) -> Split:
    """Draw the kept images of every rare class, the validation images of every class, and the tuning images.

    `labels_N` are the labels of all rows, the first `n_train` of which may be trained on; `keep` maps a rare
    label to the share that stays; `validation` is the share of the kept images of each class to hold out, 0 for
    none. Of a rare class tuning gets up to `MOST_TUNING` removed images, at most half of them: the others are the
    oracle's. A plan sees to it that no class keeps fewer than `FEWEST_KEPT`.
    """
    from imblearn.datasets import make_imbalance

    pool, labels = np.arange(n_train), labels_N[:n_train]
    numbers = {label: round(keep.get(label, 1.0) * count) for label, count in sorted(Counter(labels.tolist()).items())}
    rows, _ = make_imbalance(pool[:, None], labels, sampling_strategy=numbers, random_state=seed % 2**32)
    train = kept = np.sort(rows[:, 0])
    held_out = kept[:0]
    if validation:
        stays, held = hold_out(labels[kept], validation, np.random.default_rng(seed))
        train, held_out = kept[stays], kept[held]
    removed = np.setdiff1d(pool, kept)
    tuning = _for_tuning(removed, labels_N[removed], seed) if validation else removed[:0]
    return Split(
        train=train,
        validation=held_out,
        tuning=tuning,
        removed=np.setdiff1d(removed, tuning),
        test=np.arange(n_train, len(labels_N)),
    )


def _for_tuning(removed: Indices, labels: NDArray[np.int64], seed: int) -> Indices:
    """The removed images that tuning gets, rising; a draw of its own, so that the others stay as they were."""
    rng = numpy_rng(seed, "tuning")
    drawn = [rng.permutation(removed[labels == label]) for label in np.unique(labels)]
    chosen = [rows[: min(MOST_TUNING, len(rows) // 2)] for rows in drawn]
    return np.sort(np.concatenate([removed[:0], *chosen]))


def training_rows(
    split: Split, labels_N: Indices, removed: str | None, *, seed: int, matched: Mapping[int, int]
) -> Indices:
    """The real images that an arm trains on, rising: the kept ones, and what it is given back of the `removed` ones.

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
    """How many rows each class has."""
    return [int(count) for count in np.bincount(labels, minlength=n_classes)]


def synthetic_count(train_counts: Sequence[int], label: int, n: int | str) -> int:
    """How many images of class `label` are added to training classes of these sizes: `n`, "balance" or "half" of it."""
    missing = max(train_counts) - train_counts[label]  # a class that is the largest already needs none
    return {"balance": missing, "half": missing // 2}[n] if isinstance(n, str) else n
