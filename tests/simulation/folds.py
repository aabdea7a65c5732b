"""Cross-validation: whether intervals over folds of one pool of images hold what other pools would show.

Every run draws a pool of its own out of two classes of FashionMNIST, deals it into folds as the library does, trains
every arm on each, tunes and judges. The truth is what the same heads do on images outside their pools, mean over the
runs; that of equal arms is 0. Beside the library's interval stand those that it was chosen among.

    python -m tests.simulation.folds RUNS [PROCESSES]      # `make simulate` does it too
"""

import csv
import sys
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

import numpy as np
from scipy.special import stdtrit
from sklearn.preprocessing import StandardScaler

from ganbalance import arms
from ganbalance.config import CrossValidation
from ganbalance.data.split import Split, draw
from ganbalance.metrics.classification import ranking
from ganbalance.metrics.crossed import Estimate, Sample, half_samples
from ganbalance.metrics.scores import Scores
from ganbalance.metrics.tested import PooledTest
from ganbalance.metrics.tuning import Tuning
from ganbalance.seeding import derive, numpy_rng
from ganbalance.training import head
from tests.simulation import features, tables
from tests.simulation.bank import SETTINGS, Design, Examined, Task
from tests.simulation.shares import Row

FOLDS, REPLICATES, DIMENSIONS, OUTSIDE = 5, 300, 32, 1000
"""`OUTSIDE` images of each class that are not in the pool are what the truth is measured on, others for every pool."""
GRID = (100.0, 10.0, 1.0, 0.1, 0.01, 1e-3, 1e-4)
FIXED = 3
"""The place in the grid of the strength that all arms have where nothing is chosen."""
EQUAL = (("synthetic/1", "synthetic/0"), ("jittered/1", "jittered/0"))
EFFECTS = (("class-weight", "none"), ("oversample", "none"), ("synthetic/0", "none"), ("oracle", "none"))
DESIGNS = (
    ("shirt", 60, 600, 1.0),
    ("shirt", 300, 1200, 1.0),
    ("shirt", 300, 1200, 0.2),
    ("shirt", 800, 1600, 1.0),
    ("trouser", 300, 1200, 1.0),
)
"""Rare class, rare and other images of a pool, and the share of the rare ones that the imbalance keeps."""
RULES = ("folds alone", "Nadeau & Bengio", "without the overlap", "this")
RESULTS = Path(__file__).with_name("folds.csv")
BEGIN, END = "<!-- folds: made by `python -m tests.simulation.folds`, do not edit -->", "<!-- /folds -->"
Cells = dict[str, dict[int, Scores]]


@dataclass(frozen=True)
class Pool:
    """Images of one run, features (N, d) and labels (N,), before `size`; the others are outside."""

    features: np.ndarray
    labels: np.ndarray
    size: int
    keep: float
    run: int

    @property
    def arms(self) -> tuple[str, ...]:
        """Without removed images there is no oracle."""
        equal = [arm for pair in EQUAL for arm in pair]
        return ("none", "class-weight", "oversample", *(() if self.keep == 1 else ("oracle",)), *equal)

    def cells(self, seeds: int) -> tuple[Cells, Cells]:
        """Arm -> seed -> what its heads say of the fold, and of the images outside."""
        tested: Cells = {arm: {} for arm in self.arms}
        outside: Cells = {arm: {} for arm in self.arms}
        for seed in range(seeds):
            root, fold = derive(self.run, "pool", seed), CrossValidation(folds=FOLDS).fold(seed)
            labels = self.labels[: self.size]
            split = draw(labels, self.size, keep={1: self.keep}, validation=0.2, seed=root, fold=fold)
            for arm, solved in self._solved(split, root):
                tested[arm][seed] = self._scores(split, split.test, solved)
                outside[arm][seed] = self._scores(split, np.arange(self.size, len(self.labels)), solved)
        return tested, outside

    def _solved(self, split: Split, root: int) -> Iterator[tuple[str, head.Head]]:
        made = max(60, int(self.labels[split.train].sum()))
        design = Design(kept=0, others=0, cells=0, tested=0, made=made)
        scaler = StandardScaler(with_std=False).fit(self.features[split.train].astype(np.float64))
        plain = arms.objective("cross-entropy")
        for arm, examples in Examined(self.features, self.labels, design, root, self.arms).examples(split):
            yield arm, head.fit(examples, scaler=scaler, grid=GRID, objective=plain, on_progress=lambda *_: None)

    def _scores(self, split: Split, rows: np.ndarray, solved: head.Head) -> Scores:
        return Scores(
            strengths=solved.strengths,
            test=solved.logits(self.features[rows]),
            test_labels=self.labels[rows],
            test_rows=rows,
            held_out=solved.logits(self.features[split.held_out]),
            held_out_labels=self.labels[split.held_out],
            validation=np.isin(split.held_out, split.validation),
            scale=np.ones(len(GRID)),
            offsets=np.zeros((len(GRID), 2)),
            prior=np.full(2, 0.5),
        )


