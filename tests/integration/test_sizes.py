"""Pictures of any size go through every GAN and both classifiers, from the experiment file alone.

They are patches of two photographs that scikit-learn ships: a temple and a flower.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image
from sklearn.datasets import load_sample_images

from tests.conftest import Lab

GANS = ["vanilla", "dcgan", "wgan-gp"]
PATCH_PX = 140
HEAD = {"side_px": 32, "l2": [1.0]}
PAPER = {"kind": "paper", "side_px": 32, "training": {"epochs": 1, "batch_size": 8}}
NETWORK = {"kind": "network", "side_px": 64, "lr": [1e-3], "weight_decay": [0.1]} | {
    "training": {"steps": 2, "batch_size": 8}
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Class folders with a test part."""
    root = tmp_path_factory.mktemp("photographs")
    rng = np.random.default_rng(0)
    for part, counts in (("train", (24, 16)), ("test", (8, 8))):
        for name, picture, count in zip(("temple", "flower"), load_sample_images().images, counts, strict=True):
            (root / part / name).mkdir(parents=True)
            height, width, _ = picture.shape
            for number in range(count):
                top, left = rng.integers(height - PATCH_PX), rng.integers(width - PATCH_PX)
                patch = picture[top : top + PATCH_PX, left : left + PATCH_PX]
                Image.fromarray(patch).save(root / part / name / f"{number}.png")
    return root


@pytest.fixture
def run(folder: Path, tmp_path: Path) -> Callable[..., Lab]:
    """A tiny experiment on them, run to its report."""

    def run_sized(side_px: int, channels: int, **settings: Any) -> Lab:
        gan = {"steps": 2, "batch_size": 4}
        narrow = gan | {"g_widths": [8], "d_widths": [4]}
        experiment = {
            "name": "sized",
            "dataset": {"name": "folder", "path": str(folder), "side_px": side_px, "channels": channels},
            "task": {"kind": "pair", "positive": "flower", "negative": "temple"},
            "imbalance": {"keep": {"flower": 0.5}},
            "arms": ["none", *GANS],
            "gans": {"vanilla": gan, "dcgan": narrow, "wgan-gp": narrow},
            "synthesis": {"n": 6},
            "classifier": HEAD,
            "statistics": {"replicates": 200},
            "seeds": [0],
        }
        path = tmp_path / "experiment.yaml"
        path.write_text(yaml.safe_dump(experiment | settings))
        lab = Lab(path, tmp_path / "store")
        lab.run_all(tmp_path)
        return lab

    return run_sized


@pytest.mark.parametrize(
    ("side_px", "channels", "classifier"),
    [(28, 3, HEAD), (64, 1, HEAD), (64, 3, NETWORK), (100, 3, PAPER), (128, 1, HEAD), (128, 3, NETWORK)],
)
def test_every_gan_draws_images_of_the_size_of_the_data(
    run: Callable[..., Lab], tmp_path: Path, side_px: int, channels: int, classifier: dict[str, Any]
) -> None:
    lab = run(side_px, channels, classifier=classifier)
    state = lab.state(tmp_path)
    for gan in GANS:
        commit = state.commit(f"synthesize/{gan}/class-0/seed-0")
        assert commit is not None
        images = np.load(state.artifacts.open(commit).path("images.npy"))
        assert images.shape == (6, channels, side_px, side_px)
        assert np.ptp(images) > 0
    assert state.commit("report") is not None


def test_the_layers_that_a_size_needs_stand_in_the_plan(run: Callable[..., Lab]) -> None:
    lab = run(64, 3, arms=["none", "dcgan"])
    settings = lab.plan.node("train-gan/dcgan/class-0/seed-0").config["settings"]
    assert settings["g_widths"] == [64, 32, 16, 8]
    assert settings["d_widths"] == [4, 8, 16, 32]
