"""The arms of a run in numbers: every metric of every cell on the same draws of the test images, as samples over seeds.

A diverged cell counts as the baseline, which is what its user would fall back to, as long as that is the exception.
"""

import itertools
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from ganbalance.metrics import verdicts
from ganbalance.metrics.calibration import Floats
from ganbalance.metrics.classification import Settings, Settled, measure, primary, ranking
from ganbalance.metrics.crossed import Estimate, Sample, estimate, half_samples
from ganbalance.metrics.results import MIN_SEEDS_INTERVAL, Run
from ganbalance.metrics.scores import Scores
from ganbalance.metrics.tested import PooledTest
from ganbalance.metrics.tuning import Tuning, of_one_seed
from ganbalance.seeding import numpy_rng

Draws = NDArray[np.int16]


class Measured:
    """One arm. `weights` holds the test images of each seed as they are, then B draws of them, (1 + B, T).

    settled          what was chosen from all seeds
    drawn            seed -> metric -> float64 (1 + B,) under it
    own_strength     seed -> the strength that it alone would choose; {} where nothing was held out
    at_own_strength  seed -> the primary metric there, float64 (1 + B,)
    """

    def __init__(self, cells: Mapping[int, Scores], settings: Settings, weights: Mapping[int, Draws]) -> None:
        self.cells, self.settings = cells, settings
        self.tuning = Tuning.of(cells, settings)
        self.settled = self.tuning.settle(cells)
        self.drawn = {seed: measure(scores, self.settled, settings, weights[seed]) for seed, scores in cells.items()}
        chosen = {seed: of_one_seed(scores, settings) for seed, scores in cells.items()}
        self.own_strength = {seed: strength for seed, strength in chosen.items() if strength is not None}
        self.at_own_strength = {
            seed: ranking(cells[seed], own, settings, weights[seed]) for seed, own in self.own_strength.items()
        }
        self._settled: dict[frozenset[int], Settled] = {}
        self._points: dict[tuple[frozenset[int], int], dict[str, Floats]] = {}

    @property
    def points(self) -> dict[int, dict[str, float]]:
        """The metrics of each seed on the test set as it is."""
        return {
            seed: {name: float(values[0]) for name, values in of_seed.items()} for seed, of_seed in self.drawn.items()
        }

    def point(self, kept: frozenset[int], seed: int) -> dict[str, Floats]:
        """Compute the metrics of `seed`, float64 (1,), with everything chosen from the seeds `kept`."""
        own = kept.intersection(self.cells)
        if (own, seed) not in self._points:
            if own not in self._settled:
                self._settled[own] = self.tuning.settle(sorted(own))
            self._points[own, seed] = measure(self.cells[seed], self._settled[own], self.settings)
        return self._points[own, seed]

    @cached_property
    def along_grid(self) -> dict[int, Floats]:
        """The primary metric of each seed on the test images at every strength, float64 (G,)."""
        once = {seed: np.ones((1, len(scores.test_labels)), np.int16) for seed, scores in self.cells.items()}
        return {
            seed: np.concatenate([ranking(scores, g, self.settings, once[seed]) for g in range(len(scores.strengths))])
            for seed, scores in self.cells.items()
        }


