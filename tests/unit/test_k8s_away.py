"""What is said of a run while its store does not answer: what Jobs and pods tell, and which pod or node is at fault."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ganbalance.cli import watching
from ganbalance.errors import UnavailableError
from tests.job_controller import Runs, Waits, exits
from tests.servers import FaultyProxy, Server
from tests.unit.commands_bench import Bench

AWAY = UnavailableError.exit_code
RUNNING = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
NO_NODE = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes are available"}
CRASHED = [{"name": "minio", "ready": False, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}]


class MinIO:
    """The Service and the pod of a store inside the cluster; kubectl forwards to it while its pod runs."""

    def __init__(self, bench: Bench, proxy: FaultyProxy, kubectl: Path) -> None:
        self._double, self._proxy, self._running = bench.double, proxy, kubectl.parent / "minio-runs"
        self._labels = {"app.kubernetes.io/name": "minio"}
        self._double.add({"kind": "Service", "metadata": {"name": "minio"}, "spec": {"selector": self._labels}})

    def has_a_pod(self, status: dict[str, Any]) -> None:
        labels = {"name": "minio-0", "labels": self._labels}
        self._double.add({"kind": "Pod", "metadata": labels, "spec": {"nodeName": "node-7"}, "status": status})
        self._running.unlink(missing_ok=True)
        if status == RUNNING:
            self._running.touch()

    def has_none(self) -> None:
        self._double.remove("Pod", "minio-0")
        self._running.unlink(missing_ok=True)

    def answers(self, *, busy: bool) -> None:
        self._proxy.faults.clear()
        self._proxy.faults.extend([503] * 1000 * busy)


@pytest.fixture
def minio(bench: Bench, moto: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MinIO]:
    """The store of the bench, with a pod that runs."""
    kubectl = tmp_path / "bin" / "kubectl"
    kubectl.parent.mkdir()
    proxy = FaultyProxy(moto)
    with proxy.running() as server:
        port = server.endpoint.rpartition(":")[2]
        kubectl.write_text(
            f"#!/bin/sh\n[ -e {kubectl.parent}/minio-runs ] || {{ echo 'error: no running pod'; exit 1; }}\n"
            f"echo 'Forwarding from 127.0.0.1:{port} -> 9000'\nexec sleep 60\n"
        )
        kubectl.chmod(0o755)
        monkeypatch.setenv("PATH", f"{kubectl.parent}:{os.environ['PATH']}")
        known = bench.double.object("ConfigMap", "store")
        known["data"] |= {"AWS_ENDPOINT_URL": "http://minio:9000", "AWS_MAX_ATTEMPTS": "1"}
        bench.double.add(known)
        found = MinIO(bench, proxy, kubectl)
        found.has_a_pod(RUNNING)
        yield found


def states(said: str) -> dict[str, str]:
    """State and cause by stage, of `status --json` before its last line."""
    found = json.loads(said[said.index("{\n") : said.rindex("}") + 1])
    return {row["stage"]: f"{row['state']} {row['cause']}".strip() for row in found["stages"]}


@pytest.mark.parametrize(
    ("status", "fault"),
    [
        ({}, "no pod is behind the Service minio"),
        ({"phase": "Pending", "conditions": [NO_NODE]}, "pod minio-0 is Pending: Unschedulable: 0/3 nodes"),
        (
            {"phase": "Running", "conditions": [{"type": "Ready", "status": "False"}], "containerStatuses": CRASHED},
            "pod minio-0 is Running: CrashLoopBackOff",
        ),
        (
            {
                "phase": "Running", "conditions": [{"type": "Ready", "status": "False"}],
                "containerStatuses": [{"name": "minio", "ready": True, "state": {"running": {}}}],
            },
            "pod minio-0: its node node-7 is NotReady",
        ),
    ],
)  # fmt: skip
def test_status_without_the_store_says_what_jobs_and_pods_tell_and_what_is_at_fault(
    bench: Bench, minio: MinIO, status: dict[str, Any], fault: str
) -> None:
    bench.pods.fates["imbalance/seed-0"] = exits(78, "no such device")
    bench.pods.fates["backbone"] = Runs()
    run = bench.stopped_after(6)
    if status:
        minio.has_a_pod(status)
    else:
        minio.has_none()
    code, said = bench.type("status", "--run", run, "--json")
    assert code == AWAY
    assert f"ganbalance: the store {bench.store.url} does not answer: {fault}" in said.splitlines()[-1]
    found = states(said)
    assert found["dataset"] == "done"
    assert found["backbone"].startswith("running")
    assert found["imbalance/seed-0"] == "failed exit 78 (bad configuration): no such device"
    assert "report" not in found  # no Job of it is there yet
    minio.has_a_pod(RUNNING)
    code, said = bench.type("status", "--run", run, "--json")
    assert (code, states(said)["report"]) == (0, "blocked upstream failed: imbalance/seed-0")


def test_where_no_pod_is_at_fault_the_stores_own_answer_is_said(bench: Bench, minio: MinIO) -> None:
    run = bench.stopped_after(1)
    minio.answers(busy=True)
    code, said = bench.type("status", "--run", run)
    assert code == AWAY
    assert "the server says 503" in said.splitlines()[-1]
    assert "driver: " in said


def test_who_may_not_read_services_sees_what_kubectl_says(bench: Bench, minio: MinIO) -> None:
    run = bench.stopped_after(1)
    minio.has_none()
    bench.double.deny("get", "services")
    code, said = bench.type("status", "--run", run)
    assert code == AWAY
    assert "no way to the Service tests/minio" in said.splitlines()[-1]


def test_watch_outlives_an_outage_of_the_store(bench: Bench, minio: MinIO, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.pods.fates["backbone"] = Waits("Unschedulable", "no node")
    run = bench.stopped_after(3)

    def is_cancelled() -> None:
        for job in bench.double.objects("Job"):
            bench.double.remove("Job", job["metadata"]["name"])

    happens = iter([lambda: minio.answers(busy=True), lambda: minio.answers(busy=False), is_cancelled])
    monkeypatch.setattr(watching, "time", SimpleNamespace(sleep=lambda seconds: next(happens)()))
    code, said = bench.type("watch", "--run", run)
    assert code == 0, said
    assert said.count("the server says 503") == 1
    assert "backbone  pending  Unschedulable: no node" in said
    assert "ganbalance resume" in said


def test_watch_begins_while_the_store_is_away(bench: Bench, minio: MinIO, monkeypatch: pytest.MonkeyPatch) -> None:
    run = bench.stopped_after(1)
    minio.has_none()
    monkeypatch.setattr(watching, "time", SimpleNamespace(sleep=lambda seconds: minio.has_a_pod(RUNNING)))
    bench.double.ticks_on_list = True
    code, said = bench.type("watch", "--run", run)
    assert code == 0, said
    assert said.index("no pod is behind the Service minio") < said.index("ganbalance resume")


def test_logs_without_the_store_are_those_of_pods(bench: Bench, minio: MinIO) -> None:
    bench.pods.fates["dataset"] = Runs()
    run = bench.stopped_after(2)
    bench.double.tick()
    (pod,) = [pod["metadata"]["name"] for pod in bench.double.objects("Pod") if "-dataset-" in pod["metadata"]["name"]]
    bench.double.logs[pod] = b"step 1\n"
    minio.has_none()
    code, said = bench.type("logs", "--run", run, "--stage", "dataset")
    assert (code, said.splitlines()[-3:-1]) == (AWAY, [f"==> {pod} <==", "step 1"])
    assert "no pod is behind the Service minio" in said.splitlines()[-1]