def judged(pool: Pool, seeds: tuple[int, ...] = (FOLDS, 2 * FOLDS)) -> list[Row]:
    """A row per number of seeds, difference and rule, with a strength chosen for each arm and with one for all."""
    tested, outside = pool.cells(max(seeds))
    found: list[Row] = []
    for count in seeds:
        for chosen in (True, False):
            mine, others = (
                {
                    arm: {s: one if chosen else _fixed(one) for s, one in of_arm.items() if s < count}
                    for arm, of_arm in cells.items()
                }
                for cells in (tested, outside)
            )
            samples = _samples(mine, numpy_rng(pool.run, "folds-images", count))
            known = {"run": pool.run, "seeds": count, "strength": "chosen" if chosen else "one"}
            for arm, base in (*EFFECTS, *EQUAL):
                if arm in samples:
                    truth = _mean(others[arm], samples[arm][1]) - _mean(others[base], samples[base][1])
                    for rule, gain in by_rule(samples[arm][0] - samples[base][0]).items():
                        half = float(stdtrit(gain.df, 0.975)) * gain.se
                        row = {
                            "arm": arm,
                            "base": base,
                            "rule": rule,
                            "mean": gain.mean,
                            "half": half,
                            "outside": truth,
                        }
                        found.append(known | row)
    return found


def by_rule(gain: Sample) -> dict[str, Estimate]:
    """The library's interval, and others: of the folds' values alone, and without what seeds share."""
    values, seeds = gain.values[:, 0], len(gain.values)
    alone = Estimate(float(values.mean()), float(np.sqrt(values.var(ddof=1) / seeds)) + 1e-9, seeds - 1)
    return {
        "folds alone": alone,
        "Nadeau & Bengio": replace(alone, se=alone.se * np.sqrt(1 + seeds / (FOLDS - 1))),
        "without the overlap": replace(gain, folds=None).estimate,
        "this": gain.estimate,
    }


def _fixed(scores: Scores) -> Scores:
    """The scores at one strength, so that there is nothing to choose."""
    names = ("strengths", "test", "held_out", "scale", "offsets")
    return replace(scores, **{name: getattr(scores, name)[FIXED : FIXED + 1] for name in names})


def _samples(cells: Mapping[str, Mapping[int, Scores]], rng: np.random.Generator) -> dict[str, tuple[Sample, int]]:
    """Arm -> AUC over seeds with everything that an interval needs, and the strength that was chosen."""
    tested = PooledTest.of(cells)
    drawn = tested.draws(REPLICATES, rng)
    weights = np.concatenate([np.ones((1, drawn.shape[1]), drawn.dtype), drawn])
    found = {}
    for arm, of_arm in cells.items():
        tuning = Tuning.of(of_arm, SETTINGS)
        chosen = tuning.settle(of_arm).pair_strength
        values = np.stack([ranking(one, chosen, SETTINGS, tested.of_seed(s, weights)) for s, one in of_arm.items()])
        along = {seed: [_auc(one, g) for g in range(len(one.strengths))] for seed, one in of_arm.items()}
        halves = []
        for kept in half_samples(len(of_arm)):
            half = [seed for seed, stays in zip(of_arm, kept, strict=True) if stays]
            again = tuning.settle(half).pair_strength
            halves.append(np.mean([along[seed][again] for seed in half]))
        found[arm] = Sample(values, np.array(halves), int(tested.counts(2).min()), folds=FOLDS), chosen
    return found


