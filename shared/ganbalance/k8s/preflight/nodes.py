"""Check how large the nodes are for the pods, their GPUs, and what the names and pull policies of images lead to.

Only what no node has at all is known before a run. Where a pod may go, and when, is the scheduler's to say, whether an
image is there the kubelet's; `status` shows what they say.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from decimal import Decimal

from ganbalance.errors import ConfigError
from ganbalance.k8s.client import Cluster, quantity
from ganbalance.k8s.manifest import Manifest
from ganbalance.k8s.preflight.objects import Pod, PodSpecs
from ganbalance.maintenance.doctor.checks import CheckResult
from ganbalance.plurals import plural

MEBI = 2**20
IF_NOT_PRESENT = "set imagePullPolicy: IfNotPresent in the overlay"
# labels of nodes that come out of a pool, which may grow another one
POOLS = {
    "cloud.google.com/gke-nodepool", "eks.amazonaws.com/nodegroup", "kubernetes.azure.com/agentpool",
    "karpenter.sh/nodepool",
}  # fmt: skip


def fit(cluster: Cluster, specs: PodSpecs) -> CheckResult:
    """Each kind of pod fits some node on which nothing else runs."""
    nodes = cluster.list("Node")
    if not nodes:
        raise ConfigError("the cluster has no nodes; add one")
    short: dict[str, list[Pod]] = {}
    for pod in specs.pods:
        if text := shortage(pod.template["spec"], nodes):
            short.setdefault(text, []).append(pod)
    if short:
        reasons = ", ".join(f"{', '.join(pod.program for pod in pods)}: {text}" for text, pods in short.items())
        fix = f"ask for less in {next(iter(short.values()))[0].setting}, or add a node that has as much"
        if may_grow(nodes):
            return CheckResult(f"{reasons}, unless a pool grows one that has", "warn", fix)
        raise ConfigError(f"{reasons}; {fix}")
    where = "the node" if len(nodes) == 1 else f"one of {len(nodes)} nodes"
    return CheckResult(f"each kind of pod fits {where}, if nothing else runs there")


def shortage(spec: Manifest, nodes: Sequence[Manifest]) -> str:
    """What no node has enough of for a pod, and the most that one has; empty when there is a node that has all."""
    left = nodes
    for resource, need in requests(spec).items():
        most, name = max((_allocatable(node, resource), node["metadata"]["name"]) for node in left)
        if most < need:
            who = "no node" if len(left) == len(nodes) else "no node that would do otherwise"
            return f"{who} has {resource} >= {_shown(need)}; the most is {_shown(most)} on node {name}"
        left = [node for node in left if _allocatable(node, resource) >= need]
    return ""


def requests(spec: Manifest) -> dict[str, Decimal]:
    """What a pod's containers need while they run; what is limited and not requested is requested in full."""
    total: dict[str, Decimal] = defaultdict(Decimal)
    for container in spec["containers"]:
        given = container.get("resources", {})
        for name, amount in (given.get("limits", {}) | given.get("requests", {})).items():
            total[name] += quantity(amount)
    return total


def may_grow(nodes: Sequence[Manifest]) -> bool:
    """Whether nodes come out of pools, so that one which is not there yet may hold what none of these does."""
    return any(POOLS & node["metadata"].get("labels", {}).keys() for node in nodes)


def gpus(cluster: Cluster) -> CheckResult:
    """How many there are, whoever uses them."""
    total: Counter[str] = Counter()
    having: Counter[str] = Counter()
    for node in cluster.list("Node"):
        for name, amount in node["status"]["allocatable"].items():
            if "/" in name and ("gpu" in name or "/mig-" in name) and (n := int(quantity(amount))):
                total[name] += n
                having[name] += 1
    found = [f"{n} {name} on {plural(having[name], 'node')}" for name, n in sorted(total.items())]
    return CheckResult(", ".join(found)) if found else CheckResult("no node has any, so GANs train on CPUs", "note")


def images(specs: PodSpecs) -> CheckResult:
    """Every pod of a run gets the same program, from where it can be had."""
    named = dict.fromkeys((one["image"], one.get("imagePullPolicy")) for pod in specs.pods for one in pod.containers)
    found: dict[tuple[str, str], list[str]] = {}
    for name, policy in named:
        for warning in _warnings(name, policy):
            found.setdefault(warning, []).append(name)
    if found:
        message = "; ".join(f"{text}: {', '.join(names)}" for (text, _), names in found.items())
        return CheckResult(message, "warn", ", and ".join(dict.fromkeys(fix for _, fix in found)))
    return CheckResult(", ".join(dict.fromkeys(name for name, _ in named)))


def _warnings(name: str, policy: str | None) -> Iterator[tuple[str, str]]:
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
        text = "pulled from docker.io at every start, whatever the nodes have"
        yield text, f"{IF_NOT_PRESENT} and make load, or name your registry (make push deploy REGISTRY=...)"
    elif is_always_pulled and not is_by_digest:
        text = f"asked for at {registry} at every start, so pods wait while that is away"
        yield text, IF_NOT_PRESENT


def _allocatable(node: Manifest, resource: str) -> Decimal:
    return quantity(node["status"]["allocatable"].get(resource, "0"))


def _shown(amount: Decimal) -> str:
    """An amount to read: bytes, which alone are so many, in whole Mi, so that too little never looks like enough."""
    return f"{amount // MEBI}Mi" if amount >= MEBI else f"{float(amount):g}"
