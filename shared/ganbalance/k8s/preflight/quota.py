"""Check what ResourceQuotas leave for the pods: one that can never fit fails, one that has to wait is a note."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from ganbalance.errors import ConfigError
from ganbalance.k8s import capacity
from ganbalance.k8s.capacity import Amounts, quantity, shown
from ganbalance.k8s.client import Cluster
from ganbalance.k8s.manifest import DRIVER, Manifest
from ganbalance.k8s.preflight.pod_specs import Pod, PodSpecs
from ganbalance.maintenance.doctor.checks import CheckResult

JOBS = "count/jobs.batch"
PLAIN = ("cpu", "memory", "ephemeral-storage")  # a quota may name requests of these without saying so
COMPUTE = {"cpu", "memory"}
SCOPES: dict[str, Callable[[Manifest], bool]] = {
    "Terminating": lambda spec: "activeDeadlineSeconds" in spec,
    "NotTerminating": lambda spec: "activeDeadlineSeconds" not in spec,
    "BestEffort": lambda spec: not COMPUTE & capacity.requests(spec).keys(),
    "NotBestEffort": lambda spec: bool(COMPUTE & capacity.requests(spec).keys()),
}


class QuotaShortfall(NamedTuple):
    """What a quota does not leave; `permanent` where no other pod's end would help."""

    text: str
    permanent: bool
    quota: str
    setting: str | None = None  # what asks for too much; None: it is the number of Jobs


class Quotas:
    """The quotas of the namespace."""

    def __init__(self, cluster: Cluster, specs: PodSpecs) -> None:
        self._cluster, self._specs = cluster, specs

    def check(self) -> CheckResult:
        """Every pod fits, at least while no other runs."""
        quotas = self._cluster.list("ResourceQuota")
        jobs = len(self._specs.jobs) if self._specs.is_given else 0
        found = [one for quota in quotas for one in shortfalls(quota, self._specs.pods, jobs)]
        if permanent := [one for one in found if one.permanent]:
            raise ConfigError(f"{', '.join(one.text for one in permanent)}; {_fix(permanent)}")
        if found:
            return CheckResult(f"not now, so pods will wait: {', '.join(one.text for one in found)}", "note")
        names = ", ".join(quota["metadata"]["name"] for quota in quotas)
        return CheckResult(f"there is room in {names}" if names else "none in this namespace")


def shortfalls(quota: Manifest, pods: Sequence[Pod], jobs: int) -> Iterator[QuotaShortfall]:
    """Find what a quota does not leave for these pods one by one, each beside the driver's, and for so many Jobs."""
    hard, used = (_amounts(quota, part, field) for part, field in (("spec", "hard"), ("status", "used")))
    name = quota["metadata"]["name"]
    driver = next((pod for pod in pods if pod.program == DRIVER), None)
    beside = counted(driver.spec) if driver and covers(quota, driver.spec) else {}
    for pod in (pod for pod in pods if covers(quota, pod.spec)):
        need = counted(pod.spec)
        for resource in (resource for resource in hard if resource in need):
            whole = need[resource] + (beside.get(resource, 0) if pod.program != DRIVER else 0)
            who = f"a pod of {pod.program}" + (" beside the driver's" if whole > need[resource] else "")
            most, bare = hard[resource], resource.partition(".")[2] or resource
            left = most - used.get(resource, 0)
            allows = f"of {resource} quota {name} allows {shown(bare, most)}"
            if whole > most:
                yield QuotaShortfall(f"{allows}, and {who} needs {shown(bare, whole)}", True, name, pod.setting)
            elif whole > left:
                free = f"{allows} and has {shown(bare, left)} left"
                yield QuotaShortfall(f"{free}, and {who} needs {shown(bare, whole)}", False, name, pod.setting)
    if jobs > hard.get(JOBS, jobs):
        yield QuotaShortfall(f"quota {name} allows {hard[JOBS]} Jobs, and the run has {jobs}", True, name)


def _fix(found: Sequence[QuotaShortfall]) -> str:
    """Name every way out once."""
    settings = dict.fromkeys(one.setting for one in found if one.setting)
    quotas = dict.fromkeys(one.quota for one in found)
    ways = [f"ask for less in {' and '.join(settings)}"] if settings else []
    if any(one.setting is None for one in found):
        ways.append("run fewer GANs and arms at a time")
    return ", or ".join([*ways, f"raise the quota (kubectl edit quota {' '.join(quotas)})"])


def counted(spec: Manifest) -> Amounts:
    """What a quota counts of a pod, under all the names that it has for it."""
    asked, limited = capacity.requests(spec), capacity.limits(spec)
    one = quantity("1")
    return {
        "pods": one,
        "count/pods": one,
        **{name: asked[name] for name in PLAIN if name in asked},
        **{f"requests.{name}": amount for name, amount in asked.items()},
        **{f"limits.{name}": amount for name, amount in limited.items()},
    }


def covers(quota: Manifest, spec: Manifest) -> bool:
    """Whether a quota counts a pod."""
    scopes = [{"scopeName": name} for name in quota["spec"].get("scopes", ())]
    scopes += quota["spec"].get("scopeSelector", {}).get("matchExpressions", [])
    return all(_is_of(scope, spec) for scope in scopes)


def _is_of(scope: Manifest, spec: Manifest) -> bool:
    if scope["scopeName"] in SCOPES:
        return SCOPES[scope["scopeName"]](spec)
    if scope["scopeName"] != "PriorityClass":
        return False  # no pod of ours has the affinity or the volumes that the others are about
    given, values = spec.get("priorityClassName"), scope.get("values", [])
    return {
        "In": given in values,
        "NotIn": given not in values,
        "Exists": given is not None,
        "DoesNotExist": given is None,
    }[scope.get("operator", "Exists")]


def _amounts(quota: Manifest, part: str, field: str) -> Amounts:
    return {name: quantity(str(amount)) for name, amount in quota.get(part, {}).get(field, {}).items()}
