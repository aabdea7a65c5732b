"""What the stages of one tiny run wrote, as recorded in golden.json beside this file.

A change of the code that changes what a stage writes must raise that stage's version, or stores would hold two
kinds of bytes under one key. `make golden` records anew. Indices are compared exactly; images, floats and tables
within a tolerance (as mean and deviation of each array), since other processors round differently.
"""

import csv
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from safetensors.numpy import load_file

from ganbalance.pipeline import stages
from tests.conftest import Lab, tiny_settings, write_tiny_npz

RECORD = Path(__file__).with_name("golden.json")
Fingerprints = dict[str, dict[str, Any]]


def fingerprints(folder: Path) -> Fingerprints:
    """Run a tiny experiment under each protocol in `folder`; stage name -> version and what its files hold."""
    found: Fingerprints = {}
    npz = write_tiny_npz(folder / "tiny.npz")
    for protocol in ("honest", "paper"):
        experiment = folder / f"{protocol}.yaml"
        classifier = {"side_px": 16, "l2": [1.0, 0.1], "paper": {"epochs": 1}}
        changes = {"protocol": protocol, "seeds": [0], "arms": ["none", "threshold", "dcgan"], "classifier": classifier}
        experiment.write_text(yaml.safe_dump(tiny_settings(npz) | changes))
        lab = Lab(experiment, folder / "store")
        lab.run_all(folder)
        state = lab.state(folder)
        for node in lab.plan.nodes:
            commit = state.commit(node.name)
            assert commit is not None
            artifact = state.artifacts.open(commit)
            files = {name: _content(artifact.path(name)) for name in artifact.names if Path(name).suffix in READERS}
            found.setdefault(node.stage, {"version": stages.ALL[node.stage].version, "files": files})
    return found


def _content(path: Path) -> Any:
    return READERS[path.suffix](path)


def _array(array: np.ndarray) -> Any:
    if array.dtype.kind in "iu" and array.dtype != np.uint8:
        return [list(array.shape), int(array.sum())]
    values = array.astype(np.float64)
    return [list(array.shape), float(values.mean()), float(values.std())] if values.size else [list(array.shape)]


def _npz(path: Path) -> Any:
    with np.load(path, allow_pickle=False) as arrays:
        return {name: _array(arrays[name]) for name in arrays}


def _csv(path: Path) -> Any:
    with path.open(newline="") as file:
        return [[_number(cell) for cell in row] for row in list(csv.reader(file))[:40]]


def _number(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text


def _weights(path: Path) -> Any:
    tensors = load_file(path)
    return [len(tensors), float(sum(np.abs(tensor.astype(np.float64)).sum() for tensor in tensors.values()))]


READERS = {
    ".npy": lambda path: _array(np.load(path, allow_pickle=False)),
    ".npz": _npz,
    ".csv": _csv,
    ".safetensors": _weights,
}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        RECORD.write_text(json.dumps(fingerprints(Path(made)), indent=1) + "\n")
    print(f"recorded {RECORD}")
