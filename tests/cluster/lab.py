"""Runs on a real cluster whose first stages are scripts, in the image of the report, which holds no torch."""

import contextlib
import copy
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ganbalance import cli
from ganbalance.k8s import diagnosis
from tests.cluster.deployment import GROUP_LABEL, Deployment
from tests.conftest import tiny_settings, write_tiny_npz
from tests.manifests import Manifest
from tests.namespaces import Namespace

BACKBONE, SEED_0, SEED_1 = "backbone", "imbalance/seed-0", "imbalance/seed-1"
FIRST = {BACKBONE, SEED_0, SEED_1}  # the stages that wait for no pod; `submit` makes the dataset itself
BLOCKED = {"features/real", "train-classifier/none/seed-0", "train-classifier/none/seed-1", "report"}
PROGRAMS = ("imbalance", "train-classifier")  # of the first stages
OF_PODS = ("nodeSelector", "activeDeadlineSeconds")  # what of a change is about the pod and not about its container

SMALL: Manifest = {
    "requests": {"cpu": "10m", "memory": "32Mi", "ephemeral-storage": "16Mi"},
    "limits": {"cpu": "1", "memory": "64Mi", "ephemeral-storage": "64Mi"},
}


def script(text: str, **more: Any) -> Manifest:
    """What makes a shell script of a container's program."""
    return {"command": ["sh", "-c", text], "resources": SMALL, **more}


@dataclass
class Output:
    """What a command said, and its exit code."""

    code: int
    out: str
    err: str


class Lab:
    """A namespace in which runs are submitted whose first stages have other containers."""

    def __init__(self, namespace: Namespace, folder: Path) -> None:
        self.namespace, self.folder = namespace, folder
        self.deployed = Deployment(namespace)
        self.image = namespace.get("podtemplate", "report")["template"]["spec"]["containers"][0]["image"]
        self.templates = {name: namespace.get("podtemplate", name) for name in PROGRAMS}

    def ganbalance(self, *arguments: str) -> Output:
        """A command, in this process: it has loaded torch already."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = cli.main([*arguments, "--namespace", self.namespace.name])
        return Output(code, out.getvalue(), err.getvalue())

    def submit(self, name: str, change: Manifest, *flags: str, **annotations: str) -> Output:
        """Submit a run of that name. It keeps the templates as they are now, so the next one may change them."""
        self.namespace.kubectl(
            "replace", "-f", "-", manifest=[self._changed(program, change, annotations) for program in PROGRAMS]
        )
        npz = self.folder / "tiny.npz"
        if not npz.exists():
            write_tiny_npz(npz)
        path = self.folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump(tiny_settings(npz) | {"name": name, "arms": ["none"], "gans": {}}))
        return self.ganbalance("submit", str(path), *flags)

    def _changed(self, program: str, change: Manifest, annotations: dict[str, str]) -> Manifest:
        template = copy.deepcopy(self.templates[program])
        del template["metadata"]["resourceVersion"]
        template["metadata"]["annotations"] = annotations
        pod = template["template"]["spec"]
        (container,) = pod["containers"]
        pod |= {name: change[name] for name in OF_PODS if name in change}
        change = {name: value for name, value in change.items() if name not in OF_PODS}
        more = {name: container[name] + change[name] for name in ("env", "envFrom") if name in change}
        container |= {"image": self.image} | change | more
        return template

    def submitted(self, name: str, change: Manifest, *flags: str, **annotations: str) -> str:
        """Submit; the run's full name."""
        said = self.submit(name, change, *flags, **annotations)
        assert said.code == 0, said
        (run,) = re.findall(r"^run (\S+):", said.out, re.MULTILINE)
        return str(run)

    def causes(self, run: str) -> dict[str, str]:
        return {row["stage"]: row["cause"] for row in self.deployed.status(run)["stages"]}

    def failed(self, run: str) -> dict[str, str]:
        """What a run says of the first stages after its end, when all of them failed and blocked the rest."""
        found = self.deployed.wait_for_end(run)
        rows = {row["stage"]: row for row in found["stages"]}
        states = {name: row["state"] for name, row in rows.items()}
        assert states == {"dataset": "done"} | dict.fromkeys(FIRST, "failed") | dict.fromkeys(BLOCKED, "blocked"), found
        assert found["driver"]["state"] == "failed"
        assert found["driver"]["cause"] == "7 stages without a result; fix that and resume the run"
        assert {pod["status"]["phase"] for pod in self.deployed.pods(run)} == {"Failed"}
        table = self.ganbalance("status", "--run", run).out.splitlines()
        for name in FIRST:
            (line,) = [line for line in table if line.startswith(f"{name} ")]
            assert line.endswith(rows[name]["cause"])
            assert rows[name]["since"]
        return {name: rows[name]["cause"] for name in FIRST}

    def job(self, run: str, group: str) -> Manifest:
        (job,) = [job for job in self.deployed.jobs(run) if job["metadata"]["labels"].get(GROUP_LABEL) == group]
        return job

    def tries(self, run: str, group: str) -> dict[str, int]:
        """How many pods each index of a group's Job had."""
        made: dict[str, int] = {}
        for pod in self.deployed.pods(run, **{GROUP_LABEL: group}):
            index = pod["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"]
            made[index] = made.get(index, 0) + 1
        return made

    def lasted_s(self, run: str, group: str) -> float:
        """From the making of a Job to its end."""
        job = self.job(run, group)
        condition = diagnosis.terminal(job)
        assert condition, job
        end, start = condition["lastTransitionTime"], job["metadata"]["creationTimestamp"]
        return (diagnosis.when(end) - diagnosis.when(start)).total_seconds()

    def wait_for_causes(self, run: str, pattern: str) -> dict[str, str]:
        """The first stages' causes, once each fits the pattern."""

        def fitting() -> dict[str, str] | None:
            found = {name: cause for name, cause in self.causes(run).items() if name in FIRST}
            return found if all(re.match(pattern, cause) for cause in found.values()) else None

        causes: dict[str, str] = self.deployed.wait_for(f"causes like {pattern}", fitting, run)
        return causes

    def is_empty(self) -> bool:
        return not self.namespace.kubectl("get", "jobs,pods", "--output", "name").stdout
