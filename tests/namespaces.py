"""A namespace on the cluster of KUBECONFIG, and kubectl in it."""

import json
import subprocess
from pathlib import Path

from tests import manifests
from tests.manifests import Manifest


class Namespace:
    """A namespace that enforces the `restricted` level, and kubectl in it."""

    def __init__(self, name: str) -> None:
        self.name = name

    def kubectl(
        self, *arguments: str, manifest: Manifest | list[Manifest] | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl; `manifest` is what it reads with `-f -`."""
        given = {"apiVersion": "v1", "kind": "List", "items": manifest} if isinstance(manifest, list) else manifest
        done = subprocess.run(
            [manifests.kubectl(), "--namespace", self.name, *arguments],
            input=json.dumps(given), capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0 or not check, done.stderr
        return done

    def get(self, kind: str, name: str) -> Manifest:
        found: Manifest = json.loads(self.kubectl("get", kind, name, "--output", "json").stdout)
        return found

    def account(self, folder: Path, role: str | None = None) -> Path:
        """Make a service account that has a Role, or none; its kubeconfig."""
        name = role or "nobody"
        self.kubectl("create", "serviceaccount", name)
        if role:
            self.kubectl("create", "rolebinding", name, f"--role={role}", f"--serviceaccount={self.name}:{name}")
        token = self.kubectl("create", "token", name).stdout.strip()
        config = json.loads(self.kubectl("config", "view", "--raw", "--minify", "--output", "json").stdout)
        config["users"] = [{"name": one["name"], "user": {"token": token}} for one in config["users"]]
        path = folder / name
        path.write_text(json.dumps(config))
        return path

    def make(self) -> None:
        self.kubectl("create", "namespace", self.name)
        self.kubectl("label", "namespace", self.name, "pod-security.kubernetes.io/enforce=restricted")

    def delete(self) -> None:
        self.kubectl("delete", "namespace", self.name, "--ignore-not-found", "--wait=false")
