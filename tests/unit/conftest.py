"""What tests do with a Kubernetes double: ask it, look at it before a run, drive a run there."""

from pathlib import Path

import pytest

from ganbalance.k8s import client, driver
from ganbalance.k8s.client import Access, Cluster
from ganbalance.pipeline.runs import Record
from tests import manifests
from tests.cluster_double import ClusterDouble, Object
from tests.conftest import tiny_settings
from tests.unit.k8s_run import KubernetesRun, plan_record
from tests.unit.preflighted import apply


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


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the client wanted to wait, each time."""
    found: list[float] = []
    monkeypatch.setattr("urllib3.util.retry.time.sleep", found.append)
    return found


@pytest.fixture
def cluster(cluster_double: ClusterDouble, naps: list[float]) -> Cluster:
    """The double as a client sees it that waits for nothing."""
    return Cluster(Access(kubeconfig=str(cluster_double.kubeconfig)))


@pytest.fixture(scope="session")
def gpu_overlay() -> list[Object]:
    return manifests.render(manifests.K8S / "overlays" / "gpu")


@pytest.fixture
def double(cluster_double: ClusterDouble, gpu_overlay: list[Object]) -> ClusterDouble:
    """A cluster with all that a run needs, one node with one GPU, templates that ask for one."""
    apply(cluster_double, gpu_overlay)
    return cluster_double
