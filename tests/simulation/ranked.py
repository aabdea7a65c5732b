"""What `metrics.statistics.analyse` says of rankings, from the same pieces without every other metric.

A simulation judges thousands of runs; `analyse` spends most of its time on metrics that no verdict on a ranking rests
on. `tests/unit/test_simulation.py` holds the two to the same numbers. "moves the threshold only" needs those metrics:
here it is "no difference in ranking".
"""

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ganbalance.metrics import verdicts
from ganbalance.metrics.crossed import ALPHA, Estimate, Sample, estimate, half_samples, holm
from ganbalance.metrics.results import Run
from ganbalance.metrics.scores import Scores
from ganbalance.metrics.tuning import Tuning
from ganbalance.metrics.verdicts import Evidence, Finding, Gate
from ganbalance.metrics.weighted import grouped_draws


@dataclass(frozen=True)
class Cell:
    """One arm at one seed: log odds of the test images at every strength, (G, T), what held-out images say of every
    strength, float64 (B, G), the strength that the cell alone would choose, and the dose of each, (G,), if several."""

    odds: Mapping[int, np.ndarray] | np.ndarray
    held_out: np.ndarray
    own: int | None
    doses: np.ndarray | None = None


class Draws:
    """The test images as they are and drawn again, by group where there are groups: AUC on all of them at once.

    The number of pairs in order is a whole number below 2**24, so float32 counts it exactly.
    """

    def __init__(
        self, labels_T: np.ndarray, replicates: int, rng: np.random.Generator, groups_T: np.ndarray | None = None
    ) -> None:
        self.labels = labels_T
        drawn_BT = grouped_draws(labels_T, groups_T, replicates, rng)
        self.weights = np.concatenate([np.ones((1, len(labels_T)), drawn_BT.dtype), drawn_BT])
        self._rows = [np.flatnonzero(labels_T == c) for c in (0, 1)]
        self._drawn = [np.ascontiguousarray(self.weights[:, rows].T.astype(np.float32)) for rows in self._rows]

    def auc(self, odds_T: np.ndarray) -> np.ndarray:
        """float64 (1 + B,)."""
        found: np.ndarray = self._ordered(odds_T, *self._drawn)
        return found

    def auc_once(self, odds_T: np.ndarray) -> float:
        """On the images as they are."""
        return float(self._ordered(odds_T, *(drawn[:, :1] for drawn in self._drawn))[0])

    def _ordered(self, odds_T: np.ndarray, negative_NR: np.ndarray, positive_PR: np.ndarray) -> np.ndarray:
        negative, positive = (odds_T[rows] for rows in self._rows)
        order = np.argsort(negative)
        below_NR = np.zeros((len(negative) + 1, negative_NR.shape[1]), np.float32)
        np.cumsum(negative_NR[order], axis=0, out=below_NR[1:])
        sorted_N = negative[order]
        below, upto = (np.searchsorted(sorted_N, positive, side) for side in ("left", "right"))
        twice_R = 2 * np.einsum("pr,pr->r", below_NR[below], positive_PR)
        (tied,) = np.nonzero(upto > below)  # a tied pair counts one half
        twice_R += np.einsum("pr,pr->r", below_NR[upto[tied]] - below_NR[below[tied]], positive_PR[tied])
        pairs_R = negative_NR.sum(axis=0, dtype=np.float64) * positive_PR.sum(axis=0, dtype=np.float64)
        return np.asarray(twice_R, np.float64) / (2 * pairs_R)


@dataclass(frozen=True)
class Judged:
    """One arm: its paired difference, p adjusted in its family, and the verdict on its ranking."""

    ranking: Estimate
    p_holm: float
    tests: int
    finding: Finding
    vetoed: bool


