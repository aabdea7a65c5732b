"""A run from `make submit` to the report, on real Jobs with torch: alone, resumed, disturbed, cancelled, cleaned."""

import csv
import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from ganbalance import __version__
from ganbalance.k8s.manifest import GPU_RESOURCE
from tests.cluster.deployment import GROUP_LABEL, ROOT, Deployment

SETTINGS: dict[str, Any] = {
    "name": "tiny",
    "dataset": {"name": "fashion-mnist"},
    "task": {"kind": "pair", "positive": "trouser", "negative": "T-shirt/top"},
    "imbalance": {"keep": {"trouser": 0.2}},
    "arms": ["none", "threshold", "dcgan"],
    "gans": {"dcgan": {"epochs": 2, "g_widths": [8, 8, 4], "d_widths": [4, 4, 4]}},
    "synthesis": {"n": 50},
    "classifier": {"side_px": 16, "l2": [0.1]},
    "statistics": {"replicates": 200},
    "resources": {"checkpoint_every_s": 2},
    "seeds": [0, 1],
}
TRAINING, GPU = "train-gan-dcgan", "nvidia.com/gpu"
GROUPS = {
    "dataset", "backbone", "imbalance", "features", "train-gan-dcgan", "synthesize-dcgan", "features-dcgan",
    "train-classifier-none", "train-classifier-dcgan", "rescore-threshold", "quality", "quality-dcgan", "report",
}  # fmt: skip


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("experiment") / "tiny.yaml"
    path.write_text(yaml.safe_dump(SETTINGS))
    return path


@pytest.fixture(scope="module")
def run(deployed: Deployment, experiment: Path) -> str:
    """A run that nobody disturbs."""
    name = deployed.submit(experiment)
    deployed.wait_for_end(name)
    return name


@pytest.fixture(scope="module")
def report(deployed: Deployment, run: str) -> Path:
    deployed.make("fetch-report", f"RUN={run}")
    return ROOT / "out" / run


def test_every_stage_is_a_complete_job_of_its_group(deployed: Deployment, run: str) -> None:
    jobs = [job for job in deployed.jobs(run) if job["metadata"]["labels"]["ganbalance.io/part"] == "stage"]
    assert {job["metadata"]["labels"][GROUP_LABEL] for job in jobs} == GROUPS
    assert len(jobs) == len(GROUPS)
    for job in deployed.jobs(run):
        assert {one["type"] for one in job["status"]["conditions"]} >= {"Complete"}, job["metadata"]["name"]


def test_status_says_done_of_every_stage_and_names_its_node(deployed: Deployment, run: str) -> None:
    found = deployed.status(run)
    assert found["driver"]["state"] == "done"
    assert {row["state"] for row in found["stages"]} == {"done"}
    assert all(row["node"] for row in found["stages"])
    table = deployed.make("status", f"RUN={run}").stdout
    assert re.search(r"^train-gan/dcgan/class-1/seed-1 +1 +done ", table, re.MULTILINE)


def test_kubectl_describes_the_milestones(deployed: Deployment, run: str) -> None:
    (job,) = [job for job in deployed.jobs(run) if job["metadata"]["labels"].get(GROUP_LABEL) == "train-gan-dcgan"]
    said = deployed.namespace.kubectl("describe", "job", job["metadata"]["name"]).stdout
    indexes = ["0=train-gan/dcgan/class-1/seed-0", "1=train-gan/dcgan/class-1/seed-1"]
    assert re.search(
        rf"Normal +Started .* ganbalance-driver +train-gan-dcgan, round 1: 2 stages: {', '.join(indexes)}", said
    )
    assert re.search(r"Normal +StagesDone .* ganbalance-driver +2 stages of train-gan-dcgan done", said)
    assert re.search(r"ganbalance\.io/stages:\s+" + r"\s+".join(indexes), said)


def test_kubectl_alone_lists_a_run(deployed: Deployment, run: str) -> None:
    labels = {"app.kubernetes.io/instance": run, "app.kubernetes.io/managed-by": "ganbalance"}
    labels |= {"app.kubernetes.io/part-of": "ganbalance", "app.kubernetes.io/version": __version__}
    for kind, expected in (("jobs", deployed.jobs(run)), ("pods", deployed.pods(run))):
        names = {one["metadata"]["name"] for one in deployed.objects(kind, **labels)}
        assert names == {one["metadata"]["name"] for one in expected}


