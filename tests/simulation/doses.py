"""Doses: whether verdicts hold where an arm chooses a dose of synthetic images together with the strength.

Each arm has six doses at each of seven strengths, 42 places to choose from; the baseline has its seven strengths.

idle      no dose does more than another: each adds other images of one generator, as many as the baseline has
slight    the same of images with a little noise, which does next to nothing
redrawn   as idle, but every arm and the baseline have kept images of their own: equal arms that share no luck
effects   60, 240 or 960 images of a generator, which count .3 or 1, against none

The best of six equal doses is not equal to one: the truth is what the whole procedure gains over the baseline, by many
draws of seeds. Beside the library's interval stands the one without choosing again, which takes the choice as given.

    python -m tests.simulation.doses RUNS [PROCESSES]
"""

import csv
import itertools
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import starmap
from pathlib import Path

import numpy as np
from sklearn.preprocessing import StandardScaler

from ganbalance import arms
from ganbalance.arms import Examples
from ganbalance.metrics.classification import held_out_ranking, ranking
from ganbalance.metrics.crossed import estimate
from ganbalance.metrics.results import Run
from ganbalance.metrics.scores import Scores
from ganbalance.metrics.verdicts import HELPS
from ganbalance.seeding import numpy_rng
from ganbalance.training import head
from tests.simulation import features, tables
from tests.simulation.bank import SETTINGS, Design, Examined, Task, split_of
from tests.simulation.folds import GRID
from tests.simulation.ranked import Cell, Draws, Ranked
from tests.simulation.shares import Row

DESIGN = Design(60, 3500, cells=60, tested=1500)
ARMS, DOSES, REPLICATES, TRUTHS = 3, 6, 300, 1500
VARIANTS = 1 + ARMS * DOSES
REAL = tuple(itertools.product((60, 240, 960), (0.3, 1.0)))
"""Images and weight of each dose that does something."""
KINDS = {"idle": "synthetic", "slight": "jittered", "redrawn": "synthetic"}
SCENARIOS = (*KINDS, "effects")
NAMES = (
    "none",
    *(f"{kind}/{v}" for kind in ("synthetic", "jittered") for v in range(VARIANTS)),
    *(f"dose/{d}" for d in range(DOSES)),
)
RESULTS = Path(__file__).with_name("doses.csv")
BEGIN, END = "<!-- doses: made by `python -m tests.simulation.doses`, do not edit -->", "<!-- /doses -->"
OF_DOSES = np.repeat(np.arange(1, DOSES + 1), len(GRID))


@dataclass(frozen=True)
class Fitted:
    """A arms and M cells at G strengths: log odds of T test images float32 (A, M, G, T), and their AUC (A, M, G) by
    held-out images, by the validation images among these alone, and on the whole test half."""

    labels: np.ndarray
    odds: np.ndarray
    held_out: np.ndarray
    alone: np.ndarray
    auc: np.ndarray


def fitted(images: np.ndarray, labels: np.ndarray, design: Design, processes: int = 1) -> Fitted:
    """Every arm of every cell, on halves of images (N, d) with labels 0 or 1."""
    rng = np.random.default_rng(0)
    halves = [np.array_split(rng.permutation(np.flatnonzero(labels == c)), 2) for c in (0, 1)]
    rows = np.concatenate([*(half[0] for half in halves), *(half[1][: design.tested] for half in halves)])
    n_train = sum(len(half[0]) for half in halves)
    jobs = [(images[rows], labels[rows], n_train, design, cell) for cell in range(design.cells)]
    if processes > 1:
        with ProcessPoolExecutor(processes) as workers:
            found = list(workers.map(_cell, *zip(*jobs, strict=True)))
    else:
        found = list(starmap(_cell, jobs))
    odds, held_out, alone, auc = (np.stack(part, axis=1) for part in zip(*found, strict=True))
    return Fitted(labels[rows][n_train:], odds, held_out, alone, auc)


def _cell(images: np.ndarray, labels: np.ndarray, n_train: int, design: Design, cell: int) -> tuple[np.ndarray, ...]:
    split = split_of(labels, n_train, design, cell)
    scaler = StandardScaler(with_std=False).fit(images[split.train].astype(np.float64))
    test, held_out = images[split.test], images[split.held_out]
    kept = np.isin(split.held_out, split.validation)
    found = []
    for examples in _examples(images, labels, design, cell, n_train):
        solved = head.fit(
            examples, scaler=scaler, grid=GRID, objective=arms.objective("cross-entropy"), on_progress=lambda *_: None
        )
        scores = _bare(solved.strengths, solved.logits(test), labels[split.test])
        held = replace(
            scores, held_out=solved.logits(held_out), held_out_labels=labels[split.held_out], validation=kept
        )
        tuned = held_out_ranking(held, SETTINGS, np.stack([np.ones(len(kept)), kept]).astype(np.int16))
        whole = np.ones((1, len(split.test)), np.int16)
        auc = np.concatenate([ranking(scores, g, SETTINGS, whole) for g in range(len(GRID))])
        odds = (scores.test[..., 1] - scores.test[..., 0]).astype(np.float32)
        found.append((odds, tuned[0], tuned[1], auc))
    return tuple(np.stack(part) for part in zip(*found, strict=True))


