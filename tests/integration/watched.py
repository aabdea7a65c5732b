"""Tiny experiments that the real programs run while the doors of training are watched."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from ganbalance.data.split import PARTS
from ganbalance.metrics.scores import Scores
from ganbalance.pipeline.state import State
from jobs import train_classifier, train_gan
from tests.conftest import Lab

SEEDS = (0, 1)
RARE = 1
ADDED = 12
GRID = (1.0, 0.1)
REAL = ["none", "class-weight", "oversample", "focal", "logit-adjustment", "oracle", "oracle-matched"]
TRAINED = [*REAL, "dcgan", "smote", "surest"]  # threshold trains nothing
SCORED = [*TRAINED, "threshold"]
SUREST = {"name": "surest", "synthetic": {"gan": "dcgan", "filter": {"by": "classifier", "keep": 0.5}}}
SMOTED = 72 - 24
MADE = {"dcgan": ADDED, "surest": ADDED, "smote": SMOTED}  # examples that are no real image's
FROM_REMOVED = {"oracle": 15, "oracle-matched": ADDED}


@dataclass(frozen=True)
class Fitted:
    """What one call of `head.fit` was given, and the head it returned."""

    train: Any
    scaler: Any
    grid: Sequence[float]
    head: Any

    def logits(self, features: np.ndarray) -> np.ndarray:
        """By hand: float64 (G, n, K)."""
        x = (features.astype(np.float64) - self.scaler.mean_) / self.scaler.scale_
        return np.stack([x @ w.T + b for w, b in zip(self.head.weights, self.head.biases, strict=True)])


@dataclass
class Watched:
    """What reached `gan_loop.train` and `head.fit`, by the name of the stage, and what had been written before."""

    state: State
    to_gan: dict[str, tuple[Any, Any]] = field(default_factory=dict)  # images on the canvas, labels
    heads: dict[str, list[Fitted]] = field(default_factory=dict)
    filtered: dict[str, Fitted] = field(default_factory=dict)  # the head of a filter

    def path(self, stage: str, file: str) -> Path:
        commit = self.state.commit(stage)
        assert commit is not None
        return self.state.artifacts.open(commit).path(file)

    def array(self, stage: str, file: str) -> Any:
        return np.load(self.path(stage, file), allow_pickle=False)

    def rows(self, seed: int) -> dict[str, np.ndarray]:
        """The rows of each part of the split."""
        with self.array(f"imbalance/seed-{seed}", "split.npz") as split:
            return {part: split[part] for part in PARTS}

    def held_out(self, seed: int) -> np.ndarray:
        """The rows that nothing trains on and that are not for the test, rising."""
        rows = self.rows(seed)
        return np.sort(np.concatenate([rows["validation"], rows["tuning"]]))

    @property
    def real(self) -> Any:
        return self.array("features/real", "features.npy")

    @property
    def labels(self) -> Any:
        return self.array("dataset", "labels.npy")

    def head(self, arm: str, seed: int) -> Fitted:
        """The head that tells all classes apart, which is fitted first."""
        return self.heads[f"train-classifier/{arm}/seed-{seed}"][0]

    def scores(self, arm: str, seed: int) -> Scores:
        stage = "rescore" if arm == "threshold" else "train-classifier"
        return Scores.load(self.path(f"{stage}/{arm}/seed-{seed}", "scores.npz"))


def watch(folder: Path, settings: dict[str, Any]) -> Watched:
    """Run every stage but the report."""
    experiment = folder / "experiment.yaml"
    # features of larger images: at 16 px several images have the same
    settings |= {"classifier": {"side_px": 64, "l2": list(GRID)}}
    experiment.write_text(yaml.safe_dump(settings))
    lab = Lab(experiment, folder / "store")
    seen = Watched(lab.state(folder))
    real_train, real_fit = train_gan.gan_loop.train, train_classifier.head.fit
    with pytest.MonkeyPatch.context() as patch:
        for node in lab.plan.nodes[:-1]:

            def watch_train(gan: Any, images: Any, labels: Any, *, at: str = node.name, **rest: Any) -> Any:
                seen.to_gan[at] = (images.clone(), labels.clone())
                return real_train(gan, images, labels, **rest)

            def watch_fit(train: Any, *, scaler: Any, grid: Any, at: str = node.name, **rest: Any) -> Any:
                solved = real_fit(train, scaler=scaler, grid=grid, **rest)
                fitted = Fitted(train, scaler, grid, solved)
                if at.startswith("filter/"):
                    seen.filtered[at] = fitted
                else:
                    seen.heads.setdefault(at, []).append(fitted)
                return solved

            patch.setattr(train_gan.gan_loop, "train", watch_train)
            patch.setattr(train_classifier.head, "fit", watch_fit)
            assert lab.run(node) == 0
    return seen


def places(wanted: np.ndarray, among: np.ndarray) -> list[int]:
    """The row of `among` that each of `wanted` is, found by its bytes; fails for one that is not there."""
    row_of = {row.tobytes(): number for number, row in enumerate(among)}
    assert len(row_of) == len(among), "two rows alike cannot be distinguished"
    return [row_of[row.tobytes()] for row in wanted]
