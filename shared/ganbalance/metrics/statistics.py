"""From the scores of every arm and seed to differences, intervals and verdicts; the rule is `verdicts.RULE`."""

from collections.abc import Iterable, Mapping
from functools import cached_property

import numpy as np

from ganbalance.metrics import verdicts
from ganbalance.metrics.classification import AS_TRAINED, FAIR
from ganbalance.metrics.crossed import Estimate, Sample, Share, holm, ratio
from ganbalance.metrics.measured import MeasuredRun
from ganbalance.metrics.penalty import sensitivity
from ganbalance.metrics.results import MIN_SEEDS_INTERVAL, Analysis, Arm, Difference, Margins, Metric, Run
from ganbalance.metrics.scores import Scores
from ganbalance.metrics.verdicts import Evidence, Finding, Gate


def analyse(run: Run, cells: Mapping[str, Mapping[int, Scores]], diverged: Mapping[str, Iterable[int]]) -> Analysis:
    """Judge every arm of a run. `cells` is arm -> seed -> Scores, without those that are missing or `diverged`.

    Equal arguments give equal results, and every arm and seed sees the same draws of the test images whatever else
    is in the run.
    """
    return _Analyst(run, cells, {arm: frozenset(seeds) for arm, seeds in diverged.items()}).analysis()


class _Analyst(MeasuredRun):
    """Everything that is concluded from the measured arms of a run."""

    # -- the run ---------------------------------------------------------------------------------------------------

    def analysis(self) -> Analysis:
        """Conclude everything."""
        adjusted, seeds = self._adjusted(), sorted(self.run.seeds)
        return Analysis(
            primary=self.primary,
            margins=self.margins,
            gate=self.gate,
            smallest_class=self.smallest_class,
            enough_images=self.enough_images,
            few_images=self.baseline_auc is not None and verdicts.few_images(self.smallest_class, self.baseline_auc),
            equality_within_reach=self._equality_within_reach(),
            arms={arm: self._arm(arm, adjusted) for arm in self.run.families},
            settled={arm: measured.settled for arm, measured in self.arms.items()},
            points={arm: measured.points for arm, measured in self.arms.items()},
            ranking={arm: self.sample(arm, self.primary, seeds) for arm in self.arms if self.seeds(arm) == seeds},
        )

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
        baseline = self.arms.get(self.run.baseline)
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
        """Estimate the paired difference in the primary metric."""
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
        """Tell whether any arm's interval is narrow enough to lie inside the margin; None without arms to judge."""
        arms = [arm for arm in self.run.families if self.judged(arm) and self.run.families[arm] != "control"]
        if not arms or self.margins is None:
            return None
        halves = [(found.high - found.low) / 2 for found in map(self.ranking, arms)]
        return min(halves) <= self.margins.ranking

    @property
    def has_fair(self) -> bool:
        """Whether every arm that has cells has a fair rule."""
        return all(measured.settled.fair is not None for measured in self.arms.values())

    def judged(self, arm: str) -> bool:
        """Tell whether the arm takes part in tests: it has a family or is a control, enough seeds, and it trained."""
        is_method = self.run.families[arm] not in ("baseline", "exempt")
        return is_method and len(self.common(arm, self.run.baseline)) >= verdicts.MIN_SEEDS

    # -- one arm ---------------------------------------------------------------------------------------------------

    def _arm(self, arm: str, adjusted: Mapping[str, float]) -> Arm:
        family = self.run.families[arm]
        paired = self.common(arm, self.run.baseline) if family != "baseline" else []
        evidence = self._evidence(arm, adjusted) if self.judged(arm) else None
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
            beats_reference=None if reference is None else reference.mean > 0 and reference.significant,
            reference_difference=reference,
            gap_recovered=self._gap_recovered(arm),
            finished_difference=self._finished(arm),
            moved=_difference(self._moved(arm)) if self.has_fair and family != "baseline" and paired else None,
            sensitivity=sensitivity(self, arm) if self.cells[arm] else None,
            metrics={name: self._summary(arm, name, adjusted) for name in self.metrics(arm)},
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
            per_seed=self.per_seed_gain(arm),
            as_trained=self.gain(arm, f"balanced_accuracy@{AS_TRAINED}").estimate,
            fair=self.gain(arm, f"balanced_accuracy@{FAIR}").estimate if self.has_fair else None,
            moved=self._moved(arm).estimate if self.has_fair else None,
            ranking_margin=margins.ranking,
            threshold_margin=margins.threshold,
        )

    def _moved(self, arm: str) -> Sample:
        """Say how far the threshold moved: the gain of balanced accuracy as trained, less that of the fair rule."""
        return self.gain(arm, f"balanced_accuracy@{AS_TRAINED}") - self.gain(arm, f"balanced_accuracy@{FAIR}")

    def _finished(self, arm: str) -> Difference | None:
        """Take the difference over the seeds that trained, where some did not."""
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
        """Compute the share of the gap from baseline to oracle; None where the gap is not clearly above 0."""
        oracle, baseline = self.run.oracle, self.run.baseline
        seeds = self.common(arm, baseline, oracle)
        fixed = arm in (baseline, oracle) or self.run.families[arm] == "exempt"
        if fixed or len(seeds) < verdicts.MIN_SEEDS or not self.trained(arm):
            return None
        return ratio(self.gain(arm, self.primary, seeds=seeds), self.gain(oracle, self.primary, seeds=seeds))

    def _summary(self, arm: str, metric: str, adjusted: Mapping[str, float]) -> Metric:
        found = self.sample(arm, metric, self.seeds(arm))
        difference = None
        if self.run.families[arm] != "baseline" and self.common(arm, self.run.baseline):
            p_holm = adjusted.get(arm) if metric == self.primary else None
            difference = _difference(self.gain(arm, metric), p_holm)
        mean = float(found.values[:, 0].mean())
        if len(found.values) < MIN_SEEDS_INTERVAL:
            return Metric(len(found.values), mean, None, None, difference)
        # a symmetric interval may leave the range in which the metric lies
        top = np.inf if metric.startswith("log_loss") else 1.0
        interval = found.estimate
        return Metric(len(found.values), mean, max(0.0, interval.low), float(min(top, interval.high)), difference)


def _difference(sample: Sample, p_holm: float | None = None) -> Difference:
    if len(sample.values) < MIN_SEEDS_INTERVAL:
        return Difference(float(sample.values[:, 0].mean()), None, None, None, None)
    return Difference.of(sample.estimate, p_holm)
