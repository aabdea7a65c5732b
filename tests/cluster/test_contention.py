"""Others want the same on a real cluster: a quota of Jobs that is used up for a while, and a second driver of a run."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.deployment import GROUP_LABEL, Deployment
from tests.cluster.test_runs import SETTINGS

PART = "ganbalance.io/part"


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("experiment") / "small.yaml"
    path.write_text(yaml.safe_dump(SETTINGS | {"name": "small", "arms": ["none"], "gans": {}, "seeds": [0]}))
    return path


def test_a_run_waits_for_a_quota_of_jobs_that_was_lowered_and_ends_well_when_it_is_raised(
    deployed: Deployment, experiment: Path
) -> None:
    run = deployed.submit(experiment)
    deployed.namespace.kubectl("create", "quota", "few", "--hard=count/jobs.batch=1")
    began = time.monotonic()
    waits: dict[str, Any] = deployed.wait_for("a driver that waits", lambda: _refused(deployed, run), run)
    assert waits["state"] == "running"
    assert "limited: count/jobs.batch=1; remove the Jobs of runs that are over" in waits["cause"]

    refused = deployed.make("submit", f"EXPERIMENT={experiment}", "SET=seeds=[1]", check=False)
    assert refused.returncode != 0
    assert "0 are left by the quota few" in refused.stderr

    change = json.dumps({"spec": {"hard": {"count/jobs.batch": "99"}}})
    deployed.namespace.kubectl("patch", "resourcequota", "few", "--type=merge", f"--patch={change}")
    print(f"the quota on Jobs was used up for {time.monotonic() - began:.0f} s")
    found = deployed.wait_for_end(run)
    assert {row["state"] for row in found["stages"]} == {"done"}
    assert (found["driver"]["state"], found["driver"]["cause"]) == ("done", "")


def _refused(deployed: Deployment, run: str) -> dict[str, Any] | None:
    driver: dict[str, Any] = deployed.status(run)["driver"]
    return driver if "exceeded quota: few" in driver["cause"] else None


def test_a_driver_steps_back_for_a_second_one_and_no_stage_has_two_jobs(deployed: Deployment, experiment: Path) -> None:
    run = deployed.submit(experiment, "SET=seeds=[2]")
    deployed.wait_for("a driver at work", lambda: len(deployed.jobs(run)) > 1, run)
    (job,) = [job for job in deployed.jobs(run) if job["metadata"]["labels"][PART] == "driver"]
    second = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "second"},
        "spec": job["spec"]["template"]["spec"],
    }
    deployed.namespace.kubectl("create", "-f", "-", manifest=second)
    driver = deployed.wait_for_end(run)["driver"]
    assert driver["state"] == "failed"
    assert f"run {run} is driven by second since " in driver["cause"]
    deployed.wait_for("the end of the second", lambda: _has_ended(deployed, "second"), run)
    assert {row["state"] for row in deployed.status(run)["stages"]} == {"done"}
    groups = [one["metadata"]["labels"].get(GROUP_LABEL) for one in deployed.jobs(run)]
    assert len(groups) == len(set(groups))


def _has_ended(deployed: Deployment, pod: str) -> bool:
    return deployed.namespace.get("pod", pod)["status"]["phase"] == "Succeeded"
