"""What the penalty does to one arm: along the grid, at the choice of the run, and at the choice of each seed alone."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ganbalance.metrics.measured import MeasuredRun
from ganbalance.metrics.results import Difference, Sensitivity


def sensitivity(measured: MeasuredRun, arm: str) -> Sensitivity:
    """Of an arm that has cells."""
    tuned, base = measured.arms[arm], measured.arms.get(measured.run.baseline)
    grid = next(iter(tuned.cells.values())).strengths
    mine = tuned.along_grid
    theirs = base.along_grid if base and base is not tuned else {}
    paired = [mine[seed] - theirs[seed] for seed in mine if seed in theirs]
    chosen, whole, per_seed = tuned.settled.pair_strength, tuned.settled.strength, measured.per_seed_gain(arm)
    return Sensitivity(
        strengths=_listed(grid),
        tuning=_listed(np.mean([found.mean(axis=0) for found in tuned.tuning.ranking.values()], axis=0)),
        test=_listed(np.mean(list(mine.values()), axis=0)),
        difference=_listed(np.mean(paired, axis=0)) if paired else None,
        chosen=_listed(grid)[chosen],
        at_end=_at_end(chosen, grid),
        all_classes=_listed(grid)[whole],
        all_classes_at_end=_at_end(whole, grid),
        per_seed={seed: float(grid[strength]) for seed, strength in tuned.own_strength.items()},
        per_seed_difference=Difference.of(per_seed) if per_seed else None,
    )


def _at_end(place: int, grid: NDArray[np.float64]) -> str | None:
    """Strengths fall; the numbers of a network's settings rise, and none of them is an end."""
    falls = len(grid) > 1 and grid[0] > grid[-1]
    return {0: "strongest", len(grid) - 1: "weakest"}.get(place) if falls else None


def _listed(values: ArrayLike) -> list[float]:
    """JSON knows no NaN: a classifier without a penalty has the strength 0."""
    return [float(value) for value in np.nan_to_num(np.asarray(values, dtype=np.float64))]
