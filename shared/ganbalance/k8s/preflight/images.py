"""The images of the pods: what their names and pull policies lead to. No registry is asked."""

from collections.abc import Iterator
from typing import NamedTuple

from ganbalance.k8s.client import ForbiddenError
from ganbalance.k8s.manifest import Manifest
from ganbalance.k8s.preflight.room import Room
from ganbalance.k8s.preflight.wanted import Wanted
from ganbalance.store.doctor.checks import CheckResult

HUB = "docker.io"
TOLD_BY_A_NODE = 50  # images that a kubelet lists at most
QUALIFY = "name your registry (make push deploy REGISTRY=...)"


class Oddity(NamedTuple):
    """What is odd about an image."""

    text: str
    mend: str


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


def images(wanted: Wanted, room: Room) -> CheckResult:
    """Every pod of a run gets the same program, from where it can be had."""
    named = dict.fromkeys(
        Image(one["image"], one.get("imagePullPolicy")) for pod in wanted.pods for one in pod.containers
    )
    odd: dict[Oddity, list[str]] = {}
    for image in named:
        for oddity in _oddities(image, room):
            odd.setdefault(oddity, []).append(image.name)
    if odd:
        told = "; ".join(f"{oddity.text}: {', '.join(names)}" for oddity, names in odd.items())
        return CheckResult(told, "warn", ", and ".join(dict.fromkeys(oddity.mend for oddity in odd)))
    return CheckResult(", ".join(dict.fromkeys(image.name for image in named)))


def _oddities(image: Image, room: Room) -> Iterator[Oddity]:
    if image.tag == "latest" and not image.is_by_digest:
        text = "whatever was pushed last, so pods of one run may differ"
        yield Oddity(text, "name a version: newTag in the overlay, or make push deploy TAG=...")
    if image.is_always_pulled and image.is_unqualified:
        text = f"pulled from {HUB} at every start, whatever the nodes have"
        yield Oddity(text, f"set imagePullPolicy: IfNotPresent in the overlay and make load, or {QUALIFY}")
    elif image.is_always_pulled and not image.is_by_digest:
        text = f"asked for at {image.registry} at every start, so pods wait while that is away"
        yield Oddity(text, "set imagePullPolicy: IfNotPresent in the overlay")
    elif image.is_unqualified and _is_nowhere(image, room):
        yield Oddity(f"on no node, so looked for at {HUB}", f"make load, or {QUALIFY}")


def _is_nowhere(image: Image, room: Room) -> bool:
    """Whether all nodes tell what they have, and this is not among it."""
    try:
        nodes = room.all_nodes
    except ForbiddenError:
        return False
    told = [node["status"].get("images", []) for node in nodes]
    if any(not 0 < len(one) < TOLD_BY_A_NODE for one in told):
        return False
    return _plain(image.name) not in {_plain(name) for one in told for each in one for name in _names(each)}


def _names(image: Manifest) -> list[str]:
    names: list[str] = image.get("names") or []
    return names


def _plain(name: str) -> str:
    name = name.removeprefix(f"{HUB}/").removeprefix("library/")
    return name if ":" in name.rpartition("/")[2] or "@" in name else f"{name}:latest"
