"""Runs are watched while the pod of the store goes: another one takes its place, or none does."""

import os
import subprocess
import time

import pytest

from ganbalance.errors import UnavailableError
from tests.cluster.deployment import MINIO, ROOT, Deployment
from tests.cluster.lab import Lab, script

WORKS = "echo working; trap 'exit 143' TERM; sleep 900 & wait"


@pytest.fixture(scope="module")
def lab(on_volume: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return Lab(on_volume.namespace, tmp_path_factory.mktemp("watched"))


def test_watch_goes_on_when_the_pod_of_the_store_is_replaced(lab: Lab) -> None:
    run = lab.submitted("replaced", script(WORKS))
    command = [".venv/bin/ganbalance", "watch", "--run", run, "--namespace", lab.namespace.name]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as watching:
        assert watching.stdout
        next(line for line in watching.stdout if line.startswith("backbone  running"))
        gone = time.monotonic()
        lab.namespace.kubectl("delete", "pod", "--selector", MINIO, "--wait=true")
        lab.deployed.start_minio()
        print(f"MinIO had no pod that serves for {time.monotonic() - gone:.0f} s, and watch went on")
        cancelled = lab.ganbalance("cancel", "--run", run)
        said, _ = watching.communicate(timeout=300)
    assert (cancelled.code, watching.returncode) == (0, 0), said
    assert f"ganbalance resume --run {run}" in said


def test_a_store_whose_pod_does_not_run_keeps_nobody_from_seeing_the_run(lab: Lab) -> None:
    run = lab.submitted("unseen", script(WORKS))
    lab.deployed.wait_for("a stage at work", lambda: lab.namespace.kubectl(
        "get", "pods", "--selector", f"ganbalance.io/run={run},ganbalance.io/part=stage",
        "--field-selector", "status.phase=Running", "--output", "name",
    ).stdout, run)  # fmt: skip
    lab.deployed.stop_minio()
    try:
        said, logs = lab.ganbalance("status", "--run", run), lab.ganbalance("logs", "--run", run, "--stage", "backbone")
    finally:
        lab.deployed.start_minio()
    assert {said.code, logs.code} == {UnavailableError.exit_code}
    assert "does not answer: no pod is behind the Service minio" in said.err
    assert [line.split()[2] for line in said.out.splitlines() if line.startswith("backbone ")] == ["running"]
    assert logs.out.splitlines()[-1] == "working"
    assert lab.ganbalance("cancel", "--run", run).code == 0  # the run's record is still there
