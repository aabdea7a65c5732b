"""A namespace with all of ganbalance in it, used as a user does: by make."""

import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests import manifests
from tests.namespaces import Namespace

ROOT = Path(__file__).parents[2]
PATIENCE_S = 420.0
MINIO = "app.kubernetes.io/name=minio"
RUN_LABEL, GROUP_LABEL = "ganbalance.io/run", "ganbalance.io/group"


class Deployment:
    """One deployed namespace. What it deploys with is the images of `make images`, loaded by `make load`."""

    def __init__(self, namespace: Namespace) -> None:
        self.namespace = namespace

    def make(self, target: str, *variables: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        command = ["make", "--no-print-directory", target, f"NAMESPACE={self.namespace.name}", *variables]
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "MAKE", "MFLAGS"))
        }
        done = subprocess.run(
            [*command, f"KUBECTL={manifests.kubectl()}"], cwd=ROOT, env=environment, capture_output=True, text=True,
            check=False, timeout=900,
        )  # fmt: skip
        assert done.returncode == 0 or not check, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
        return done

    def deploy(self) -> None:
        """Without a StorageClass MinIO would get no volume."""
        self.make("deploy", *([] if self.has_storage() else ["COMPONENTS=minio-ephemeral"]))

    def has_storage(self) -> bool:
        """Whether the cluster has a StorageClass."""
        return bool(self.namespace.kubectl("get", "storageclass", "--output", "name").stdout)

    def stop_minio(self) -> None:
        """Take MinIO's pod away; what it holds stays where it is on a volume."""
        self.namespace.kubectl("scale", "deployment/minio", "--replicas=0")
        self.namespace.kubectl("wait", "pod", "--selector", MINIO, "--for=delete", "--timeout=120s")

    def start_minio(self) -> None:
        """Give it one again, and wait until that serves."""
        self.namespace.kubectl("scale", "deployment/minio", "--replicas=1")
        self.namespace.kubectl("rollout", "status", "deployment/minio", "--timeout=180s")

    def submit(self, experiment: Path, *variables: str) -> str:
        """Submit; returns the run's name."""
        said = self.make("submit", f"EXPERIMENT={experiment}", *variables).stdout
        return said.split("run ", 1)[1].split(":", 1)[0]

    def status(self, run: str) -> dict[str, Any]:
        """`status --json`."""
        command = ["ganbalance", "status", "--json", "--run", run, "--namespace", self.namespace.name]
        environment = os.environ | {"PATH": f"{ROOT / '.venv/bin'}:{os.environ['PATH']}"}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=True)
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def objects(self, kind: str, **labels: str) -> list[dict[str, Any]]:
        selector = ",".join(f"{name}={value}" for name, value in labels.items())
        said = self.namespace.kubectl("get", kind, "--selector", selector, "--output", "json").stdout
        items: list[dict[str, Any]] = json.loads(said)["items"]
        return items

    def jobs(self, run: str) -> list[dict[str, Any]]:
        return self.objects("jobs", **{RUN_LABEL: run})

    def pods(self, run: str, **labels: str) -> list[dict[str, Any]]:
        return self.objects("pods", **{RUN_LABEL: run}, **labels)

    def wait_for(self, what: str, is_so: Callable[[], Any], run: str = "") -> Any:
        """What `is_so` returns once it is true."""
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            if found := is_so():
                return found
            time.sleep(1)
        message = self.make("status", f"RUN={run}", check=False).stdout if run else ""
        raise AssertionError(f"not within {PATIENCE_S:.0f} s: {what}\n{message}")

    def wait_for_end(self, run: str) -> dict[str, Any]:
        """The run's status once its driver has ended."""

        def ended() -> dict[str, Any] | None:
            drivers = self.objects("jobs", **{RUN_LABEL: run, "ganbalance.io/part": "driver"})
            conditions = [{one["type"] for one in job.get("status", {}).get("conditions", ())} for job in drivers]
            return self.status(run) if drivers and all(one & {"Complete", "Failed"} for one in conditions) else None

        found: dict[str, Any] = self.wait_for(f"the end of run {run}", ended, run)
        return found
