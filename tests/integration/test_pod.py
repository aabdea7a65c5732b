"""A program as a pod runs it: given a Job's stages, it finds its own, and its last line is why it failed."""

import subprocess
import sys
from pathlib import Path

import pytest

from ganbalance.pipeline import request, runs
from ganbalance.store import Store, open_store
from ganbalance.store.artifacts import commit_name
from tests.conftest import Lab

STAGES = ["imbalance/seed-0", "imbalance/seed-1"]


@pytest.fixture
def recorded(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A store with the run's record; this process is a pod of the second stage of a Job."""
    store = open_store(str(lab.store))
    runs.submit(store, runs.Record(experiment=request.experiment(lab.experiment, sets=[]), plan=lab.plan))
    monkeypatch.setenv("JOB_COMPLETION_INDEX", "1")
    return store


def run(lab: Lab) -> int:
    """As a process of its own: the log is what is printed, by whatever means."""
    where = ["--run", lab.plan.run, "--store", str(lab.store)]
    command = [sys.executable, "-m", "jobs.imbalance", *where, "--stages", *STAGES]
    return subprocess.run(command, check=False).returncode


def test_a_pod_runs_the_stage_of_its_index(recorded: Store, lab: Lab, tmp_path: Path) -> None:
    assert run(lab) == 0
    state = lab.state(tmp_path)
    assert state.commit("imbalance/seed-1") is not None
    assert state.commit("imbalance/seed-0") is None


def test_an_index_that_the_job_does_not_have_is_a_bad_configuration(
    recorded: Store, lab: Lab, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("JOB_COMPLETION_INDEX", "2")
    assert run(lab) == 78
    assert capfd.readouterr().err.splitlines()[-1].startswith("imbalance: JOB_COMPLETION_INDEX='2': ")


def test_a_pod_that_fails_keeps_what_it_printed_in_place_of_what_was_copied_of_it(
    recorded: Store, lab: Lab, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GANBALANCE_POD", "pod-7")
    assert run(lab) == 0  # the dataset, and the stage itself
    node = lab.plan.node(STAGES[1])
    recorded.delete(commit_name(node.stage, node.key))
    recorded.create(commit_name(node.stage, node.key), b"{}")
    name = runs.log_name(lab.plan.run, STAGES[1], "pod-7")
    recorded.create(name, b"half of it")
    capfd.readouterr()
    assert run(lab) == 65
    said = capfd.readouterr()
    assert said.err.startswith("imbalance: ")
    assert recorded.read(name).decode() == said.out + said.err
