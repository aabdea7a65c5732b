"""Whole analyses of cells whose only difference is known: a threshold that moves, at 2 and at 10 classes."""

import itertools
from dataclasses import dataclass

import numpy as np

from ganbalance.metrics import verdicts
from ganbalance.metrics.classification import Settings
from ganbalance.metrics.results import Analysis, Run
from ganbalance.metrics.scores import PAIR, PairScores, Scores
from ganbalance.metrics.statistics import analyse
from ganbalance.metrics.verdicts import HELPS, HURTS, MOVES

STRENGTHS = 2
SEEDS = 5


@dataclass(frozen=True)
class Moved:
    """Logits of a known classifier of K classes at one seed, and how far an arm moves and stretches them."""

    k: int
    rng: np.random.Generator
    per_class: int = 30

    def run(self) -> Analysis:
        """`none` and an arm that is `none` with one positive scale and one offset per class, anew at every seed."""
        rare = (0, 1) if self.k > PAIR else (1,)
        labels_T, labels_V = (np.arange(n * self.k) % self.k for n in (self.per_class, 30))
        common_TK = self.rng.normal(0, 1, (len(labels_T), self.k))
        none, moved = {}, {}
        for seed in range(SEEDS):
            test = np.stack([self._logits(labels_T, common_TK) for _ in range(STRENGTHS)])
            held_out = np.stack([self._logits(labels_V, 0) for _ in range(STRENGTHS)])
            offsets_K, scale = (
                self.rng.normal(-2, 0.1, self.k) * np.isin(np.arange(self.k), rare),
                self.rng.lognormal(0, 1),
            )
            none[seed] = self._cell(test, labels_T, held_out, labels_V, rare)
            moved[seed] = self._cell(scale * test + offsets_K, labels_T, scale * held_out + offsets_K, labels_V, rare)
        settings = Settings(rare=rare, deployment_prior=np.full(self.k, 1 / self.k))
        families = {"none": "baseline", "moved": "cheap"}
        run = Run(families, tuple(range(SEEDS)), settings, reference="moved", replicates=200)  # type: ignore[arg-type]
        return analyse(run, {"none": none, "moved": moved}, {})

    def _logits(self, labels: np.ndarray, common: np.ndarray | float) -> np.ndarray:
        signal = 1.5 * np.eye(self.k)[labels]
        found: np.ndarray = signal + common + self.rng.normal(0, 0.5, signal.shape)
        return found

    def _cell(
        self,
        test: np.ndarray,
        test_labels: np.ndarray,
        held_out: np.ndarray,
        held_out_labels: np.ndarray,
        rare: tuple[int, ...],
    ) -> Scores:
        return Scores(
            strengths=np.logspace(0, 1 - STRENGTHS, STRENGTHS),
            test=test,
            test_labels=test_labels,
            held_out=held_out,
            held_out_labels=held_out_labels,
            validation=np.zeros(len(held_out_labels), bool),
            scale=np.ones(STRENGTHS),
            offsets=np.zeros((STRENGTHS, self.k)),
            prior=np.full(self.k, 1 / self.k),
            pairs={
                pair: PairScores(_odds(test, test_labels, pair), _odds(held_out, held_out_labels, pair))
                for pair in itertools.combinations(range(self.k), 2)
                if self.k > PAIR and set(pair) & set(rare)
            },
        )


def _odds(logits: np.ndarray, labels: np.ndarray, pair: tuple[int, int]) -> np.ndarray:
    rows = np.isin(labels, pair)
    odds: np.ndarray = (logits[..., pair[1]] - logits[..., pair[0]])[:, rows]
    return odds


def share(k: int, runs: int, rng: np.random.Generator) -> dict[str, float]:
    """How often the arm that moves a threshold is called what."""
    found = [Moved(k, rng).run() for _ in range(runs)]
    names = [analysis.arms["moved"].finding for analysis in found]
    assert all(finding is not None for finding in names)
    return {
        "helps or hurts": sum(finding.name in (HELPS, HURTS) for finding in names if finding) / runs,
        "measurable": sum(finding.measurable for finding in names if finding) / runs,
        "moves": sum(finding.name == MOVES for finding in names if finding) / runs,
        "no verdict": sum(finding.name == verdicts.TOO_FEW_IMAGES for finding in names if finding) / runs,
    }


def table(runs: int) -> list[dict[str, float]]:
    """A line per number of classes; one analysis of ten takes as long as eight of two."""
    return [
        {"classes": k, "runs": wanted} | share(k, wanted, np.random.default_rng(k))
        for k, wanted in ((2, runs), (3, max(1, runs // 3)), (10, max(1, runs // 8)))
    ]
