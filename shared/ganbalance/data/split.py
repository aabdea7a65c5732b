"""Which images are for what: drawn once per seed, written once, read by every later stage."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split

from ganbalance.data.imbalance import Imbalancer
from ganbalance.errors import ConfigError, DataError
from ganbalance.keys import digest

Indices = NDArray[np.int64]
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


def draw(
    labels_N: NDArray[np.int64],
    n_train: int,
    *,
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
        _check_enough(imbalancer.sampling_strategy_, validation)
        train, held_out = train_test_split(kept, test_size=validation, stratify=kept_labels, random_state=seed % 2**32)
    return Split(
        train=np.sort(train),
        validation=np.sort(held_out),
        removed=np.setdiff1d(pool, kept),
        test=np.arange(n_train, len(labels_N)),
    )


def _check_enough(counts: Mapping[int, int], validation: float) -> None:
    for label, count in counts.items():
        if round(count * validation) < 1 or count - round(count * validation) < 2:  # noqa: PLR2004
            raise ConfigError(
                f"class {label} keeps {count} images, too few to train on and to hold out {validation:.0%} for "
                "validation; raise imbalance.keep or imbalance.validation"
            )


def class_counts(labels: NDArray[np.int64], n_classes: int) -> list[int]:
    """How many rows each class has."""
    return [int(count) for count in np.bincount(labels, minlength=n_classes)]
