"""Intervals over crossed seeds and test images, and the verdict on each arm.

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
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtr, stdtrit

from ganbalance.errors import DataError
from ganbalance.metrics.classification import PRIMARY
from ganbalance.metrics.decisions import PRIOR, Floats
from ganbalance.metrics.weighted import measure_weighted, stratified_draws
from ganbalance.seeding import numpy_rng

ALPHA = 0.05
POWER = 0.8
MIN_SEEDS = 5
"""Seeds in common with the baseline that a verdict needs; an interval needs two."""
MIN_SEEDS_INTERVAL = 2
LEAST_P = 1e-4
"""Below this a sentence says only that: further out the tail of a bootstrap means nothing."""
RESOLUTION = 1e-6
"""Float order alone moves a metric by as much (design/decisions.md), so no standard error is smaller."""

HELPS, HURTS, MOVES = "helps", "hurts", "moves the threshold only"
NO_EVIDENCE, TOO_FEW = "no evidence", "too few seeds"

RULE = """\
Each arm is compared with the baseline on the seeds that both have, by the paired difference in AUC
(many classes: macro one-vs-rest). Intervals are 95 % over crossed seeds and test images; p values are
adjusted over the arms of the run by Holm's method.
- too few seeds: fewer than 5 seeds in common; nothing is concluded.
- helps: the interval of the AUC difference lies above 0 and the adjusted p is below .05.
- hurts: it lies below 0 and the adjusted p is below .05; gains under the plain rule are mentioned.
- moves the threshold only: neither of these; balanced accuracy under the plain rule gains, with its interval
  above 0, while the intervals of the differences in AUC and in prior-corrected balanced accuracy both
  lie inside the margin.
- no evidence: anything else, with the smallest effect that would have been seen: the true AUC difference that
  four runs in five like this one would have called, at the strictest step of Holm's method.
"""


@dataclass(frozen=True)
class Cell:
    """One arm at one seed: test probabilities (T, K) in [0, 1] and the K log-offsets of each named rule."""

    probabilities_TK: ArrayLike
    offsets: Mapping[str, ArrayLike]


@dataclass(frozen=True)
class Difference:
    """Paired difference to the baseline; no interval with one seed, `p_holm` for the primary metric's verdicts."""

    mean: float
    low: float | None
    high: float | None
    p: float | None
    p_holm: float | None


@dataclass(frozen=True)
class Summary:
    """One metric of one arm: mean over its n seeds, 95 % interval, difference over the seeds it shares."""

    n: int
    mean: float
    low: float | None
    high: float | None
    difference: Difference | None


@dataclass(frozen=True)
class Verdict:
    """What `RULE` says of an arm, and the sentence that tells it with its numbers."""

    name: str
    sentence: str


@dataclass(frozen=True)
class Share:
    """Part of the way from the baseline's AUC to the oracle's: 1 is the oracle."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Arm:
    """All that is said of one arm; `n_paired` counts the seeds shared with the baseline."""

    n_seeds: int
    n_paired: int
    verdict: Verdict | None
    beats_reference: bool | None
    gap_recovered: Share | None
    metrics: dict[str, Summary]


@dataclass(frozen=True)
class Analysis:
    """Every arm of a run, and how it was judged."""

    rule: str
    baseline: str
    reference: str
    oracle: str
    plain_rule: str
    margin: float
    replicates: int
    seed: int
    n_test: int
    arms: dict[str, Arm]

    def to_json(self) -> dict[str, Any]:
        """Plain dicts, strings, numbers and None; never NaN."""
        return asdict(self)


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


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Step-down adjusted p values: Holm 1979, "A simple sequentially rejective multiple test procedure"."""
    adjusted: dict[str, float] = {}
    floor = 0.0
    for rank, name in enumerate(sorted(p_values, key=lambda name: p_values[name])):
        floor = max(floor, min(1.0, (len(p_values) - rank) * p_values[name]))
        adjusted[name] = floor
    return {name: adjusted[name] for name in p_values}


