"""From the scores of every arm and seed to differences, intervals and verdicts; the rule is `verdicts.RULE`."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from ganbalance.errors import DataError
from ganbalance.metrics import verdicts
from ganbalance.metrics.calibration import Floats, Ints
from ganbalance.metrics.classification import AS_TRAINED, FAIR, Settings, Settled, measure, primary, ranking
from ganbalance.metrics.crossed import ALPHA, Estimate, Sample, Share, estimate, half_samples, holm, ratio
from ganbalance.metrics.results import (
    MIN_SEEDS_INTERVAL,
    Analysis,
    Arm,
    Difference,
    Margins,
    Run,
    Sensitivity,
    Summary,
)
from ganbalance.metrics.scores import Scores
from ganbalance.metrics.tuning import Tuning, of_one_seed
from ganbalance.metrics.verdicts import Evidence, Finding, Gate
from ganbalance.metrics.weighted import stratified_draws
from ganbalance.seeding import numpy_rng


def analyse(run: Run, cells: Mapping[str, Mapping[int, Scores]], diverged: Mapping[str, Iterable[int]]) -> Analysis:
    """Judge every arm of a run. `cells` is arm -> seed -> Scores, without those that are missing or `diverged`.

    Equal arguments give equal results, and every arm and seed sees the same draws of the test images whatever else
    is in the run.
    """
    return _Analyst(run, cells, {arm: frozenset(seeds) for arm, seeds in diverged.items()}).analysis()


class _Measured:
    """One arm: every metric of every seed on every draw, and under the procedure without each seed."""

    def __init__(self, cells: Mapping[int, Scores], settings: Settings, weights_RT: Ints) -> None:
        self.tuning = Tuning.of(cells, settings)
        self.settled = self.tuning.settle(cells)
        self.cells = cells
        self.drawn = {seed: measure(scores, self.settled, settings, weights_RT) for seed, scores in cells.items()}
        self._settings, self._weights_RT = settings, weights_RT
        self._settled: dict[frozenset[int], Settled] = {}
        self._points: dict[tuple[frozenset[int], int], dict[str, Floats]] = {}

    def point(self, kept: frozenset[int], seed: int) -> dict[str, Floats]:
        """The metrics of `seed` when everything was chosen from the seeds `kept`."""
        own = kept.intersection(self.cells)
        if (own, seed) not in self._points:
            if own not in self._settled:
                self._settled[own] = self.tuning.settle(sorted(own))
            self._points[own, seed] = measure(self.cells[seed], self._settled[own], self._settings)
        return self._points[own, seed]

    @cached_property
    def along_grid(self) -> dict[int, Floats]:
        """The primary metric of each seed on the test images at every strength, float64 (G,)."""
        once = np.ones((1, len(next(iter(self.cells.values())).test_labels)), np.int16)
        return {
            seed: np.concatenate([ranking(scores, g, self._settings, once) for g in range(len(scores.strengths))])
            for seed, scores in self.cells.items()
        }

    @cached_property
    def own_strength(self) -> dict[int, int]:
        """The strength that each seed alone would choose; {} where nothing was held out."""
        chosen = {seed: of_one_seed(scores, self._settings) for seed, scores in self.cells.items()}
        return {seed: strength for seed, strength in chosen.items() if strength is not None}

    @cached_property
    def at_own_strength(self) -> dict[int, Floats]:
        """The primary metric of each seed at that strength on every draw, float64 (1 + B,)."""
        return {
            seed: ranking(self.cells[seed], strength, self._settings, self._weights_RT)
            for seed, strength in self.own_strength.items()
        }


class _Analyst:
    """The measured arms of a run, and everything that is concluded from them."""

    def __init__(
        self, run: Run, cells: Mapping[str, Mapping[int, Scores]], diverged: Mapping[str, frozenset[int]]
    ) -> None:
        self.run = run
        self.cells = {arm: dict(sorted(cells.get(arm, {}).items())) for arm in run.families}
        self.labels = self._labels()
        self.primary = primary(next(scores for of_arm in self.cells.values() for scores in of_arm.values()).classes)
        drawn_BT = stratified_draws(self.labels, run.replicates, numpy_rng(0, "test-image-bootstrap"))
        self.weights_RT = np.concatenate([np.ones((1, len(self.labels)), drawn_BT.dtype), drawn_BT])
        self.measured = {
            arm: _Measured(of_arm, run.settings, self.weights_RT) for arm, of_arm in self.cells.items() if of_arm
        }
        base = self.cells[run.baseline]
        self.diverged = diverged
        # a diverged cell is analysed as what its user would fall back to, if that is the exception
        self.imputed = {
            arm: sorted(diverged.get(arm, frozenset()) & set(base)) if self.trained(arm) else [] for arm in run.families
        }

    def _labels(self) -> Ints:
        found = [scores.test_labels for of_arm in self.cells.values() for scores in of_arm.values()]
        if not found:
            raise DataError("no cell of the run has a score")
        if not all(np.array_equal(labels, found[0]) for labels in found):
            raise DataError("all cells of a run have the same test images")
        return found[0]

    # -- values ----------------------------------------------------------------------------------------------------

    def seeds(self, arm: str) -> list[int]:
        """Seeds with a result, a diverged one counted as the baseline."""
        return sorted({*self.cells[arm], *self.imputed[arm]})

    def common(self, *arms: str) -> list[int]:
        """The seeds that all of these arms have."""
        return sorted(set.intersection(*(set(self.seeds(arm)) if arm in self.cells else set() for arm in arms)))

    def _source(self, arm: str, seed: int) -> _Measured:
        return self.measured[arm if seed in self.cells[arm] else self.run.baseline]

    def sample(self, arm: str, metric: str, seeds: Sequence[int]) -> Sample:
        """One metric over seeds."""
        values = np.stack([self._source(arm, seed).drawn[seed][metric] for seed in seeds])
        halves = [
            np.mean([self._source(arm, seed).point(kept, seed)[metric] for seed in kept]) for kept in _halves(seeds)
        ]
        return Sample(values, np.array(halves), self.smallest_class)

    def gain(self, arm: str, metric: str, other: str | None = None, seeds: Sequence[int] | None = None) -> Sample:
        """Paired differences to the baseline, or to another arm, over the seeds that both have."""
        against = other or self.run.baseline
        shared = self.common(arm, against) if seeds is None else seeds
        return self.sample(arm, metric, shared) - self.sample(against, metric, shared)

    @property
    def has_fair(self) -> bool:
        """Whether every arm that has cells has a fair rule."""
        return all(measured.settled.fair is not None for measured in self.measured.values())

    def judged(self, arm: str) -> bool:
        """Whether the arm takes part in tests: it has a family or is a control, enough seeds, and it trained."""
        is_method = self.run.families[arm] not in ("baseline", "exempt")
        return is_method and len(self.common(arm, self.run.baseline)) >= verdicts.MIN_SEEDS

    def trained(self, arm: str) -> bool:
        """Whether at most one cell in five diverged."""
        return len(self.diverged.get(arm, ())) <= verdicts.MOST_DIVERGED * len(self.run.seeds)

    # -- the run ---------------------------------------------------------------------------------------------------

    def analysis(self) -> Analysis:
        """Everything."""
        adjusted = self._adjusted()
        return Analysis(
            primary=self.primary,
            margins=self.margins,
            gate=self.gate,
            smallest_class=self.smallest_class,
            enough_images=self.enough_images,
            few_images=self.baseline_auc is not None and verdicts.few_images(self.smallest_class, self.baseline_auc),
            equality_within_reach=self._equality_within_reach(),
            arms={arm: self._arm(arm, adjusted) for arm in self.run.families},
            settled={arm: measured.settled for arm, measured in self.measured.items()},
            points={arm: _points(measured) for arm, measured in self.measured.items()},
        )

    @cached_property
    def smallest_class(self) -> int:
        """Test images of the smallest class."""
        return int(np.bincount(self.labels).min())

    @cached_property
    def baseline_auc(self) -> float | None:
        """The primary metric of the baseline, mean over its seeds."""
        return self._baseline_mean(self.primary)

    @cached_property
    def enough_images(self) -> bool:
        """Whether the test images can carry verdicts."""
        auc = self.baseline_auc
        return auc is not None and verdicts.enough_images(self.smallest_class, auc)

    def _baseline_mean(self, metric: str) -> float | None:
        baseline = self.measured.get(self.run.baseline)
        return float(np.mean([drawn[metric][0] for drawn in baseline.drawn.values()])) if baseline else None

    @cached_property
    def gate(self) -> Gate | None:
        """None without an oracle that is judged at every seed of the run."""
        oracle = self.run.oracle
        whole = self.common(oracle, self.run.baseline) == sorted(self.run.seeds)
        return verdicts.gate(self.ranking(oracle)) if whole and self.judged(oracle) and self.enough_images else None

    @cached_property
    def margins(self) -> Margins | None:
        """None without a baseline. Half of the oracle's gain bounds only where there is a gain to halve."""
        if self.baseline_auc is None:
            return None
        fair = self._baseline_mean(f"balanced_accuracy@{FAIR}") if self.has_fair else None
        if self.run.margin is not None:
            return Margins(self.run.margin, self.run.margin if fair is not None else None, capped=False)
        share = self.run.margin_share
        wanted = share * (1 - self.baseline_auc)
        half = self.gate.gain.mean / 2 if self.gate and self.gate.open else np.inf
        return Margins(min(wanted, half), None if fair is None else share * (1 - fair), capped=half < wanted)

    def ranking(self, arm: str) -> Estimate:
        """The paired difference in the primary metric."""
        return self.gain(arm, self.primary).estimate

    def _adjusted(self) -> dict[str, float]:
        found: dict[str, float] = {}
        for family in ("generative", "cheap"):
            of_family = [arm for arm in self._family(family) if self.judged(arm)]
            found |= holm({arm: self.ranking(arm).p for arm in of_family})
        return found

    def _family(self, family: str) -> list[str]:
        return [arm for arm, its in self.run.families.items() if its == family]

    def _equality_within_reach(self) -> bool | None:
        """Whether any arm's interval is narrow enough to lie inside the margin; None without arms to judge."""
        arms = [arm for arm in self.run.families if self.judged(arm) and self.run.families[arm] != "control"]
        if not arms or self.margins is None:
            return None
        halves = [(found.high - found.low) / 2 for found in map(self.ranking, arms)]
        return min(halves) <= self.margins.ranking

    # -- one arm ---------------------------------------------------------------------------------------------------

    def _arm(self, arm: str, adjusted: Mapping[str, float]) -> Arm:
        family = self.run.families[arm]
        paired = self.common(arm, self.run.baseline) if family != "baseline" else []
        evidence = self._evidence(arm, adjusted) if self.judged(arm) else None
        seeds = self.seeds(arm)
        names = list(self._source(arm, seeds[0]).drawn[seeds[0]]) if seeds else []
        tests = sum(self.judged(other) for other in self._family(family)) if arm in adjusted else 1
        reference = self._against_reference.get(arm)
        return Arm(
            family=family,
            n_seeds=len(self.cells[arm]),
            n_paired=len(paired),
            diverged_seeds=sorted(self.diverged.get(arm, ())),
            imputed_seeds=self.imputed[arm],
            finding=self._finding(arm, evidence),
            vetoed=bool(evidence and evidence.significant and evidence.vetoed),
            detectable=evidence.ranking.detectable(tests) if evidence else None,
            components=evidence.ranking.components if evidence else None,
            beats_reference=None if reference is None else reference.mean > 0 and _significant(reference),
            reference_difference=reference,
            gap_recovered=self._gap_recovered(arm),
            finished_difference=self._finished(arm),
            moved=_difference(self._moved(arm)) if self.has_fair and family != "baseline" and paired else None,
            sensitivity=self._sensitivity(arm) if self.cells[arm] else None,
            metrics={name: self._summary(arm, name, adjusted) for name in names},
        )

    def _finding(self, arm: str, evidence: Evidence | None) -> Finding | None:
        if self.run.families[arm] in ("baseline", "exempt"):
            return None
        ended = {*self.cells[arm], *self.diverged.get(arm, ())}
        if len(ended & set(self.cells[self.run.baseline])) < verdicts.MIN_SEEDS:
            return Finding(verdicts.TOO_FEW_SEEDS)
        if not self.enough_images:
            return Finding(verdicts.TOO_FEW_IMAGES)
        return verdicts.find(evidence) if evidence and self.trained(arm) else Finding(verdicts.DID_NOT_TRAIN)

    def _evidence(self, arm: str, adjusted: Mapping[str, float]) -> Evidence:
        margins = self.margins
        assert margins is not None  # noqa: S101 - an arm that is judged has a baseline
        found = self.ranking(arm)
        return Evidence(
            ranking=found,
            p_holm=adjusted.get(arm, found.p),
            per_seed=self._per_seed_gain(arm),
            as_trained=self.gain(arm, f"balanced_accuracy@{AS_TRAINED}").estimate,
            fair=self.gain(arm, f"balanced_accuracy@{FAIR}").estimate if self.has_fair else None,
            moved=self._moved(arm).estimate if self.has_fair else None,
            ranking_margin=margins.ranking,
            threshold_margin=margins.threshold,
        )

    def _moved(self, arm: str) -> Sample:
        """How far the threshold moved: the gain of balanced accuracy as trained, less that of the fair rule."""
        return self.gain(arm, f"balanced_accuracy@{AS_TRAINED}") - self.gain(arm, f"balanced_accuracy@{FAIR}")

    def _finished(self, arm: str) -> Difference | None:
        """The difference over the seeds that trained, where some did not."""
        seeds = [seed for seed in self.cells[arm] if seed in self.cells[self.run.baseline]]
        if not self.diverged.get(arm) or not seeds:
            return None
        return _difference(self.gain(arm, self.primary, seeds=seeds))

    @cached_property
    def _against_reference(self) -> dict[str, Difference]:
        """The differences to the reference arm; p adjusted over the generative arms, for the others their own."""
        reference, baseline = self.run.reference, self.run.baseline
        samples = {
            arm: self.gain(arm, self.primary, reference)
            for arm in self.run.families
            if arm not in (reference, baseline)
            and self.trained(arm)
            and len(self.common(arm, reference)) >= verdicts.MIN_SEEDS
        }
        generative = holm({arm: samples[arm].estimate.p for arm in self._family("generative") if arm in samples})
        return {arm: _difference(found, generative.get(arm, found.estimate.p)) for arm, found in samples.items()}

    def _gap_recovered(self, arm: str) -> Share | None:
        """The share of the gap from baseline to oracle; None where the gap is not clearly above 0."""
        oracle, baseline = self.run.oracle, self.run.baseline
        seeds = self.common(arm, baseline, oracle)
        fixed = arm in (baseline, oracle) or self.run.families[arm] == "exempt"
        if fixed or len(seeds) < verdicts.MIN_SEEDS or not self.trained(arm):
            return None
        return ratio(self.gain(arm, self.primary, seeds=seeds), self.gain(oracle, self.primary, seeds=seeds))

    def _summary(self, arm: str, metric: str, adjusted: Mapping[str, float]) -> Summary:
        found = self.sample(arm, metric, self.seeds(arm))
        difference = None
        if self.run.families[arm] != "baseline" and self.common(arm, self.run.baseline):
            p_holm = adjusted.get(arm) if metric == self.primary else None
            difference = _difference(self.gain(arm, metric), p_holm)
        mean = float(found.values[:, 0].mean())
        if len(found.values) < MIN_SEEDS_INTERVAL:
            return Summary(len(found.values), mean, None, None, difference)
        # a symmetric interval may leave the range in which the metric lies
        top = np.inf if metric.startswith("log_loss") else 1.0
        interval = found.estimate
        return Summary(len(found.values), mean, max(0.0, interval.low), float(min(top, interval.high)), difference)

    # -- the penalty -----------------------------------------------------------------------------------------------

    def _sensitivity(self, arm: str) -> Sensitivity:
        tuned, base = self.measured[arm], self.measured.get(self.run.baseline)
        grid = next(iter(tuned.cells.values())).strengths
        mine = tuned.along_grid
        theirs = base.along_grid if base and self.run.families[arm] != "baseline" else {}
        paired = [mine[seed] - theirs[seed] for seed in mine if seed in theirs]
        chosen, whole, per_seed = tuned.settled.pair_strength, tuned.settled.strength, self._per_seed_gain(arm)
        return Sensitivity(
            strengths=_listed(grid),
            tuning=_listed(np.mean([found.mean(axis=0) for found in tuned.tuning.ranking.values()], axis=0)),
            test=_listed(np.mean(list(mine.values()), axis=0)),
            difference=_listed(np.mean(paired, axis=0)) if paired else None,
            chosen=_listed(grid)[chosen],
            at_end=_at_end(chosen, len(grid)),
            all_classes=_listed(grid)[whole],
            all_classes_at_end=_at_end(whole, len(grid)),
            per_seed={seed: float(grid[strength]) for seed, strength in tuned.own_strength.items()},
            per_seed_difference=_of_estimate(per_seed) if per_seed else None,
        )

    def _per_seed_gain(self, arm: str) -> Estimate | None:
        """The difference in ranking where each seed of both arms has the strength that it alone would choose."""
        baseline = self.run.baseline
        seeds = self.common(arm, baseline) if self.run.families[arm] != "baseline" else []
        found = [[self._source(one, seed).at_own_strength.get(seed) for one in (arm, baseline)] for seed in seeds]
        pairs = [(mine, theirs) for mine, theirs in found if mine is not None and theirs is not None]
        if len(pairs) < max(len(seeds), MIN_SEEDS_INTERVAL):
            return None
        return estimate(np.stack([mine - theirs for mine, theirs in pairs]), image_count=self.smallest_class)


