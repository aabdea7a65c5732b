"""What a run leaves, for others: its training images as PNG files, and a classifier as one folder.

TO/seed-0/real/trouser/00012.png
TO/seed-0/dcgan/trouser/00000.png
TO/seed-0/split.csv                file,class,sha256 of the real ones: all that a generator of that seed may see

The form of the classifier's folder, with everything to predict, is `ganbalance.training.model_folder`.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ganbalance.called import typed
from ganbalance.config import Classifier, Experiment, Network
from ganbalance.data.images import TaskImages
from ganbalance.data.outside import check_folders, class_folder
from ganbalance.data.split import Split
from ganbalance.errors import ConfigError, DataError
from ganbalance.frozen import dump
from ganbalance.keys import sha256_file
from ganbalance.metrics.classification import AS_TRAINED, DEPLOYMENT, FAIR
from ganbalance.metrics.results import Sensitivity
from ganbalance.models import backbones
from ganbalance.pipeline import resolution, stages
from ganbalance.pipeline.plan import Node, Plan
from ganbalance.pipeline.state import State
from ganbalance.reporting.formats import known
from ganbalance.reporting.kept_arm import Chosen, best, statements
from ganbalance.reporting.summary import Summary
from ganbalance.store.artifacts import Artifact

IMAGES = ("imbalance", "synthesize", "filter", "augment", "outside-images")
if TYPE_CHECKING:
    from ganbalance.training.model_folder import DecisionRule, Model
    from ganbalance.training.model_folder import Network as ModelNetwork

RULES = (FAIR, DEPLOYMENT, AS_TRAINED)


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
            of_seed = to / f"seed-{node.seed}"
            with (of_seed / "split.csv").open("w", newline="", encoding="utf-8") as file:
                table = csv.writer(file, lineterminator="\n")
                table.writerow(["file", "class", "sha256"])
                table.writerows((path.relative_to(of_seed), path.parent.name, sha256_file(path)) for path in files)
        written += len(files)
    return written


def _source(plan: Plan, node: Node) -> str:
    """Name the first arm to read them, and their number if it tunes that, which changed copies of all images lack."""
    arm, kind = plan.first_arm(node.name), (node.stage, node.config["class_index"])
    alike = [one for one in plan.nodes if (one.stage, one.config.get("class_index")) == kind]
    numbers = {str(one.config["n"]) for one in alike if plan.first_arm(one.name) == arm}
    return f"{arm}-{node.config['n']}" if len(numbers) > 1 else arm


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
        raise ConfigError(f"run {state.plan.run} has no stage with seed {seed} and GAN {gan}; see '{typed('plan')}'")
    return nodes


def check_is_new(flag: str, folder: Path) -> None:
    """Raise ConfigError for a folder that holds something, or what is none."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{flag} {folder}: it is not an empty folder; name a new one")


def done(state: State, name: str) -> Artifact:
    """Open what a stage of a run has made. Raises DataError while it is not done."""
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