def analyse(  # noqa: PLR0913 - the plan of a run has as many facts
    labels_T: ArrayLike,
    cells: Mapping[str, Mapping[int, Cell]],
    *,
    plain_rule: str,
    deployment_prior_K: ArrayLike,
    baseline: str = "none",
    reference: str = "class-weight",
    oracle: str = "oracle",
    margin: float = 0.005,
    replicates: int = 2000,
    seed: int = 0,
) -> Analysis:
    """Judge every arm of a run by `RULE`; `cells` is arm -> seed -> Cell, without the cells that failed.

    All cells name the same rules, among them `plain_rule` and 'prior'. Equal arguments give equal results,
    and every arm and seed sees the same draws of the test images whatever else is in the run.
    """
    _check_rules(cells, plain_rule)
    labels = np.asarray(labels_T, dtype=np.int64)
    drawn_BT = stratified_draws(labels, replicates, numpy_rng(seed, "test-image-bootstrap"))
    weights_RT = np.concatenate([np.ones((1, len(labels)), dtype=drawn_BT.dtype), drawn_BT])
    measured = {
        arm: {
            s: measure_weighted(labels, c.probabilities_TK, c.offsets, deployment_prior_K, weights_RT)
            for s, c in sorted(of_arm.items())
        }
        for arm, of_arm in cells.items()
    }
    run = _Run(measured, baseline, reference, oracle, plain_rule, margin)
    adjusted = holm({arm: e.p for arm in cells if (e := run.judged(arm)) is not None})
    arms = {arm: _arm(run, arm, adjusted) for arm in cells}
    return Analysis(RULE, baseline, reference, oracle, plain_rule, margin, replicates, seed, len(labels), arms)


def _check_rules(cells: Mapping[str, Mapping[int, Cell]], plain_rule: str) -> None:
    rules = {frozenset(cell.offsets) for of_arm in cells.values() for cell in of_arm.values()}
    if len(rules) > 1 or not all({plain_rule, PRIOR} <= named for named in rules):
        given = sorted(sorted(named) for named in rules)
        raise DataError(
            f"every cell needs the same decision rules, among them {plain_rule!r} and {PRIOR!r}: got {given}"
        )


@dataclass(frozen=True)
class _Run:
    """Every metric of every cell, arm -> seed -> metric -> (1 + B,), and the names of the special arms."""

    measured: Mapping[str, Mapping[int, Mapping[str, Floats]]]
    baseline: str
    reference: str
    oracle: str
    plain_rule: str
    margin: float

    def common(self, *arms: str) -> list[int]:
        """The seeds that all of these arms have, in order."""
        return sorted(set.intersection(*(set(self.measured.get(arm, {})) for arm in arms)))

    def values(self, arm: str, metric: str, seeds: list[int]) -> Floats:
        """One metric over seeds, float64 (S, 1 + B)."""
        return np.stack([self.measured[arm][s][metric] for s in seeds])

    def difference(self, arm: str, other: str, metric: str) -> Floats:
        """Paired differences over the seeds that both have, float64 (S, 1 + B)."""
        seeds = self.common(arm, other)
        return self.values(arm, metric, seeds) - self.values(other, metric, seeds)

    def judged(self, arm: str) -> Estimate | None:
        """The AUC difference a verdict rests on; None for the baseline and under five seeds."""
        if arm == self.baseline or len(self.common(arm, self.baseline)) < MIN_SEEDS:
            return None
        return estimate(self.difference(arm, self.baseline, PRIMARY))


def _arm(run: _Run, arm: str, adjusted: Mapping[str, float]) -> Arm:
    seeds = run.common(arm)
    names = run.measured[arm][seeds[0]] if seeds else {}
    return Arm(
        n_seeds=len(seeds),
        n_paired=len(run.common(arm, run.baseline)),
        verdict=None if arm == run.baseline else _verdict(run, arm, adjusted),
        beats_reference=_beats_reference(run, arm),
        gap_recovered=_gap_recovered(run, arm),
        metrics={name: _summary(run, arm, name, adjusted) for name in names},
    )


