"""Collect what a report is made from: the question that was asked, and every committed result that answers it.

Inputs that failed are absent and inputs whose GAN diverged hold no scores; both are listed as missing results.
"""

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ganbalance.config import Experiment, Family
from ganbalance.data.card import Card
from ganbalance.data.split import Split
from ganbalance.errors import DataError
from ganbalance.frozen import parse
from ganbalance.metrics.quality import Quality
from ganbalance.metrics.scores import PAIR, Scores
from ganbalance.metrics.tested import PooledTest
from ganbalance.store.artifacts import Artifact

BASELINE, ORACLE = "none", "oracle"
REAL_EXAMPLES = 16

Columns = dict[str, list[float]]


@dataclass(frozen=True, kw_only=True)
class Question:
    """What the run was asked. `labels` and `keep` are by class index: the dataset's label, and the share kept."""

    experiment: Experiment
    families: Mapping[str, Family]
    labels: tuple[str, ...]
    keep: Mapping[int, float]
    fingerprint: str
    weights_sha256: str | None
    notes: tuple[str, ...]

    @property
    def arms(self) -> tuple[str, ...]:
        """In the order of the experiment."""
        return tuple(self.families)


@dataclass(frozen=True, kw_only=True)
class Input:
    """What a report reads under the name `role`; without `artifact` where the stage failed or was not run."""

    role: str
    artifact: Artifact | None


@dataclass(frozen=True, kw_only=True)
class CellInput(Input):
    """The scores of an arm at a seed, and the GANs and networks that they rest on."""

    arm: str
    seed: int
    trained: Sequence[Artifact]


@dataclass(frozen=True, kw_only=True)
class GanInput(Input):
    """A GAN on the rare class of the dataset's `label` at a seed, and the first of the arms that draw from it."""

    arm: str
    label: str
    seed: int


@dataclass(frozen=True, kw_only=True)
class QualityInput(Input):
    """The quality of the images that an arm adds of a class at a seed; without `arm` that of the control."""

    arm: str | None
    class_index: int
    seed: int


@dataclass(frozen=True)
class MissingResult:
    """A result that is not there: "missing" (the stage failed or never ran) or "diverged" (the GAN did: a result)."""

    kind: Literal["missing", "diverged"]
    what: str
    arm: str | None
    seed: int | None
    because: str


@dataclass(frozen=True)
class Cell:
    """One arm at one seed: its scores along the grid, solutions that did not converge, losses, and the machines."""

    scores: Scores
    unsolved: int
    curve: Columns
    machines: frozenset[tuple[str, str]]  # kind of stage, and the processor and accelerator it ran on


EVERY_CLASS = "all"
"""The label of a conditional GAN, which learns every class of the task."""


@dataclass(frozen=True)
class GanRun:
    """One GAN on one rare class at one seed: losses by term, and uint8 (N,C,H,W) images by epoch."""

    gan: str
    label: str
    seed: int
    diverged: bool
    losses: Columns
    samples: dict[int, NDArray[np.uint8]]


@dataclass(frozen=True)
class QualityRun:
    """How good the images are that an arm adds of a class at a seed; without `arm` training images drawn again."""

    arm: str | None
    class_index: int
    seed: int
    found: Quality


@dataclass(frozen=True)
class Results:
    """All that the committed inputs say."""

    class_names: tuple[str, ...]
    counts: dict[str, list[int]]
    prior: NDArray[np.float64]
    cells: dict[str, dict[int, Cell]]
    gans: list[GanRun]
    real: dict[str, NDArray[np.uint8]]
    missing_results: list[MissingResult]
    rare: tuple[int, ...]
    card: Card | None = None
    qualities: tuple[QualityRun, ...] = ()

    @cached_property
    def tested(self) -> PooledTest:
        """The test images of all seeds. Raises DataError where cells of one seed have different ones."""
        scores = {arm: {seed: cell.scores for seed, cell in of_arm.items()} for arm, of_arm in self.cells.items()}
        return PooledTest.of(scores)

    @property
    def tested_groups(self) -> list[int] | None:
        """How many groups of test images each class has; None where images are not grouped."""
        if self.tested.groups is None:
            return None
        return [int(count) for count in self.tested.counts(len(self.class_names))]

    @property
    def shown(self) -> int:
        """The class whose probabilities are shown: the positive one of a pair, the first rare one of more."""
        return 1 if len(self.class_names) == PAIR else min(self.rare)

    def diverged(self, arm: str) -> list[int]:
        """List the seeds at which the arm's GAN diverged."""
        diverged = (one.seed for one in self.missing_results if one.arm == arm and one.kind == "diverged")
        return sorted(seed for seed in diverged if seed is not None)

    def missing(self, *arms: str) -> list[str]:
        """List the results that these arms lack for another reason than divergence."""
        lost = [one for one in self.missing_results if one.kind == "missing" and one.arm in arms]
        return [f"{one.arm} at seed {one.seed}" for one in lost]


