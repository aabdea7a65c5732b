"""The nodes: whether any of them could ever hold the pods, and what GPUs they have."""

from functools import cached_property

from ganbalance.errors import ConfigError
from ganbalance.k8s import capacity
from ganbalance.k8s.capacity import Misfit
from ganbalance.k8s.client import Cluster, ForbiddenError
from ganbalance.k8s.manifest import Manifest
from ganbalance.k8s.preflight.wanted import Pod, Wanted
from ganbalance.store.doctor.checks import CheckResult

NOT_ENDED = "status.phase!=Succeeded,status.phase!=Failed"


class Room:
    """The nodes and who uses them, looked up once."""

    def __init__(self, cluster: Cluster, wanted: Wanted) -> None:
        self._cluster, self._wanted = cluster, wanted

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

    def nodes(self) -> CheckResult:
        """Each kind of pod fits some node, be it not now."""
        misfits: dict[Misfit, list[Pod]] = {}
        for pod in self._wanted.pods:
            if found := capacity.misfit(pod.spec, self.all_nodes, self.users or ()):
                misfits.setdefault(found, []).append(pod)
        never = {found: pods for found, pods in misfits.items() if not found.is_passing}
        if never and not capacity.may_grow(self.all_nodes):
            raise ConfigError(f"{_told(never)}; {_mend(never)}")
        if never:
            return CheckResult(f"{_told(never)}, unless a pool grows one that can", "warn", _mend(never))
        if misfits:
            return CheckResult(f"not now: {_told(misfits)}", "warn", _mend(misfits))
        n = len(self.all_nodes)
        return CheckResult(
            f"each kind of pod fits {'the node' if n == 1 else f'one of {n} nodes'}, if nothing else runs there"
        )

    def gpus(self) -> CheckResult:
        """How many there are, and how many nobody uses."""
        named = {name for pod in self._wanted.pods for name in capacity.limits(pod.spec) if "/" in name}
        found = capacity.devices(self.all_nodes, self.users, named)
        if not found:
            return CheckResult("no node has any, so GANs train on CPUs", "note")
        nodes = [f"{one.nodes} node{'s' if one.nodes > 1 else ''}" for one in found]
        free = ["use unknown, pods cannot be listed" if one.free is None else f"{one.free} free" for one in found]
        told = zip(found, free, nodes, strict=True)
        return CheckResult(", ".join(f"{one.total} {one.resource} on {where} ({left})" for one, left, where in told))


def _told(misfits: dict[Misfit, list[Pod]]) -> str:
    return ", ".join(f"{', '.join(pod.of for pod in pods)}: {found.text}" for found, pods in misfits.items())


def _mend(misfits: dict[Misfit, list[Pod]]) -> str:
    found, pods = next(iter(misfits.items()))
    return f"{found.mend}: {pods[0].setting}" if found.mend.startswith("ask for less") else found.mend
