"""A volume on the node for MinIO, which outlives its pod, as one from a StorageClass does."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.containers import NAME
from tests.manifests import Manifest, relative
from tests.namespaces import Namespace

ON_NODE = "/var/tmp"  # noqa: S108 - of the node


@contextmanager
def overlay_with_volume(folder: Path) -> Iterator[Path]:
    """An overlay like `local` whose claim gets a volume that is made here and goes at the end."""
    name = f"ganbalance-test-{secrets.token_hex(4)}"
    cluster = Namespace(name)  # one without Pod Security, where a folder of the node can be made for user 10001
    volume: dict[str, Any] = {
        "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": "20Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": "",
            "persistentVolumeReclaimPolicy": "Retain", "hostPath": {"path": f"{ON_NODE}/{name}"},
        },
    }  # fmt: skip
    claim = {
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "minio"},
        "spec": {"storageClassName": "", "volumeName": name},
    }  # fmt: skip
    overlay = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization",
        "resources": [relative(folder, "k8s/overlays/local")], "patches": [{"patch": yaml.safe_dump(claim)}],
    }  # fmt: skip
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(overlay), encoding="utf-8")
    cluster.kubectl("create", "namespace", name)
    try:
        _on_node(cluster, f"mkdir /node/{name} && chmod 777 /node/{name}")
        cluster.kubectl("create", "-f", "-", manifest=volume)
        yield folder
        cluster.kubectl("delete", "persistentvolume", name, "--wait=false")
        _on_node(cluster, f"rm -r /node/{name}")
    finally:
        cluster.delete()


def _on_node(cluster: Namespace, script: str) -> None:
    container = {
        "name": "script", "image": f"{NAME}-report", "command": ["sh", "-c", script],
        "securityContext": {"runAsUser": 0}, "volumeMounts": [{"name": "node", "mountPath": "/node"}],
    }  # fmt: skip
    volumes = [{"name": "node", "hostPath": {"path": ON_NODE}}]
    pod: Manifest = {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "on-node"},
        "spec": {"restartPolicy": "Never", "containers": [container], "volumes": volumes},
    }  # fmt: skip
    cluster.kubectl("create", "-f", "-", manifest=pod)
    cluster.kubectl("wait", "pod", "on-node", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s")
    cluster.kubectl("delete", "pod", "on-node")
