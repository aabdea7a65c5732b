"""Check what the names and pull policies of the pods' images lead to. No registry is asked."""

from collections.abc import Iterator

from ganbalance.k8s.client import ForbiddenError
from ganbalance.k8s.preflight.node_capacity import NodeCapacity
from ganbalance.k8s.preflight.pod_specs import PodSpecs
from ganbalance.maintenance.doctor.checks import CheckResult

HUB = "docker.io"
IMAGES_PER_NODE = 50  # images that a kubelet lists at most
QUALIFY = "name your registry (make push deploy REGISTRY=...)"


def images(specs: PodSpecs, nodes: NodeCapacity) -> CheckResult:
    """Every pod of a run gets the same program, from where it can be had."""
    named = dict.fromkeys((one["image"], one.get("imagePullPolicy")) for pod in specs.pods for one in pod.containers)
    found: dict[tuple[str, str], list[str]] = {}
    for name, policy in named:
        for warning in _warnings(name, policy, nodes):
            found.setdefault(warning, []).append(name)
    if found:
        message = "; ".join(f"{text}: {', '.join(names)}" for (text, _), names in found.items())
        return CheckResult(message, "warn", ", and ".join(dict.fromkeys(fix for _, fix in found)))
    return CheckResult(", ".join(dict.fromkeys(name for name, _ in named)))


def _warnings(name: str, policy: str | None, nodes: NodeCapacity) -> Iterator[tuple[str, str]]:
    """What may go wrong with an image, each with its fix."""
    registry, parted, _ = name.partition("/")
    is_qualified = bool(parted) and ("." in registry or ":" in registry or registry == "localhost")
    is_by_digest = "@" in name
    is_latest = not is_by_digest and name.rpartition("/")[2].partition(":")[2] in ("", "latest")
    is_always_pulled = policy == "Always" or (policy is None and is_latest)
    if is_latest:
        text = "whatever was pushed last, so pods of one run may differ"
        yield text, "name a version: newTag in the overlay, or make push deploy TAG=..."
    if is_always_pulled and not is_qualified:
        text = f"pulled from {HUB} at every start, whatever the nodes have"
        yield text, f"set imagePullPolicy: IfNotPresent in the overlay and make load, or {QUALIFY}"
    elif is_always_pulled and not is_by_digest:
        text = f"asked for at {registry} at every start, so pods wait while that is away"
        yield text, "set imagePullPolicy: IfNotPresent in the overlay"
    elif not is_qualified and _is_nowhere(name, nodes):
        yield f"on no node, so looked for at {HUB}", f"make load, or {QUALIFY}"


def _is_nowhere(image: str, nodes: NodeCapacity) -> bool:
    """Whether all nodes list their images, and this is not among them."""
    try:
        listed = [node["status"].get("images", []) for node in nodes.all_nodes]
    except ForbiddenError:
        return False
    if any(not 0 < len(one) < IMAGES_PER_NODE for one in listed):
        return False
    return _plain(image) not in {_plain(name) for one in listed for each in one for name in each.get("names") or ()}


def _plain(name: str) -> str:
    name = name.removeprefix(f"{HUB}/").removeprefix("library/")
    return name if ":" in name.rpartition("/")[2] or "@" in name else f"{name}:latest"
