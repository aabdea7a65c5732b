"""Say in one line why something does not run, or how it ended, and the fix: pure functions of what the API server says.

For a pod that has not started, the first that there is: its scheduling, its container's waiting, a Warning event.
For a pod that ended: memory, the node, the program's termination message, its exit code.
Kubernetes says what is wrong and not what to change here: that is `FIXES`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ganbalance.called import typed
from ganbalance.config import PodResources
from ganbalance.errors import EXIT_DISK, ConfigError, DataError, Stopped, UnavailableError
from ganbalance.k8s.manifest import CAUSE, CONTAINER, DRIVER, GROUP, PROGRAMS, Manifest, container_of, stage_of
from ganbalance.pipeline import stages

DEPLOY = "apply the manifests (make deploy), or name another --namespace"
MAKE_SECRET = "make it (k8s/README.md), or let make deploy do so"  # noqa: S105 - no password
APPLY = "or a patch in your overlay) and apply it again (make deploy)"
TEMPLATE = f"in the pod template (k8s/base, {APPLY}"
IMAGE = "name another in the overlay, or by IMAGE, TAG and REGISTRY of make deploy"
LOADED = "copy it into the nodes (make load, imagePullPolicy: IfNotPresent)"
REACHABLE = f"{LOADED}, or push it where they reach it (make push deploy REGISTRY=...)"
RANGE = "set {setting} within the namespace's LimitRange (kubectl describe limitrange)"
# part of Kubernetes' message -> the fix; the first that occurs
FIXES = {
    "InvalidImageName": IMAGE,
    "ErrImageNeverPull": "copy it into the nodes (make load), or set imagePullPolicy: IfNotPresent in the overlay",
    "ImagePullBackOff": REACHABLE,
    "ErrImagePull": REACHABLE,
    "CreateContainerConfigError": "make what is missing (make deploy; the Secret: k8s/README.md)",
    "count/jobs.batch": "remove the Jobs of runs that are over ({cancel}, which keeps what is committed), or raise the "
    "quota (kubectl describe quota)",
    "exceeded quota": "ask for less in {setting}, delete what is finished ({clean}), "
    "or raise the quota (kubectl describe quota)",
    "violates PodSecurity": f"set what it names {TEMPLATE}",
    "failed quota": f"a quota of the namespace wants them of every container, so set them {TEMPLATE}",
    " usage per ": RANGE,
    "limit to request ratio": RANGE,
    "PriorityClass": f"name one that exists (kubectl get priorityclass) {TEMPLATE}",
    "denied the request": "ask whoever runs the cluster what this webhook wants",
    "serviceaccount": "apply the manifests (make deploy)",
    "Insufficient": "ask for less in {setting}, or add a node, unless others end soon",
    "untolerated taint": "give the pod template a toleration for it (kubectl explain pod.spec.tolerations)",
    "node affinity/selector": "label a node (kubectl label node), or change the template's nodeSelector or affinity",
    "no nodes available": "add a node",
    "being terminated": "wait for the namespace's end and apply the manifests (make deploy)",
    "were unschedulable": "let a node take pods again (kubectl uncordon)",
}
PULL_GRACE_S = 120.0  # a registry may come back
# reasons of a waiting container -> how long to wait; nothing is to be waited for where it does not go away by itself
GRACE_S = {
    "InvalidImageName": 0.0, "CreateContainerConfigError": 0.0, "CreateContainerError": 0.0, "ErrImageNeverPull": 0.0,
    "ErrImagePull": PULL_GRACE_S, "ImagePullBackOff": PULL_GRACE_S, "RegistryUnavailable": PULL_GRACE_S,
}  # fmt: skip
PERMANENT = ("violates PodSecurity", "serviceaccount", "is invalid")  # in an event about a pod not made
MEANING = {
    DataError.exit_code: "bad or corrupt data",
    UnavailableError.exit_code: "the store or the node went away",
    ConfigError.exit_code: "bad configuration",
    Stopped.exit_code: "stopped by SIGTERM",
    EXIT_DISK: "the disk is full",
    1: "a bug",
    137: "killed",
}


def fix_for(message: str, setting: str = "resources.pods of the experiment") -> str:
    """Say what to do about a message of Kubernetes; empty where nobody knows. `setting` is where resources are set."""
    fix = next((fix for part, fix in FIXES.items() if part in message), "")
    commands = {name: typed(f"{name} --run RUN --namespace NAMESPACE") for name in ("cancel", "clean")}
    return fix.format(setting=setting, **commands)


def advised(cause: str) -> str:
    """Join a cause and its fix in one line. What a program said of itself is left as it is."""
    fix = "" if cause.startswith("exit ") else fix_for(cause)
    return f"{cause}; {fix}" if fix else cause


@dataclass(frozen=True)
class Diagnosis:
    """Why a pod waits. `grace_s` is how long to wait from the pod's creation on; None: as long as for any pod."""

    cause: str
    grace_s: float | None = None


