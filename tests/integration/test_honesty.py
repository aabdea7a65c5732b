"""Who sees which images: watched at the doors of training while the real programs run the tiny experiment."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from ganbalance.data.canvas import from_canvas
from ganbalance.data.split import PARTS
from ganbalance.pipeline.state import State
from jobs import train_classifier, train_gan
from tests.conftest import SIDE_PX, Lab, tiny_settings

SEEDS = (0, 1)
RARE = 1
GRID = (1.0, 0.1)
TRAINED = ["none", "class-weight", "oversample", "dcgan", "oracle"]  # threshold trains nothing


@dataclass
class Watched:
    """What reached `gan_loop.train` and `head.fit`, by the name of the stage, and what had been written before."""

    state: State
    to_gan: dict[str, tuple[Any, Any]] = field(default_factory=dict)  # images on the canvas, labels
    to_head: dict[str, dict[str, Any]] = field(default_factory=dict)

    def array(self, stage: str, file: str) -> Any:
        commit = self.state.commit(stage)
        assert commit is not None
        return np.load(self.state.artifacts.open(commit).path(file), allow_pickle=False)

    def rows(self, seed: int) -> dict[str, np.ndarray]:
        """The rows of each part of the split."""
        with self.array(f"imbalance/seed-{seed}", "split.npz") as split:
            return {part: split[part] for part in PARTS}

    @property
    def real(self) -> Any:
        return self.array("features/real", "features.npy")

    @property
    def labels(self) -> Any:
        return self.array("dataset", "labels.npy")

    def head(self, arm: str, seed: int) -> dict[str, Any]:
        return self.to_head[f"train-classifier/{arm}/seed-{seed}"]


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory, tiny_npz: Path) -> Watched:
    folder = tmp_path_factory.mktemp("watched")
    experiment = folder / "experiment.yaml"
    # features of larger images: at 16 px several images have the same
    changes = {"seeds": list(SEEDS), "classifier": {"side_px": 64, "l2": list(GRID)}}
    experiment.write_text(yaml.safe_dump(tiny_settings(tiny_npz) | changes))
    lab = Lab(experiment, folder / "store")
    seen = Watched(lab.state(folder))
    real_train, real_fit = train_gan.gan_loop.train, train_classifier.head.fit
    with pytest.MonkeyPatch.context() as patch:
        for node in lab.plan.nodes:

            def watch_train(gan: Any, images: Any, labels: Any, *, at: str = node.name, **rest: Any) -> Any:
                seen.to_gan[at] = (images.clone(), labels.clone())
                return real_train(gan, images, labels, **rest)

            def watch_fit(train: Any, features: Any, labels: Any, *, at: str = node.name, **rest: Any) -> Any:
                seen.to_head[at] = {"train": train, "validation": features, "validation_labels": labels} | rest
                return real_fit(train, features, labels, **rest)

            patch.setattr(train_gan.gan_loop, "train", watch_train)
            patch.setattr(train_classifier.head, "fit", watch_fit)
            assert lab.run(node) == 0
    return seen


def places(wanted: np.ndarray, among: np.ndarray) -> list[int]:
    """The row of `among` that each of `wanted` is, told by its bytes; fails for one that is not there."""
    row_of = {row.tobytes(): number for number, row in enumerate(among)}
    assert len(row_of) == len(among), "two rows alike cannot be told apart"
    return [row_of[row.tobytes()] for row in wanted]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_gan_sees_the_training_images_of_the_rare_class_and_no_others(watched: Watched, seed: int) -> None:
    images, labels = watched.to_gan[f"train-gan/dcgan/class-1/seed-{seed}"]
    seen = places(from_canvas(images, SIDE_PX), watched.array("dataset", "images.npy"))
    rows = watched.rows(seed)
    assert sorted(seen) == [row for row in rows["train"] if watched.labels[row] == RARE]
    assert set(labels.tolist()) == {RARE}
    for part in ("validation", "removed", "test"):
        assert len(rows[part])
        assert not set(seen) & set(rows[part])


@pytest.mark.parametrize("seed", SEEDS)
def test_the_arm_of_a_gan_learns_from_the_training_rows_and_all_synthetic_images(watched: Watched, seed: int) -> None:
    train, rows = watched.head("dcgan", seed)["train"], watched.rows(seed)["train"]
    made = watched.array(f"features/dcgan/class-1/seed-{seed}", "features.npy")
    assert len(made) == 12
    assert np.array_equal(train.features, np.concatenate([watched.real[rows], made]))
    assert train.labels.tolist() == watched.labels[rows].tolist() + [RARE] * len(made)
    assert (train.weights == 1).all()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("arm", TRAINED)
def test_every_arm_is_tuned_on_the_same_real_validation_images(watched: Watched, arm: str, seed: int) -> None:
    given, rows = watched.head(arm, seed), watched.rows(seed)["validation"]
    assert np.array_equal(given["validation"], watched.real[rows])
    assert np.array_equal(given["validation_labels"], watched.labels[rows])


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("arm", TRAINED)
def test_every_arm_of_a_seed_is_scaled_by_the_real_training_images(watched: Watched, arm: str, seed: int) -> None:
    scaler, real = watched.head(arm, seed)["scaler"], watched.real[watched.rows(seed)["train"]].astype(np.float64)
    assert scaler.mean_ == pytest.approx(real.mean(axis=0), rel=1e-9, abs=1e-12)
    assert scaler.var_ == pytest.approx(real.var(axis=0), rel=1e-6, abs=1e-12)
    assert np.array_equal(scaler.mean_, watched.head("none", seed)["scaler"].mean_)
    assert np.array_equal(scaler.scale_, watched.head("none", seed)["scaler"].scale_)


def test_every_arm_has_the_same_grid(watched: Watched) -> None:
    assert len(watched.to_head) == len(TRAINED) * len(SEEDS)
    assert {tuple(given["grid"]) for given in watched.to_head.values()} == {GRID}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("arm", TRAINED)
def test_only_the_oracle_learns_from_what_was_removed(watched: Watched, arm: str, seed: int) -> None:
    rows, train = watched.rows(seed), watched.head(arm, seed)["train"]
    real = len(train.labels) - (12 if arm == "dcgan" else 0)
    used = places(train.features[:real], watched.real)
    assert np.array_equal(train.labels[:real], watched.labels[used])
    allowed = [*rows["train"], *rows["removed"]] if arm == "oracle" else [*rows["train"]]
    assert set(used) == set(allowed)
