"""A bank of real cells: what a head says of a whole half of the images, after many draws of what it learned from.

A simulated run picks cells and test images from it with replacement. Cells of the bank and images of the test half
are then the whole population, so the truth is known exactly: the AUC of every cell on all images of the half, `auc`.

    fresh   every cell keeps its own draw of rare images out of the training half, as seeds do where images are removed
    kept    `keep: 1.0`: cells of one pool are splits of the same images into training and validation
"""

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
from sklearn.preprocessing import StandardScaler

from ganbalance import arms
from ganbalance.arms import Examples
from ganbalance.config import LinearHead, Recipe
from ganbalance.data.split import Split, draw, training_rows
from ganbalance.keys import digest
from ganbalance.metrics.classification import Settings, ranking
from ganbalance.metrics.scores import Scores
from ganbalance.metrics.tuning import Tuning, of_one_seed
from ganbalance.seeding import derive, numpy_rng
from ganbalance.training import head
from tests.simulation import features

GRID = tuple(sorted(LinearHead().l2, reverse=True))
SETTINGS = Settings(rare=(1,), deployment_prior=np.array([0.9, 0.1]))
VARIANTS = 6
"""Arms that differ in their noise alone, so that any one may be the baseline: it and two families of 3 and 2."""
MATCHED = 60

REAL = ("none", "class-weight", "oversample")
FRESH = ("oversample/again", "memoriser", "oracle-matched", "oracle")
VARIED = tuple(f"{kind}/{v}" for kind in ("synthetic", "jittered") for v in range(VARIANTS))


@dataclass(frozen=True)
class Task:
    """Two classes of FashionMNIST."""

    positive: str
    negative: str = "T-shirt/top"


@dataclass(frozen=True)
class Design:
    """How cells come about. `pools` is 0 for fresh draws, else into how many pools the cells fall."""

    kept: int  # rare images, validation included
    others: int  # images of the other class
    cells: int
    tested: int  # images of each class in the test half
    made: int = 240  # synthetic images of an arm with a generator
    pools: int = 0

    @property
    def arms(self) -> tuple[str, ...]:
        """With all images kept there is no oracle."""
        return (*REAL, *(() if self.pools else FRESH), *VARIED)


@dataclass(frozen=True)
class Bank:
    """A arms, M cells, G strengths, B bootstraps of the held-out images (1 for fresh draws), T test images.

    labels    int64 (T,)
    odds      float32 (A, M, G, T)   log odds of the test images
    held_out  float64 (A, M, B, G)   the ranking that a strength is chosen by
    own       int64 (A, M)           the strength that the cell alone would choose
    auc       float64 (A, M, G)      on the whole test half
    pool      int64 (M,)             the pool that the cell is of; 0 for fresh draws
    """

    labels: np.ndarray
    odds: np.ndarray
    held_out: np.ndarray
    own: np.ndarray
    auc: np.ndarray
    pool: np.ndarray
    arms: tuple[str, ...]

    def save(self, folder: Path) -> None:
        """One .npy per array, so that processes share them."""
        folder.mkdir(parents=True)
        for item in fields(self):
            np.save(folder / f"{item.name}.npy", np.asarray(getattr(self, item.name)))

    @classmethod
    def load(cls, folder: Path) -> "Bank":
        """What `save` wrote, mapped into memory."""
        found = {item.name: np.load(folder / f"{item.name}.npy", mmap_mode="r") for item in fields(cls)}
        return cls(**found | {"arms": tuple(found["arms"].tolist())})


