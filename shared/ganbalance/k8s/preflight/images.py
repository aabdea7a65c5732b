"""Check what the names and pull policies of the pods' images lead to. No registry is asked."""

from collections.abc import Iterator
from typing import NamedTuple

from ganbalance.k8s.client import ForbiddenError
from ganbalance.k8s.manifest import Manifest
from ganbalance.k8s.preflight.node_capacity import NodeCapacity
from ganbalance.k8s.preflight.pod_specs import PodSpecs
from ganbalance.maintenance.doctor.checks import CheckResult

HUB = "docker.io"
IMAGES_PER_NODE = 50  # images that a kubelet lists at most
QUALIFY = "name your registry (make push deploy REGISTRY=...)"


class ImageWarning(NamedTuple):
    """What may go wrong with an image, and the fix."""

    text: str
    fix: str


class Image(NamedTuple):
    """An image as a pod names it."""

    name: str
    policy: str | None

    @property
    def is_by_digest(self) -> bool:
        """Then it is the same for ever."""
        return "@" in self.name

    @property
    def tag(self) -> str:
        """`latest` where none is given."""
        return self.name.partition("@")[0].rpartition("/")[2].partition(":")[2] or "latest"

    @property
    def registry(self) -> str:
        """Docker Hub where none is given."""
        first, parted, _ = self.name.partition("/")
        return first if parted and ("." in first or ":" in first or first == "localhost") else HUB

    @property
    def is_unqualified(self) -> bool:
        """Whether it names no registry."""
        return self.registry == HUB and not self.name.startswith(f"{HUB}/")

    @property
    def is_always_pulled(self) -> bool:
        """As the API server has it where nothing is said."""
        is_latest = self.tag == "latest" and not self.is_by_digest
        return (self.policy or ("Always" if is_latest else "IfNotPresent")) == "Always"


def images(specs: PodSpecs, nodes: NodeCapacity) -> CheckResult:
    """Every pod of a run gets the same program, from where it can be had."""
    named = dict.fromkeys(
        Image(one["image"], one.get("imagePullPolicy")) for pod in specs.pods for one in pod.containers
    )
    found: dict[ImageWarning, list[str]] = {}
    for image in named:
        for warning in _warnings(image, nodes):
            found.setdefault(warning, []).append(image.name)
    if found:
        message = "; ".join(f"{warning.text}: {', '.join(names)}" for warning, names in found.items())
        return CheckResult(message, "warn", ", and ".join(dict.fromkeys(warning.fix for warning in found)))
    return CheckResult(", ".join(dict.fromkeys(image.name for image in named)))


def _warnings(image: Image, nodes: NodeCapacity) -> Iterator[ImageWarning]:
    if image.tag == "latest" and not image.is_by_digest:
        text = "whatever was pushed last, so pods of one run may differ"
        yield ImageWarning(text, "name a version: newTag in the overlay, or make push deploy TAG=...")
    if image.is_always_pulled and image.is_unqualified:
        text = f"pulled from {HUB} at every start, whatever the nodes have"
        yield ImageWarning(text, f"set imagePullPolicy: IfNotPresent in the overlay and make load, or {QUALIFY}")
    elif image.is_always_pulled and not image.is_by_digest:
        text = f"asked for at {image.registry} at every start, so pods wait while that is away"
        yield ImageWarning(text, "set imagePullPolicy: IfNotPresent in the overlay")
    elif image.is_unqualified and _is_nowhere(image, nodes):
        yield ImageWarning(f"on no node, so looked for at {HUB}", f"make load, or {QUALIFY}")


def _is_nowhere(image: Image, nodes: NodeCapacity) -> bool:
    """Whether all nodes list their images, and this is not among them."""
    try:
        listed = [node["status"].get("images", []) for node in nodes.all_nodes]
    except ForbiddenError:
        return False
    if any(not 0 < len(one) < IMAGES_PER_NODE for one in listed):
        return False
    return _plain(image.name) not in {_plain(name) for one in listed for each in one for name in _names(each)}


def _names(image: Manifest) -> list[str]:
    names: list[str] = image.get("names") or []
    return names


def _plain(name: str) -> str:
    name = name.removeprefix(f"{HUB}/").removeprefix("library/")
    return name if ":" in name.rpartition("/")[2] or "@" in name else f"{name}:latest"
