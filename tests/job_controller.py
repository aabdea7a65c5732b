"""What the Job controller, the scheduler and the kubelets do, one step at a time, to the objects of `ClusterDouble`.

A pod is made Pending, runs at the next step and ends at the one after. What it does is a function (Job, index) ->
Outcome that is asked at every step of the pod until it has ended. One step counts as one second for deadlines.
"""

import copy
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

Object = dict[str, Any]

BACKOFF_STEPS = 2  # an index that failed has no pod for so long
JOB_NAME, JOB_INDEX = "batch.kubernetes.io/job-name", "batch.kubernetes.io/job-completion-index"
NODE = "node-1"


@dataclass(frozen=True)
class Exits:
    """It runs and ends. `work` is what it does before; `message` is what is on its termination log.

    `disrupted` names why its node or an eviction ended it: the pod then has the condition DisruptionTarget.
    """

    code: int = 0
    message: str = ""
    reason: str = ""
    log: bytes = b""
    work: Callable[[], None] | None = None
    disrupted: str = ""


@dataclass(frozen=True)
class Waits:
    """It does not start: "Unschedulable", or why its container waits (ImagePullBackOff, ...)."""

    reason: str
    message: str = ""


@dataclass(frozen=True)
class Runs:
    """It starts and does not end."""


@dataclass(frozen=True)
class Unmade:
    """The API server does not take the pod: the Job gets a FailedCreate event with this message."""

    message: str


Outcome = Exits | Waits | Runs | Unmade

OOM = Exits(137, reason="OOMKilled")
EVICTED = Exits(143, disrupted="EvictionByEvictionAPI")


def exits(code: int, cause: str) -> Exits:
    """A program whose log ends with the cause, as those of the job programs do; Kubernetes makes it the message."""
    return Exits(code, message=f"resuming at step 3\ntrain-gan: {cause}\n")


def always_done(job: Object, index: int) -> Outcome:
    """What a pod does unless a test says otherwise."""
    return Exits()


class State(Protocol):
    """What the controller needs of the double."""

    pods: Callable[[Object, int], Outcome]
    logs: dict[str, bytes]

    def live(self, kind: str) -> list[Object]: ...
    def touch(self, thing: Object) -> None: ...
    def add(self, manifest: Object) -> Object: ...
    def remove(self, kind: str, name: str) -> None: ...
    def warn(self, about: Object, reason: str, message: str) -> None: ...


