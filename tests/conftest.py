"""A tiny experiment on images made here: every stage real, every stage quick."""

import importlib
import multiprocessing
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from ganbalance.data import cache
from ganbalance.pipeline import local, request
from ganbalance.pipeline.plan import Node, Plan, make_plan
from ganbalance.pipeline.state import State
from ganbalance.store import make_store, open_store
from ganbalance.store.artifacts import Artifact, Artifacts
from tests import servers
from tests.cluster_double import ClusterDouble

SIDE_PX = 16


@pytest.fixture(scope="session", autouse=True)
def forked_processes_have_loaded_everything() -> None:
    """Whichever test starts the process that others are forked from: loading torch takes longer than most tests."""
    modules = [*local.PRELOADED, "ganbalance.store.schemes.s3", "pytest"]
    multiprocessing.get_context("forkserver").set_forkserver_preload(modules)


@pytest.fixture(scope="session", autouse=True)
def cache_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What is known of files that tests made is not kept; FashionMNIST is, once it is fetched."""
    kept, made = cache.folder() / "FashionMNIST", tmp_path_factory.mktemp("cache")
    kept.mkdir(parents=True, exist_ok=True)
    (made / "FashionMNIST").symlink_to(kept)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GANBALANCE_DATA", str(made))
        yield


def in_one_part(npz: Path) -> tuple[Any, Any]:
    """Images and labels of an .npz, those to train on and those to test on together."""
    with np.load(npz) as arrays:
        images, labels = (np.concatenate([arrays[name], arrays[f"test_{name}"]]) for name in ("images", "labels"))
    return images, labels


@pytest.fixture(scope="session")
def tiny_npz(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The images of the tiny experiment."""
    return write_tiny_npz(tmp_path_factory.mktemp("data") / "tiny.npz")


def write_tiny_npz(path: Path) -> Path:
    """Two classes of noisy shapes, 90 + 60 to train on and 40 + 40 to test on: separated well, not perfectly."""
    rng = np.random.default_rng(0)
    train, test = np.repeat([0, 1], [90, 60]), np.repeat([0, 1], [40, 40])
    np.savez(path, images=_shapes(train, rng), labels=train, test_images=_shapes(test, rng), test_labels=test)
    return path


