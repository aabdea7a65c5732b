"""Hold some images of every class back, and with an image all of its group; deal all of them into folds."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]


def held_count(count: int, fraction: float) -> int:
    """Count the groups of a class with `count` to hold out: `fraction`, rounded, but at least one if there is one."""
    return min(count, max(1, round(count * fraction)))


def hold_out(  # noqa: PLR0913 - what a draw depends on
    labels_N: NDArray[np.int64],
    groups_N: NDArray[np.int64],
    wanted: Callable[[int], int],
    rng: np.random.Generator,
    *,
    held: NDArray[np.int64] | None = None,
    stay: NDArray[np.int64] | None = None,
) -> tuple[Rows, Rows]:
    """Divide rows into those that stay and those held out, both rising; no group is in both.

    Of the n groups that a class has images of, `wanted(n)` are held out. Groups in `held` and `stay` are decided
    already. A group may hold images of several classes: the class with the fewest groups, which has the least choice,
    is drawn first, and what it leaves to another may be more or less than that one wants.
    """
    of_class = [rng.permutation(np.unique(groups_N[labels_N == label])) for label in np.unique(labels_N)]
    held = groups_N[:0] if held is None else held
    decided = held if stay is None else np.union1d(held, stay)
    for groups in sorted(of_class, key=len):
        free = groups[~np.isin(groups, decided)]
        missing = wanted(len(groups)) - int(np.isin(groups, held).sum())
        held = np.append(held, free[: max(0, missing)])
        decided = np.append(decided, free)
    is_held = np.isin(groups_N, held)
    return np.flatnonzero(~is_held), np.flatnonzero(is_held)


def deal(labels_N: NDArray[np.int64], groups_N: NDArray[np.int64], folds: int, rng: np.random.Generator) -> Rows:
    """Deal each row a fold, int64 (N,) from 0: equal numbers of each class's groups, rounded; no group is in two."""
    fold_N = np.full(len(labels_N), folds - 1)
    left = np.arange(len(labels_N))
    for fold in range(folds - 1):
        stay, held = hold_out(labels_N[left], groups_N[left], lambda count: round(count / (folds - fold)), rng)  # noqa: B023 - called at once
        fold_N[left[held]] = fold
        left = left[stay]
    return fold_N
