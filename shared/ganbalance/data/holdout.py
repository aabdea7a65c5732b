"""Hold some images of every class back."""

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]


def held_count(count: int, fraction: float) -> int:
    """How many of a class of `count` images are held out: `fraction`, rounded, but at least one if there is one."""
    return min(count, max(1, round(count * fraction)))


def hold_out(labels_N: NDArray[np.int64], fraction: float, rng: np.random.Generator) -> tuple[Rows, Rows]:
    """Rows that stay and rows held out, both rising: of each class as many as `held_count` says.

    Class by class, so that how many each class loses depends on its own size alone.
    """
    held = []
    for label in np.unique(labels_N):
        (rows,) = np.nonzero(labels_N == label)
        held.append(rng.permutation(rows)[: held_count(len(rows), fraction)])
    held_out = np.sort(np.concatenate(held)).astype(np.int64)
    return np.setdiff1d(np.arange(len(labels_N)), held_out), held_out
