"""What tests do with a Kubernetes double: ask it, look at it before a run, drive a run there."""

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from ganbalance.k8s import client, driver
from ganbalance.k8s.client import Access, Cluster
from ganbalance.k8s.manifest import TEMPLATES
from ganbalance.pipeline import outages
from ganbalance.pipeline.runs import Record
from ganbalance.store import open_store
from tests import manifests, servers
from tests.cluster_double import ClusterDouble, Object
from tests.conftest import tiny_settings
from tests.unit.commands_bench import Bench
from tests.unit.k8s_run import KubernetesRun, plan_record, template
from tests.unit.preflighted import apply


@pytest.fixture(scope="session")
def tiny_record(tiny_npz: Path) -> Record:
    """The tiny experiment and its plan: 28 stages in 16 groups."""
    return plan_record(tiny_settings(tiny_npz))


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits between looks or tries, nor for a disk."""
    monkeypatch.setattr(driver, "POLL_S", 0.0)
    monkeypatch.setattr(outages, "AGAIN_S", 0.0)
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


@pytest.fixture
def bench(
    tiny: dict[str, Any], tmp_path: Path, cluster_double: ClusterDouble, no_waiting: None, moto: servers.Server,
    use_s3: Callable[[servers.Server], str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> Bench:  # fmt: skip
    """A cluster that a run can be submitted to, its store on S3, and the command line."""
    url = use_s3(moto)
    store = open_store(url)
    settings = moto.environment
    for name in settings:
        monkeypatch.delenv(name)  # the cluster is what knows them
    keys = {name: settings.pop(name) for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
    hidden = {name: base64.b64encode(value.encode()).decode() for name, value in keys.items()}
    cluster_double.add({"kind": "Secret", "metadata": {"name": "keys"}, "data": hidden})
    known = {"AWS_ENDPOINT_URL": settings["AWS_ENDPOINT_URL"], "AWS_REGION": "us-east-1", "GANBALANCE_STORE": url}
    cluster_double.add({"kind": "ConfigMap", "metadata": {"name": "store"}, "data": known})
    cluster_double.add({"kind": "ServiceAccount", "metadata": {"name": "default"}})
    cluster_double.deny("list", "nodes")
    for name in TEMPLATES:
        cluster_double.add({"kind": "PodTemplate"} | template(name))
    experiment = tmp_path / "experiment.yaml"
    experiment.write_text(yaml.safe_dump(tiny | {"dataset": {"name": "fashion-mnist"}}))
    made = Bench(cluster_double, store, experiment, capsys)
    made.change_template(envFrom=[{"configMapRef": {"name": "store"}}, {"secretRef": {"name": "keys"}}])
    return made