def build(images: np.ndarray, labels: np.ndarray, design: Design, *, seed: int = 0, processes: int = 1) -> Bank:
    """Split the images into halves, and fit every arm of every cell. Images are (N, d), labels 0 or 1."""
    rng = np.random.default_rng(seed)
    rows = [rng.permutation(np.flatnonzero(labels == c)) for c in (0, 1)]
    train = np.concatenate([of_class[: len(of_class) // 2] for of_class in rows])
    test = np.concatenate([of_class[len(of_class) // 2 :][: design.tested] for of_class in rows])
    pools = [_pool(labels[train], design, pool) for pool in range(design.pools)] or [np.arange(len(train))]
    jobs = [
        _Job(
            images[np.concatenate([train[pool], test])],
            labels[np.concatenate([train[pool], test])],
            len(pool),
            design,
            cell,
        )
        for cell in range(design.cells)
        for pool in [pools[cell % len(pools)]]
    ]
    if processes > 1:
        with ProcessPoolExecutor(processes) as workers:  # and no Pool, which waits for ever for a process that died
            found = list(workers.map(_Job.fitted, jobs))
    else:
        found = [job.fitted() for job in jobs]
    odds, held_out, own, auc = (np.stack(part, axis=1) for part in zip(*found, strict=True))
    pool_M = np.arange(design.cells) % len(pools)
    return Bank(labels[test], odds, held_out, own, auc, pool_M, design.arms)


def cached(folder: Path, task: Task, design: Design, processes: int) -> Bank:
    """The bank of a task, built once in `folder`."""
    path = folder / f"{task.positive}-{digest(asdict(design))[:12]}"
    if not path.exists():
        build(*features.real(task.positive, task.negative, folder), design, processes=processes).save(path)
    return Bank.load(path)


def _pool(labels: np.ndarray, design: Design, pool: int) -> np.ndarray:
    """The images of one pool, rising."""
    rng = numpy_rng(pool, "simulated-pool")
    sizes = (design.others, design.kept)
    drawn = [rng.choice(np.flatnonzero(labels == c), n, replace=False) for c, n in enumerate(sizes)]
    return np.sort(np.concatenate(drawn))


@dataclass(frozen=True)
class Examined:
    """Images that arms of a cell learn from: features (N, d), labels (N,), and what is made of them."""

    features: np.ndarray
    labels: np.ndarray
    design: Design
    cell: int
    arms: tuple[str, ...]

    def examples(self, split: Split) -> Iterator[tuple[str, Examples]]:
        """What every arm trains on."""
        spread = self.features[split.train].std(axis=0)
        for name in self.arms:
            kind, _, variant = name.partition("/")
            seed = derive(self.cell, "again") if variant == "again" else self.cell
            rng = numpy_rng(self.cell, "simulated-arm", name)
            if kind in ("memoriser", "synthetic", "jittered"):
                made = _Made(self.features[split.train], self.labels[split.train], spread, self.design.made, rng)
                yield name, getattr(made, kind)()
            else:
                recipe = arms.resolve(Recipe(name=kind))
                rows = training_rows(split, self.labels, recipe.removed, seed=seed, matched={1: MATCHED})
                given = Examples(self.features[rows], self.labels[rows], np.ones(len(rows)))
                state = derive(seed, "training-set") % 2**32
                yield name, arms.method(recipe.method).resample(given, state)


def split_of(labels: np.ndarray, n_train: int, design: Design, cell: int) -> Split:
    """What a cell learns from, is tuned and tested on."""
    keep = 1.0 if design.pools else design.kept / int(labels[:n_train].sum())
    return draw(labels, n_train, keep={1: keep}, validation=0.2, seed=derive(cell, "split"))


@dataclass(frozen=True)
class _Job:
    """One cell: the training part of the images is before `n_train`, all others are test images."""

    features: np.ndarray
    labels: np.ndarray
    n_train: int
    design: Design
    cell: int

    def fitted(self) -> tuple[np.ndarray, ...]:
        """odds (A, G, T), held_out (A, B, G), own (A,), auc (A, G)."""
        split = split_of(self.labels, self.n_train, self.design, self.cell)
        scaler = StandardScaler(with_std=False).fit(self.features[split.train].astype(np.float64))
        plain = arms.objective("cross-entropy")
        examined = Examined(self.features, self.labels, self.design, self.cell, self.design.arms)
        solved = {
            name: head.fit(examples, scaler=scaler, grid=GRID, objective=plain, on_progress=lambda *_: None)
            for name, examples in examined.examples(split)
        }
        cells = {name: self._scores(split, found) for name, found in solved.items()}
        tuned = {name: Tuning.of({self.cell: scores}, SETTINGS) for name, scores in cells.items()}
        whole = np.ones((1, len(split.test)), np.int16)
        return (
            np.stack([(scores.test[..., 1] - scores.test[..., 0]).astype(np.float32) for scores in cells.values()]),
            np.stack([found.ranking[self.cell] for found in tuned.values()]),
            np.array([of_one_seed(scores, SETTINGS) for scores in cells.values()]),
            np.stack([_along_grid(scores, whole) for scores in cells.values()]),
        )

    def _scores(self, split: Split, solved: head.Head) -> Scores:
        return Scores(
            strengths=solved.strengths,
            test=solved.logits(self.features[split.test]),
            test_labels=self.labels[split.test],
            held_out=solved.logits(self.features[split.held_out]),
            held_out_labels=self.labels[split.held_out],
            validation=np.isin(split.held_out, split.validation),
            scale=np.ones(len(GRID)),
            offsets=np.zeros((len(GRID), 2)),
            prior=np.array([0.5, 0.5]),
        )


def _along_grid(scores: Scores, whole: np.ndarray) -> np.ndarray:
    return np.concatenate([ranking(scores, g, SETTINGS, whole) for g in range(len(GRID))])


@dataclass(frozen=True)
class _Made:
    """Arms that are not the library's: what they train on. `spread` (d,) is the deviation of the features."""

    features: np.ndarray
    labels: np.ndarray
    spread: np.ndarray
    count: int
    rng: np.random.Generator

    def memoriser(self) -> Examples:
        """A generator that learned its images by heart: copies of them, as blurred as no eye would see."""
        return self._with(self._some() + self._noise(self.count, 0.02))

    def synthetic(self) -> Examples:
        """A generator with ideas of its own: between two rare images, and off the line."""
        one, other, share = self._some(), self._some(), self.rng.random((self.count, 1))
        return self._with(share * one + (1 - share) * other + self._noise(self.count, 0.5))

    def jittered(self) -> Examples:
        """The same images with a little noise on each: an arm that does next to nothing."""
        moved = self.features + self._noise(len(self.features), 0.1)
        return Examples(moved.astype(np.float32), self.labels, np.ones(len(self.labels)))

    def _some(self) -> np.ndarray:
        rare = self.features[self.labels == 1]
        return np.asarray(rare[self.rng.integers(0, len(rare), self.count)])

    def _noise(self, count: int, share: float) -> np.ndarray:
        noise: np.ndarray = share * self.spread * self.rng.normal(size=(count, len(self.spread)))
        return noise

    def _with(self, made: np.ndarray) -> Examples:
        both = np.concatenate([self.features, made.astype(np.float32)])
        return Examples(both, np.append(self.labels, np.ones(len(made), np.int64)), np.ones(len(both)))