def _examples(images: np.ndarray, labels: np.ndarray, design: Design, cell: int, n_train: int) -> Iterator[Examples]:
    """What the arms of `NAMES` learn from."""
    split = split_of(labels, n_train, design, cell)
    equal = Examined(images, labels, design, cell, tuple(name for name in NAMES if not name.startswith("dose")))
    yield from (examples for _, examples in equal.examples(split))
    for dose, (n, weight) in enumerate(REAL):
        of_dose = Examined(images, labels, replace(design, made=n), cell, (f"synthetic/{VARIANTS + dose}",))
        ((_, made),) = of_dose.examples(split)
        weights = np.where(np.arange(len(made.labels)) < len(made.labels) - n, 1.0, weight)
        yield Examples(made.inputs, made.labels, weights)


def _bare(strengths: np.ndarray, test: np.ndarray, labels: np.ndarray) -> Scores:
    grid = len(strengths)
    return Scores(
        strengths=strengths, test=test, test_labels=labels, held_out=test[:, :0], held_out_labels=labels[:0],
        validation=np.zeros(0, bool), scale=np.ones(grid), offsets=np.zeros((grid, 2)), prior=np.full(2, 0.5),
    )  # fmt: skip


@dataclass(frozen=True)
class Arm:
    """Where an arm's cells are: rows of `Fitted`, int64 (S, doses), and the cells of its seeds, int64 (S,)."""

    rows: np.ndarray
    cells: np.ndarray

    @property
    def places(self) -> list[tuple[np.ndarray, int]]:
        """Rows and cell of every seed."""
        return list(zip(self.rows, self.cells.tolist(), strict=True))

    def mean_auc(self, bank: Fitted) -> float:
        """Of the whole procedure on the whole test half: one place for all seeds, by their held-out images."""
        held_out, auc = ([table[rows, at].ravel() for rows, at in self.places] for table in (bank.held_out, bank.auc))
        return float(np.mean(auc, axis=0)[np.round(np.mean(held_out, axis=0), 12).argmax()])


def drawn(scenario: str, cells: int, seeds: int, rng: np.random.Generator) -> dict[str, Arm]:
    """The baseline and the other arms of a run, on draws of its seeds."""
    cells_S = rng.choice(cells, seeds)
    if scenario == "effects":
        dosed = [NAMES.index(f"dose/{d}") for d in range(DOSES)]
        return {"base": Arm(np.zeros((seeds, 1), int), cells_S), "arm-1": Arm(np.tile(dosed, (seeds, 1)), cells_S)}
    first = NAMES.index(f"{KINDS[scenario]}/0")
    orders = first + np.stack([rng.permutation(VARIANTS) for _ in range(seeds)])
    own = [rng.choice(cells, seeds) if scenario == "redrawn" else cells_S for _ in range(ARMS)]
    others = {f"arm-{a + 1}": Arm(orders[:, 1 + a * DOSES :][:, :DOSES], own[a]) for a in range(ARMS)}
    return {"base": Arm(orders[:, :1], cells_S)} | others


@dataclass(frozen=True)
class _Seen(Mapping[int, np.ndarray]):
    """Log odds of some images at every place, dose after dose."""

    odds: Sequence[np.ndarray]
    images: np.ndarray

    def __getitem__(self, place: int) -> np.ndarray:
        return np.asarray(self.odds[place // len(GRID)][place % len(GRID)][self.images])

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self)))

    def __len__(self) -> int:
        return len(self.odds) * len(GRID)


def simulated(
    bank: Fitted, scenario: str, *, seeds: int, rare: int, replicates: int, rng: np.random.Generator
) -> Ranked:
    """One run, judged as a report would; as many images of the other class as rare ones."""
    picked = drawn(scenario, bank.odds.shape[1], seeds, rng)
    images = np.concatenate([rng.choice(np.flatnonzero(bank.labels == c), rare) for c in (0, 1)])
    cells = {
        arm: {seed: _seen(bank, rows, at, images) for seed, (rows, at) in enumerate(of_arm.places)}
        for arm, of_arm in picked.items()
    }
    families = {arm: "baseline" if arm == "base" else "generative" for arm in picked}
    run = Run(families, tuple(range(seeds)), SETTINGS, reference="base", baseline="base")  # type: ignore[arg-type]
    return Ranked(run, cells, Draws(bank.labels[images], replicates, rng), {})


