"""Work out what a pod needs and whether a node could ever hold it: pure functions of what the API server says.

The API server's dry runs know nothing of nodes, so what the scheduler would say of one for good has to be worked out
here. Amounts are whole thousandths: ten times 100m are one core.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from ganbalance.k8s.client import quantity
from ganbalance.k8s.manifest import Manifest

Amounts = Counter[str]

THOUSANDTHS = 1000
BYTES = ("memory", "ephemeral-storage", "storage", "hugepages-")
NAMED = 3  # nodes in one line
REPELLING = {"NoSchedule", "NoExecute"}
TRANSIENT = ("node.kubernetes.io/", "node.cloudprovider.kubernetes.io/")  # taints that come and go with a node's state
CORDONED = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
EVERYWHERE = {"DaemonSet", "Node"}  # owners of pods that a node always has
# labels of nodes that come out of a pool, which may grow another one
POOLS = {
    "cloud.google.com/gke-nodepool", "eks.amazonaws.com/nodegroup", "kubernetes.azure.com/agentpool",
    "karpenter.sh/nodepool",
}  # fmt: skip


class Unschedulable(NamedTuple):
    """Why no node holds a pod; `transient` where one would as soon as it is ready or uncordoned."""

    text: str
    fix: str
    transient: bool = False


class Devices(NamedTuple):
    """How many pieces of a resource the nodes have; `free` is None where nobody may see who uses them."""

    resource: str
    total: int
    nodes: int
    free: int | None


def amounts(given: Manifest) -> Amounts:
    """Read amounts as Kubernetes writes them."""
    return Counter({name: math.ceil(quantity(amount) * THOUSANDTHS) for name, amount in given.items()})


def shown(resource: str, amount: int) -> str:
    """An amount to read; of bytes, whole Mi."""
    if not resource.startswith(BYTES):
        return f"{amount / THOUSANDTHS:g}"
    mebi, rest = divmod(amount, THOUSANDTHS * 2**20)
    return f"{mebi}Mi" if rest or mebi % 1024 else f"{mebi // 1024}Gi"


def requests(spec: Manifest) -> Amounts:
    """What a node must have for a pod; what is not requested but limited is requested in full."""
    return _total(spec, "limits", "requests")


def limits(spec: Manifest) -> Amounts:
    """What a pod may use."""
    return _total(spec, "limits")


def unschedulable(
    spec: Manifest, nodes: Sequence[Manifest], everywhere: Iterable[Manifest] = ()
) -> Unschedulable | None:
    """Why no node can ever hold a pod, None when one can. `everywhere` are the pods that nodes always have."""
    selector = spec.get("nodeSelector", {})
    labelled = [node for node in nodes if selector.items() <= _labels(node).items()]
    left = [node for node in labelled if _meets_affinity(spec, node)]
    if not left:
        return _unlabelled(selector, nodes, labelled)
    if taints := _taints(spec, left, transient=False):
        return Unschedulable(
            f"the pod does not tolerate the taints of {_named(left)}: {taints}",
            "give the template a toleration for one of them (kubectl explain pod.spec.tolerations)",
        )
    left = [node for node in left if not _taints(spec, [node], transient=False)]
    taken = _taken(everywhere)
    for resource, need in requests(spec).items():
        free = [amounts(node["status"]["allocatable"])[resource] - taken[_name(node)][resource] for node in left]
        if max(free) < need:
            who = "no node" if len(left) == len(nodes) else "no node that would do otherwise"
            most, richest = shown(resource, max(0, *free)), left[free.index(max(free))]
            return Unschedulable(
                f"{who} has {resource} >= {shown(resource, need)}; the most is {most} on {_named([richest])}",
                f"ask for less {resource}, or add a node that has as much",
            )
        left = [node for node, has in zip(left, free, strict=True) if has >= need]
    if taints := _taints(spec, left, transient=True):
        return Unschedulable(
            f"{_named(left)} would do, but takes no pods now: {taints}",
            "see to that node (kubectl describe node), or let it take pods again (kubectl uncordon)",
            transient=True,
        )
    return None


def may_grow(nodes: Iterable[Manifest]) -> bool:
    """Whether nodes come out of pools, so that one which is not there yet may hold what none of these does."""
    return any(POOLS & _labels(node).keys() for node in nodes)


def devices(nodes: Sequence[Manifest], pods: Iterable[Manifest] | None, named: Collection[str] = ()) -> list[Devices]:
    """The GPUs of the nodes, by resource: what is called so, a MIG slice, or is `named`."""
    have = [amounts(node["status"]["allocatable"]) for node in nodes]
    total = sum(have, Amounts())
    used = sum((requests(pod["spec"]) for pod in pods or () if pod["spec"].get("nodeName")), Amounts())
    return [
        Devices(
            name, total[name] // THOUSANDTHS, sum(one[name] > 0 for one in have),
            None if pods is None else (total[name] - used[name]) // THOUSANDTHS,
        )
        for name in sorted(total) if name in named or ("/" in name and ("gpu" in name or "/mig-" in name))
    ]  # fmt: skip


def holds(value: str | None, expression: Manifest) -> bool:
    """Whether a value, None for one that is not given, meets an expression of a selector."""
    operator, values = expression.get("operator", "Exists"), expression.get("values", [])
    if operator in ("Gt", "Lt"):
        if value is None or not value.lstrip("-").isdecimal():
            return False
        return int(value) > int(values[0]) if operator == "Gt" else int(value) < int(values[0])
    given = {"In": value in values, "NotIn": value not in values, "Exists": value is not None}
    return given.get(operator, value is None)


def _unlabelled(selector: dict[str, str], nodes: Sequence[Manifest], labelled: Sequence[Manifest]) -> Unschedulable:
    """Why no node is where a pod has to be; `labelled` are those that its selector leads to."""
    if not nodes:
        return Unschedulable("the cluster has no nodes", "add one")
    if labelled:
        return Unschedulable("no node meets the node affinity", "change the template's affinity, or label a node")
    labels = [f"{name}={value}" for name, value in selector.items()]
    return Unschedulable(
        f"no node has the label{'s' * (len(labels) > 1)} {', '.join(labels)}",
        f"label a node (kubectl label node NAME {' '.join(labels)}), or change the template's nodeSelector",
    )


def _total(spec: Manifest, *of: str) -> Amounts:
    """All containers at once, or the neediest of those that run before them, beside the sidecars started by then."""

    def granted(part: Manifest) -> Amounts:
        return amounts({name: amount for one in of for name, amount in part.get("resources", {}).get(one, {}).items()})

    started, most = Amounts(), Amounts()
    for container in spec.get("initContainers", ()):
        most |= started + granted(container)
        if container.get("restartPolicy") == "Always":
            started += granted(container)
    most |= sum(map(granted, spec["containers"]), started)
    return Counter(dict(most) | dict(granted(spec))) + amounts(spec.get("overhead", {}))  # its own overrides its parts'


def _taken(everywhere: Iterable[Manifest]) -> dict[str, Amounts]:
    """What is never free of a node, by its name: what its static pods and its DaemonSets' request."""
    taken: dict[str, Amounts] = defaultdict(Counter)
    for pod in everywhere:
        if any(owner["kind"] in EVERYWHERE for owner in pod["metadata"].get("ownerReferences", ())):
            taken[pod["spec"].get("nodeName", "")] += requests(pod["spec"])
    return taken