def waiting(pod: Manifest, events: Iterable[Manifest] = ()) -> Diagnosis | None:
    """Say what a pod that has not started waits for; None when nothing stands in its way."""
    for condition in pod.get("status", {}).get("conditions", ()):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            # after its first sentence the scheduler speaks of preemption, whether or not that was asked for
            message = _line(condition.get("message")).partition(". ")[0].rstrip(".")
            return Diagnosis(f"{condition.get('reason', 'Unschedulable')}: {message}")
    for container in _containers(pod):
        if found := container.get("state", {}).get("waiting"):
            reason, message = found.get("reason", ""), _line(found.get("message"))
            if reason in GRACE_S:
                return Diagnosis(f"{reason}: {message}" if message else reason, GRACE_S[reason])
    if warned := _warnings(pod, events):  # nothing else reports a volume that cannot be mounted
        return Diagnosis(f"{warned[-1].get('reason', '')}: {_line(warned[-1].get('message'))}")
    return None


def node_away(pod: Manifest) -> str:
    """Say that the node of a pod does not answer; empty while it does. Nobody needs to read nodes to know.

    The control plane then takes the pod's readiness back; what the kubelet said of its containers stays as it was.
    """
    status = pod.get("status", {})
    is_taken_back = any(one["type"] == "Ready" and one["status"] == "False" for one in status.get("conditions", ()))
    was_ready = [one.get("ready") for one in status.get("containerStatuses", ())]
    if phase(pod) == "Unknown" or (phase(pod) == "Running" and is_taken_back and was_ready and all(was_ready)):
        node = pod["spec"].get("nodeName")
        return f"its node {node} is NotReady; see why (kubectl describe node {node})"
    return ""


def not_ready(pod: Manifest, events: Iterable[Manifest] = ()) -> str:
    """Say why a pod that serves others does not; empty when nothing stands in its way."""
    name = f"pod {pod['metadata']['name']}"
    if away := node_away(pod):
        return f"{name}: {away}"
    if any(one["type"] == "Ready" and one["status"] == "True" for one in pod.get("status", {}).get("conditions", ())):
        return ""
    reasons = [one.get("state", {}).get("waiting", {}).get("reason") for one in _containers(pod)]
    found = waiting(pod, events)
    why = found.cause if found else next(filter(None, reasons), "its container is not ready")
    return f"{name} is {phase(pod)}: {advised(why)}"


def unmade(job: Manifest, events: Iterable[Manifest]) -> Diagnosis | None:
    """Say why a Job's pods are not even made: a quota, Pod Security, a missing service account."""
    warned = [event for event in _warnings(job, events) if event.get("reason") == "FailedCreate"]
    if not warned:
        return None
    message = _line(warned[-1].get("message"))
    return Diagnosis(f"FailedCreate: {message}", 0.0 if any(part in message for part in PERMANENT) else None)


