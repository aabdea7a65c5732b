"""What the stages of one tiny run wrote, as recorded in golden.json beside this file.

A change of the code that changes what a stage writes must raise that stage's version, or stores would hold two
kinds of bytes under one key. `make golden` records anew. There is one entry per stage and arm, so that a change is
seen where it happens. Indices and labels are compared exactly; images, floats and tables within a tolerance, since
other processors round differently: arrays by mean, deviation and `order`, which tells a flip or a permutation.
"""

import csv
import hashlib
import json
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image
from safetensors.numpy import load_file

from ganbalance.metrics import decisions
from ganbalance.pipeline import stages
from ganbalance.pipeline.plan import Node
from ganbalance.store.artifacts import Artifact
from tests.conftest import SIDE_PX, Lab, tiny_settings, write_tiny_npz

RECORD = Path(__file__).with_name("golden.json")
ALIKE = 1e-6  # a smaller deviation is rounding, and its order is chance
CLEAR_CUTS = {"discriminator": 0.3, "classifier": 0.8}  # shares where scores leave a gap that no rounding closes
HEAD = "linear-head"
CLASSIFIERS: dict[str, dict[str, Any]] = {
    HEAD: {"side_px": 64, "l2": [1.0, 0.1]},
    "paper": {"side_px": 64, "training": {"epochs": 1}},
    "network": {"side_px": 16, "lr": [1e-3, 1e-2], "weight_decay": [0.1], "training": {"steps": 4, "batch_size": 16}},
}
Fingerprints = dict[str, dict[str, Any]]


def fingerprints(folder: Path) -> Fingerprints:
    """Run a tiny experiment with each classifier in `folder`; "stage arm" -> version, inputs, what its files hold."""
    settings = tiny_settings(write_tiny_npz(folder / "tiny.npz"))
    arms = {HEAD: [*settings["arms"], "oracle-matched", *_recipes(folder)], "network": ["none", "class-weight"]}
    found: Fingerprints = {}
    for kind, classifier in CLASSIFIERS.items():
        changes = {"seeds": [0], "arms": arms.get(kind, settings["arms"]), "classifier": classifier | {"kind": kind}}
        found |= _run(folder, settings | changes, kind)
    return found


def _run(folder: Path, settings: dict[str, Any], kind: str) -> Fingerprints:
    experiment = folder / f"{kind}.yaml"
    experiment.write_text(yaml.safe_dump(settings))
    lab = Lab(experiment, folder / "store")
    lab.run_all(folder)
    state = lab.state(folder)
    entries = {node.name: _entry(node, kind) for node in lab.plan.nodes}
    found: Fingerprints = {}
    for node in lab.plan.nodes:
        commit = state.commit(node.name)
        assert commit is not None
        assert entries[node.name] not in found, "two nodes under one name"
        found[entries[node.name]] = {
            "stage": node.stage,
            "version": stages.ALL[node.stage].version,
            "inputs": sorted(entries[name] for name in node.inputs.values()),
            "files": _files(state.artifacts.open(commit)),
        }
    return found


def _recipes(folder: Path) -> list[Any]:
    """An arm for every part that the tiny experiment lacks, and files for the one whose images are made elsewhere."""
    made = folder / "made" / "0" / "1"
    made.mkdir(parents=True)
    for number, image in enumerate(np.random.default_rng(0).integers(0, 256, (15, SIDE_PX, SIDE_PX), np.uint8)):
        Image.fromarray(image).save(made / f"{number:02d}.png")
    filters = [{"by": by, "keep": keep} for by, keep in CLEAR_CUTS.items()]
    return [
        "smote", "focal", "logit-adjustment", "augment",
        *({"name": by["by"], "synthetic": {"gan": "dcgan", "filter": by}} for by in filters),
        {"name": "outside", "synthetic": {"images": f"{folder}/made/{{seed}}/{{class}}"}},
        {"name": "dosed", "synthetic": {"augment": {}, "n": [6, 12], "weight": [0.5]}},
    ]  # fmt: skip


def _entry(node: Node, kind: str) -> str:
    """The name of a node in the record; what knows no classifier is one node under all. Class 1 is the rare one."""
    shared = node.seed is None and node.stage != stages.Report.stage
    _, *parts = (part for part in node.name.split("/") if not re.fullmatch(r"real|class-1|seed-\d+", part))
    return " ".join([node.stage, *parts, *([] if shared or kind == HEAD else [kind])])


def _files(artifact: Artifact) -> dict[str, Any]:
    readers = {name: READERS.get(name) or READERS.get(Path(name).suffix) for name in artifact.names}
    return {name: reader(artifact.path(name)) for name, reader in readers.items() if reader}


def array(values: np.ndarray) -> dict[str, Any]:
    """Shape and SHA-256 of integers; shape, mean, deviation and order of images (uint8) and of floats."""
    shape = list(values.shape)
    if values.dtype != np.uint8 and not np.issubdtype(values.dtype, np.floating):
        return {"shape": shape, "sha256": hashlib.sha256(np.ascontiguousarray(values)).hexdigest()}
    levels = values.astype(np.float64).ravel()
    if not levels.size:
        return {"shape": shape}
    return {"shape": shape, "mean": float(levels.mean()), "sd": float(levels.std()), "order": _order(levels)}


def _order(levels: np.ndarray) -> list[float]:
    """Means of `levels` under four fixed sets of random weights, in standard errors: N(0, 1) over all permutations.

    Not the means themselves: of many values they hardly move, wherever those stand. Four, since one alone comes out
    alike by chance too often.
    """
    deviation = levels.std()
    if deviation < ALIKE:
        return []
    rng = np.random.default_rng(0)
    scaled = (levels - levels.mean()) / (deviation * np.sqrt(len(levels) / 12))
    return [float(scaled @ (rng.random(len(levels)) - 0.5)) for _ in range(4)]


def _npz(path: Path) -> Any:
    with np.load(path, allow_pickle=False) as arrays:
        return {name: array(arrays[name]) for name in arrays}


def _csv(path: Path) -> Any:
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    # a metric of decisions is a file, known by its own tests: one more changes nothing that is recorded
    rows = [row for row in rows if row.get("metric", "").partition("@")[0] not in decisions.load()][:40]
    # how many iterations a solver takes depends on the last bits
    return [{column: _number(cell) for column, cell in row.items() if column != "iterations"} for row in rows]


def _number(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text


def _weights(path: Path) -> Any:
    tensors = load_file(path)
    joined = np.concatenate([tensors[name].astype(np.float64).ravel() for name in sorted(tensors)])
    return {"tensors": len(tensors)} | array(joined)


def _quality(path: Path) -> Any:
    """What is continuous: shares of twelve images move in twelfths, and a rounding may move them."""
    found = json.loads(path.read_text())
    return {name: found[name] for name in ("synthetic", "training", "reference", "kid", "kid_se", "fid")}


READERS: dict[str, Callable[[Path], Any]] = {
    "quality.json": _quality,
    ".npy": lambda path: array(np.load(path, allow_pickle=False)),
    ".npz": _npz,
    ".csv": _csv,
    ".safetensors": _weights,
}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        RECORD.write_text(json.dumps(fingerprints(Path(made)), indent=1) + "\n")
    print(f"recorded {RECORD}")