def test_the_cluster_and_this_machine_agree_on_keys_and_numbers(
    deployed: Deployment, run: str, report: Path, experiment: Path, tmp_path: Path
) -> None:
    here = [".venv/bin/ganbalance", "run", str(experiment), "--store", str(tmp_path / "store"), "--out", str(tmp_path)]
    subprocess.run(here, cwd=ROOT, check=True, capture_output=True)
    planned = subprocess.run(
        [".venv/bin/ganbalance", "plan", str(experiment), "--store", str(tmp_path / "store")],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    keys = {row["stage"]: row["key"][:12] for row in deployed.status(run)["stages"]}
    assert {name: key for key, name in re.findall(r"done +(\w{12})  (\S+)", planned)} == keys
    mine, theirs = _results(tmp_path / run / "results.csv"), _results(report / "results.csv")
    assert mine.keys() == theirs.keys()
    assert theirs == {cell: pytest.approx(value, abs=1e-6) for cell, value in mine.items()}


def _results(path: Path) -> dict[tuple[str, ...], float]:
    with path.open(newline="") as file:
        return {(row["arm"], row["seed"], row["metric"]): float(row["value"]) for row in csv.DictReader(file)}


def test_submitting_the_same_again_creates_no_job(deployed: Deployment, run: str, experiment: Path) -> None:
    before = {job["metadata"]["uid"] for job in deployed.jobs(run)}
    said = deployed.make("submit", f"EXPERIMENT={experiment}").stdout
    assert "already done" in said
    assert {job["metadata"]["uid"] for job in deployed.jobs(run)} == before


def test_logs_of_a_finished_stage_come_from_the_store(deployed: Deployment, run: str) -> None:
    for pod in deployed.pods(run, **{GROUP_LABEL: "imbalance"}):
        deployed.namespace.kubectl("delete", "pod", pod["metadata"]["name"])
    said = deployed.make("logs", f"RUN={run}", "STAGE=imbalance/seed-1").stdout
    assert "imbalance/seed-1: done in" in said
    assert "imbalance/seed-0" not in said


def test_a_deleted_artifact_is_made_again_and_nothing_else_when_its_bytes_are_the_same(
    deployed: Deployment, run: str, experiment: Path, report: Path
) -> None:
    before = {job["metadata"]["name"] for job in deployed.jobs(run)}
    key = next(
        row["key"] for row in deployed.status(run)["stages"] if row["stage"] == "synthesize/dcgan/class-1/seed-0"
    )
    script = (
        "import sys; from ganbalance.store import open_store; "
        f"open_store('s3://ganbalance').delete('stages/synthesize/{key}/COMMIT.json')"
    )
    _in_a_pod(deployed, script)
    assert deployed.submit(experiment) == run
    found = deployed.wait_for_end(run)
    assert {row["state"] for row in found["stages"]} == {"done"}
    new = [job for job in deployed.jobs(run) if job["metadata"]["name"] not in before]
    assert {job["metadata"]["labels"].get(GROUP_LABEL, "driver") for job in new} == {"driver", "synthesize-dcgan"}


def _in_a_pod(deployed: Deployment, script: str) -> str:
    """Run Python in a pod of the report's template, which has the store's settings."""
    template = deployed.namespace.get("podtemplate", "report")["template"]
    template["spec"]["containers"][0] |= {"command": ["python3", "-c", script], "args": []}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "script"}, "spec": template["spec"]}
    deployed.namespace.kubectl("create", "-f", "-", manifest=pod)
    deployed.wait_for("the end of a script", lambda: _phase(deployed, "script") in ("Succeeded", "Failed"))
    said = deployed.namespace.kubectl("logs", "script").stdout
    assert _phase(deployed, "script") == "Succeeded", said
    deployed.namespace.kubectl("delete", "pod", "script")
    return said


def _phase(deployed: Deployment, pod: str) -> str:
    return str(deployed.namespace.get("pod", pod)["status"].get("phase"))


@dataclass
class Disturbed:
    """A run to which everything happened, and what was there when it was cancelled."""

    run: str
    said: str
    pods: list[dict[str, Any]]
    jobs: list[dict[str, Any]]
    states: dict[str, str]