def _shapes(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    images = rng.normal(60, 45, (len(labels), SIDE_PX, SIDE_PX))
    images[labels == 0, 4:12, 6:10] += 70
    images[labels == 1, 6:10, 4:12] += 70
    return images.clip(0, 255).astype(np.uint8)


@pytest.fixture
def tiny(tiny_npz: Path) -> dict[str, Any]:
    """The settings of a tiny experiment, to be changed by a test."""
    return tiny_settings(tiny_npz)


def tiny_settings(npz: Path) -> dict[str, Any]:
    """Every kind of arm, two seeds, seconds of work."""
    return {
        "name": "tiny",
        "dataset": {"name": "npz", "path": str(npz), "side_px": SIDE_PX},
        "task": {"kind": "pair", "positive": 1, "negative": 0},
        "imbalance": {"keep": {1: 0.5}},
        "arms": ["none", "threshold", "class-weight", "oversample", "dcgan", "oracle"],
        "gans": {"dcgan": {"epochs": 2, "batch_size": 16, "g_widths": [8, 8, 4], "d_widths": [4, 4, 4]}},
        "synthesis": {"n": 12},
        "classifier": {"side_px": 16, "l2": [1.0, 0.1]},
        "statistics": {"replicates": 200},
        "seeds": [0, 1],
    }


@pytest.fixture
def write(tmp_path: Path) -> Callable[[dict[str, Any]], Path]:
    """Write settings to an experiment file."""

    def write_settings(settings: dict[str, Any]) -> Path:
        path = tmp_path / "experiment.yaml"
        path.write_text(yaml.safe_dump(settings))
        return path

    return write_settings


class Lab:
    """An experiment file and a store, driven in this process through the real job programs."""

    def __init__(self, experiment: Path, store: Path) -> None:
        self.experiment, self.store = experiment, store

    @property
    def plan(self) -> Plan:
        return make_plan(request.experiment(self.experiment, sets=[]))

    def state(self, scratch: Path) -> State:
        return State(self.plan, Artifacts(open_store(str(self.store)), scratch))

    def program(self, program: str, *flags: str) -> int:
        module = importlib.import_module(f"jobs.{program.replace('-', '_')}")
        code: int = module.main(["--experiment", str(self.experiment), "--store", str(self.store), *flags])
        return code

    def run(self, node: Node) -> int:
        return self.program(node.program, "--stage", node.name)

    def run_all(self, scratch: Path) -> list[str]:
        """Run whatever is not done, in order; the names of the stages that ran."""
        ran = []
        for node in self.plan.nodes:
            if self.state(scratch).commit(node.name) is None:
                assert self.run(node) == 0
                ran.append(node.name)
        return ran


def artifact(lab: Lab, scratch: Path, name: str) -> Artifact:
    """What a stage that is done has written."""
    state = lab.state(scratch)
    commit = state.commit(name)
    assert commit is not None
    return state.artifacts.open(commit)


@pytest.fixture
def lab(tiny: dict[str, Any], write: Callable[[dict[str, Any]], Path], tmp_path: Path) -> Lab:
    """A tiny experiment with nothing done yet."""
    return Lab(write(tiny), tmp_path / "store")


@pytest.fixture
def cluster_double(tmp_path: Path) -> Iterator[ClusterDouble]:
    """A Kubernetes API server in this process, and a kubeconfig that leads to it."""
    with ClusterDouble(tmp_path) as double:
        yield double


@pytest.fixture(scope="session")
def finished_once(tmp_path_factory: pytest.TempPathFactory, tiny_npz: Path) -> Lab:
    """The tiny experiment with everything done, which nobody changes."""
    folder = tmp_path_factory.mktemp("finished-once")
    path = folder / "experiment.yaml"
    path.write_text(yaml.safe_dump(tiny_settings(tiny_npz)))
    lab = Lab(path, folder / "store")
    lab.run_all(folder)
    return lab


@pytest.fixture
def finished_lab(finished_once: Lab, tmp_path: Path) -> Lab:
    """The tiny experiment with everything done, to be changed by a test."""
    shutil.copytree(finished_once.store, tmp_path / "store")
    return Lab(finished_once.experiment, tmp_path / "store")


@pytest.fixture(scope="session")
def moto() -> Iterator[servers.Server]:
    """An S3 server that is quick to start; it checks no signatures."""
    with servers.moto() as server:
        yield server


@pytest.fixture(scope="session")
def seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Server]:
    """A real S3 server."""
    with servers.seaweedfs(tmp_path_factory.mktemp("seaweedfs")) as server:
        yield server


@pytest.fixture
def use_s3(monkeypatch: pytest.MonkeyPatch) -> Callable[[servers.Server], str]:
    """Point the AWS settings at a server returns the URL of an empty store in its bucket."""

    def use(server: servers.Server) -> str:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        for name in ("AWS_PROFILE", "AWS_CA_BUNDLE", "AWS_DEFAULT_REGION", "AWS_SESSION_TOKEN"):
            monkeypatch.delenv(name, raising=False)
        url = servers.new_prefix_url()
        make_store(url)
        return url

    return use


@pytest.fixture(scope="session")
def fashion_mnist() -> Any:
    """The real dataset, fetched when it is not on this machine."""
    from ganbalance import config
    from ganbalance.data.datasets import open_dataset
    from ganbalance.errors import DataError

    source = open_dataset(config.FashionMnist(name="fashion-mnist"))
    try:
        source.ensure()
    except DataError as error:
        pytest.skip(f"no FashionMNIST to be had: {error}")
    return source