class Ranked:
    """The arms of a run."""

    def __init__(
        self,
        run: Run,
        arms: Mapping[str, Mapping[int, Cell]],
        draws: Draws,
        diverged: Mapping[str, Iterable[int]],
    ) -> None:
        self.run = run
        self.arms = {arm: _Arm(cells, frozenset(diverged.get(arm, ())), draws) for arm, cells in arms.items()}
        self.base = self.arms[run.baseline]
        self.smallest_class = int(np.bincount(draws.labels).min())

    def sample(self, arm: str) -> Sample:
        """AUC over the seeds of a run; a diverged cell is the baseline's."""
        seeds = self.run.seeds
        source = {seed: self.base if seed in self.arms[arm].diverged else self.arms[arm] for seed in seeds}
        subsets = [frozenset(itertools.compress(seeds, kept)) for kept in half_samples(len(seeds))]
        halves = [np.mean([source[seed].chosen_from(kept, seed) for seed in kept]) for kept in subsets]
        drawn = np.stack([source[seed].drawn(seed) for seed in seeds])
        return Sample(drawn, np.array(halves), self.smallest_class)

    def gain(self, arm: str, other: str | None = None) -> Estimate:
        """The paired difference to the baseline, or to another arm."""
        return (self._samples[arm] - self._samples[other or self.run.baseline]).estimate

    @cached_property
    def _samples(self) -> dict[str, Sample]:
        return {arm: self.sample(arm) for arm in self.arms}

    @cached_property
    def gate(self) -> Gate | None:
        """None without an oracle."""
        return verdicts.gate(self.gain(self.run.oracle)) if self.run.oracle in self.arms else None

    @property
    def auc(self) -> float:
        """The baseline's, mean over seeds."""
        return float(self._samples[self.run.baseline].values[:, 0].mean())

    @property
    def margin(self) -> float:
        """Of the ranking."""
        half = self.gate.gain.mean / 2 if self.gate and self.gate.open else np.inf
        return min(self.run.margin_share * (1 - self.auc), half)

    def family(self, family: str) -> list[str]:
        """Its arms."""
        return [arm for arm, its in self.run.families.items() if its == family]

    def judged(self) -> dict[str, Judged]:
        """Every arm but the baseline."""
        found: dict[str, Judged] = {}
        for family in ("generative", "cheap", "control"):
            gains = {arm: self.gain(arm) for arm in self.family(family)}
            adjusted = holm({arm: gain.p for arm, gain in gains.items()})
            for arm, gain in gains.items():
                evidence = self._evidence(arm, gain, adjusted[arm] if family != "control" else gain.p)
                vetoed = evidence.significant and evidence.vetoed
                found[arm] = Judged(gain, evidence.p_holm, len(gains), verdicts.find(evidence), vetoed)
        return found

    def beats(self, reference: str) -> dict[str, bool]:
        """Which generative arms beat the reference, adjusted within their family."""
        gains = {arm: self.gain(arm, reference) for arm in self.family("generative")}
        adjusted = holm({arm: gain.p for arm, gain in gains.items()})
        return {arm: bool(gain.mean > 0 and adjusted[arm] < ALPHA) for arm, gain in gains.items()}

    def _evidence(self, arm: str, gain: Estimate, p_holm: float) -> Evidence:
        significant = gain.sign != 0 and p_holm < ALPHA
        return Evidence(
            ranking=gain,
            p_holm=p_holm,
            per_seed=self._per_seed(arm) if significant else None,  # it is asked for nothing else
            as_trained=gain,
            fair=None,
            moved=None,
            ranking_margin=self.margin,
            threshold_margin=None,
        )

    def _per_seed(self, arm: str) -> Estimate | None:
        sources = {seed: self.base if seed in self.arms[arm].diverged else self.arms[arm] for seed in self.run.seeds}
        pairs = [(source.alone(seed), self.base.alone(seed)) for seed, source in sources.items()]
        differences = [mine - theirs for mine, theirs in pairs if mine is not None and theirs is not None]
        return (
            estimate(np.stack(differences), image_count=self.smallest_class) if len(differences) == len(pairs) else None
        )


class _Arm:
    def __init__(self, cells: Mapping[int, Cell], diverged: frozenset[int], draws: Draws) -> None:
        self.cells = {seed: cell for seed, cell in sorted(cells.items()) if seed not in diverged}
        self.diverged, self._draws = diverged, draws
        tables = {seed: cell.held_out for seed, cell in self.cells.items()}
        bare = {seed: _nothing_held_out(cell.doses) for seed, cell in self.cells.items()}
        self._tuning = Tuning(bare, tables, tables)
        self.strength = self._tuning.settle(self.cells).pair_strength
        self._strengths: dict[frozenset[int], int] = {}
        self._points: dict[tuple[int, int], float] = {}

    def drawn(self, seed: int) -> np.ndarray:
        """AUC of a seed on every draw, float64 (1 + B,)."""
        return self._draws.auc(self.cells[seed].odds[self.strength])

    def chosen_from(self, kept: frozenset[int], seed: int) -> float:
        """AUC of `seed` at the strength chosen from the seeds `kept`."""
        own = kept.intersection(self.cells)
        if own not in self._strengths:
            self._strengths[own] = self._tuning.settle(sorted(own)).pair_strength
        where = (seed, self._strengths[own])
        if where not in self._points:
            self._points[where] = self._draws.auc_once(self.cells[seed].odds[where[1]])
        return self._points[where]

    def alone(self, seed: int) -> np.ndarray | None:
        """AUC of a seed on every draw at the strength that it alone would choose."""
        cell = self.cells[seed]
        return None if cell.own is None else self._draws.auc(cell.odds[cell.own])


def _nothing_held_out(doses: np.ndarray | None) -> Scores:
    """No fair rule is fitted where there is nothing to fit it on; rankings need none."""
    strengths = 1 if doses is None else len(doses)
    return Scores(
        strengths=np.ones(strengths),
        test=np.zeros((strengths, 2, 2)),
        test_labels=np.arange(2),
        held_out=np.zeros((strengths, 0, 2)),
        held_out_labels=np.zeros(0, np.int64),
        validation=np.zeros(0, bool),
        scale=np.ones(strengths),
        offsets=np.zeros((strengths, 2)),
        prior=np.full(2, 0.5),
        doses=doses,
    )
