"""A run's training images as PNG files, so that anything else can be trained on them.

TO/seed-0/real/trouser/00012.png
TO/seed-0/dcgan/trouser/00000.png
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ganbalance.errors import ConfigError, DataError
from ganbalance.pipeline import reading
from ganbalance.pipeline.plan import Node
from ganbalance.pipeline.state import State
from ganbalance.store.artifacts import Artifact


def export(state: State, *, seed: int | None, gan: str | None, to: Path) -> int:
    """Write the real training images and the synthetic ones of the chosen seeds and GANs; returns how many.

    Raises ConfigError when `to` holds something already, DataError when a chosen stage is not done.
    """
    if to.exists() and any(to.iterdir()):
        raise ConfigError(f"--to {to}: the folder is not empty; name a new one")
    data = reading.task_images(_artifact(state, "dataset"))
    written = 0
    for node in _chosen(state, seed, gan):
        artifact = _artifact(state, node.name)
        if artifact.commit.outcome == "diverged":
            print(f"{node.name} has no images: its GAN diverged")
            continue
        if node.stage == "imbalance":
            rows = reading.split(artifact).train
            images, labels, source = data.images[rows], data.labels[rows], "real"
        else:
            images, labels = (np.load(artifact.path(name), allow_pickle=False) for name in ("images.npy", "labels.npy"))
            source = str(node.gan)
        written += _write(images, labels, data.class_names, to / f"seed-{node.seed}" / source)
    return written


def _chosen(state: State, seed: int | None, gan: str | None) -> list[Node]:
    nodes = [
        node
        for node in state.plan.nodes
        if node.stage in ("imbalance", "synthesize") and seed in (None, node.seed) and gan in (None, node.gan or gan)
    ]
    if not nodes or (gan is not None and not any(node.gan for node in nodes)):
        raise ConfigError(f"run {state.plan.run} has no stage with seed {seed} and GAN {gan}; see 'ganbalance plan'")
    return nodes


def _artifact(state: State, name: str) -> Artifact:
    commit = state.commit(name)
    if commit is None:
        raise DataError(f"{name} of run {state.plan.run} is not done; run the experiment first")
    return state.artifacts.open(commit)


def _write(images: NDArray[np.uint8], labels: NDArray[np.int64], names: tuple[str, ...], folder: Path) -> int:
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        name = names[label].replace("/", "-")
        (folder / name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.transpose(1, 2, 0).squeeze()).save(folder / name / f"{number:05d}.png")
    return len(images)
