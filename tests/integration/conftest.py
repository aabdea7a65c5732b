"""Two runs that share stages, in a store of every kind."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ganbalance import cli, config
from ganbalance.pipeline import runs
from ganbalance.pipeline.plan import make_plan
from ganbalance.pipeline.state import State
from ganbalance.store import Store, open_store, transfer
from ganbalance.store.artifacts import Artifacts, Commit, attempt_name, new_attempt
from tests import servers
from tests.conftest import SIDE_PX, tiny_settings
from tests.integration.watched import SCORED, SEEDS, SUREST, Watched, watch

Capsys = pytest.CaptureFixture[str]
UseS3 = Callable[[servers.Server], str]


def store(command: str, *flags: str) -> int:
    """`ganbalance store COMMAND`."""
    return cli.main(["store", command, *flags])


def json_output(capsys: Capsys, command: str, *flags: str) -> Any:
    """What a command says with --json."""
    assert store(command, *flags, "--json") == 0
    return json.loads(capsys.readouterr().out)


def file_of(commit: Commit, file: str = "result") -> str:
    """The name in the store of an artifact's file."""
    return attempt_name(commit.stage, commit.key, commit.attempt, file)


@dataclass(frozen=True)
class Stocked:
    """A store with two finished runs."""

    store: Store
    runs: tuple[str, str]

    @property
    def url(self) -> str:
        return self.store.url

    def state(self, run: str, scratch: Path) -> State:
        return State(runs.load(self.store, run).plan, Artifacts(self.store, scratch))

    def commit(self, run: str, name: str) -> Commit:
        commit = self.state(run, Path()).commit(name)
        assert commit is not None
        return commit

    def replace(self, name: str, data: bytes) -> None:
        """Put other bytes under a name."""
        self.store.delete(name)
        assert self.store.create(name, data)

    def damage(self, name: str) -> None:
        """Change one bit of a file."""
        data = self.store.read(name)
        self.replace(name, data[:-1] + bytes([data[-1] ^ 1]))

    def contents(self) -> dict[str, int]:
        return {entry.name: entry.size for entry in self.store.entries("")}


@pytest.fixture(scope="session")
def two_runs(tmp_path_factory: pytest.TempPathFactory, tiny_npz: Path) -> Stocked:
    """Two finished runs with shared stages, an event each and small files, in a folder that nobody changes."""
    folder = tmp_path_factory.mktemp("two-runs")
    store = open_store(str(folder / "store"))
    names = []
    for arms in (["none", "dcgan"], ["none", "threshold", "dcgan", "oracle"]):
        experiment = config.check(tiny_settings(tiny_npz) | {"arms": arms, "seeds": [0]}, where="here")
        names.append(runs.submit(store, runs.Record(experiment=experiment, plan=make_plan(experiment))))
        runs.note(store, names[-1], "started", workers=2)
        settle(State(runs.load(store, names[-1]).plan, Artifacts(store, folder)), folder)
    return Stocked(store, (names[0], names[1]))


def settle(state: State, folder: Path) -> None:
    """Commit two small files for every stage that is not done."""
    for node in state.plan.nodes:
        if state.commit(node.name) is None:
            files = folder / new_attempt()
            (files / "figures").mkdir(parents=True)
            (files / "result").write_text(f"what {node.name} made")
            (files / "figures" / "empty.png").touch()
            state.artifacts.commit(
                node.stage, state.key(node), attempt=new_attempt(), folder=files, inputs=state.inputs(node).commits,
                outcome="done", metrics={"images": 0.1}, provenance={"seconds": 1.5, "git_commit": "abc"},
            )  # fmt: skip


EVERYWHERE = pytest.mark.parametrize("stocked", ["local", "moto", "seaweedfs"], indirect=True)


@pytest.fixture(params=["local", "moto"])
def stocked(
    request: pytest.FixtureRequest, two_runs: Stocked, tmp_path: Path, use_s3: Callable[[servers.Server], str]
) -> Stocked:
    """The two runs in a folder and in a bucket, to be changed by a test; with EVERYWHERE on a real server too."""
    if request.param == "local":
        return stock_folder(two_runs, tmp_path)
    return stock(two_runs, use_s3(request.getfixturevalue(request.param)))


@pytest.fixture
def stocked_folder(two_runs: Stocked, tmp_path: Path) -> Stocked:
    """The two runs in a folder, to be changed by a test."""
    return stock_folder(two_runs, tmp_path)


def stock_folder(two_runs: Stocked, tmp_path: Path) -> Stocked:
    shutil.copytree(two_runs.url, tmp_path / "stocked")
    return Stocked(open_store(str(tmp_path / "stocked")), two_runs.runs)


def stock(two_runs: Stocked, url: str) -> Stocked:
    store = open_store(url)
    transfer.put_all(store, {name: Path(two_runs.url) / name for name in two_runs.store.names("")}, "two runs")
    return Stocked(store, two_runs.runs)


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Commit]:
    """Commit an artifact of one file with any content, as a job program would."""

    def commit(store: Store, stage: str, key: str, content: bytes = b"made", **more: Any) -> Commit:
        folder = tmp_path / new_attempt()
        folder.mkdir()
        (folder / "file").write_bytes(content)
        given = {"attempt": new_attempt(), "inputs": {}, "outcome": "done", "metrics": {}, "provenance": {}} | more
        return Artifacts(store, tmp_path).commit(stage, key, folder=folder, **given)

    return commit


@pytest.fixture
def scratch_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where temporary files go during a test; nothing may be left in it."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


@pytest.fixture(scope="session")
def watched(tmp_path_factory: pytest.TempPathFactory, tiny_npz: Path) -> Watched:
    """A pair of classes."""
    arms = [SUREST if arm == "surest" else arm for arm in SCORED]
    settings = tiny_settings(tiny_npz) | {"arms": arms, "seeds": list(SEEDS)}
    return watch(tmp_path_factory.mktemp("watched"), settings)


@pytest.fixture(scope="session")
def watched_three(tmp_path_factory: pytest.TempPathFactory, tiny_npz: Path) -> Watched:
    """Three classes, of which the middle one is rare."""
    folder = tmp_path_factory.mktemp("watched-three")
    labels = np.repeat([0, 1, 2], 40)
    images = np.random.default_rng(0).normal(60, 45, (120, SIDE_PX, SIDE_PX))
    for label in range(3):  # a bright bar, at another height for every class
        images[labels == label, 5 * label : 5 * label + 4] += 70
    np.savez(folder / "three.npz", images=images.clip(0, 255).astype(np.uint8), labels=labels)
    changes = {
        "dataset": {"name": "npz", "path": str(folder / "three.npz"), "side_px": SIDE_PX},
        "task": {"kind": "multiclass"},
        "arms": ["none", "threshold", "class-weight", "logit-adjustment", "focal", "dcgan", "oracle-matched"],
        "seeds": [0],
    }
    return watch(folder, tiny_settings(tiny_npz) | changes)