@pytest.fixture(scope="module")
def disturbed(deployed: Deployment, run: str, experiment: Path) -> Disturbed:
    """A run, sharing stages with the other, that is cancelled while it trains and resumed; then its driver's pod is
    deleted and its training pod evicted."""
    name = deployed.submit(experiment, "SET=gans.dcgan.epochs=90 seeds=[0]")
    deployed.wait_for("a training under way", lambda: _training_pod(deployed, name), name)
    said = deployed.make("cancel", f"RUN={name}").stdout
    states = {row["stage"]: row["state"] for row in deployed.status(name)["stages"]}
    found = Disturbed(name, said, deployed.pods(name), deployed.jobs(name), states)
    deployed.make("resume", f"RUN={name}")
    pod = deployed.wait_for("a training resumed", lambda: _training_pod(deployed, name), name)
    (driver,) = deployed.pods(name, **{"ganbalance.io/part": "driver"})
    deployed.namespace.kubectl("delete", "pod", driver["metadata"]["name"], "--wait=false")
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod}}
    deployed.namespace.kubectl(
        "create", "--raw", f"/api/v1/namespaces/{deployed.namespace.name}/pods/{pod}/eviction", "-f", "-",
        manifest=eviction,
    )  # fmt: skip
    deployed.wait_for_end(name)
    return found


def _training_pod(deployed: Deployment, run: str) -> str | None:
    """The pod that trains, once its log tells that it is some way on."""
    for pod in deployed.pods(run, **{GROUP_LABEL: TRAINING}):
        name = str(pod["metadata"]["name"])
        if '"done"' in deployed.namespace.kubectl("logs", name, check=False).stdout:
            return name
    return None


def test_a_cancelled_run_leaves_no_pod_and_keeps_what_is_committed(disturbed: Disturbed) -> None:
    assert "what is committed is kept" in disturbed.said
    assert disturbed.pods == []
    assert disturbed.jobs == []
    assert disturbed.states["dataset"] == "done"
    assert disturbed.states["train-gan/dcgan/class-1/seed-0"] == "not started"


def test_a_run_survives_the_death_of_its_driver_and_runs_no_stage_twice(
    deployed: Deployment, disturbed: Disturbed
) -> None:
    found = deployed.status(disturbed.run)
    assert {row["state"] for row in found["stages"]} == {"done"}
    assert found["driver"]["state"] == "done"
    jobs = [job for job in deployed.jobs(disturbed.run) if job["metadata"]["labels"]["ganbalance.io/part"] == "stage"]
    assert len({job["metadata"]["labels"][GROUP_LABEL] for job in jobs}) == len(jobs)


def test_a_training_goes_on_from_its_checkpoint_and_an_eviction_uses_up_no_retry(
    deployed: Deployment, disturbed: Disturbed
) -> None:
    said = deployed.make("logs", f"RUN={disturbed.run}", "STAGE=train-gan").stdout
    stopped = [int(step) for step in re.findall(r"train-gan: stopped after step (\d+) of", said)]
    resumed = [int(step) for step in re.findall(r"resuming at step (\d+)", said)]
    assert len(stopped) == 2  # by the cancellation, by the eviction
    assert resumed == stopped
    (job,) = [job for job in deployed.jobs(disturbed.run) if job["metadata"]["labels"].get(GROUP_LABEL) == TRAINING]
    pods = deployed.pods(disturbed.run, **{GROUP_LABEL: TRAINING})
    counted = {pod["metadata"]["annotations"].get("batch.kubernetes.io/job-index-failure-count", "0") for pod in pods}
    assert counted == {"0"}
    assert job["status"]["succeeded"] == 1


def test_what_an_earlier_run_committed_is_shared(deployed: Deployment, disturbed: Disturbed) -> None:
    groups = {job["metadata"]["labels"].get(GROUP_LABEL) for job in deployed.jobs(disturbed.run)}
    assert not groups & {"dataset", "backbone", "features", "imbalance", "train-classifier-none"}


def test_of_a_cleaned_run_nothing_is_left_and_other_runs_lose_nothing(
    deployed: Deployment, run: str, disturbed: Disturbed
) -> None:
    cleaned = deployed.make("clean-run", f"RUN={disturbed.run}").stdout
    assert "what other runs need is kept" in cleaned
    assert not deployed.pods(disturbed.run) + deployed.jobs(disturbed.run)
    left = _in_a_pod(
        deployed, "from ganbalance.store import open_store; print(*open_store('s3://ganbalance').names(''), sep='\\n')"
    )
    assert f"runs/{run}/" in left
    assert f"runs/{disturbed.run}/" not in left
    keys = {row["key"] for row in deployed.status(run)["stages"]}
    assert {line.split("/")[2] for line in left.splitlines() if line.endswith("/COMMIT.json")} == keys
    assert {row["state"] for row in deployed.status(run)["stages"]} == {"done"}


