"""simulate: how often intervals cover the truth and verdicts are wrong, on real features and with known answers.

Reads   FashionMNIST and the backbone's weights, by the stages of an experiment
Writes  FOLDER/: the features, the bank of cells (a GB each; remove them to build anew), a row per run and arm;
        tests/simulation/results.csv, folds.csv and doses.csv: shares over the runs; their tables in
        docs/statistics.md, between its markers
Try     make simulate RUNS=40
"""

import argparse
import csv
import itertools
import os
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path

from ganbalance.pipeline import provenance
from ganbalance.seeding import numpy_rng
from tests.simulation import doses, folds, known, power, scenarios, tables
from tests.simulation.bank import Bank, Design, Task, cached
from tests.simulation.scenarios import Row, Truth
from tests.simulation.shares import shares

REPLICATES = 300
"""Draws of test images; a run has 2,000."""
RARE = (20, 50, 200, 1000)
SEEDS = (5, 10)
BLOCK = 20
TASKS = {
    "shirt": (Design(60, 3500, cells=200, tested=2500), Design(60, 1500, cells=400, tested=2000, pools=25)),
    "trouser": (Design(200, 3500, cells=200, tested=2500), Design(200, 1500, cells=400, tested=2000, pools=25)),
}


@dataclass(frozen=True)
class Point:
    """What a share is of."""

    task: str
    design: str
    seeds: int
    rare: int
    scenario: str

    @property
    def others(self) -> int:
        """Test images of the other class."""
        return max(200, self.rare)


@dataclass(frozen=True)
class Block:
    """Some runs of a point."""

    point: Point
    number: int
    runs: int
    replicates: int

    def simulated(self) -> list[Row]:
        """A row per run and arm."""
        bank = BANKS[self.point.task, self.point.design]
        truth = TRUTHS[self.point.task, self.point.design, self.point.seeds]
        rng = numpy_rng(self.number, "simulation", *asdict(self.point).values())
        found = []
        for run in range(self.runs):
            ranked, picked, cells_S = scenarios.simulate(
                bank,
                self.point.scenario,
                seeds=self.point.seeds,
                rare=self.point.rare,
                others=self.point.others,
                replicates=self.replicates,
                rng=rng,
            )
            common = asdict(self.point) | {"run": self.number * BLOCK + run}
            found += [common | row for row in scenarios.rows(ranked, picked, truth, int(bank.pool[cells_S[0]]))]
        return found


BANKS: dict[tuple[str, str], Bank] = {}
TRUTHS: dict[tuple[str, str, int], Truth] = {}
"""Both are filled before processes are forked."""


def main() -> None:
    """Everything."""
    parser = argparse.ArgumentParser(prog="make simulate", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=1000, help="per point; fewer with a thousand test images")
    parser.add_argument("--replicates", type=int, default=REPLICATES)
    parser.add_argument("--folder", type=Path, default=Path("out/simulation"))
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args()
    started = time.monotonic()
    asked.folder.mkdir(parents=True, exist_ok=True)
    for task, designs in TASKS.items():
        for name, design in zip(("fresh", "kept"), designs, strict=True):
            BANKS[task, name] = bank = cached(asked.folder, Task(task), design, asked.processes)
            for seeds in SEEDS:
                TRUTHS[task, name, seeds] = Truth.of_effects(bank, seeds)
    with ProcessPoolExecutor(asked.processes, get_context("fork")) as workers:  # the banks are there
        results = [
            *_shares(workers.map(Block.simulated, _blocks(asked.runs, asked.replicates)), asked.folder),
            *power.table(runs=5 * asked.runs),
            *known.table(runs=max(1, asked.runs // 10)),
        ]
    here, minutes = provenance.here(), round((time.monotonic() - started) / 60)
    tables.write(
        results,
        f"Made by `make simulate`: {asked.runs} runs a line, half of them at 1,000 images; {minutes} minutes in "
        f"{asked.processes} processes on {here['cores']} cores of {here['cpu']}, commit {here['git_commit']}.",
    )

    folds.write(asked.folder, max(1, asked.runs // 10), asked.processes)
    doses.write(asked.folder, max(1, asked.runs // 10), asked.processes)


def _blocks(runs: int, replicates: int) -> Iterator[Block]:
    """The slow ones first."""
    for rare, seeds, task in itertools.product(sorted(RARE, reverse=True), sorted(SEEDS, reverse=True), TASKS):
        wanted = runs // 2 if rare > 500 else runs
        for design, names in (("fresh", scenarios.FRESH), ("kept", scenarios.KEPT)):
            for scenario in names:
                point = Point(task, design, seeds, rare, scenario)
                for number, start in enumerate(range(0, wanted, BLOCK)):
                    yield Block(point, number, min(BLOCK, wanted - start), replicates)


def _shares(blocks: Iterable[list[Row]], folder: Path) -> list[Row]:
    """Shares over the runs of every point; the rows themselves go to a file."""
    found = list(itertools.chain.from_iterable(blocks))
    with (folder / "runs.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, found[0], lineterminator="\n")
        table.writeheader()
        table.writerows(found)
    return shares(found)


if __name__ == "__main__":
    main()