def _halves(seeds: Sequence[int]) -> list[frozenset[int]]:
    """The half samples of these seeds; none of a single one."""
    if len(seeds) < MIN_SEEDS_INTERVAL:
        return []
    return [frozenset(itertools.compress(seeds, kept)) for kept in half_samples(len(seeds))]


def _difference(sample: Sample, p_holm: float | None = None) -> Difference:
    mean = float(sample.values[:, 0].mean())
    if len(sample.values) < MIN_SEEDS_INTERVAL:
        return Difference(mean, None, None, None, None)
    return _of_estimate(sample.estimate, p_holm)


def _significant(found: Difference) -> bool:
    return found.p_holm is not None and found.p_holm < ALPHA


def _of_estimate(found: Estimate, p_holm: float | None = None) -> Difference:
    return Difference(found.mean, found.low, found.high, found.p, p_holm)


def _at_end(place: int, strengths: int) -> str | None:
    return None if strengths == 1 else {0: "strongest", strengths - 1: "weakest"}.get(place)


def _points(measured: _Measured) -> dict[int, dict[str, float]]:
    """The metrics of each seed on the test set as it is."""
    return {
        seed: {name: float(values[0]) for name, values in of_seed.items()} for seed, of_seed in measured.drawn.items()
    }


def _listed(values: ArrayLike) -> list[float]:
    """JSON knows no NaN: a classifier without a penalty has the strength 0."""
    return [float(value) for value in np.nan_to_num(np.asarray(values, dtype=np.float64))]
