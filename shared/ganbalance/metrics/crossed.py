"""Intervals over crossed seeds and test images, with what was tuned on the seeds tuned again.

A mean over seeds on one test set has two sources of chance that do not nest: other seeds, and other test
images, which all seeds and arms share. Both are resampled (Owen 2007, "The pigeonhole bootstrap",
arXiv:0712.1111): images jointly for every arm and seed, within each class, and seeds in closed form. For a mean that
is its variance s^2 / S. But an arm's strength and thresholds are chosen from all seeds, so its mean is no mean of
independent values. The delete-half jackknife (Shao & Wu 1989) does everything again on subsets that leave h = S // 2
seeds out; what its variance has beyond that of the same subsets with nothing chosen anew is added:

    extra      = (S - h) / h  (var over subsets of their means - the same of the seeds' values as they are), at least 0
    from seeds = s^2 / S + extra

It is 0 where no choice turns. Half, not one: a choice turns all at once, which leaving out one seed sees either not at
all or (S - 1)-fold. In s^2 / S the images' effect on single seeds is counted a second time; it is measured by the
bootstrap of images and taken out:

    variance   = max(from seeds - interaction / S, 0) + variance over image draws of the mean
    interval   = mean +- t(df) sqrt(variance),   df = (S - 1) (variance / from seeds)^2   (after Satterthwaite 1946)

Where test images come in groups, such as those of one patient, whole groups are drawn (`weighted.grouped_draws`), and
1 / df gets a second term (images / variance)^2 / (G - 1), G the groups of the smallest class: seeds and groups are
clusters of both ways, as in Cameron, Gelbach & Miller 2011, "Robust inference with multiway clustering", J. Bus. Econ.
Stat. 29, 238-249.

With folds each seed is tested on images of its own, and a draw is one of the images of all folds, which makes the
images' part that of all of them. Seeds learn from the same images in part, so that s^2 knows too little of other ones:
the seeds' part, the images' effect taken out, is enlarged as by Nadeau & Bengio 2003 ("Inference for the generalization
error", Machine Learning 52, 239-281), who have 1 / S + tested / trained on in place of 1 / S; with K folds that adds

    S / (K - 1)  max(s^2 / S - interaction, 0)

to the variance. The choices' part stays: it is no variance of a mean.

`tests/simulation` shows what this covers, tuning included; `docs/statistics.md` has its tables.
"""

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ganbalance.metrics.calibration import Floats
from ganbalance.seeding import numpy_rng

ALPHA = 0.05
POWER = 0.8
RANGE = 0.8
"""Probability that the range of detectable effects holds the one at the true variance, which a run knows badly."""
HALVES = 30
"""Subsets of the seeds that are looked at, where there are more."""
RESOLUTION = 1e-6
"""The order of float additions alone may move a metric by as much, so no standard error is smaller."""


@dataclass(frozen=True)
class Components:
    """Where the variance of a mean over S seeds comes from; the first three are its parts.

    seeds        the draw of images, the GAN, the choices: shrinks with more seeds
    images       the test images: shrinks with more of them alone
    interaction  some test images suit some seeds: shrinks with either
    seed_count, image_count  what they were measured on: S, and the test images of the smallest class, or the groups of
                             them where images are grouped (None: many)
    """

    seeds: float
    images: float
    interaction: float
    seed_count: int
    image_count: int | None = None

    def variance_end(self, tail: float) -> tuple[float, float]:
        """Compute an end of the interval of the whole variance, and the degrees of freedom that it would have.

        `tail` is the share above the chi-square quantile taken, so that a large one gives the upper end. The parts'
        own chi-square intervals are combined as by Graybill & Wang 1980.
        """
        of_seeds, of_images = self.seeds + self.interaction, self.images + self.interaction
        far_seeds = of_seeds * _stretch(self.seed_count - 1, tail)
        far_images = of_images * (_stretch(max(1, self.image_count - 1), tail) if self.image_count else 1.0)
        away = math.copysign(math.hypot(far_seeds - of_seeds, far_images - of_images), tail - 0.5)
        variance = max(self.seeds + of_images + away, RESOLUTION**2)
        df = (self.seed_count - 1) * max(1.0, variance / max(min(far_seeds, variance), RESOLUTION**2)) ** 2
        return variance, df


