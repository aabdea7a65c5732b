"""Check that the pods fit the ResourceQuotas while nothing else runs, each beside the driver's.

The API server's dry run (`admission.pods`) is about this moment and about one pod: it tells neither what can never fit
from what has to wait, nor what does not fit beside the driver.
"""

from collections.abc import Callable, Iterator, Sequence

from ganbalance.errors import ConfigError
from ganbalance.k8s.capacity import THOUSANDTHS, Amounts, amounts, holds, limits, requests, shown
from ganbalance.k8s.client import Cluster
from ganbalance.k8s.manifest import DRIVER, Manifest
from ganbalance.k8s.preflight.pod_specs import Pod, PodSpecs
from ganbalance.maintenance.doctor.checks import CheckResult

JOBS = "count/jobs.batch"
PLAIN = ("cpu", "memory", "ephemeral-storage")  # a quota may name requests of these without saying so
SCOPES: dict[str, Callable[[Manifest, Manifest], bool]] = {
    "Terminating": lambda spec, scope: "activeDeadlineSeconds" in spec,
    "NotTerminating": lambda spec, scope: "activeDeadlineSeconds" not in spec,
    "BestEffort": lambda spec, scope: not {"cpu", "memory"} & requests(spec).keys(),
    "NotBestEffort": lambda spec, scope: bool({"cpu", "memory"} & requests(spec).keys()),
    "PriorityClass": lambda spec, scope: holds(spec.get("priorityClassName"), scope),
}  # no pod of ours has the affinity or the volumes that the others are about


def quotas(cluster: Cluster, specs: PodSpecs) -> CheckResult:
    """Every pod fits the quotas of the namespace."""
    listed = {quota["metadata"]["name"]: quota for quota in cluster.list("ResourceQuota")}
    found = {name: list(shortfalls(quota, specs.pods, len(specs.given))) for name, quota in listed.items()}
    if short := [one for of_quota in found.values() for one in of_quota]:
        ways = dict.fromkeys(way for _, way in short)
        raising = f"raise the quota (kubectl edit quota {' '.join(name for name in found if found[name])})"
        raise ConfigError(f"{', '.join(text for text, _ in short)}; {', or '.join([*ways, raising])}")
    room = f"there is room in {', '.join(listed)}, if nothing else runs"
    return CheckResult(room if listed else "none in this namespace")


def shortfalls(quota: Manifest, pods: Sequence[Pod], jobs: int) -> Iterator[tuple[str, str]]:
    """Find what a quota does not allow these pods one by one, each beside the driver's, and so many Jobs.

    Yields what is short, and a way out other than to raise the quota.
    """
    hard, name = amounts(quota["spec"].get("hard", {})), quota["metadata"]["name"]
    counted = [(pod, _counted(pod.spec)) for pod in pods if _covers(quota, pod.spec)]
    driver = next((need for pod, need in counted if pod.program == DRIVER), Amounts())
    for pod, need in counted:
        beside = Amounts() if pod.program == DRIVER else driver
        for resource, most in hard.items():
            whole, bare = need[resource] + beside[resource], resource.partition(".")[2] or resource
            if resource in need and whole > most:
                who = f"a pod of {pod.program}" + (" beside the driver's" if beside[resource] else "")
                text = f"of {resource} quota {name} allows {shown(bare, most)}, and {who} needs {shown(bare, whole)}"
                yield text, f"ask for less in {pod.setting}"
    if JOBS in hard and jobs * THOUSANDTHS > hard[JOBS]:
        text = f"quota {name} allows {shown(JOBS, hard[JOBS])} Jobs, and the run has {jobs}"
        yield text, "run fewer GANs and arms at a time"


def _counted(spec: Manifest) -> Amounts:
    """What a quota counts of a pod, under all the names that it has for it."""
    asked = requests(spec)
    return Amounts({
        **dict.fromkeys(("pods", "count/pods"), THOUSANDTHS),
        **{name: asked[name] for name in PLAIN if name in asked},
        **{f"requests.{name}": amount for name, amount in asked.items()},
        **{f"limits.{name}": amount for name, amount in limits(spec).items()},
    })  # fmt: skip


def _covers(quota: Manifest, spec: Manifest) -> bool:
    """Whether a quota counts a pod."""
    scopes = [{"scopeName": name} for name in quota["spec"].get("scopes", ())]
    scopes += quota["spec"].get("scopeSelector", {}).get("matchExpressions", [])
    return all(one["scopeName"] in SCOPES and SCOPES[one["scopeName"]](spec, one) for one in scopes)
