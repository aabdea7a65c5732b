"""Check whether any node could ever hold the pods, and count the GPUs."""

from functools import cached_property

from ganbalance.errors import ConfigError
from ganbalance.k8s import capacity
from ganbalance.k8s.capacity import Unschedulable
from ganbalance.k8s.client import Cluster, ForbiddenError
from ganbalance.k8s.manifest import Manifest
from ganbalance.k8s.preflight.pod_specs import Pod, PodSpecs
from ganbalance.maintenance.doctor.checks import CheckResult
from ganbalance.plurals import plural

NOT_ENDED = "status.phase!=Succeeded,status.phase!=Failed"


class NodeCapacity:
    """The nodes and who uses them, looked up once."""

    def __init__(self, cluster: Cluster, specs: PodSpecs) -> None:
        self._cluster, self._specs = cluster, specs

    @cached_property
    def all_nodes(self) -> list[Manifest]:
        """Every node. Raises ForbiddenError to those who may not list them."""
        return self._cluster.list("Node")

    @cached_property
    def users(self) -> list[Manifest] | None:
        """The pods of all namespaces that have not ended; None to those who may not list them."""
        try:
            return self._cluster.list("Pod", fields=NOT_ENDED, everywhere=True)
        except ForbiddenError:
            return None

    def fit(self) -> CheckResult:
        """Each kind of pod fits some node, be it not now."""
        rejected: dict[Unschedulable, list[Pod]] = {}
        for pod in self._specs.pods:
            if found := capacity.unschedulable(pod.spec, self.all_nodes, self.users or ()):
                rejected.setdefault(found, []).append(pod)
        never = {found: pods for found, pods in rejected.items() if not found.transient}
        if never and not capacity.may_grow(self.all_nodes):
            raise ConfigError(f"{_reasons(never)}; {_fix(never)}")
        if never:
            return CheckResult(f"{_reasons(never)}, unless a pool grows one that can", "warn", _fix(never))
        if rejected:
            return CheckResult(f"not now: {_reasons(rejected)}", "warn", _fix(rejected))
        n = len(self.all_nodes)
        where = "the node" if n == 1 else f"one of {n} nodes"
        return CheckResult(f"each kind of pod fits {where}, if nothing else runs there")

    def gpus(self) -> CheckResult:
        """How many there are, and how many nobody uses."""
        named = {name for pod in self._specs.pods for name in capacity.limits(pod.spec) if "/" in name}
        found = [
            f"{one.total} {one.resource} on {plural(one.nodes, 'node')} "
            f"({'use unknown, pods cannot be listed' if one.free is None else f'{one.free} free'})"
            for one in capacity.devices(self.all_nodes, self.users, named)
        ]
        return CheckResult(", ".join(found)) if found else CheckResult("no node has any, so GANs train on CPUs", "note")


def _reasons(rejected: dict[Unschedulable, list[Pod]]) -> str:
    return ", ".join(f"{', '.join(pod.program for pod in pods)}: {found.text}" for found, pods in rejected.items())


def _fix(rejected: dict[Unschedulable, list[Pod]]) -> str:
    found, pods = next(iter(rejected.items()))
    return f"{found.fix}: {pods[0].setting}" if found.fix.startswith("ask for less") else found.fix
