"""Why something does not run, or how it ended, in one line: pure functions of what the API server says.

A pod that has not started says so, the first that is there: its scheduling, its container's waiting, a Warning event.
A pod that ended says so: memory, the node, the program's own last word, its exit code.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ganbalance.errors import ConfigError, DataError, Stopped, UnavailableError
from ganbalance.k8s.manifest import CAUSE, CONTAINER

Object = dict[str, Any]

# waiting of a container that no time mends
HOPELESS = {"InvalidImageName", "CreateContainerConfigError", "CreateContainerError", "ErrImageNeverPull"}
PULLING = {"ErrImagePull", "ImagePullBackOff", "RegistryUnavailable"}  # a registry may come back
PULL_GRACE_S = 120.0
FORBIDDEN_FOR_GOOD = ("violates PodSecurity", "serviceaccount", "is invalid")  # in an event about a pod not made
OOM = "OOMKilled"
MEANING = {
    DataError.exit_code: "bad or corrupt data",
    UnavailableError.exit_code: "the store or the node went away",
    ConfigError.exit_code: "bad configuration",
    Stopped.exit_code: "stopped by SIGTERM",
    1: "a bug",
    137: "killed",
}


@dataclass(frozen=True)
class Trouble:
    """Why a pod waits. `grace_s` is how long to bear it from the pod's creation on; None: as long as any pod."""

    cause: str
    grace_s: float | None = None


def waiting(pod: Object) -> Trouble | None:
    """What a pod that has not started waits for; None when nothing stands in its way."""
    for condition in pod.get("status", {}).get("conditions", ()):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return Trouble(f"{condition.get('reason', 'Unschedulable')}: {_line(condition.get('message'))}")
    for container in _containers(pod):
        if found := container.get("state", {}).get("waiting"):
            reason, told = found.get("reason", ""), _line(found.get("message"))
            cause = f"{reason}: {told}" if told else reason
            if reason in HOPELESS:
                return Trouble(cause, 0.0)
            if reason in PULLING:
                return Trouble(cause, PULL_GRACE_S)
    return None


def unmade(job: Object, events: Iterable[Object]) -> Trouble | None:
    """Why a Job's pods are not even made: a quota, Pod Security, a missing service account."""
    warned = [event for event in events if event.get("type") == "Warning" and event.get("reason") == "FailedCreate"]
    mine = [event for event in warned if event["involvedObject"].get("uid") == job["metadata"]["uid"]]
    if not mine:
        return None
    told = _line(max(mine, key=_last_seen).get("message"))
    return Trouble(f"FailedCreate: {told}", 0.0 if any(word in told for word in FORBIDDEN_FOR_GOOD) else None)


def end(pod: Object) -> str:
    """How a pod failed. Says the limit that was too small when it was memory."""
    status = pod.get("status", {})
    found = _terminated(pod)
    if found and found.get("reason") == OOM:
        limit = _limits(pod).get("memory", "none")
        name = pod["metadata"].get("labels", {}).get("ganbalance.io/group", "the stage")
        return f"OOMKilled: {name} needs more than its memory limit of {limit}; raise resources.pods.*.memory"
    disrupted = [one for one in status.get("conditions", ()) if one["type"] == "DisruptionTarget"]
    if disrupted and disrupted[0].get("status") == "True":
        return f"{disrupted[0].get('reason', 'Disrupted')}: {_line(disrupted[0].get('message'))}"
    if status.get("reason"):  # Evicted, DeadlineExceeded, NodeLost
        return f"{status['reason']}: {_line(status.get('message'))}"
    if not found:
        return "ended without a word"
    code, word = found.get("exitCode", 0), _last_word(found.get("message"))
    meaning = MEANING.get(code, "")
    told = f"exit {code}" + (f" ({meaning})" if meaning else "")
    return f"{told}: {word or _line(found.get('reason'))}"


def ended_by_us(job: Object) -> str:
    """Why the driver ended a Job, empty when it did not."""
    return str(job["metadata"].get("annotations", {}).get(CAUSE, ""))