IMAGES = """
import io, pathlib, tempfile
import numpy as np
from PIL import Image
from ganbalance.store import open_store
store = open_store('s3://ganbalance')
path = pathlib.Path(tempfile.mkdtemp()) / 'image.png'
for number in range(160):
    pixels = np.random.default_rng(number).integers(0, 200, (16, 16), dtype=np.uint8)
    pixels[:, 8 * (number % 2):][:, :8] += 55
    Image.fromarray(pixels).save(path)
    store.put(f'own/{"cat" if number % 2 else "dog"}/{number}.png', path)
"""


def test_images_of_ones_own_on_s3_are_read_by_the_pods(deployed: Deployment, tmp_path: Path) -> None:
    _in_a_pod(deployed, IMAGES)
    changed: dict[str, Any] = {
        "name": "own-on-s3",
        "dataset": {"name": "folder", "path": "s3://ganbalance/own", "side_px": 16},
        "task": {"kind": "pair", "positive": "cat", "negative": "dog"},
        "imbalance": {"keep": {"cat": 0.2}},
        "arms": ["none"],
        "gans": {},
        "seeds": [0],
    }
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump(SETTINGS | changed))
    run = deployed.submit(path)
    assert {row["state"] for row in deployed.wait_for_end(run)["stages"]} == {"done"}
    assert "dataset" in {job["metadata"]["labels"].get(GROUP_LABEL) for job in deployed.jobs(run)}


def test_a_pod_that_asks_for_a_gpu_and_sees_none_fails_at_once(deployed: Deployment, run: str, tmp_path: Path) -> None:
    if GPU not in deployed.namespace.kubectl("get", "nodes", "--output", "jsonpath={..allocatable}").stdout:
        pytest.skip(f"no node of this cluster offers {GPU}")
    templates, resource = ("podtemplates", "train-gan", "train-classifier"), f"{GPU_RESOURCE}={GPU}"
    deployed.namespace.kubectl("annotate", "--overwrite", *templates, resource)
    changed: dict[str, Any] = {
        "name": "gpus",
        "gans": {"dcgan": SETTINGS["gans"]["dcgan"] | {"epochs": 3}},  # nothing of which is there from another run
        "classifier": {"side_px": 16, "l2": [0.2]},
        "resources": {"pods": {"train-gan": {"gpus": 1}, "train-classifier": {"gpus": 1}, "features": {"gpus": 0}}},
        "seeds": [0],
    }
    path = tmp_path / "gpus.yaml"
    path.write_text(yaml.safe_dump(SETTINGS | changed))
    asking = deployed.submit(path)
    rows = {row["stage"]: row for row in deployed.wait_for_end(asking)["stages"]}
    (training,), (solving,) = (
        deployed.pods(asking, **{GROUP_LABEL: group}) for group in (TRAINING, "train-classifier-none")
    )
    cause = r"exit 78 \(bad configuration\): device = 'auto' in a container that asks for a GPU: torch sees no .*"
    assert re.fullmatch(cause, rows["train-gan/dcgan/class-1/seed-0"]["cause"])
    assert rows["train-classifier/none/seed-0"]["state"] == "done"
    assert [GPU in json.dumps(pod["spec"]) for pod in (training, solving)] == [True, False]


def test_the_manifests_that_submit_would_create_are_taken_by_the_api_server(
    deployed: Deployment, experiment: Path
) -> None:
    said = deployed.make("render", f"EXPERIMENT={experiment}", "SEEDS=5..7").stdout
    jobs = list(yaml.safe_load_all(said))
    assert {job["kind"] for job in jobs} == {"Job"}
    for job in jobs:
        deployed.namespace.kubectl("create", "--dry-run=server", "-f", "-", manifest=job)


def test_no_manifest_and_no_log_holds_a_key_of_the_store(deployed: Deployment, run: str, report: Path) -> None:
    secret = deployed.namespace.get("secret", "ganbalance-s3")["data"]
    script = "import os; print(os.environ['AWS_SECRET_ACCESS_KEY'])"
    key = _in_a_pod(deployed, script).strip()
    assert len(key) > 20
    assert len(secret) == 2
    everything = json.dumps(deployed.jobs(run) + deployed.pods(run))
    everything += "".join(
        deployed.make("logs", f"RUN={run}", f"STAGE={stage}").stdout for stage in ("driver", "train-gan")
    )
    everything += "".join(path.read_text(errors="replace") for path in report.rglob("*.*") if path.is_file())
    assert key not in everything