def collect(inputs: Sequence[Input], question: Question) -> Results:
    """Read all `inputs`. Raises DataError when there is no score at all."""
    dataset, imbalance = _first(inputs, "dataset"), _first(inputs, "imbalance")
    scored = {(one.arm, one.seed): cell for one in inputs if isinstance(one, CellInput) and (cell := _cell(one))}
    if not scored or not imbalance or not dataset:
        raise DataError("nothing to report on: no arm of this run has a result yet; see what its stages say")
    counts = _counts([one.artifact for one in inputs if one.artifact and one.artifact.commit.stage == "imbalance"])
    seeds = question.experiment.seeds
    cells = {arm: {seed: scored[arm, seed] for seed in seeds if (arm, seed) in scored} for arm in question.arms}
    results = Results(
        class_names=tuple(dataset.json("classes.json")["class_names"]),
        counts=counts,
        prior=np.array(counts["after"]) / sum(counts["after"]),
        cells=cells,
        gans=[
            _gan_run(one, one.artifact)
            for one in sorted(inputs, key=lambda one: one.role)
            if isinstance(one, GanInput) and one.artifact
        ],
        real=_real_examples(dataset, imbalance, question),
        missing_results=list(_missing_results(inputs)),
        rare=tuple(sorted(question.keep)),
        card=parse(Card, dataset.json("card.json"), where="card.json") if "card.json" in dataset.names else None,
        qualities=tuple(
            QualityRun(one.arm, one.class_index, one.seed, Quality(**one.artifact.json("quality.json")))
            for one in inputs
            if isinstance(one, QualityInput) and one.artifact and one.artifact.commit.outcome == "done"
        ),
    )
    assert results.tested is not None  # noqa: S101 - fails here, and not where a page is half written
    return results


def _first(inputs: Iterable[Input], stage: str) -> Artifact | None:
    """Find the first artifact of a stage."""
    return next((one.artifact for one in inputs if one.artifact and one.artifact.commit.stage == stage), None)


def _cell(given: CellInput) -> Cell | None:
    """Read what is there of a cell: nothing where it failed or its GAN diverged."""
    artifact = given.artifact
    if artifact is None or artifact.commit.outcome != "done":
        return None
    return Cell(
        scores=Scores.load(artifact.path("scores.npz")),
        unsolved=_unsolved(artifact),
        curve=_table(artifact, "curve.csv"),
        machines=frozenset(map(_machine, [artifact, *given.trained])),
    )


def _unsolved(artifact: Artifact) -> int:
    if "solver.csv" not in artifact.names:
        return 0
    return sum(row["converged"] != "True" for row in _rows(artifact.path("solver.csv")))


def _machine(artifact: Artifact) -> tuple[str, str]:
    """Name the kind of stage, and the processor with the accelerator, if any, that it ran on."""
    made = artifact.commit.provenance
    return artifact.commit.stage, ", ".join(str(made[part]) for part in ("cpu", "accelerator") if made.get(part))


def _gan_run(given: GanInput, artifact: Artifact) -> GanRun:
    return GanRun(
        gan=given.arm,
        label=given.label,
        seed=given.seed,
        diverged=artifact.commit.outcome == "diverged",
        losses=_table(artifact, "losses.csv"),
        samples=_samples(artifact),
    )


def _samples(artifact: Artifact) -> dict[int, NDArray[np.uint8]]:
    """Read image grids by epoch: each array's name holds its epoch as its only number."""
    if "samples.npz" not in artifact.names:
        return {}
    with np.load(artifact.path("samples.npz"), allow_pickle=False) as arrays:
        by_epoch = {int(number[0]): arrays[name] for name in arrays if (number := re.findall(r"\d+", name))}
    return dict(sorted(by_epoch.items()))


def _table(artifact: Artifact, name: str) -> Columns:
    """Read the numeric columns of a CSV of the artifact; nothing where it has no such file."""
    if name not in artifact.names:
        return {}
    rows = _rows(artifact.path(name))
    return {column: [float(row[column]) for row in rows] for column in (rows[0] if rows else ())}


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _counts(imbalances: Sequence[Artifact]) -> dict[str, list[int]]:
    """Count images per class: before, after, train, validation, tuning. Every seed draws other images, but as many.

    The mean over seeds where images are grouped: whole groups differ in size.
    """
    tables = [_rows(imbalance.path("counts.csv")) for imbalance in imbalances]
    return {
        name: [round(np.mean([int(row[name]) for row in of_class])) for of_class in zip(*tables, strict=True)]
        for name in ("before", "after", "train", "validation", "tuning")
    }


def _real_examples(dataset: Artifact, imbalance: Artifact, question: Question) -> dict[str, NDArray[np.uint8]]:
    """Read some kept training images of each rare class, by dataset label, to compare generated ones with."""
    images = np.load(dataset.path("images.npy"), mmap_mode="r", allow_pickle=False)
    labels = np.load(dataset.path("labels.npy"), allow_pickle=False)
    kept = Split.load(imbalance.path("split.npz")).train
    return {
        question.labels[rare]: np.asarray(images[kept[labels[kept] == rare][:REAL_EXAMPLES]])
        for rare in sorted(question.keep)
    }


def _missing_results(inputs: Iterable[Input]) -> Iterable[MissingResult]:
    for one in inputs:
        arm, seed = (one.arm, one.seed) if isinstance(one, CellInput) else (None, None)
        if one.artifact is None:
            yield MissingResult("missing", one.role, arm, seed, "not committed: the stage failed or was not run")
        elif one.artifact.commit.outcome == "diverged":
            yield MissingResult("diverged", one.role, arm, seed, _why(one.artifact.commit.metrics))


def _why(metrics: Mapping[str, Any]) -> str:
    """Put in words what the artifact says of the training that diverged: its own, or that of a stage it reads."""
    if because := metrics.get("because"):
        return f"{because} diverged"
    where = metrics.get("diverged_at")
    return "a loss or a weight became infinite" + (f" in epoch {where['epoch']}, step {where['step']}" if where else "")