def cause(job: Object, pods: Sequence[Object], events: Iterable[Object]) -> str:
    """One line for a Job, or for one index of it when `pods` are of that: why it failed, or does not run."""
    if told := ended_by_us(job):
        return told
    failed = sorted((pod for pod in pods if phase(pod) == "Failed"), key=_created)
    pending = [trouble.cause for pod in pods if phase(pod) == "Pending" and (trouble := waiting(pod))]
    if pending:
        return pending[0]
    if failed:
        return end(failed[-1])
    if not pods and (trouble := unmade(job, events)):
        return trouble.cause
    condition = terminal(job)
    return f"{condition['reason']}: {_line(condition.get('message'))}" if condition and is_failed(job) else ""


def stuck(job: Object, pods: Sequence[Object], events: Sequence[Object], now: datetime, pending_s: float) -> str:
    """Why an active Job is given up; empty while there is hope."""
    for pod in pods:
        if phase(pod) != "Pending":
            continue
        met = waiting(pod) or Trouble("Pending")
        if _too_long(pod, met, now, pending_s):
            return _told(met, pending_s)
    if not any(phase(pod) in ("Pending", "Running") for pod in pods) and (trouble := unmade(job, events)):
        return _told(trouble, pending_s) if _too_long(job, trouble, now, pending_s) else ""
    return ""


def phase(pod: Object) -> str:
    """Pending, Running, Succeeded, Failed or Unknown."""
    return str(pod.get("status", {}).get("phase", "Pending"))


def terminal(job: Object) -> Object | None:
    """The condition that ended a Job; counters decide nothing."""
    conditions = job.get("status", {}).get("conditions", ())
    return next((one for one in conditions if one["type"] in ("Complete", "Failed") and one["status"] == "True"), None)


def is_failed(job: Object) -> bool:
    """Whether a Job ended, and not well."""
    condition = terminal(job)
    return condition is not None and condition["type"] == "Failed"


def indexes(text: str | None) -> set[int]:
    """The numbers in "0,2-4"."""
    found: set[int] = set()
    for part in (text or "").split(","):
        first, _, last = part.partition("-")
        if first:
            found.update(range(int(first), int(last or first) + 1))
    return found


def when(text: str) -> datetime:
    """A time as the API server writes it."""
    return datetime.fromisoformat(text).astimezone(UTC)


def _too_long(thing: Object, trouble: Trouble, now: datetime, pending_s: float) -> bool:
    grace_s = pending_s if trouble.grace_s is None else trouble.grace_s
    return (now - _created(thing)).total_seconds() >= grace_s


def _told(trouble: Trouble, pending_s: float) -> str:
    return trouble.cause if trouble.grace_s is not None else f"waited {pending_s:.0f} s in vain; {trouble.cause}"


def _created(thing: Object) -> datetime:
    return when(thing["metadata"]["creationTimestamp"])


def _last_seen(event: Object) -> str:
    return str(event.get("lastTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp") or "")


def _containers(pod: Object) -> list[Object]:
    status = pod.get("status", {})
    return [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]


def _terminated(pod: Object) -> Object | None:
    states = [one.get("state", {}) for one in _containers(pod) if one["name"] == CONTAINER]
    return next((state["terminated"] for state in states if "terminated" in state), None)


def _limits(pod: Object) -> dict[str, str]:
    program: Object = next((one for one in pod["spec"]["containers"] if one["name"] == CONTAINER), {})
    limits: dict[str, str] = program.get("resources", {}).get("limits", {})
    return limits


def _last_word(message: str | None) -> str:
    """The cause that the program left, else the last line of its log."""
    lines = [line for line in (message or "").splitlines() if line.strip()]
    if not lines:
        return ""
    try:
        return _line(json.loads(lines[-1])["cause"])
    except (ValueError, KeyError, TypeError):
        return _line(lines[-1])


def _line(text: str | None) -> str:
    return " ".join((text or "").split())
