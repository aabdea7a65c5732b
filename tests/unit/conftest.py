"""A run on a Kubernetes double, for the tests of its driver."""

from pathlib import Path

import pytest

from ganbalance.k8s import client, driver
from ganbalance.pipeline.runs import Record
from tests.cluster_double import ClusterDouble
from tests.conftest import tiny_settings
from tests.unit.k8s_run import KubernetesRun, plan_record


@pytest.fixture(scope="session")
def tiny_record(tiny_npz: Path) -> Record:
    """The tiny experiment and its plan: 24 stages in 14 groups."""
    return plan_record(tiny_settings(tiny_npz))


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits between looks or tries, nor for a disk."""
    monkeypatch.setattr(driver, "POLL_S", 0.0)
    monkeypatch.setattr(client, "LONGEST_WAIT_S", 0.0)
    monkeypatch.setattr("ganbalance.store.local._sync", lambda path: None)


@pytest.fixture
def run(tiny_record: Record, tmp_path: Path, cluster_double: ClusterDouble, no_waiting: None) -> KubernetesRun:
    """A run that is submitted and has no driver yet."""
    return KubernetesRun.new(tiny_record, tmp_path, cluster_double)
