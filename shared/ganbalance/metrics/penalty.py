"""What the penalty does to one arm: along the grid, at the choice of the run, and at the choice of each seed alone.

Where the arm's dose of synthetic images is tuned with it, the grid is that of the dose chosen for the run, so that it
has the strengths of the other arms; the other doses stand beside it.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ganbalance.metrics.calibration import Floats
from ganbalance.metrics.measured import Measured, MeasuredRun
from ganbalance.metrics.results import Difference, OfDose, Sensitivity


def sensitivity(measured: MeasuredRun, arm: str) -> Sensitivity:
    """Describe what the penalty does to an arm that has cells."""
    tuned, base = measured.arms[arm], measured.arms.get(measured.run.baseline)
    scores = next(iter(tuned.cells.values()))
    place = tuned.settled.pair_strength
    dose = scores.dose_at(place)
    same = scores.places(dose)
    grid, chosen, whole = scores.strengths[same], place - same.start, tuned.settled.strength - same.start
    paired = [mine[same] - theirs for mine, theirs in _paired(tuned, base)]
    per_seed = measured.per_seed_gain(arm)
    own, doses = tuned.own_strength, scores.doses
    return Sensitivity(
        strengths=_listed(grid),
        tuning=_listed(_tuning(tuned)[same]),
        test=_listed(_test(tuned)[same]),
        difference=_listed(np.mean(paired, axis=0)) if paired else None,
        chosen=_listed(grid)[chosen],
        at_end=_at_end(chosen, grid),
        all_classes=_listed(grid)[whole],
        all_classes_at_end=_at_end(whole, grid),
        per_seed={seed: float(scores.strengths[at]) for seed, at in own.items()},
        per_seed_difference=Difference.of(per_seed) if per_seed else None,
        dose=dose,
        per_seed_dose={} if doses is None else {seed: int(doses[at]) for seed, at in own.items()},
        doses=() if doses is None else tuple(_of_dose(tuned, base, one) for one in np.unique(doses)),
    )


def _of_dose(tuned: Measured, base: Measured | None, dose: int) -> OfDose:
    scores = next(iter(tuned.cells.values()))
    same = scores.places(dose)
    best = same.start + int(np.argmax(_tuning(tuned)[same]))
    paired = [mine[best] - theirs[base.settled.pair_strength] for mine, theirs in _paired(tuned, base) if base]
    return OfDose(
        strength=_listed(scores.strengths)[best],
        tuning=float(_tuning(tuned)[best]),
        test=float(_test(tuned)[best]),
        difference=float(np.mean(paired)) if paired else None,
    )


def _tuning(tuned: Measured) -> Floats:
    """Average the primary metric on held-out images at every place in the grid, float64 (G,)."""
    return np.asarray(np.mean([found.mean(axis=0) for found in tuned.tuning.ranking.values()], axis=0))


def _test(tuned: Measured) -> Floats:
    """Average the primary metric on test images likewise."""
    return np.asarray(np.mean(list(tuned.along_grid.values()), axis=0))


def _paired(tuned: Measured, base: Measured | None) -> list[tuple[Floats, Floats]]:
    """Pair what both say of the test images at every place in their grids, by the seeds that both have."""
    if base is None or base is tuned:
        return []
    return [(mine, base.along_grid[seed]) for seed, mine in tuned.along_grid.items() if seed in base.along_grid]


def _at_end(place: int, grid: NDArray[np.float64]) -> str | None:
    """Name the end of the grid that a place is: strengths fall; numbers of a network's settings rise and have none."""
    falls = len(grid) > 1 and grid[0] > grid[-1]
    return {0: "strongest", len(grid) - 1: "weakest"}.get(place) if falls else None


def _listed(values: ArrayLike) -> list[float]:
    """List values for JSON, which knows no NaN: a classifier without a penalty has the strength 0."""
    return [float(value) for value in np.nan_to_num(np.asarray(values, dtype=np.float64))]
