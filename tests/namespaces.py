"""A namespace on the cluster of KUBECONFIG, and kubectl in it."""

import json
import subprocess

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

    def make(self) -> None:
        self.kubectl("create", "namespace", self.name)
        self.kubectl("label", "namespace", self.name, "pod-security.kubernetes.io/enforce=restricted")

    def delete(self) -> None:
        self.kubectl("delete", "namespace", self.name, "--ignore-not-found", "--wait=false")