def _summary(run: _Run, arm: str, metric: str, adjusted: Mapping[str, float]) -> Summary:
    values_SR = run.values(arm, metric, run.common(arm))
    mean, difference = float(values_SR[:, 0].mean()), _difference(run, arm, metric, adjusted)
    if len(values_SR) < MIN_SEEDS_INTERVAL:
        return Summary(len(values_SR), mean, None, None, difference)
    found = estimate(values_SR)
    # a symmetric interval may leave the range in which every metric lies
    return Summary(len(values_SR), mean, max(0.0, found.low), min(1.0, found.high), difference)


def _difference(run: _Run, arm: str, metric: str, adjusted: Mapping[str, float]) -> Difference | None:
    if arm == run.baseline or not run.common(arm, run.baseline):
        return None
    values_SR = run.difference(arm, run.baseline, metric)
    if len(values_SR) < MIN_SEEDS_INTERVAL:
        return Difference(float(values_SR[0, 0]), None, None, None, None)
    found = estimate(values_SR)
    return Difference(found.mean, found.low, found.high, found.p, adjusted.get(arm) if metric == PRIMARY else None)


def _verdict(run: _Run, arm: str, adjusted: Mapping[str, float]) -> Verdict:
    paired, of = len(run.common(arm, run.baseline)), len(run.common(run.baseline))
    found = run.judged(arm)
    if found is None:
        return Verdict(TOO_FEW, f"{paired} of {of} seeds in common with {run.baseline}; a verdict needs {MIN_SEEDS}.")
    plain = estimate(run.difference(arm, run.baseline, f"balanced_accuracy@{run.plain_rule}"))
    corrected = estimate(run.difference(arm, run.baseline, f"balanced_accuracy@{PRIOR}"))
    name = verdict_name(found, adjusted[arm], plain, corrected, run.margin)
    at_plain = f"balanced accuracy at {run.plain_rule} {_told(plain)}"
    p = f"Holm p {adjusted[arm]:.2g}" if adjusted[arm] >= LEAST_P else f"Holm p < {LEAST_P:g}"
    margin = f"the margin of {run.margin:g}"
    remark = {
        HELPS: f", {p}" + (f"; the gain is inside {margin}" if found.inside(run.margin) else ""),
        HURTS: f", {p}" + (f", although {at_plain}" if plain.low > 0 else ""),
        MOVES: f" and prior-corrected balanced accuracy {_told(corrected)}, both inside {margin}, while {at_plain}",
        NO_EVIDENCE: f", {p}; a true difference of {found.detectable(len(adjusted)):.4f} would have been seen"
        f" in {POWER:.0%} of such runs",
    }[name]
    return Verdict(name, f"AUC {_told(found)} against {run.baseline} over {paired} of {of} seeds{remark}.")


def verdict_name(auc: Estimate, p_holm: float, plain: Estimate, corrected: Estimate, margin: float) -> str:
    """`RULE`, for an arm with enough seeds."""
    if p_holm < ALPHA and auc.low > 0:
        return HELPS
    if p_holm < ALPHA and auc.high < 0:
        return HURTS
    if plain.low > 0 and auc.inside(margin) and corrected.inside(margin):
        return MOVES
    return NO_EVIDENCE


def _told(found: Estimate) -> str:
    return f"{found.mean:+.4f} [{found.low:+.4f}, {found.high:+.4f}]"


def _beats_reference(run: _Run, arm: str) -> bool | None:
    """Whether the interval of the AUC difference to the reference arm lies above 0; None under five common seeds."""
    if arm == run.reference or len(run.common(arm, run.reference)) < MIN_SEEDS:
        return None
    return estimate(run.difference(arm, run.reference, PRIMARY)).low > 0


def _gap_recovered(run: _Run, arm: str) -> Share | None:
    """The share of the AUC gap from baseline to oracle; None where the gap is not clearly above 0."""
    seeds = run.common(arm, run.baseline, run.oracle)
    if arm in (run.baseline, run.oracle) or len(seeds) < MIN_SEEDS:
        return None
    base_SR = run.values(run.baseline, PRIMARY, seeds)
    return ratio(run.values(arm, PRIMARY, seeds) - base_SR, run.values(run.oracle, PRIMARY, seeds) - base_SR)


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