@dataclass(frozen=True)
class Detectable:
    """The true effect that four runs in five like this one would call, and the range in which it lies."""

    low: float
    typical: float
    high: float


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds with its standard error and degrees of freedom; tests and intervals agree."""

    mean: float
    se: float
    df: float
    components: Components | None = None

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
        from scipy.special import stdtr

        return float(2 * stdtr(self.df, -abs(self.mean) / self.se))

    @property
    def sign(self) -> int:
        """1 or -1 where the interval excludes 0, else 0."""
        return int(self.low > 0) - int(self.high < 0)

    def detectable(self, tests: int) -> Detectable:
        """Compute the effect that is significant at level .05 / tests with a power of 80 %, by the noncentral t.

        Its range is that of the variance, which a run knows badly; none where the parts are not known.
        """
        typical = self.se * detectable_effect(self.df, tests)
        if self.components is None:
            return Detectable(typical, typical, typical)
        ends = [self.components.variance_end((1 + side * RANGE) / 2) for side in (-1, 1)]
        low, high = (math.sqrt(variance) * detectable_effect(df, tests) for variance, df in ends)
        return Detectable(low, typical, high)

    def inside(self, margin: float) -> bool:
        """Tell whether the whole interval lies strictly within +- margin."""
        return -margin < self.low and self.high < margin

    def _quantile(self, share: float) -> float:
        from scipy.special import stdtrit

        return float(stdtrit(self.df, share))


def detectable_effect(df: float, tests: int) -> float:
    """Say how many standard errors off 0 the true mean has to be for power 80 % at the two-sided level .05 / tests.

    The other tail, on the wrong side of 0, is left out: it holds less than one in ten thousand.
    """
    from scipy.special import nctdtrinc, stdtrit

    return float(nctdtrinc(df, 1 - POWER, stdtrit(df, 1 - ALPHA / (2 * tests))))


def _stretch(df: int, tail: float) -> float:
    """Divide df by the chi-square quantile with `tail` above: from an estimated variance to an end of its interval."""
    from scipy.special import chdtri

    return df / float(chdtri(df, tail))


def half_samples(seeds: int) -> NDArray[np.bool_]:
    """Say which of S >= 2 seeds each subset keeps, bool (R, S): all ways to leave out S // 2, or `HALVES` of them."""
    kept = list(itertools.combinations(range(seeds), seeds - seeds // 2))
    if len(kept) > HALVES:
        chosen = numpy_rng(seeds, "half-samples").choice(len(kept), HALVES, replace=False)
        kept = [kept[number] for number in np.sort(chosen)]
    return np.array([[seed in of_subset for seed in range(seeds)] for of_subset in kept])


def estimate(
    values_SR: Floats,
    halves_H: Floats | None = None,
    image_count: int | None = None,
    *,
    grouped: bool = False,
    folds: int | None = None,
) -> Estimate:
    """Estimate the mean over S >= 2 seeds; values (S, 1 + B): the test set as it is, then B joint draws of its images.

    `halves_H` are the means of the whole procedure on each of `half_samples`; without them nothing was chosen from
    seeds. `image_count` is the number of test images in the smallest class, or of groups of them, if `grouped`: groups
    are few, so that their part of the variance is not taken as known. `folds` are those that seeds are tested on; the
    draws are then of the images of all folds, and each row of the values is of its seed's own.
    """
    point_S, drawn_SB = values_SR[:, 0], values_SR[:, 1:]
    seeds = len(point_S)
    mean_B = drawn_SB.mean(axis=0)
    between = point_S.var(ddof=1) / seeds
    from_seeds = between
    if halves_H is not None:
        kept_HS = half_samples(seeds)
        as_they_are = (kept_HS @ point_S / kept_HS.sum(axis=1)).var()
        left_out = seeds // 2
        from_seeds += (seeds - left_out) / left_out * max(halves_H.var() - as_they_are, 0.0)
    interaction = (drawn_SB - mean_B).var(axis=1).sum() / (seeds - 1) / seeds
    only_seeds = max(from_seeds - interaction, 0.0)
    if folds:
        overlap = seeds / (folds - 1)
        only_seeds += overlap * max(between - interaction, 0.0)
        from_seeds += overlap * between
    variance = only_seeds + mean_B.var() + RESOLUTION**2
    df = (seeds - 1) * max(1.0, variance / (from_seeds + RESOLUTION**2)) ** 2
    if grouped and image_count:
        df = 1 / (1 / df + (mean_B.var() / variance) ** 2 / max(1, image_count - 1))
    images = max(mean_B.var() - interaction, 0.0)
    components = Components(float(only_seeds), float(images), float(interaction), seeds, image_count)
    return Estimate(float(point_S.mean()), math.sqrt(variance), float(df), components)


@dataclass(frozen=True)
class Share:
    """Part of the way from the baseline's AUC to the oracle's: 1 is the oracle."""

    mean: float
    low: float
    high: float


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Adjust p values, step-down: Holm 1979, "A simple sequentially rejective multiple test procedure"."""
    adjusted: dict[str, float] = {}
    floor = 0.0
    for rank, name in enumerate(sorted(p_values, key=lambda name: p_values[name])):
        floor = max(floor, min(1.0, (len(p_values) - rank) * p_values[name]))
        adjusted[name] = floor
    return {name: adjusted[name] for name in p_values}


@dataclass(frozen=True)
class Sample:
    """Values (S, 1 + B) of S seeds, and the means (H,) of the procedure on half samples of them: see `estimate`."""

    values: Floats
    halves: Floats
    image_count: int | None = None
    grouped: bool = False
    folds: int | None = None

    def __sub__(self, other: "Sample") -> "Sample":
        return replace(self, values=self.values - other.values, halves=self.halves - other.halves)

    def __add__(self, other: "Sample") -> "Sample":
        return replace(self, values=self.values + other.values, halves=self.halves + other.halves)

    def __rmul__(self, factor: float) -> "Sample":
        return replace(self, values=factor * self.values, halves=factor * self.halves)

    @property
    def estimate(self) -> Estimate:
        """The mean with its error."""
        return estimate(self.values, self.halves, self.image_count, grouped=self.grouped, folds=self.folds)


def ratio(part: Sample, whole: Sample) -> Share | None:
    """Compute mean part / mean whole with the set of ratios r at which part - r whole may have mean 0 (Fieller 1954).

    None unless the interval of `whole` lies above 0: only then is that set an interval.
    """
    mean = whole.estimate
    if mean.low <= 0:
        return None
    centre = float(part.values[:, 0].mean()) / mean.mean

    def rejected(r: float) -> bool:
        return (part - r * whole).estimate.sign != 0

    ends = []
    for direction in (-1.0, 1.0):
        steps = (direction * 2.0**power for power in range(-10, 40))
        outside = next((centre + step for step in steps if rejected(centre + step)), None)
        if outside is None:
            return None
        ends.append(edge(rejected, centre, outside))
    return Share(centre, ends[0], ends[1])


def edge(rejected: Callable[[float], bool], inside: float, outside: float) -> float:
    """Find where, between a point that is kept and one that is rejected, rejection begins (bisection)."""
    for _ in range(50):
        middle = (inside + outside) / 2
        inside, outside = (inside, middle) if rejected(middle) else (middle, outside)
    return outside
