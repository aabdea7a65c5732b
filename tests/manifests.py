"""What k8s/ renders to, as dicts, and the rules for pods that tests hold it to, with and without a cluster."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

Manifest = dict[str, Any]

K8S = Path("k8s").resolve()
OVERLAYS = sorted(path.name for path in (K8S / "overlays").iterdir())
COMPONENTS = sorted(path.name for path in (K8S / "components").iterdir())

TORCH = ("imbalance", "train-gan", "synthesize", "train-classifier")
GPU = ("train-gan", "synthesize", "train-classifier")
STAGES = (*TORCH, "report")
TEMPLATES = (*STAGES, "driver")


def kubectl() -> str:
    """The environment's own kubectl, else the one on PATH; the former renders alike everywhere."""
    found = shutil.which("kubectl", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert found, "there is no kubectl; `make venv` installs one"
    return found


def render(folder: Path) -> list[Manifest]:
    """What `kubectl kustomize` makes of a folder."""
    done = subprocess.run([kubectl(), "kustomize", str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def render_on_top(folder: Path, **settings: Any) -> list[Manifest]:
    """Write a kustomization into a new folder and render it; paths of its own start with `k8s/`."""
    folder.mkdir(parents=True, exist_ok=True)
    kustomization = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", **settings}
    for key in ("resources", "components"):
        kustomization[key] = [relative(folder, path) for path in settings.get(key, [])]
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    return render(folder)


def relative(folder: Path, path: str) -> str:
    """A path in the repository as kustomize wants it: from the folder that names it."""
    return os.path.relpath(K8S.parent / path, folder.resolve())


def of_kind(objects: list[Manifest], kind: str) -> dict[str, Manifest]:
    return {one["metadata"]["name"]: one for one in objects if one["kind"] == kind}


def templates(objects: list[Manifest]) -> dict[str, Manifest]:
    return of_kind(objects, "PodTemplate")


def pod_templates(objects: list[Manifest]) -> Iterator[tuple[str, Manifest]]:
    """Everything that becomes a pod: where it stands, and its metadata and spec."""
    for one in objects:
        where = f"{one['kind']} {one['metadata']['name']}"
        if one["kind"] == "PodTemplate":
            yield where, one["template"]
        elif "template" in one.get("spec", {}):
            yield where, one["spec"]["template"]


def program(template: Manifest) -> Manifest:
    """The one container of a PodTemplate object."""
    (container,) = template["template"]["spec"]["containers"]
    assert container["name"] == "program"
    found: Manifest = container
    return found


def not_restricted(spec: Manifest) -> list[str]:
    """What the `restricted` level of Pod Security would refuse in a pod; and a writable root, which it takes."""
    of_pod = spec.get("securityContext", {})
    wrong = [f"spec.{name}" for name in ("hostNetwork", "hostPID", "hostIPC") if spec.get(name)]
    allowed = {"name", "configMap", "downwardAPI", "emptyDir", "persistentVolumeClaim", "projected", "secret"}
    wrong += [f"volume {one['name']}" for one in spec.get("volumes", []) if not set(one) <= allowed]
    for container in [*spec["containers"], *spec.get("initContainers", [])]:
        name, own = container["name"], container.get("securityContext", {})
        both = of_pod | own
        rules = {
            "runAsNonRoot": both.get("runAsNonRoot") is True,
            "runAsUser": both.get("runAsUser", 0) != 0,
            "seccompProfile": both.get("seccompProfile", {}).get("type") in {"RuntimeDefault", "Localhost"},
            "privileged": not own.get("privileged"),
            "allowPrivilegeEscalation": own.get("allowPrivilegeEscalation") is False,
            "capabilities": own.get("capabilities") == {"drop": ["ALL"]},
            "readOnlyRootFilesystem": own.get("readOnlyRootFilesystem") is True,
            "hostPort": not [port for port in container.get("ports", []) if "hostPort" in port],
        }
        wrong += [f"{name}: {rule}" for rule, kept in rules.items() if not kept]
    return wrong


def amount(quantity: str | int) -> float:
    """A quantity as Kubernetes writes it, in cores or bytes."""
    units = {"m": 1e-3, "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30}
    text = str(quantity)
    unit = next((unit for unit in units if text.endswith(unit)), "")
    return float(text.removesuffix(unit)) * units.get(unit, 1.0)