def export_model(  # noqa: PLR0913
    state: State, experiment: Experiment, *, arm: str | None, seed: int | None, to: Path, onnx: bool
) -> tuple[Model, str]:
    """Write the classifier of an arm at a seed; returns what it is, and why this arm.

    Without `arm` the one that helps and gains most, else the baseline; without `seed` the first with a result; with
    `onnx` also as model.onnx. Raises ConfigError when `to` holds something already or there is no such cell, DataError
    when a stage is not done or torch cannot export the network.
    """
    from ganbalance.training import model_folder, saved_head
    from ganbalance.training.saved_head import LinearHead

    check_is_new("--model", to)
    if any(node.kind is stages.TrainPaperClassifier for node in state.plan.nodes):
        raise ConfigError(
            f"run {state.plan.run} has classifier.kind = paper, which keeps no network; export one of another kind"
        )
    report = done(state, "report")
    summary = Summary.of(report.json("summary.json"), where=f"the report of run {state.plan.run}")
    if arm not in (None, *summary.arms):
        raise ConfigError(f"--arm {arm}: the run has no such arm; choose among {', '.join(summary.arms)}")
    chosen = Chosen(arm, "as asked for") if arm else best(summary)
    seed = _seed(summary, chosen.arm, seed)
    tuned = known(summary.arms[chosen.arm].sensitivity)
    strength = tuned.all_classes
    cell = _trained(state.plan, chosen.arm, seed, tuned)
    kept = done(state, cell.name)
    if "head.safetensors" not in kept.names:
        raise DataError(f"{cell.name} was trained before heads were kept; run the experiment again to have this one")
    if cell.kind is stages.TrainNetwork:
        head, weights = LinearHead.load(kept.path("head.safetensors")), kept.path("backbone.safetensors")
    else:
        head = saved_head.load(kept.path("head.safetensors"), strength)
        weights = done(state, "backbone").path("backbone.safetensors")
    images = TaskImages.load(done(state, cell.inputs["dataset"]).path)
    model = model_folder.Model(
        format=model_folder.FORMAT,
        classes=images.class_names,
        arm=chosen.arm,
        seed=seed,
        task=dump(experiment)["task"],
        image=model_folder.Image(
            side_px=images.side_px, channels=images.channels, fit=getattr(experiment.dataset, "fit", "pad")
        ),
        backbone=_network(experiment.classifier),
        rules=_rules(report, chosen.arm, seed),
        strength=strength,
        run=state.plan.run,
        commit=kept.commit.provenance.get("git_commit"),
        **statements(summary, chosen.arm, seed),
    )
    return model_folder.write(to, model, head, weights, onnx=onnx), chosen.why


def _seed(summary: Summary, arm: str, seed: int | None) -> int:
    """Take the seed that was named, else the first at which the arm has a result."""
    lost = {one.seed: one.because for one in summary.missing_results if one.arm == arm}
    known = [one for one in summary.seeds if one not in lost]
    if seed not in (None, *summary.seeds):
        raise ConfigError(f"--seed {seed}: the run has no such seed, only {', '.join(map(str, summary.seeds))}")
    if not known:
        raise DataError(f"{arm} has no classifier at any seed: {lost[summary.seeds[0]]}")
    if seed in lost:
        elsewhere = f"choose --seed among {', '.join(map(str, known))}"
        raise DataError(f"{arm} has no classifier at seed {seed}: {lost[seed]}; {elsewhere}")
    return known[0] if seed is None else seed


def _trained(plan: Plan, arm: str, seed: int, tuned: Sensitivity) -> Node:
    """Find the stage that trained the arm's classifier: that of one rescored, at the dose and setting chosen."""
    cell = plan.node(plan.node("report").inputs[stages.cell_role(arm, seed)])
    if cell.kind is stages.Rescore:
        cell = plan.node(cell.inputs["source"])
    if tuned.dose:
        cell = plan.node(cell.inputs[stages.tuned_role("dose", tuned.dose)])
    if cell.kind is stages.Grid:
        cell = plan.node(cell.inputs[stages.tuned_role("setting", int(tuned.all_classes))])
    return cell


def _network(classifier: Classifier) -> ModelNetwork:
    from ganbalance.training import model_folder

    backbone = backbones.find(classifier.backbone)
    return model_folder.Network(
        name=classifier.backbone,
        sha256=resolution.weights_sha256(classifier),
        trained=classifier.train if isinstance(classifier, Network) else "frozen",
        side_px=classifier.side_px,
        mean=backbone.mean,
        std=backbone.std,
    )


def _rules(report: Artifact, arm: str, seed: int) -> dict[str, DecisionRule]:
    """Read the rules that the report settled from all seeds; it writes scale and offsets as one array."""
    from ganbalance.training.model_folder import DecisionRule

    with np.load(report.path("predictions.npz"), allow_pickle=False) as arrays:
        found = {rule: arrays[name].tolist() for rule in RULES if (name := f"rule/{rule}/{arm}/{seed}") in arrays}
    return {rule: DecisionRule(scale=scale, offsets=tuple(offsets)) for rule, (scale, *offsets) in found.items()}
