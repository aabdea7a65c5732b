"""Work out what a pod needs and whether a node could ever hold it: pure functions of what the API server says.

Amounts are exact fractions of cores, bytes or pieces: ten times 100m are one core.
"""

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from ganbalance.errors import ConfigError

Object = dict[str, Any]
Amounts = dict[str, Fraction]

QUANTITY = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE][+-]?\d+)|([numkMGTPE]|[KMGTPE]i)?)")
UNITS = {
    **{unit: Fraction(1024) ** (i + 1) for i, unit in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"))},
    **{unit: Fraction(1000) ** (i - 3) for i, unit in enumerate(("n", "u", "m", "", "k", "M", "G", "T", "P", "E"))},
}
BYTES = ("memory", "ephemeral-storage", "storage", "hugepages-")
NAMED = 3  # nodes in one line
REPELLING = {"NoSchedule", "NoExecute"}
TRANSIENT = ("node.kubernetes.io/", "node.cloudprovider.kubernetes.io/")  # taints that come and go with a node's state
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


def quantity(text: str) -> Fraction:
    """The number in "500m", "8Gi", "1e3". Raises ConfigError for what is none."""
    found = QUANTITY.fullmatch(text)
    if not found:
        raise ConfigError(f"{text!r} is no amount of a resource; write it as Kubernetes does, such as 500m, 2 or 8Gi")
    number, exponent, unit = found.groups()
    return Fraction(number + (exponent or "")) * UNITS[unit or ""]


def shown(resource: str, amount: Fraction) -> str:
    """An amount to read; of bytes, whole Mi."""
    if not resource.startswith(BYTES):
        return f"{float(amount):g}"
    mebi = amount / UNITS["Mi"]
    return f"{mebi / 1024}Gi" if mebi % 1024 == 0 else f"{int(mebi)}Mi"


def requests(spec: Object) -> Amounts:
    """What a node must have for a pod; what is not requested but limited is requested in full."""
    return _total(spec, lambda granted: _amounts(granted.get("limits", {}) | granted.get("requests", {})))


def limits(spec: Object) -> Amounts:
    """What a pod may use."""
    return _total(spec, lambda granted: _amounts(granted.get("limits", {})))


def unschedulable(spec: Object, nodes: Sequence[Object], everywhere: Iterable[Object] = ()) -> Unschedulable | None:
    """Why no node can ever hold a pod, None when one can. `everywhere` are the pods that nodes always have."""
    if not nodes:
        return Unschedulable("the cluster has no nodes", "add one")
    left = list(nodes)
    for narrow in (_by_labels, _by_lasting_taints, _Amounts(len(nodes), _taken(everywhere)), _by_transient_taints):
        narrowed = narrow(spec, left)
        if isinstance(narrowed, Unschedulable):
            return narrowed
        left = narrowed
    return None


def may_grow(nodes: Iterable[Object]) -> bool:
    """Whether nodes come out of pools, so that one which is not there yet may hold what none of these does."""
    return any(POOLS & _labels(node).keys() for node in nodes)


def devices(nodes: Sequence[Object], pods: Iterable[Object] | None, named: Collection[str] = ()) -> list[Devices]:
    """The GPUs of the nodes, by resource: what is called so, a MIG slice, or is `named`."""
    used: Amounts = _merge(sum, (requests(pod["spec"]) for pod in pods or () if pod["spec"].get("nodeName")))
    have = [_amounts(node["status"]["allocatable"]) for node in nodes]
    found = []
    for resource in sorted({name for one in have for name in one if _is_device(name) or name in named}):
        counts = [int(one[resource]) for one in have if one.get(resource)]
        free = None if pods is None else sum(counts) - int(used.get(resource, 0))
        found.append(Devices(resource, sum(counts), len(counts), free))
    return [one for one in found if one.total]


# ---- what a pod needs ------------------------------------------------------------------------------------------------


def _total(spec: Object, of: Callable[[Object], Amounts]) -> Amounts:
    """All containers at once, or the neediest of those that run before them, beside the sidecars started by then."""
    sidecars: Amounts = {}
    highest: Amounts = {}
    for container in spec.get("initContainers", ()):
        with_it = _merge(sum, [sidecars, of(container.get("resources", {}))])
        highest = _merge(max, [highest, with_it])
        if container.get("restartPolicy") == "Always":
            sidecars = with_it
    running = _merge(sum, [sidecars, *(of(container.get("resources", {})) for container in spec["containers"])])
    whole = _merge(max, [running, highest]) | of(spec.get("resources", {}))  # the pod's own overrides its parts'
    return _merge(sum, [whole, _amounts(spec.get("overhead", {}))])


def _amounts(given: Object) -> Amounts:
    return {name: quantity(str(amount)) for name, amount in given.items()}


def _merge(how: Callable[[list[Fraction]], Fraction | int], parts: Iterable[Amounts]) -> Amounts:
    listed = list(parts)
    names = dict.fromkeys(name for part in listed for name in part)
    return {name: Fraction(how([part.get(name, Fraction()) for part in listed])) for name in names}


def _taken(everywhere: Iterable[Object]) -> dict[str, Amounts]:
    """What is never free of a node, by its name: what its static pods and its DaemonSets' request."""
    taken: dict[str, Amounts] = {}
    for pod in everywhere:
        name = pod["spec"].get("nodeName", "")
        if any(owner["kind"] in EVERYWHERE for owner in pod["metadata"].get("ownerReferences", ())):
            taken[name] = _merge(sum, [taken.get(name, {}), requests(pod["spec"])])
    return taken


def _is_device(name: str) -> bool:
    return "/" in name and ("gpu" in name or "/mig-" in name)


# ---- whether a node has it -------------------------------------------------------------------------------------------


def _by_labels(spec: Object, nodes: Sequence[Object]) -> list[Object] | Unschedulable:
    wanted = spec.get("nodeSelector", {})
    left = [node for node in nodes if wanted.items() <= _labels(node).items()]
    if not left:
        labels = [f"{name}={value}" for name, value in wanted.items()]
        fix = f"label a node (kubectl label node NAME {' '.join(labels)}), or change the template's nodeSelector"
        return Unschedulable(f"no node has the label{'s' if len(labels) > 1 else ''} {', '.join(labels)}", fix)
    affinity = spec.get("affinity", {}).get("nodeAffinity", {}).get("requiredDuringSchedulingIgnoredDuringExecution")
    if affinity:
        left = [node for node in left if any(_meets(term, node) for term in affinity["nodeSelectorTerms"])]
    return left or Unschedulable("no node meets the node affinity", "change the template's affinity, or label a node")


def _meets(term: Object, node: Object) -> bool:
    fields = {"metadata.name": node["metadata"]["name"]}
    wanted = [(_labels(node), one) for one in term.get("matchExpressions", ())]
    wanted += [(fields, one) for one in term.get("matchFields", ())]
    return bool(wanted) and all(_holds(given, one) for given, one in wanted)


def _holds(given: dict[str, str], expression: Object) -> bool:
    value: str | None = given.get(expression["key"])
    values: list[str] = expression.get("values", [])
    match expression["operator"]:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case order:  # Gt, Lt
            if value is None or not value.lstrip("-").isdecimal():
                return False
            return int(value) > int(values[0]) if order == "Gt" else int(value) < int(values[0])


def _by_lasting_taints(spec: Object, nodes: Sequence[Object]) -> list[Object] | Unschedulable:
    return [node for node in nodes if not _repelled(spec, node, transient=False)] or Unschedulable(
        f"the pod does not tolerate the taints of {_named(nodes)}: {_taints(spec, nodes, transient=False)}",
        "give the template a toleration for one of them (kubectl explain pod.spec.tolerations)",
    )


def _by_transient_taints(spec: Object, nodes: Sequence[Object]) -> list[Object] | Unschedulable:
    return [node for node in nodes if not _repelled(spec, node, transient=True)] or Unschedulable(
        f"{_named(nodes)} would do, but takes no pods now: {_taints(spec, nodes, transient=True)}",
        "see to that node (kubectl describe node), or let it take pods again (kubectl uncordon)",
        transient=True,
    )


def _repelled(spec: Object, node: Object, *, transient: bool) -> list[str]:
    """The taints of a node that a pod does not tolerate, those that come and go or the others."""
    taints = node["spec"].get("taints", [])
    if node["spec"].get("unschedulable") and not taints:  # the taint follows in a moment
        taints = [{"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}]
    return [
        f"{taint['key']}{'=' + taint['value'] if taint.get('value') else ''}:{taint['effect']}"
        for taint in taints
        if taint["effect"] in REPELLING and taint["key"].startswith(TRANSIENT) == transient
        and not any(_tolerates(one, taint) for one in spec.get("tolerations", ()))
    ]  # fmt: skip


def _tolerates(toleration: Object, taint: Object) -> bool:
    if toleration.get("effect") not in (None, "", taint["effect"]):
        return False
    if toleration.get("operator", "Equal") == "Exists":
        return toleration.get("key") in (None, "", taint["key"])
    return (toleration.get("key"), toleration.get("value", "")) == (taint["key"], taint.get("value", ""))


class _Amounts(NamedTuple):
    of_nodes: int  # that the cluster has
    taken: dict[str, Amounts]

    def __call__(self, spec: Object, nodes: Sequence[Object]) -> list[Object] | Unschedulable:
        left = list(nodes)
        for resource, need in requests(spec).items():
            kept = [node for node in left if self._free(node, resource) >= need]
            if not kept:
                return self._short(resource, need, left)
            left = kept
        return left

    def _short(self, resource: str, need: Fraction, nodes: Sequence[Object]) -> Unschedulable:
        richest = max(nodes, key=lambda node: self._free(node, resource))
        most = shown(resource, self._free(richest, resource))
        who = "no node" if len(nodes) == self.of_nodes else "no node that would do otherwise"
        return Unschedulable(
            f"{who} has {resource} >= {shown(resource, need)}; the most is {most} on {_named([richest])}",
            f"ask for less {resource}, or add a node that has as much",
        )

    def _free(self, node: Object, resource: str) -> Fraction:
        has = quantity(node["status"]["allocatable"].get(resource, "0"))
        return max(Fraction(), has - self.taken.get(node["metadata"]["name"], {}).get(resource, Fraction()))


def _labels(node: Object) -> dict[str, str]:
    labels: dict[str, str] = node["metadata"].get("labels", {})
    return labels


def _taints(spec: Object, nodes: Iterable[Object], *, transient: bool) -> str:
    return ", ".join(sorted({one for node in nodes for one in _repelled(spec, node, transient=transient)}))


def _named(nodes: Sequence[Object]) -> str:
    names = [str(node["metadata"]["name"]) for node in nodes]
    if len(names) == 1:
        return f"node {names[0]}"
    return f"{len(names)} nodes ({', '.join(names[:NAMED])}{', ...' if len(names) > NAMED else ''})"
