"""A program as a pod runs it: given a round, it finds its stage, and its log is in the store when it ends."""

import subprocess
import sys
from pathlib import Path

import pytest

from ganbalance.pipeline import request, runs
from ganbalance.pipeline.runs import Round
from ganbalance.store import Store, open_store
from tests.conftest import Lab

JOB = "tiny-imbalance-1"


@pytest.fixture
def recorded(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A store with the run's record and a round over its two imbalance stages; this process is a pod of the second."""
    store = open_store(str(lab.store))
    runs.submit(store, runs.Record(experiment=request.experiment(lab.experiment, sets=[]), plan=lab.plan))
    names = ("imbalance/seed-0", "imbalance/seed-1")
    keys = tuple(lab.plan.node(name).key for name in names)
    runs.record_round(store, lab.plan.run, Round(
        job=JOB, group="imbalance", number=1, submission=1, stages=names, keys=keys,
    ))  # fmt: skip
    monkeypatch.setenv("GANBALANCE_POD", "pod-b")
    monkeypatch.setenv("JOB_COMPLETION_INDEX", "1")
    return store


def run(lab: Lab) -> int:
    """As a process of its own: the log is what is printed, by whatever means."""
    command = [sys.executable, "-m", "jobs.imbalance", "--run", lab.plan.run, "--round", JOB, "--store", str(lab.store)]
    return subprocess.run(command, check=False).returncode


def test_a_pod_runs_the_stage_of_its_index_and_keeps_its_log(recorded: Store, lab: Lab, tmp_path: Path) -> None:
    assert run(lab) == 0
    state = lab.state(tmp_path)
    assert state.commit("imbalance/seed-1") is not None
    assert state.commit("imbalance/seed-0") is None
    kept = recorded.read(f"runs/{lab.plan.run}/logs/{JOB}/pod-b.log").decode()
    assert "imbalance/seed-1: done in" in kept


def test_an_index_that_the_round_does_not_have_is_a_bad_configuration_and_in_the_log(
    recorded: Store, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOB_COMPLETION_INDEX", "2")
    assert run(lab) == 78
    kept = recorded.read(f"runs/{lab.plan.run}/logs/{JOB}/pod-b.log").decode()
    assert "JOB_COMPLETION_INDEX='2'" in kept
