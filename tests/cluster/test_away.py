"""A store that is away for longer than a stage has tries: the run ends well, and nothing is lost or run twice."""

import re
import time
from pathlib import Path
from typing import Any

import yaml

from ganbalance.k8s import diagnosis
from ganbalance.k8s.manifest import PART, RETRIES_PER_INDEX
from tests.cluster.deployment import GROUP_LABEL, Deployment
from tests.cluster.test_runs import SETTINGS, TRAINING

SOON = '{"data": {"AWS_MAX_ATTEMPTS": "2"}}'  # a pod bears an outage for seconds, so tries follow one another sooner
COUNT = "batch.kubernetes.io/job-index-{}-count"


def _away(deployed: Deployment, run: str) -> list[dict[str, Any]]:
    return [pod for pod in deployed.pods(run, **{GROUP_LABEL: TRAINING}) if diagnosis.exit_code(pod) == 75]


def _train(deployed: Deployment, run: str) -> list[str]:
    """The pods that train, once there is one for each seed and their logs tell that they are some way on."""
    names = [str(pod["metadata"]["name"]) for pod in deployed.pods(run, **{GROUP_LABEL: TRAINING})]
    logs = [deployed.namespace.kubectl("logs", name, check=False).stdout for name in names]
    return names if len(names) == 2 and all('"done"' in log for log in logs) else []


def test_a_run_outlasts_a_store_that_is_away(on_volume: Deployment, tmp_path: Path) -> None:
    deployed, namespace = on_volume, on_volume.namespace
    namespace.kubectl("patch", "configmap", "ganbalance-store", "--patch", SOON)
    experiment = tmp_path / "outage.yaml"
    gan = SETTINGS["gans"]["dcgan"] | {"epochs": 60}
    experiment.write_text(
        yaml.safe_dump(SETTINGS | {"name": "outage", "gans": {"dcgan": gan}, "arms": ["none", "dcgan"]})
    )
    run = deployed.submit(experiment)
    _, starts_again = deployed.wait_for("two trainings under way", lambda: _train(deployed, run), run)
    time.sleep(5)  # until there are checkpoints
    deployed.stop_minio()
    away = time.monotonic()
    try:
        namespace.kubectl("delete", "pod", starts_again, "--wait=false")
        deployed.wait_for("more tries than a stage has", lambda: len(_away(deployed, run)) > RETRIES_PER_INDEX)
    finally:
        deployed.start_minio()
        away_s = time.monotonic() - away
    found = deployed.wait_for_end(run)

    assert {row["state"] for row in found["stages"]} == {"done"}
    assert found["driver"]["state"] == "done"
    jobs = [job for job in deployed.jobs(run) if job["metadata"]["labels"][PART] == "stage"]
    assert len({job["metadata"]["labels"][GROUP_LABEL] for job in jobs}) == len(jobs)  # no group has a second round
    for job in jobs:
        pods = deployed.pods(run, **{GROUP_LABEL: job["metadata"]["labels"][GROUP_LABEL]})
        assert {diagnosis.exit_code(pod) for pod in pods} <= {0, 75}
        assert sum(diagnosis.exit_code(pod) == 0 for pod in pods) == job["spec"]["completions"]
        assert {pod["metadata"]["annotations"].get(COUNT.format("failure"), "0") for pod in pods} == {"0"}
    ignored = [
        int(pod["metadata"]["annotations"].get(COUNT.format("ignored-failure"), 0)) for pod in _away(deployed, run)
    ]
    assert max(ignored) >= RETRIES_PER_INDEX

    said = deployed.make("logs", f"RUN={run}", "STAGE=train-gan").stdout
    assert re.search(r"checkpoint at step \d+ not written: .*; training goes on", said)
    assert re.search(r"resuming at step [1-9]", said)
    (driver,) = deployed.pods(run, **{PART: "driver"})
    kept = re.findall(r"resuming at step (\d+)", said)
    print(f"the store was away for {away_s:.0f} s: {len(ignored)} pods ended with 75, trainings resumed at step {kept}")
    assert "; trying again for 21600 s" in namespace.kubectl("logs", driver["metadata"]["name"]).stdout
