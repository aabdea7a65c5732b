"""Which images are for what: drawn once per seed, written once, read by every later stage."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ganbalance.data.holdout import hold_out
from ganbalance.data.imbalance import Imbalancer
from ganbalance.errors import ConfigError, DataError
from ganbalance.keys import digest

Indices = NDArray[np.int64]
FEWEST_KEPT = 3  # of a class: two to train on and one to validate on
PARTS = ("train", "validation", "removed", "test")


@dataclass(frozen=True)
class Split:
    """Rows of one dataset, int64 and rising, in four parts that share no row.

    train       kept real images that arms and GANs learn from
    validation  kept real images held out before anything trains; may be empty (`protocol: paper`)
    removed     what the imbalance took away; only the oracle sees it
    test        the dataset's own test part, whole and the same for every seed
    """

    train: Indices
    validation: Indices
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
    def hashes(self) -> dict[str, str]:
        """A SHA-256 per part."""
        return {part: digest(getattr(self, part).tolist()) for part in PARTS}

    def save(self, path: Path) -> None:
        """Write the four index arrays to an .npz file."""
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
    class_names: Sequence[str],
    keep: Mapping[int, float],
    validation: float,
    seed: int,
) -> Split:
    """Draw the kept images of every rare class, then the validation images of every class.

    `labels_N` are the labels of all rows, the first `n_train` of which may be trained on; `keep` maps a rare
    label to the share that stays; `validation` is the share of the kept images of each class to hold out, 0 for
    none. Raises ConfigError when a class would be left with too few images.
    """
    pool = np.arange(n_train)
    imbalancer = Imbalancer(sampling_strategy=dict(keep), random_state=seed)
    kept, kept_labels = imbalancer.fit_resample(pool, labels_N[:n_train])
    train, held_out = kept, kept[:0]
    if validation:
        for label, count in imbalancer.sampling_strategy_.items():
            if count < FEWEST_KEPT:
                raise ConfigError(
                    f"class {class_names[label]!r} keeps {count} images, too few to train on and to hold out "
                    f"{validation:.0%} for validation; raise imbalance.keep or give more images"
                )
        stays, held = hold_out(kept_labels, validation, np.random.default_rng(seed))
        train, held_out = kept[stays], kept[held]
    return Split(
        train=train,
        validation=held_out,
        removed=np.setdiff1d(pool, kept),
        test=np.arange(n_train, len(labels_N)),
    )


def class_counts(labels: NDArray[np.int64], n_classes: int) -> list[int]:
    """How many rows each class has."""
    return [int(count) for count in np.bincount(labels, minlength=n_classes)]