class JobController:
    """Progresses every Job that is not over."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._steps = 0
        self._started: dict[str, int] = {}  # uid of a Job -> step
        self._counted: set[str] = set()  # uids of pods whose end was judged
        self._retries: dict[tuple[str, int], int] = {}  # uid of a Job, index -> failures that count
        self._not_before: dict[tuple[str, int], int] = {}  # uid of a Job, index -> step of the next try
        self.most_at_once = 0  # pods of all Jobs that had not ended, at any time

    def admit(self, job: Object) -> None:
        """What the API server adds to a new Job."""
        uid = job["metadata"]["uid"]
        job["spec"].setdefault("completions", 1)
        job["spec"].setdefault("parallelism", 1)
        job["spec"]["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
        labels = job["spec"]["template"].setdefault("metadata", {}).setdefault("labels", {})
        labels |= {JOB_NAME: job["metadata"]["name"], "batch.kubernetes.io/controller-uid": uid}
        job["status"] = {}

    def tick(self) -> None:
        self._steps += 1
        for job in self._state.live("Job"):
            if not self._condition(job, "Complete", "Failed") and not job["spec"].get("suspend"):
                before = copy.deepcopy(job["status"])
                self._step(job)
                if job["status"] != before:
                    self._state.touch(job)
        self.most_at_once = max(self.most_at_once, sum(_is_active(pod) for pod in self._state.live("Pod")))

    def _step(self, job: Object) -> None:
        status, spec = job["status"], job["spec"]
        started = self._started.setdefault(job["metadata"]["uid"], self._steps)
        status.setdefault("startTime", now())
        if target := self._condition(job, "FailureTarget", "SuccessCriteriaMet"):
            final = "Failed" if target["type"] == "FailureTarget" else "Complete"
            self._conclude(job, final, target["reason"], target["message"])
            return
        limit = spec.get("activeDeadlineSeconds")
        if limit is not None and self._steps - started >= limit:
            self._conclude(job, "FailureTarget", "DeadlineExceeded", "Job was active longer than specified deadline")
            return
        for pod in self._pods(job):
            if _is_active(pod):
                self._advance(job, pod)
        for pod in self._pods(job):
            if pod["status"]["phase"] == "Failed" and pod["metadata"]["uid"] not in self._counted:
                self._counted.add(pod["metadata"]["uid"])
                self._judge(job, pod)
        self._count(job)
        if not self._condition(job, "FailureTarget", "SuccessCriteriaMet"):
            self._make_pods(job)
            self._count(job)

    # ---- ends ------------------------------------------------------------------------------------------------------

    def _judge(self, job: Object, pod: Object) -> None:
        """What a failed pod means by the podFailurePolicy."""
        spec, index = job["spec"], _index(pod)
        key = (job["metadata"]["uid"], index)
        self._not_before[key] = self._steps + BACKOFF_STEPS
        for rule in spec.get("podFailurePolicy", {}).get("rules", ()):
            if not _applies(rule, pod):
                continue
            if rule["action"] == "FailJob":
                said = f"Container program for pod {pod['metadata']['name']} failed, matching FailJob rule"
                self._conclude(job, "FailureTarget", "PodFailurePolicy", said)
            elif rule["action"] == "FailIndex":
                self._fail_index(job, index)
            if rule["action"] != "Count":
                return
            break
        self._retries[key] = self._retries.get(key, 0) + 1
        if "backoffLimitPerIndex" in spec:
            if self._retries[key] > spec["backoffLimitPerIndex"]:
                self._fail_index(job, index)
        elif self._retries[key] > spec.get("backoffLimit", 6):
            self._conclude(job, "FailureTarget", "BackoffLimitExceeded", "Job has reached the specified backoff limit")

    def _fail_index(self, job: Object, index: int) -> None:
        job["status"]["failedIndexes"] = ranges(_indexes(job, "failedIndexes") | {index})

    def _count(self, job: Object) -> None:
        status, pods = job["status"], self._pods(job)
        done = {_index(pod) for pod in pods if pod["status"]["phase"] == "Succeeded"} | _indexes(
            job, "completedIndexes"
        )
        failed = _indexes(job, "failedIndexes")
        if done:
            status["completedIndexes"] = ranges(done)
        for name, phases in (("active", ("Pending", "Running")), ("ready", ("Running",)), ("failed", ("Failed",))):
            status[name] = sum(pod["status"]["phase"] in phases for pod in pods)
        status["succeeded"] = len(done)
        if self._condition(job, "FailureTarget", "SuccessCriteriaMet"):
            return
        if len(failed) > job["spec"].get("maxFailedIndexes", len(failed)):
            said = "Job has exceeded the specified maximal number of failed indexes"
            self._conclude(job, "FailureTarget", "MaxFailedIndexesExceeded", said)
        elif len(done | failed) == job["spec"]["completions"]:
            if failed:
                self._conclude(job, "FailureTarget", "FailedIndexes", "Job has failed indexes")
            else:
                self._conclude(job, "SuccessCriteriaMet", "CompletionsReached", "Reached expected number of pods")

    def _conclude(self, job: Object, kind: str, reason: str, message: str) -> None:
        """A condition; pods that have not ended go."""
        if self._condition(job, kind):
            return
        condition = {"type": kind, "status": "True", "reason": reason, "message": message, "lastTransitionTime": now()}
        job["status"].setdefault("conditions", []).append(condition)
        for pod in self._pods(job):
            if _is_active(pod):
                self._state.remove("Pod", pod["metadata"]["name"])
        if kind in ("Complete", "Failed"):
            job["status"] |= {"active": 0, "ready": 0}
        if kind == "Complete":
            job["status"]["completionTime"] = now()

    @staticmethod
    def _condition(job: Object, *kinds: str) -> Object | None:
        return next((one for one in job["status"].get("conditions", ()) if one["type"] in kinds), None)

    # ---- pods ------------------------------------------------------------------------------------------------------

    def _pods(self, job: Object) -> list[Object]:
        uid = job["metadata"]["uid"]
        return [
            pod for pod in self._state.live("Pod") if pod["metadata"].get("ownerReferences", [{}])[0].get("uid") == uid
        ]

    def _make_pods(self, job: Object) -> None:
        active = [pod for pod in self._pods(job) if _is_active(pod)]
        for pod in active[job["spec"]["parallelism"] :]:
            self._state.remove("Pod", pod["metadata"]["name"])
        over = _indexes(job, "completedIndexes") | _indexes(job, "failedIndexes") | {_index(pod) for pod in active}
        free = job["spec"]["parallelism"] - len(active)
        uid = job["metadata"]["uid"]
        over |= {
            index for index in range(job["spec"]["completions"]) if self._not_before.get((uid, index), 0) > self._steps
        }
        wanted = [index for index in range(job["spec"]["completions"]) if index not in over]
        for index in wanted[: max(free, 0)]:
            self._make_pod(job, index)

    def _make_pod(self, job: Object, index: int) -> None:
        outcome = self._state.pods(job, index)
        if isinstance(outcome, Unmade):
            self._state.warn(job, "FailedCreate", outcome.message)
            return
        template, metadata = job["spec"]["template"], job["metadata"]
        name = f"{metadata['name']}-{index}-{secrets.token_hex(3)[:5]}"
        pod = self._state.add({
            "kind": "Pod", "apiVersion": "v1",
            "metadata": {
                "name": name, "namespace": metadata["namespace"],
                "labels": template["metadata"].get("labels", {}) | {JOB_INDEX: str(index)},
                "annotations": template["metadata"].get("annotations", {}) | {JOB_INDEX: str(index)},
                "ownerReferences": [{
                    "apiVersion": "batch/v1", "kind": "Job", "name": metadata["name"], "uid": metadata["uid"],
                    "controller": True,
                }],
            },
            "spec": dict(template["spec"]),
            "status": {"phase": "Pending"},
        })  # fmt: skip
        if isinstance(outcome, Waits):
            self._hold(pod, outcome)

    def _advance(self, job: Object, pod: Object) -> None:
        outcome, status = self._state.pods(job, _index(pod)), pod["status"]
        if isinstance(outcome, Waits) and status["phase"] == "Pending":
            self._hold(pod, outcome)
        elif status["phase"] == "Pending":
            pod["spec"]["nodeName"] = NODE
            status |= {"phase": "Running", "startTime": now(), "conditions": [_scheduled()]}
            status["containerStatuses"] = [_container(pod, {"running": {"startedAt": now()}})]
        elif isinstance(outcome, Exits):
            self._end(pod, outcome)
        self._state.touch(pod)

    @staticmethod
    def _hold(pod: Object, waits: Waits) -> None:
        status = pod["status"]
        if waits.reason == "Unschedulable":
            status["conditions"] = [_scheduled("False") | {"reason": waits.reason, "message": waits.message}]
            return
        pod["spec"]["nodeName"] = NODE
        state = {"reason": waits.reason} | ({"message": waits.message} if waits.message else {})
        status |= {"conditions": [_scheduled()], "containerStatuses": [_container(pod, {"waiting": state})]}

    def _end(self, pod: Object, ends: Exits) -> None:
        if ends.work:
            ends.work()
        status = pod["status"]
        ended = {"exitCode": ends.code, "reason": ends.reason or ("Error" if ends.code else "Completed")}
        ended |= {"startedAt": status["startTime"], "finishedAt": now()} | (
            {"message": ends.message} if ends.message else {}
        )
        status["phase"] = "Failed" if ends.code else "Succeeded"
        status["containerStatuses"] = [_container(pod, {"terminated": ended})]
        if ends.disrupted:
            said = {"reason": ends.disrupted, "message": "the pod had to leave its node"}
            status["conditions"].append({"type": "DisruptionTarget", "status": "True"} | said)
        self._state.logs[pod["metadata"]["name"]] = ends.log


def now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"


def ranges(numbers: set[int]) -> str:
    """As the API writes them: "0,2-4"; two in a row are "3,4"."""
    found: list[list[int]] = []
    for number in sorted(numbers):
        if found and number == found[-1][-1] + 1:
            found[-1].append(number)
        else:
            found.append([number])
    return ",".join(f"{run[0]}-{run[-1]}" if len(run) > 2 else ",".join(map(str, run)) for run in found)


def _indexes(job: Object, which: str) -> set[int]:
    found: set[int] = set()
    for part in filter(None, job["status"].get(which, "").split(",")):
        first, _, last = part.partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    return found


def _index(pod: Object) -> int:
    return int(pod["metadata"]["annotations"][JOB_INDEX])


def _is_active(pod: Object) -> bool:
    return pod["status"]["phase"] in ("Pending", "Running")


def _applies(rule: Object, pod: Object) -> bool:
    if wanted := rule.get("onExitCodes"):
        for container in pod["status"].get("containerStatuses", ()):
            code = container["state"].get("terminated", {}).get("exitCode", 0)
            if container["name"] == wanted["containerName"] and code and code in wanted["values"]:
                return True
        return False
    conditions = {(one["type"], one["status"]) for one in pod["status"].get("conditions", ())}
    return any((one["type"], one["status"]) in conditions for one in rule["onPodConditions"])


def _scheduled(status: str = "True") -> Object:
    return {"type": "PodScheduled", "status": status, "lastTransitionTime": now()}


def _container(pod: Object, state: Object) -> Object:
    first = pod["spec"]["containers"][0]
    return {
        "name": first["name"],
        "image": first.get("image", ""),
        "ready": "running" in state,
        "restartCount": 0,
        "state": state,
    }
