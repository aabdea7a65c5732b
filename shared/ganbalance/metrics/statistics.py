"""The verdict on each arm of a run, by this rule.

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

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ganbalance.errors import DataError
from ganbalance.metrics.classification import PRIMARY
from ganbalance.metrics.crossed import ALPHA, POWER, Estimate, Share, estimate, holm, ratio
from ganbalance.metrics.decisions import PRIOR, Floats
from ganbalance.metrics.weighted import measure_weighted, stratified_draws
from ganbalance.seeding import numpy_rng

MIN_SEEDS = 5
"""Seeds in common with the baseline that a verdict needs; an interval needs two."""
MIN_SEEDS_INTERVAL = 2
LEAST_P = 1e-4
"""Below this a sentence says only that: further out the tail of a bootstrap means nothing."""

HELPS, HURTS, MOVES = "helps", "hurts", "moves the threshold only"
NO_EVIDENCE, TOO_FEW = "no evidence", "too few seeds"

RULE = (__doc__ or "").partition("\n\n")[2]  # the report prints it


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
    # adding 0.0 after rounding: "-0.0000" would look like a loss
    mean, low, high = (round(value, 4) + 0.0 for value in (found.mean, found.low, found.high))
    return f"{mean:+.4f} [{low:+.4f}, {high:+.4f}]"


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