def _seen(bank: Fitted, rows: np.ndarray, at: int, images: np.ndarray) -> Cell:
    own = int(np.round(bank.alone[rows, at], 12).argmax())
    doses = OF_DOSES if len(rows) > 1 else None
    return Cell(_Seen([bank.odds[row, at] for row in rows], images), bank.held_out[rows, at].reshape(1, -1), own, doses)


def rows(bank: Fitted, scenario: str, seeds: int, rare: int, runs: range, replicates: int = REPLICATES) -> list[Row]:
    """A row per run and arm; `covered` is by the library's interval, `covered_as_given` by that of the choice alone."""
    found = []
    truth = gain(bank, scenario, seeds)
    for number in runs:
        rng = numpy_rng(number, "doses", scenario, seeds, rare)
        run = simulated(bank, scenario, seeds=seeds, rare=rare, replicates=replicates, rng=rng)
        for arm, judged in run.judged().items():
            given = estimate((run.sample(arm) - run.sample("base")).values, image_count=rare)
            found.append({
                "scenario": scenario, "seeds": seeds, "rare": rare, "run": number, "truth": truth,
                "covered": judged.ranking.low <= truth <= judged.ranking.high,
                "called": judged.ranking.sign != 0 and judged.p_holm < 0.05,
                "helps": judged.finding.name == HELPS,
                "covered_as_given": given.low <= truth <= given.high, "called_as_given": given.sign != 0,
                "half": judged.ranking.high - judged.ranking.mean,
            })  # fmt: skip
    return found


def gain(bank: Fitted, scenario: str, seeds: int) -> float:
    """What the procedure gains over the baseline, by many draws of seeds."""
    rng = numpy_rng(seeds, "doses-truth", scenario)
    found = []
    for _ in range(TRUTHS):
        picked = drawn(scenario, bank.odds.shape[1], seeds, rng)
        base = picked.pop("base").mean_auc(bank)
        found += [arm.mean_auc(bank) - base for arm in picked.values()]
    return float(np.mean(found))


def shares(found: Sequence[Row]) -> Iterator[Row]:
    """Of each scenario, number of seeds and of rare test images; a run is called where any of its arms is."""

    def key(row: Row) -> tuple[int, int, int]:
        return SCENARIOS.index(row["scenario"]), row["seeds"], row["rare"]

    for _, group in itertools.groupby(sorted(found, key=key), key):
        of_point = list(group)
        of_runs = [list(of_run) for _, of_run in itertools.groupby(of_point, lambda row: row["run"])]
        point = {name: of_point[0][name] for name in ("scenario", "seeds", "rare", "truth")}
        yield point | {
            "runs": len(of_runs),
            "covered": float(np.mean([row["covered"] for row in of_point])),
            "called": float(np.mean([any(row["called"] for row in of_run) for of_run in of_runs])),
            "helps": float(np.mean([any(row["helps"] for row in of_run) for of_run in of_runs])),
            "covered_as_given": float(np.mean([row["covered_as_given"] for row in of_point])),
            "called_as_given": float(np.mean([row["called_as_given"] for row in of_point])),
            "half": float(np.median([row["half"] for row in of_point])),
        }


POINTS = tuple(itertools.product(SCENARIOS, (5, 10), (100, 1000)))


def write(folder: Path, runs: int, processes: int) -> None:
    """Simulate; a run of 100 takes five minutes of one processor."""
    task = Task("shirt")
    bank = fitted(*features.real(task.positive, task.negative, folder), DESIGN, processes)
    found = [row for scenario, seeds, rare in POINTS for row in rows(bank, scenario, seeds, rare, range(runs))]
    keep(list(shares(found)))


def keep(results: Sequence[Row]) -> None:
    """Write doses.csv, and its table between the markers of docs/statistics.md."""
    with RESULTS.open("w", newline="") as file:
        table = csv.DictWriter(file, results[0], lineterminator="\n")
        table.writeheader()
        table.writerows({name: tables.short(value) for name, value in row.items()} for row in results)
    before, _, rest = tables.PAGE.read_text().partition(BEGIN)
    tables.PAGE.write_text(f"{before}{BEGIN}\n{page(results)}\n{END}{rest.partition(END)[2]}")


def page(results: Sequence[Row]) -> str:
    """A line per scenario, seeds and rare test images."""
    shown = {
        "coverage": "covered", "runs with a call": "called", "with “helps”": "helps",
        "coverage, choice as given": "covered_as_given", "arms called, choice as given": "called_as_given",
    }  # fmt: skip
    return tables.markdown(
        [
            {
                "doses": row["scenario"],
                "seeds": str(row["seeds"]),
                "rare images": str(row["rare"]),
                "runs": str(row["runs"]),
            }
            | {"true gain": f"{row['truth']:+.4f}", "half width": f"{row['half']:.4f}"}
            | {name: f"{100 * row[of]:.1f}" for name, of in shown.items()}
            for row in results
        ]
    )


if __name__ == "__main__":
    write(Path("out/simulation"), int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1)