def _mean(cells: Mapping[int, Scores], strength: int) -> float:
    return float(np.mean([_auc(one, strength) for one in cells.values()]))


def _auc(scores: Scores, strength: int) -> float:
    return float(ranking(scores, strength, SETTINGS, np.ones((1, len(scores.test_labels)), np.int16))[0])


def shares(rows: Iterable[Row]) -> Iterator[Row]:
    """Coverage, bias, spread and median half width of every rule for each difference."""

    def key(row: Row) -> tuple[int, str, str, str, str]:
        return row["seeds"], row["strength"], row["arm"], row["base"], row["rule"]

    for (seeds, strength, arm, base, rule), group in groupby(sorted(rows, key=key), key):
        of_rule = list(group)
        mean, half, outside = (np.array([row[name] for row in of_rule]) for name in ("mean", "half", "outside"))
        truth = 0.0 if (arm, base) in EQUAL else float(outside.mean())
        yield {
            "seeds": seeds, "strength": strength, "arm": arm, "base": base, "rule": rule, "runs": len(mean),
            "truth": truth, "bias": (mean - outside).mean(), "spread": mean.std(ddof=1),
            "coverage": float((abs(mean - truth) <= half).mean()), "half": float(np.median(half)),
        }  # fmt: skip


def pools(images: np.ndarray, labels: np.ndarray, *, rare: int, others: int, keep: float, runs: int) -> Iterator[Pool]:
    """A pool per run, and with it images outside: `OUTSIDE` of each class, or as many as are left."""
    for run in range(runs):
        rng = numpy_rng(run, "folds-pool", rare, others)
        shuffled = [rng.permutation(np.flatnonzero(labels == c)) for c in (0, 1)]
        inside = [rows[:size] for rows, size in zip(shuffled, (others, rare), strict=True)]
        outside = [rows[size : size + OUTSIDE] for rows, size in zip(shuffled, (others, rare), strict=True)]
        both = np.concatenate([rng.permutation(np.concatenate(inside)), *outside])
        yield Pool(images[both], labels[both], others + rare, keep, run)


def write(folder: Path, runs: int, processes: int) -> None:
    """folds.csv, and its table between the markers of docs/statistics.md."""
    found: list[Row] = []
    with ProcessPoolExecutor(processes) as workers:
        for name, rare, others, keep in DESIGNS:
            task = Task(name)
            images, labels = features.real(task.positive, task.negative, folder)
            drawn = pools(images[:, :DIMENSIONS], labels, rare=rare, others=others, keep=keep, runs=runs)
            rows = [row for of_pool in workers.map(judged, drawn) for row in of_pool]
            found += [{"task": name, "rare": rare, "keep": keep} | share for share in shares(rows)]
    with RESULTS.open("w", newline="") as file:
        table = csv.DictWriter(file, found[0], lineterminator="\n")
        table.writeheader()
        table.writerows({name: tables.short(value) for name, value in row.items()} for row in found)
    before, _, rest = tables.PAGE.read_text().partition(BEGIN)
    tables.PAGE.write_text(f"{before}{BEGIN}\n{page(found)}\n{END}{rest.partition(END)[2]}")


def page(found: Iterable[Row]) -> str:
    """A line per design, seeds and strength: of every rule the least and mean coverage over the differences."""

    def key(row: Row) -> tuple[str, str, str, str, str, str]:
        task, rare, keep, seeds, strength, runs = (
            row[name] for name in ("task", "rare", "keep", "seeds", "strength", "runs")
        )
        return task, str(rare), f"{keep:g}", str(seeds), strength, str(runs)

    lines = []
    for of_line, group in groupby(found, key):
        rows = list(group)
        line = dict(zip(("rare class", "rare images", "keep", "seeds", "strength", "runs"), of_line, strict=True))
        for rule in RULES:
            of_rule = [row for row in rows if row["rule"] == rule]
            covered = [100 * row["coverage"] for row in of_rule]
            width = np.mean([row["half"] for row in of_rule])
            line[rule] = f"{min(covered):.0f} ({np.mean(covered):.1f}) ±{width:.4f}"
        lines.append(line)
    return tables.markdown(lines)


if __name__ == "__main__":
    write(Path("out/simulation"), int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1)
