"""A run's training images as PNG files, so that anything else can be trained on them.

TO/seed-0/real/trouser/00012.png
TO/seed-0/dcgan/trouser/00000.png
TO/seed-0/split.csv                file,class,sha256 of the real ones: all that a generator of that seed may see
"""

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ganbalance.data.images import TaskImages
from ganbalance.data.outside import check_folders, class_folder
from ganbalance.data.split import Split
from ganbalance.errors import ConfigError, DataError
from ganbalance.keys import sha256_file
from ganbalance.pipeline.plan import Node, Plan
from ganbalance.pipeline.state import State
from ganbalance.store.artifacts import Artifact

IMAGES = ("imbalance", "synthesize", "filter", "augment", "outside-images")


def export(state: State, *, seed: int | None, gan: str | None, split: bool, to: Path) -> int:
    """Write the real training images and the synthetic ones of the chosen seeds and GANs; returns how many.

    With `split` the real ones alone, and a list of them. Raises ConfigError when `to` holds something already,
    DataError when a chosen stage is not done.
    """
    check_is_new("--to", to)
    data = TaskImages.load(done(state, "dataset").path)
    check_folders(data.class_names)
    written = 0
    for node in _chosen(state, seed, gan):
        if split and node.stage != "imbalance":
            continue
        artifact = done(state, node.name)
        if artifact.commit.outcome == "diverged":
            print(f"{node.name} has no images: its GAN diverged")
            continue
        if node.stage == "imbalance":
            rows = Split.load(artifact.path("split.npz")).train
            images, labels, source = data.images[rows], data.labels[rows], "real"
        else:
            images, labels = (np.load(artifact.path(name), allow_pickle=False) for name in ("images.npy", "labels.npy"))
            source = _source(state.plan, node)
        files = _write(images, labels, data.class_names, to / f"seed-{node.seed}" / source)
        if split:
            _list(files, to / f"seed-{node.seed}")
        written += len(files)
    return written


def _source(plan: Plan, node: Node) -> str:
    """The first arm that reads the images, and their number where it tunes that; another may have the same GAN."""
    arm, n = plan.first_arm(node.name), str(node.config["n"])
    of_arm = {str(one.config["n"]) for one in plan.nodes if one.stage == node.stage and plan.first_arm(one.name) == arm}
    return f"{arm}-{n}" if len(of_arm) > 1 else arm


def _chosen(state: State, seed: int | None, gan: str | None) -> list[Node]:
    drawn_to_choose = {node.inputs["images"] for node in state.plan.nodes if node.stage == "filter"}
    nodes = [
        node
        for node in state.plan.nodes
        if node.stage in IMAGES and seed in (None, node.seed)
        if gan in (None, node.gan) or node.stage == "imbalance"
        if node.name not in drawn_to_choose
    ]
    if not nodes or (gan is not None and not any(node.gan for node in nodes)):
        raise ConfigError(f"run {state.plan.run} has no stage with seed {seed} and GAN {gan}; see 'ganbalance plan'")
    return nodes


def check_is_new(flag: str, folder: Path) -> None:
    """Raises ConfigError for a folder that holds something, or what is none."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{flag} {folder}: it is not an empty folder; name a new one")


def done(state: State, name: str) -> Artifact:
    """What a stage of a run has made. Raises DataError while it is not done."""
    if (found := state.artifact(name)) is None:
        raise DataError(f"{name} of run {state.plan.run} is not done; run the experiment first")
    return found


def _write(images: NDArray[np.uint8], labels: NDArray[np.int64], names: tuple[str, ...], folder: Path) -> list[Path]:
    files = []
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        name = class_folder(names[label])
        (folder / name).mkdir(parents=True, exist_ok=True)
        files.append(folder / name / f"{number:05d}.png")
        Image.fromarray(image.transpose(1, 2, 0).squeeze()).save(files[-1])
    return files


def _list(files: list[Path], folder: Path) -> None:
    with (folder / "split.csv").open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["file", "class", "sha256"])
        table.writerows((path.relative_to(folder), path.parent.name, sha256_file(path)) for path in files)