def end(pod: Manifest) -> str:
    """Say how a pod failed, and the limit that was too small when it was one."""
    status, found = pod.get("status", {}), _terminated(pod)
    name = pod["metadata"].get("labels", {}).get(GROUP, "the driver")
    if found and found.get("reason") == "OOMKilled":
        limit = container_of(pod).get("resources", {}).get("limits", {}).get("memory", "none")
        return f"OOMKilled: {name} needs more than its memory limit of {limit}; {_raise(pod, 'memory')}"
    disrupted = [one for one in status.get("conditions", ()) if one["type"] == "DisruptionTarget"]
    if disrupted and disrupted[0].get("status") == "True":
        return f"{disrupted[0].get('reason', 'Disrupted')}: {_line(disrupted[0].get('message'))}"
    if status.get("reason"):  # Evicted, DeadlineExceeded, NodeLost
        return _ended_by_node(pod, name, status["reason"], _line(status.get("message")))
    if not found:
        return "ended without a message"
    code, message = found.get("exitCode", 0), _termination_message(found.get("message"))
    ended = f"exit {code} ({MEANING[code]})" if code in MEANING else f"exit {code}"
    return f"{ended}: {message or _line(found.get('reason'))}"


def _ended_by_node(pod: Manifest, name: str, reason: str, said: str) -> str:
    """Say why its node ended a pod, and the setting where that is a limit of the pod's own."""
    limit_s = pod["spec"].get("activeDeadlineSeconds")
    if reason == "DeadlineExceeded" and limit_s:
        return f"{reason}: {name} was not done within {limit_s:,} s; {_raise(pod, 'activeDeadlineSeconds')}"
    if "EmptyDir volume" in said:
        return f"{reason}: {said.rstrip('.')}; raise its sizeLimit {TEMPLATE}"
    if "ephemeral" in said and "limit" in said:  # of all containers, or of one
        return f"{reason}: {said.rstrip('.')}; {_raise(pod, 'ephemeral_storage')}"
    return f"{reason}: {said}"


def _raise(pod: Manifest, limit: str) -> str:
    """Say where to raise a limit: where a user asks for what a stage gets, or else in the template."""
    stage = stage_of(pod, default=DRIVER)
    if limit in PodResources.model_fields and stage != DRIVER:
        return f"raise resources.pods.{stage}.{limit}"
    program = stages.ALL[stage].program if stage in stages.ALL else DRIVER
    written = limit.replace("_", "-")
    return f"raise {written} in the PodTemplate {program} (k8s/base/templates/{program}.yaml, {APPLY}"


def last_end(pods: Iterable[Manifest]) -> str:
    """Say how the last of these pods that failed did so; empty when none did."""
    failed = [pod for pod in pods if phase(pod) == "Failed"]
    return end(max(failed, key=_created)) if failed else ""


def exit_code(pod: Manifest) -> int | None:
    """Read what a pod's program ended with; None where nobody knows."""
    return (_terminated(pod) or {}).get("exitCode")


def away_since(pods: Sequence[Manifest]) -> datetime | None:
    """Find since when nothing but exit 75 has ended these pods, the last of them included; None where it has not."""
    since = None
    for pod in sorted(pods, key=_created, reverse=True):
        if phase(pod) != "Failed" or exit_code(pod) != UnavailableError.exit_code:
            break
        since = ended(pod)
    return since


def end_for_all(job: Manifest, pods: Iterable[Manifest]) -> str:
    """Say how the pod ended that ended all of its Job by that; empty when none did."""
    condition = terminal(job)
    if condition is None or condition.get("reason") != "PodFailurePolicy":
        return ""
    return last_end(pod for pod in pods if exit_code(pod) == ConfigError.exit_code)


def cause(job: Manifest, pods: Sequence[Manifest], events: Sequence[Manifest]) -> str:
    """Say in one line why a Job, or one index of it when `pods` are of that, failed or does not run."""
    if by_us := job["metadata"].get("annotations", {}).get(CAUSE):
        return str(by_us)
    pending = (diagnosis.cause for pod in pods if phase(pod) == "Pending" and (diagnosis := waiting(pod, events)))
    if found := next(pending, "") or last_end(pods):
        return found
    if not pods and (diagnosis := unmade(job, events)):
        return diagnosis.cause
    condition = terminal(job)
    return f"{condition['reason']}: {_line(condition.get('message'))}" if condition and is_failed(job) else ""


