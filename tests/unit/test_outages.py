"""The store goes away and comes back: trainings go on, what was made is committed, and waiting has an end."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ganbalance.errors import DataError, Stopped, UnavailableError
from ganbalance.pipeline import heartbeat, job, outages, runs
from ganbalance.pipeline.checkpoints import Checkpoints
from ganbalance.pipeline.plan import Node
from ganbalance.store.artifacts import Artifacts
from ganbalance.store.base import OnBytes, ignore
from ganbalance.store.local import LocalStore
from ganbalance.training import loop
from tests.conftest import Lab

KEY = "0" * 32
DATASET = "dataset"


class Outage(LocalStore):
    """A store whose next `left` writes fail, of those whose name has `part` in it."""

    left = 0
    part = ""

    def _refuse(self, name: str) -> None:
        if self.left and self.part in name:
            self.left -= 1
            raise UnavailableError("no answer")

    def _put(self, name: str, source: Path, on_bytes: OnBytes = ignore) -> None:
        self._refuse(name)
        super()._put(name, source, on_bytes)

    def _create(self, name: str, data: bytes) -> bool:
        self._refuse(name)
        return super()._create(name, data)


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


@pytest.fixture
def outage(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Outage:
    """The store of a pod's program, which is away when the dataset is to be committed."""
    made = Outage(str(lab.store))
    made.part = "/COMMIT.json"
    monkeypatch.setattr(job, "open_store", lambda url: made)
    monkeypatch.setattr(outages, "AGAIN_S", 0.0)
    monkeypatch.setenv(heartbeat.POD, "pod-7")
    return made


def test_a_commit_waits_until_the_store_is_back(
    outage: Outage, lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outage.left = 5
    assert lab.program("imbalance", "--stage", DATASET) == 0
    assert lab.state(tmp_path).commit(DATASET) is not None
    assert capsys.readouterr().err.count(f"no answer; trying again for {runs.AWAY_S:.0f} s\n") == 1


def test_a_commit_does_not_wait_for_ever(
    outage: Outage, lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outage.left = 10**9
    monkeypatch.setattr(runs, "AWAY_S", 0.1)
    assert lab.program("imbalance", "--stage", DATASET) == 75
    assert lab.state(tmp_path).commit(DATASET) is None


def test_a_commit_does_not_wait_where_somebody_reads_the_error(
    outage: Outage, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    outage.left = 1
    monkeypatch.delenv(heartbeat.POD)
    assert lab.program("imbalance", "--stage", DATASET) == 75
    assert lab.program("imbalance", "--stage", DATASET) == 0


def test_a_pod_that_is_asked_to_stop_while_it_waits_stops(
    outage: Outage, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    outage.left = 10**9
    monkeypatch.setattr(outages.time, "sleep", lambda seconds: os.kill(os.getpid(), signal.SIGTERM))
    assert lab.program("imbalance", "--stage", DATASET) == 143


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
