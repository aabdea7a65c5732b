"""Intervals over crossed seeds and test images.

A mean over seeds on one test set has two sources of chance that do not nest: other seeds, and other test
images, which all seeds and arms share. Both are resampled (Owen 2007, "The pigeonhole bootstrap",
arXiv:0712.1111): images jointly for every arm and seed, within each class, and seeds. A mean over seeds is
linear in how often a seed is drawn, so the draw of seeds is taken in closed form: with its small-sample
correction sqrt(S/(S-1)) it has the variance s^2 / S, s the standard deviation between seeds. In s^2 / S
the images' effect on single seeds is counted a second time; it is measured by the bootstrap and taken out:

    variance = max(s^2 / S - interaction / S, 0) + variance over image draws of the mean
    interval = mean +- t(df) sqrt(variance),   df = (S - 1) (variance / (s^2 / S))^2   (Satterthwaite 1946)

Chosen by simulation (2,000 runs per point; seed : image : interaction variance over eleven ratios from pure
seed to pure image to pure interaction; nominal 95 %), coverage lowest-highest over the ratios:

    S                                            3          5         10
    this interval                        93.7-98.2  93.9-98.0  94.0-97.0
    the same, interaction counted twice  94.0-98.8  94.6-99.2  94.5-99.4
    percentiles, plain                   73.6-99.8  81.8-99.8  89.8-99.9
    percentiles, sqrt(S/(S-1))           79.7-99.9  86.1-99.9  91.5-99.9
    percentiles, the same and t(S-1)/z   94.5-100   94.5-100   94.1-100
    t over seeds alone                    0.0-95.0   0.0-95.2   0.0-95.0
    images alone                          0.0-95.2   0.0-95.2   0.0-95.5
    nested (new images for every seed)   73.6-99.7  75.0-99.9  59.4-99.9

The paired AUC difference of two equal arms (400 test images, 400 runs per point) is covered in 94.8 and 95.8 %
(5 and 10 seeds) where seeds dominate, 94.8 and 94.0 % where images do, 94.3 and 96.0 % where both matter,
97.8 and 97.3 % where it is all interaction, since a difference of two equal variances is cut off at 0.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from scipy.special import stdtr, stdtrit

from ganbalance.metrics.decisions import Floats

ALPHA = 0.05
POWER = 0.8
RESOLUTION = 1e-6
"""The order of float additions alone may move a metric by as much, so no standard error is smaller."""


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds with its standard error and degrees of freedom; tests and intervals agree."""

    mean: float
    se: float
    df: float

    @property
    def low(self) -> float:
        """Lower end of the 95 % interval."""
        return self.mean - self._quantile(1 - ALPHA / 2) * self.se

    @property
    def high(self) -> float:
        """Upper end of the 95 % interval."""
        return self.mean + self._quantile(1 - ALPHA / 2) * self.se

    @property
    def p(self) -> float:
        """Two-sided p of a mean of 0: below .05 exactly when the interval excludes 0."""
        return float(2 * stdtr(self.df, -abs(self.mean) / self.se))

    def detectable(self, tests: int) -> float:
        """The true effect that is significant at level .05 / tests with a power of 80 %."""
        return (self._quantile(1 - ALPHA / (2 * tests)) + self._quantile(POWER)) * self.se

    def inside(self, margin: float) -> bool:
        """Whether the whole interval lies strictly within +- margin."""
        return -margin < self.low and self.high < margin

    def _quantile(self, share: float) -> float:
        return float(stdtrit(self.df, share))


def estimate(values_SR: Floats) -> Estimate:
    """The mean over S >= 2 seeds; values (S, 1 + B): the test set as it is, then B joint draws of its images."""
    point_S, drawn_SB = values_SR[:, 0], values_SR[:, 1:]
    seeds = len(point_S)
    mean_B = drawn_SB.mean(axis=0)
    from_seeds = point_S.var(ddof=1) / seeds
    interaction = (drawn_SB - mean_B).var(axis=1).sum() / (seeds - 1) / seeds
    variance = max(from_seeds - interaction, 0.0) + mean_B.var() + RESOLUTION**2
    df = (seeds - 1) * max(1.0, variance / (from_seeds + RESOLUTION**2)) ** 2
    return Estimate(float(point_S.mean()), math.sqrt(variance), float(df))


@dataclass(frozen=True)
class Share:
    """Part of the way from the baseline's AUC to the oracle's: 1 is the oracle."""

    mean: float
    low: float
    high: float


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Step-down adjusted p values: Holm 1979, "A simple sequentially rejective multiple test procedure"."""
    adjusted: dict[str, float] = {}
    floor = 0.0
    for rank, name in enumerate(sorted(p_values, key=lambda name: p_values[name])):
        floor = max(floor, min(1.0, (len(p_values) - rank) * p_values[name]))
        adjusted[name] = floor
    return {name: adjusted[name] for name in p_values}


def ratio(part_SR: Floats, whole_SR: Floats) -> Share | None:
    """mean part / mean whole with the set of ratios r at which part - r whole may have mean 0 (Fieller 1954).

    None unless the interval of `whole` lies above 0: only then is that set an interval.
    """
    whole = estimate(whole_SR)
    if whole.low <= 0:
        return None
    centre = float(part_SR[:, 0].mean()) / whole.mean

    def rejected(r: float) -> bool:
        found = estimate(part_SR - r * whole_SR)
        return found.low > 0 or found.high < 0

    ends = []
    for direction in (-1.0, 1.0):
        steps = (direction * 2.0**power for power in range(-10, 40))
        outside = next((centre + step for step in steps if rejected(centre + step)), None)
        if outside is None:
            return None
        ends.append(_edge(rejected, centre, outside))
    return Share(centre, ends[0], ends[1])


def _edge(rejected: Callable[[float], bool], inside: float, outside: float) -> float:
    """Where, between a point that is kept and one that is rejected, rejection begins (bisection)."""
    for _ in range(50):
        middle = (inside + outside) / 2
        inside, outside = (inside, middle) if rejected(middle) else (middle, outside)
    return outside