def _meets_affinity(spec: Manifest, node: Manifest) -> bool:
    affinity = spec.get("affinity", {}).get("nodeAffinity", {}).get("requiredDuringSchedulingIgnoredDuringExecution")
    given = _labels(node) | {"metadata.name": _name(node)}
    terms = [
        [*term.get("matchExpressions", ()), *term.get("matchFields", ())]
        for term in (affinity or {}).get("nodeSelectorTerms", ())
    ]
    return affinity is None or any(term and all(holds(given.get(one["key"]), one) for one in term) for term in terms)


def _taints(spec: Manifest, nodes: Iterable[Manifest], *, transient: bool) -> str:
    """The taints by which all of these nodes repel a pod, those that come and go or the others; else nothing."""
    found: set[str] = set()
    for node in nodes:
        given = [*node["spec"].get("taints", ()), *([CORDONED] if node["spec"].get("unschedulable") else ())]
        repelling = {
            f"{taint['key']}{'=' + taint['value'] if taint.get('value') else ''}:{taint['effect']}"
            for taint in given
            if taint["effect"] in REPELLING and taint["key"].startswith(TRANSIENT) == transient
            and not any(_tolerates(one, taint) for one in spec.get("tolerations", ()))
        }  # fmt: skip
        if not repelling:
            return ""
        found |= repelling
    return ", ".join(sorted(found))


def _tolerates(toleration: Manifest, taint: Manifest) -> bool:
    if toleration.get("effect") not in (None, "", taint["effect"]):
        return False
    if toleration.get("operator", "Equal") == "Exists":
        return toleration.get("key") in (None, "", taint["key"])
    return (toleration.get("key"), toleration.get("value", "")) == (taint["key"], taint.get("value", ""))


def _labels(node: Manifest) -> dict[str, str]:
    labels: dict[str, str] = node["metadata"].get("labels", {})
    return labels


def _name(node: Manifest) -> str:
    return str(node["metadata"]["name"])


def _named(nodes: Sequence[Manifest]) -> str:
    if len(nodes) == 1:
        return f"node {_name(nodes[0])}"
    return f"{len(nodes)} nodes ({', '.join(map(_name, nodes[:NAMED]))}{', ...' if len(nodes) > NAMED else ''})"
