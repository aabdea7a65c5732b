"""Real features for the simulations: two classes of FashionMNIST, made by the stages of an experiment."""

import importlib
from pathlib import Path

import numpy as np
import yaml
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from ganbalance.data.images import TaskImages
from ganbalance.pipeline import request
from ganbalance.pipeline.plan import Node, make_plan
from ganbalance.pipeline.state import State
from ganbalance.store import make_store, open_store
from ganbalance.store.artifacts import Artifact, Artifacts

DIMENSIONS = 64
"""Principal components kept: a head over the whole grid takes a tenth of a second, and AUC stays within .01."""
STAGES = ("dataset", "backbone", "features/real")


def real(positive: str, negative: str, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Features float32 (N, DIMENSIONS) and labels int64 (N,), 1 for the positive class; the stages run once."""
    store, experiment = folder / "store", folder / f"{positive}.yaml"
    make_store(str(store))
    experiment.write_text(yaml.safe_dump(_experiment(positive, negative)))
    state = State(make_plan(request.experiment(experiment, sets=[])), Artifacts(open_store(str(store)), folder / "tmp"))
    for name in STAGES:
        if state.commit(name) is None:
            _run(state.plan.node(name), experiment, store)
    labels = TaskImages.load(_open(state, "dataset").path).labels
    features = np.load(_open(state, "features/real").path("features.npy"), allow_pickle=False)
    standard = StandardScaler().fit_transform(features.astype(np.float64))
    return PCA(DIMENSIONS, random_state=0).fit_transform(standard).astype(np.float32), labels


def _experiment(positive: str, negative: str) -> dict[str, object]:
    return {
        "name": "simulation",
        "dataset": {"name": "fashion-mnist"},
        "task": {"kind": "pair", "positive": positive, "negative": negative},
        "imbalance": {"keep": {positive: 0.01}},
        "arms": ["none"],
        "seeds": [0],
    }


def _run(node: Node, experiment: Path, store: Path) -> None:
    module = importlib.import_module(f"jobs.{node.program.replace('-', '_')}")
    code = module.main(["--experiment", str(experiment), "--store", str(store), "--stage", node.name])
    if code:
        raise SystemExit(code)


def _open(state: State, name: str) -> Artifact:
    commit = state.commit(name)
    assert commit is not None, f"stage {name} wrote nothing"
    return state.artifacts.open(commit)