def stuck(  # noqa: PLR0913 - all that decides it
    job: Manifest, pods: Sequence[Manifest], events: Sequence[Manifest], now: datetime, pending_s: float,
    idle_since: datetime | None,
) -> str:  # fmt: skip
    """Say why an active Job is given up; empty while there is hope.

    There is hope while one of its pods runs. For what other pods may hold, such as a node, the time counts from
    `idle_since`, when the last of them ended; None while there are some.
    """
    if any(phase(pod) == "Running" for pod in pods):
        return ""
    pending = [pod for pod in pods if phase(pod) == "Pending"]
    met = [(pod, waiting(pod, events) or Diagnosis("Pending")) for pod in pending]
    if not pending:
        last = max((_created(pod) for pod in pods), default=_created(job))
        fresh = [event for event in events if _last_seen(event) >= last]  # a pod that was made since has answered it
        met = [(job, diagnosis)] if (diagnosis := unmade(job, fresh)) else []
    for thing, diagnosis in met:
        if diagnosis.grace_s is not None:
            if now - _created(thing) >= timedelta(seconds=diagnosis.grace_s):
                return diagnosis.cause
        elif idle_since and now - max(_created(thing), idle_since) >= timedelta(seconds=pending_s):
            return f"timed out after {pending_s:.0f} s; {diagnosis.cause}"
    return ""


def phase(pod: Manifest) -> str:
    """Read the phase: Pending, Running, Succeeded, Failed or Unknown."""
    return str(pod.get("status", {}).get("phase", "Pending"))


def terminal(job: Manifest) -> Manifest | None:
    """Find the condition that ended a Job; counters decide nothing."""
    conditions = job.get("status", {}).get("conditions", ())
    return next((one for one in conditions if one["type"] in ("Complete", "Failed") and one["status"] == "True"), None)


def is_failed(job: Manifest) -> bool:
    """Tell whether a Job ended, and not well."""
    condition = terminal(job)
    return condition is not None and condition["type"] == "Failed"


def indexes(text: str | None) -> set[int]:
    """Parse the numbers in "0,2-4"."""
    found: set[int] = set()
    for part in (text or "").split(","):
        first, _, last = part.partition("-")
        if first:
            found.update(range(int(first), int(last or first) + 1))
    return found


def when(text: str) -> datetime:
    """Parse a time as the API server writes it."""
    return datetime.fromisoformat(text).astimezone(UTC)


def ended(pod: Manifest) -> datetime:
    """Find when a pod that is over ended, as far as it says."""
    found = _terminated(pod) or {}
    return when(found["finishedAt"]) if found.get("finishedAt") else _created(pod)


def _created(thing: Manifest) -> datetime:
    return when(thing["metadata"]["creationTimestamp"])


def _warnings(about: Manifest, events: Iterable[Manifest]) -> list[Manifest]:
    """Pick the Warning events about an object, the last one last."""
    mine = [event for event in events if event["involvedObject"].get("uid") == about["metadata"]["uid"]]
    return sorted(mine, key=_last_seen)


def _last_seen(event: Manifest) -> datetime:
    return when(event.get("lastTimestamp") or event.get("eventTime") or event["metadata"]["creationTimestamp"])


def _containers(pod: Manifest) -> list[Manifest]:
    status = pod.get("status", {})
    return [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]


def _terminated(pod: Manifest) -> Manifest | None:
    states = [one.get("state", {}) for one in _containers(pod) if one["name"] == CONTAINER]
    return next((state["terminated"] for state in states if "terminated" in state), None)


def _termination_message(message: str | None) -> str:
    """Find the cause: the last line of the log, which Kubernetes keeps, without the name of its program."""
    last = _line(next((line for line in reversed((message or "").splitlines()) if line.strip()), ""))
    program, _, cause = last.partition(": ")
    return cause if program in (*PROGRAMS, "ganbalance") else last


def _line(text: str | None) -> str:
    return " ".join((text or "").split())
