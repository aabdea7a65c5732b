"""Does a better set of synthetic images help the classifier more? Rank correlation over arms and seeds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

FEWEST_SEEDS = 5
FEWEST_POINTS = 10
"""From here on the interval holds: with one arm at five seeds it covered .85 of true values in place of .95."""


@dataclass(frozen=True)
class Point:
    """One arm at one seed: the distance of its images to real ones and its standard error, means over its rare classes,
    and the gain of its classifier over the baseline.
    """

    arm: str
    seed: int
    kid: float
    kid_se: float
    gain: float


Points = Sequence[Point]


@dataclass(frozen=True)
class Correlation:
    """A rank correlation with its 95 % interval over seeds, whose ends are None where there are too few points."""

    rho: float
    low: float | None
    high: float | None


def correlation(points: Points, of: Callable[[Points], float | None]) -> Correlation | None:
    """Compute the rank correlation `of` the points with its interval; None where there is none, as with equal gains.

    Delete-one-seed jackknife, with Student's t of one degree of freedom less than there are seeds: arms of one seed
    share its images, so seeds are what is independent. The arms are taken as they are, not as a sample of others.
    """
    from scipy.stats import t

    rho, seeds = of(points), sorted({point.seed for point in points})
    if rho is None:
        return None
    without = [of([point for point in points if point.seed != seed]) for seed in seeds]
    left = np.array([found for found in without if found is not None])
    if len(points) < FEWEST_POINTS or len(seeds) < FEWEST_SEEDS or len(left) < len(seeds):
        return Correlation(rho, None, None)
    half = float(t.ppf(0.975, len(seeds) - 1) * np.sqrt((len(seeds) - 1) * left.var()))
    return Correlation(rho, max(-1.0, rho - half), min(1.0, rho + half))


def spearman(points: Points) -> float | None:
    """Compute Spearman's rank correlation of KID and gain over all points; None where either does not vary."""
    from scipy.stats import rankdata

    ranks = [rankdata(values) for values in ([p.kid for p in points], [p.gain for p in points])]
    if not points or min(np.ptp(of_one) for of_one in ranks) == 0:
        return None
    return float(np.corrcoef(*ranks)[0, 1])


def within_arms(points: Points) -> float | None:
    """Average the arms' own rank correlations over seeds: what sets arms apart is no part of it."""
    arms = sorted({point.arm for point in points})
    found = [rho for arm in arms if (rho := spearman([p for p in points if p.arm == arm])) is not None]
    return float(np.mean(found)) if found else None
