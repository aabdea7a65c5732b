"""The store goes away and comes back: trainings go on, what was made is committed, and waiting has an end."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ganbalance.config import AWAY
from ganbalance.errors import DataError, Stopped, UnavailableError
from ganbalance.pipeline import job, outages
from ganbalance.pipeline.checkpoints import Checkpoints
from ganbalance.pipeline.plan import Node
from ganbalance.progress import Progress
from ganbalance.store.artifacts import Artifacts
from ganbalance.training import loop
from tests.conftest import Lab
from tests.unit.outage import Outage

KEY = "0" * 32
DATASET = "dataset"


# ---- checkpoints ---------------------------------------------------------------------------------------------------


class Counting:
    """A training of ten steps that learns nothing."""

    steps = 10

    def __init__(self) -> None:
        self.step = 0

    def learn(self) -> dict[str, float]:
        self.step += 1
        return {}

    def images_seen(self, steps: int) -> int:
        return steps

    def state(self) -> dict[str, Any]:
        return {"step": self.step, "weights": torch.zeros(1)}

    def restore(self, state: dict[str, Any]) -> None:
        self.step = state["step"]


@pytest.fixture
def store(tmp_path: Path) -> Outage:
    return Outage(str(tmp_path / "store"))


@pytest.fixture
def checkpoints(store: Outage, tmp_path: Path) -> Checkpoints:
    node = Node(name="train-gan", stage="train-gan", config={}, inputs={}, key=KEY)
    return Checkpoints(Artifacts(store, tmp_path), node, {}, every_s=0.0)


def saved(store: Outage) -> list[int]:
    return [int(name.rpartition("/")[2]) for name in store.names("stages") if "/checkpoints/" in name]


def test_a_training_outlives_checkpoints_that_cannot_be_written_and_writes_the_next(
    store: Outage, checkpoints: Checkpoints, capsys: pytest.CaptureFixture[str]
) -> None:
    store.left, store.part = 9, "/checkpoints/"
    training = Counting()
    loop.run(training, resume=None, hooks=loop.Hooks(save=checkpoints.save, save_due=checkpoints.due))
    assert training.step == 10
    assert saved(store) == [10]
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "checkpoint at step 1 not written: no answer; training goes on"
    assert len(lines) == 9


def test_after_one_that_failed_the_next_is_due_when_the_interval_is_over(
    store: Outage, checkpoints: Checkpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.left = 1
    now = 1000.0
    monkeypatch.setattr("ganbalance.pipeline.checkpoints.time.monotonic", lambda: now)
    checkpoints._every_s = 60.0
    checkpoints.save({"step": 3})
    assert not checkpoints.due()
    now += 59
    assert not checkpoints.due()
    now += 1
    assert checkpoints.due()
    checkpoints.save({"step": 4})
    assert saved(store) == [4]


def test_what_a_checkpoint_that_failed_holds_does_not_count_as_kept(
    store: Outage, checkpoints: Checkpoints, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = checkpoints._started
    monkeypatch.setattr("ganbalance.pipeline.checkpoints.time.monotonic", lambda: started + 50)
    store.left = 1
    checkpoints.save({"step": 3})
    checkpoints.record_ended({"seconds": 60.0, "threads": 1, "device": "cpu"})
    (ended,) = Artifacts(store).ended("train-gan", KEY)
    assert ended.kept_seconds == 0


@pytest.mark.parametrize("away", [0, 1])
def test_a_training_that_was_asked_to_stop_says_whether_its_state_was_kept(
    store: Outage, checkpoints: Checkpoints, away: int
) -> None:
    store.left = away
    hooks = loop.Hooks(save=lambda state: checkpoints.save(state, is_last=True), stopped=lambda: True)
    error, message = (
        (UnavailableError, "stopped; checkpoint at step 0 not written: no answer")
        if away
        else (Stopped, "stopped after step 0 of 10; the same command resumes there")
    )
    with pytest.raises(error, match=f"^{message}$"):
        loop.run(Counting(), resume=None, hooks=hooks)
    assert saved(store) == [0] * (1 - away)


# ---- the commit ----------------------------------------------------------------------------------------------------

MakeDataset = Callable[[int], int]


@pytest.fixture
def make_dataset(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> MakeDataset:
    """Runs a stage in a pod, whose store is away for so many requests once there is something to commit."""
    store = Outage(str(lab.store))
    monkeypatch.setattr(job, "open_store", lambda url: store)
    monkeypatch.setattr(outages, "AGAIN_S", 0.0)
    monkeypatch.setenv(AWAY, "3600")

    def make(times: int) -> int:
        class Progressed(Progress):
            def close(self) -> None:
                store.left = times

        monkeypatch.setattr(job, "Progress", Progressed)
        return lab.program("imbalance", "--stage", DATASET)

    return make


@pytest.mark.parametrize("times", [1, 3, 9])
def test_a_commit_waits_until_the_store_is_back(
    make_dataset: MakeDataset, lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str], times: int
) -> None:
    assert make_dataset(times) == 0
    assert lab.state(tmp_path).commit(DATASET) is not None
    assert "no answer; trying again for 3600 s\n" in capsys.readouterr().err


def test_a_commit_that_was_made_and_not_answered_is_made_once(
    make_dataset: MakeDataset, lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create, lost = Outage.create, [True]

    def without_answer(store: Outage, name: str, data: bytes) -> bool:
        made = create(store, name, data)
        if name.endswith("/COMMIT.json") and lost:
            lost.pop()
            raise UnavailableError("the connection was closed")
        return made

    monkeypatch.setattr(Outage, "create", without_answer)
    assert make_dataset(0) == 0
    assert lost == []
    assert len({path.parent for path in lab.store.glob("stages/dataset/*/attempts/*/*")}) == 1
    assert lab.state(tmp_path).commit(DATASET) is not None


def test_a_commit_does_not_wait_for_ever(
    make_dataset: MakeDataset, lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(AWAY, "0.1")
    assert make_dataset(10**9) == 75
    assert lab.state(tmp_path).commit(DATASET) is None


def test_a_commit_does_not_wait_where_somebody_reads_the_error(
    make_dataset: MakeDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(AWAY)
    assert make_dataset(1) == 75
    assert make_dataset(0) == 0


def test_a_pod_that_is_asked_to_stop_while_it_waits_stops(
    make_dataset: MakeDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outages.time, "sleep", lambda seconds: os.kill(os.getpid(), signal.SIGTERM))
    assert make_dataset(10**9) == 143


# ---- outlast -------------------------------------------------------------------------------------------------------


def failing(times: int, error: Exception) -> Callable[[], str]:
    left = [error] * times

    def work() -> str:
        if left:
            raise left.pop()
        return "done"

    return work


def test_only_what_is_away_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outages, "AGAIN_S", 0.0)
    assert outages.outlast(failing(3, UnavailableError("no answer")), 60) == "done"
    with pytest.raises(DataError):
        outages.outlast(failing(1, DataError("corrupt")), 60)


def test_the_wait_counts_from_the_first_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(outages.time, "monotonic", lambda: now[0] + 7000)
    monkeypatch.setattr(outages.time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    with pytest.raises(UnavailableError):
        outages.outlast(failing(10**4, UnavailableError("no answer")), 60)
    assert now == [60]
