"""Hold some images of every class back."""

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]


def hold_out(labels_N: NDArray[np.int64], fraction: float, rng: np.random.Generator) -> tuple[Rows, Rows]:
    """Rows that stay and rows held out, both rising: of each class `fraction`, rounded, but at least one.

    Class by class, so that how many each class loses depends on its own size alone.
    """
    held = []
    for label in np.unique(labels_N):
        (rows,) = np.nonzero(labels_N == label)
        count = max(1, round(len(rows) * fraction))
        held.append(rng.permutation(rows)[:count])
    held_out = np.sort(np.concatenate(held)).astype(np.int64)
    return np.setdiff1d(np.arange(len(labels_N)), held_out), held_out