class MeasuredRun:
    """All arms of a run, and samples of their metrics and of paired differences.

    tested          the test images of all seeds
    smallest_class  how many of them are of the smallest class, or groups of them; with folds, those of all folds
    imputed         arm -> the seeds at which it counts as the baseline; [] for an arm that diverged too often
    """

    def __init__(
        self, run: Run, cells: Mapping[str, Mapping[int, Scores]], diverged: Mapping[str, frozenset[int]]
    ) -> None:
        self.run, self.diverged = run, diverged
        self.cells = {arm: dict(sorted(cells.get(arm, {}).items())) for arm in run.families}
        self.tested = PooledTest.of(self.cells)
        classes = next(scores for of_arm in self.cells.values() for scores in of_arm.values()).classes
        self.smallest_class = int(self.tested.counts(classes).min())
        self.primary = primary(classes)
        drawn_BT = self.tested.draws(run.replicates, numpy_rng(0, "test-image-bootstrap"))
        weights_RT = np.concatenate([np.ones((1, drawn_BT.shape[1]), drawn_BT.dtype), drawn_BT])
        seeds = sorted({seed for of_arm in self.cells.values() for seed in of_arm})
        weights = {seed: self.tested.of_seed(seed, weights_RT) for seed in seeds}
        present = [arm for arm, of_arm in self.cells.items() if of_arm]
        # threads do: the time goes into numpy, which lets others run, as long as each keeps to one processor
        with threadpool_limits(1), ThreadPoolExecutor() as pool:
            found = pool.map(lambda arm: Measured(self.cells[arm], run.settings, weights), present)
            self.arms = dict(zip(present, found, strict=True))
        base = self.cells[run.baseline]
        self.imputed = {
            arm: sorted(diverged.get(arm, frozenset()) & set(base)) if self.trained(arm) else [] for arm in run.families
        }
        self._samples: dict[tuple[str, str, tuple[int, ...]], Sample] = {}

    def trained(self, arm: str) -> bool:
        """Tell whether at most one cell in five diverged."""
        return len(self.diverged.get(arm, ())) <= verdicts.MOST_DIVERGED * len(self.run.seeds)

    def seeds(self, arm: str) -> list[int]:
        """List the seeds with a result, a diverged one counted as the baseline."""
        return sorted({*self.cells[arm], *self.imputed[arm]})

    def common(self, *arms: str) -> list[int]:
        """List the seeds that all of these arms have."""
        return sorted(set.intersection(*(set(self.seeds(arm)) if arm in self.cells else set() for arm in arms)))

    def metrics(self, arm: str) -> list[str]:
        """Name the metrics of an arm; none where it has no result."""
        return [name for seed in self.seeds(arm)[:1] for name in self._source(arm, seed).drawn[seed]]

    def _source(self, arm: str, seed: int) -> Measured:
        return self.arms[arm if seed in self.cells[arm] else self.run.baseline]

    def sample(self, arm: str, metric: str, seeds: Sequence[int]) -> Sample:
        """Sample one metric over seeds."""
        wanted = (arm, metric, tuple(seeds))
        if wanted not in self._samples:
            of_seed = {seed: self._source(arm, seed) for seed in seeds}
            values = np.stack([of_seed[seed].drawn[seed][metric] for seed in seeds])
            halves = [np.mean([of_seed[seed].point(kept, seed)[metric] for seed in kept]) for kept in _halves(seeds)]
            self._samples[wanted] = Sample(values, np.array(halves), **self._counted)
        return self._samples[wanted]

    def gain(self, arm: str, metric: str, other: str | None = None, seeds: Sequence[int] | None = None) -> Sample:
        """Compute paired differences to the baseline, or to another arm, over the seeds that both have."""
        against = other or self.run.baseline
        shared = self.common(arm, against) if seeds is None else seeds
        return self.sample(arm, metric, shared) - self.sample(against, metric, shared)

    def per_seed_gain(self, arm: str) -> Estimate | None:
        """Estimate the difference in ranking with the strength that each seed of both arms alone would choose."""
        baseline = self.run.baseline
        seeds = self.common(arm, baseline) if self.run.families[arm] != "baseline" else []
        found = [[self._source(one, seed).at_own_strength.get(seed) for one in (arm, baseline)] for seed in seeds]
        pairs = [(mine, theirs) for mine, theirs in found if mine is not None and theirs is not None]
        if len(pairs) < max(len(seeds), MIN_SEEDS_INTERVAL):
            return None
        differences = np.stack([mine - theirs for mine, theirs in pairs])
        return estimate(differences, **self._counted)

    @property
    def _counted(self) -> "_Counted":
        grouped = self.tested.groups is not None
        return {"image_count": self.smallest_class, "grouped": grouped, "folds": self.run.folds}


class _Counted(TypedDict):
    """What an interval has to know of the test images."""

    image_count: int
    grouped: bool
    folds: int | None


def _halves(seeds: Sequence[int]) -> list[frozenset[int]]:
    """List the half samples of these seeds; none of a single one."""
    if len(seeds) < MIN_SEEDS_INTERVAL:
        return []
    return [frozenset(itertools.compress(seeds, kept)) for kept in half_samples(len(seeds))]
