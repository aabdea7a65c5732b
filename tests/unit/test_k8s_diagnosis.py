"""One line per cause, from objects as Kubernetes 1.34 writes them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ganbalance.k8s import diagnosis
from ganbalance.k8s.manifest import CAUSE

Object = dict[str, Any]

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
OVER_LIMIT = "Pod ephemeral local storage usage exceeds the total limit of containers"
NEVER = datetime.fromtimestamp(0, UTC)


def at(seconds_ago: float) -> str:
    return f"{NOW - timedelta(seconds=seconds_ago):%Y-%m-%dT%H:%M:%SZ}"


def pod(phase: str, *, age_s: float = 60, state: Object | None = None, **status: Any) -> Object:
    containers = [{"name": "program", "ready": False, "restartCount": 0, "state": state}] if state else []
    return {
        "metadata": {
            "name": "run-train-gan-dcgan-1-0-abcde", "uid": "pod-uid", "creationTimestamp": at(age_s),
            "labels": {"ganbalance.io/group": "train-gan-dcgan"},
        },
        "spec": {"containers": [{"name": "program", "resources": {"limits": {"memory": "8Gi"}}}]},
        "status": {"phase": phase, "containerStatuses": containers} | status,
    }  # fmt: skip


def job(*conditions: Object, age_s: float = 60, annotations: dict[str, str] | None = None, **status: Any) -> Object:
    metadata = {"name": "job", "uid": "job-uid", "creationTimestamp": at(age_s), "annotations": annotations or {}}
    return {"metadata": metadata, "status": {"conditions": list(conditions)} | status}


def event(reason: str, message: str, *, of: str, age_s: float = 0) -> Object:
    return {
        "metadata": {"name": "x", "creationTimestamp": at(age_s)}, "type": "Warning", "reason": reason,
        "message": message, "involvedObject": {"uid": of}, "lastTimestamp": at(age_s), "eventTime": None,
    }  # fmt: skip


def waits(reason: str, message: str | None = None) -> Object:
    return {"waiting": {"reason": reason} | ({"message": message} if message else {})}


def ended(code: int, reason: str = "Error", message: str | None = None) -> Object:
    written = {"message": message} if message is not None else {}
    return {"terminated": {"exitCode": code, "reason": reason, "startedAt": at(50), "finishedAt": at(10)} | written}


def unscheduled(message: str) -> list[Object]:
    return [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}]


FAILED = {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "Job has reached the limit"}


# ---- waiting -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "cause", "grace_s"),
    [
        (waits("InvalidImageName", 'couldn\'t parse "UP:x"'), 'InvalidImageName: couldn\'t parse "UP:x"', 0),
        (waits("CreateContainerConfigError", 'no secret "s3"'), 'CreateContainerConfigError: no secret "s3"', 0),
        (waits("ErrImageNeverPull"), "ErrImageNeverPull", 0),
        (waits("ErrImagePull", "rpc error:\n code = NotFound"), "ErrImagePull: rpc error: code = NotFound", 120),
        (waits("ImagePullBackOff", 'Back-off pulling image "x"'), 'ImagePullBackOff: Back-off pulling image "x"', 120),
    ],
    ids=["image name", "secret", "never pull", "pull", "pull again"],
)  # fmt: skip
def test_a_container_says_what_it_waits_for(state: Object, cause: str, grace_s: float) -> None:
    assert diagnosis.waiting(pod("Pending", state=state)) == diagnosis.Diagnosis(cause, grace_s)


def test_the_scheduler_says_why_a_pod_has_no_node() -> None:
    said = "0/2 nodes are available: 2 Insufficient nvidia.com/gpu. preemption: 0/2 nodes are available."
    met = diagnosis.waiting(pod("Pending", conditions=unscheduled(said)))
    assert met == diagnosis.Diagnosis("Unschedulable: 0/2 nodes are available: 2 Insufficient nvidia.com/gpu")


def test_a_container_that_is_being_created_has_no_diagnosis_but_what_an_event_says() -> None:
    starting = pod("Pending", state=waits("ContainerCreating"))
    warning = event("FailedMount", 'MountVolume.SetUp failed for volume "ca":\n configmap "ca" not found', of="pod-uid")
    other = event("FailedMount", "another pod's", of="other")
    assert diagnosis.waiting(starting) is None
    assert diagnosis.waiting(starting, [other]) is None
    met = diagnosis.waiting(starting, [warning, other])
    assert met is not None
    assert met.cause == 'FailedMount: MountVolume.SetUp failed for volume "ca": configmap "ca" not found'


def test_a_pod_that_is_new_has_no_diagnosis() -> None:
    assert diagnosis.waiting(pod("Pending")) is None
    assert diagnosis.waiting({"metadata": {}, "spec": {}}) is None


def test_an_init_container_is_heard_too() -> None:
    starting = pod("Pending", state=waits("PodInitializing"))
    starting["status"]["initContainerStatuses"] = [{"name": "init", "state": waits("ErrImagePull", "no such image")}]
    met = diagnosis.waiting(starting)
    assert met is not None
    assert met.cause == "ErrImagePull: no such image"


@pytest.mark.parametrize(
    ("message", "grace_s"),
    [
        ('pods "x" is forbidden: exceeded quota: small, requested: requests.cpu=4, used: 0, limited: 2', None),
        ('pods "x" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true', 0),
        ('pods "x-" is forbidden: error looking up service account a/b: serviceaccount "b" not found', 0),
        ('Pod "x" is invalid: spec.containers[0].image: Required value', 0),
    ],
    ids=["quota", "Pod Security", "service account", "invalid"],
)
def test_an_event_says_why_a_job_has_no_pods(message: str, grace_s: float | None) -> None:
    events = [
        event("FailedCreate", "what was before", of="job-uid", age_s=30),
        event("FailedCreate", message, of="job-uid"),
        event("FailedCreate", "another Job's", of="other"),
        event("BackoffLimitExceeded", "something else", of="job-uid"),
    ]
    assert diagnosis.unmade(job(), events) == diagnosis.Diagnosis(f"FailedCreate: {message}", grace_s)
    assert diagnosis.unmade(job(), events[2:]) is None


# ---- ends ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "line"),
    [
        (ended(1, message="x\ntrain-gan: a bug: KeyError: 3\n"), "exit 1 (a bug): a bug: KeyError: 3"),
        (ended(65, message="Traceback\n\nlast line\n"), "exit 65 (bad or corrupt data): last line"),
        (ended(75, message="ganbalance: no answer"), "exit 75 (the store or the node went away): no answer"),
        (ended(78, message=" \n"), "exit 78 (bad configuration): Error"),
        (ended(143), "exit 143 (stopped by SIGTERM): Error"),
        (ended(137), "exit 137 (killed): Error"),
        (ended(2, message="of nobody: known"), "exit 2: of nobody: known"),
        (ended(127, "ContainerCannotRun", "exec: no such file"), "exit 127: exec: no such file"),
    ],
)  # fmt: skip
def test_a_program_ends_with_its_code_and_its_termination_message(state: Object, line: str) -> None:
    assert diagnosis.end(pod("Failed", state=state)) == line


def test_a_pod_that_had_to_leave_its_node_says_why() -> None:
    left = [{"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI",
             "message": "Eviction API: evicting"}]  # fmt: skip
    assert (
        diagnosis.end(pod("Failed", state=ended(143), conditions=left))
        == "EvictionByEvictionAPI: Eviction API: evicting"
    )


@pytest.mark.parametrize("state", [None, ended(137)])
def test_a_pod_that_the_kubelet_ended_says_why(state: Object | None) -> None:
    evicted = pod("Failed", state=state, reason="Evicted", message="The node was low on resource: ephemeral-storage.")
    assert diagnosis.end(evicted) == "Evicted: The node was low on resource: ephemeral-storage."
    late = pod("Failed", state=state, reason="DeadlineExceeded", message="Pod was active on the node longer than")
    assert diagnosis.end(late) == "DeadlineExceeded: Pod was active on the node longer than"


def test_a_pod_past_its_deadline_says_how_long_that_was_and_where_it_is_set() -> None:
    said = "Pod was active on the node longer than the specified deadline"
    late = pod("Failed", reason="DeadlineExceeded", message=said)
    late["spec"]["activeDeadlineSeconds"] = 7200
    assert diagnosis.end(late) == (
        "DeadlineExceeded: train-gan-dcgan was not done within 7,200 s; raise activeDeadlineSeconds in the PodTemplate "
        "train-gan (k8s/base/templates/train-gan.yaml, or a patch in your overlay) and apply it again (make deploy)"
    )


@pytest.mark.parametrize(
    ("said", "fix"),
    [
        (f"{OVER_LIMIT} 64Mi", "raise resources.pods.train-gan.ephemeral_storage"),
        (
            'Container program exceeded its local ephemeral storage limit "64Mi"',
            "raise resources.pods.train-gan.ephemeral_storage",
        ),
        ('Usage of EmptyDir volume "tmp" exceeds the limit "1Gi"', f"raise its sizeLimit {diagnosis.TEMPLATE}"),
    ],
    ids=["of all containers", "of one container", "of a volume"],
)
def test_a_pod_that_filled_its_disk_says_how_much_it_had_and_where_that_is_set(said: str, fix: str) -> None:
    full = pod("Failed", state=ended(137), reason="Evicted", message=f"{said}. ")
    assert diagnosis.end(full) == f"Evicted: {said}; {fix}"


@pytest.mark.parametrize(
    ("status", "setting"),
    [
        ({"state": ended(137, "OOMKilled")}, "memory"),
        ({"reason": "Evicted", "message": f"{OVER_LIMIT} 2Gi. "}, "ephemeral-storage"),
    ],
)  # fmt: skip
def test_a_limit_of_the_drivers_is_raised_in_its_template(status: Object, setting: str) -> None:
    driver = pod("Failed", **status)
    driver["metadata"]["labels"] = {"ganbalance.io/part": "driver"}
    said = diagnosis.end(driver).rpartition("; ")[2]
    assert said.startswith(f"raise {setting} in the PodTemplate driver (k8s/base/templates/driver.yaml, ")


def test_a_pod_that_says_nothing_is_said_to() -> None:
    assert diagnosis.end(pod("Failed")) == "ended without a message"


def test_a_program_that_needed_too_much_memory_is_reported_with_its_limit() -> None:
    line = diagnosis.end(pod("Failed", state=ended(137, "OOMKilled")))
    limit = "train-gan-dcgan needs more than its memory limit of 8Gi"
    assert line == f"OOMKilled: {limit}; raise resources.pods.train-gan.memory"


def test_memory_without_a_limit_is_reported_as_such() -> None:
    unlimited = pod("Failed", state=ended(137, "OOMKilled"))
    del unlimited["spec"]["containers"][0]["resources"]
    assert "memory limit of none" in diagnosis.end(unlimited)


# ---- a Job's line --------------------------------------------------------------------------------------------------


def test_what_the_driver_said_when_it_ended_a_job_comes_first() -> None:
    given_up = job(FAILED, annotations={CAUSE: "timed out after 600 s; Unschedulable"})
    assert diagnosis.cause(given_up, [pod("Failed", state=ended(1))], []) == "timed out after 600 s; Unschedulable"


def test_what_a_pod_waits_for_now_comes_before_how_an_earlier_one_ended() -> None:
    pods = [pod("Failed", age_s=90, state=ended(1)), pod("Pending", state=waits("ErrImagePull", "gone"))]
    assert diagnosis.cause(job(), pods, []) == "ErrImagePull: gone"


def test_the_last_failure_is_the_one_that_is_shown() -> None:
    pods = [pod("Failed", age_s=10, state=ended(65)), pod("Failed", age_s=90, state=ended(1))]
    assert diagnosis.cause(job(FAILED), pods, []).startswith("exit 65")


def test_without_pods_it_is_an_event_and_without_events_the_condition() -> None:
    warning = event("FailedCreate", "exceeded quota", of="job-uid")
    assert diagnosis.cause(job(), [], [warning]) == "FailedCreate: exceeded quota"
    assert diagnosis.cause(job(FAILED), [], []) == "BackoffLimitExceeded: Job has reached the limit"
    assert diagnosis.cause(job(), [], []) == ""
    assert diagnosis.cause(job({"type": "Complete", "status": "True", "reason": "CompletionsReached"}), [], []) == ""


# ---- giving up -----------------------------------------------------------------------------------------------------


def given_up(
    pods: list[Object], *, of: Object | None = None, events: list[Object] | None = None,
    idle_since: datetime | None = NEVER,
) -> str:  # fmt: skip
    return diagnosis.stuck(of or job(age_s=9000), pods, events or [], NOW, 600, idle_since)


def test_there_is_hope_as_long_as_a_pod_may_wait() -> None:
    no_room = unscheduled("no room")
    assert given_up([pod("Pending", age_s=599, conditions=no_room)]) == ""
    assert given_up([pod("Pending", age_s=600, conditions=no_room)]) == "timed out after 600 s; Unschedulable: no room"
    assert given_up([pod("Pending", age_s=600)]) == "timed out after 600 s; Pending"
    assert given_up([pod("Pending", age_s=119, state=waits("ErrImagePull"))]) == ""
    assert given_up([pod("Pending", age_s=120, state=waits("ErrImagePull"))]) == "ErrImagePull"
    assert given_up([pod("Pending", age_s=0, state=waits("InvalidImageName"))]) == "InvalidImageName"


def test_there_is_hope_while_a_pod_of_the_job_runs() -> None:
    running = pod("Running", state={"running": {"startedAt": at(30)}})
    assert given_up([running, pod("Pending", age_s=9000, state=waits("ErrImagePull"))]) == ""


def test_the_wait_for_room_begins_when_others_have_made_some() -> None:
    late = [pod("Pending", age_s=9000, conditions=unscheduled("no room"))]
    assert given_up(late, idle_since=None) == ""
    assert given_up(late, idle_since=NOW - timedelta(seconds=599)) == ""
    assert given_up(late, idle_since=NOW - timedelta(seconds=600)) != ""


def test_only_an_event_that_no_pod_has_answered_counts() -> None:
    quota = event("FailedCreate", "exceeded quota", of="job-uid", age_s=700)
    assert given_up([], events=[quota]) == "timed out after 600 s; FailedCreate: exceeded quota"
    assert given_up([pod("Failed", age_s=650, state=ended(1))], events=[quota]) == ""
    assert given_up([pod("Failed", age_s=750, state=ended(1))], events=[quota]) != ""


def test_a_job_without_pods_and_without_events_may_be_held_back_by_a_queue() -> None:
    assert given_up([], of=job(age_s=1e6)) == ""


# ---- reading -------------------------------------------------------------------------------------------------------


def test_only_a_condition_that_is_true_ends_a_job() -> None:
    target = {"type": "FailureTarget", "status": "True", "reason": "DeadlineExceeded"}
    assert diagnosis.terminal(job(target, FAILED | {"status": "False"}, failed=4, succeeded=2)) is None
    assert diagnosis.terminal(job(target, FAILED)) == FAILED
    assert diagnosis.is_failed(job(FAILED))
    assert not diagnosis.is_failed(job({"type": "Complete", "status": "True"}))


@pytest.mark.parametrize(
    ("text", "numbers"), [(None, set()), ("", set()), ("0", {0}), ("0,2-4,7", {0, 2, 3, 4, 7}), ("1-2", {1, 2})]
)
def test_indexes_are_read_as_they_are_written(text: str | None, numbers: set[int]) -> None:
    assert diagnosis.indexes(text) == numbers


@pytest.mark.parametrize("text", ["2026-03-01T12:00:00Z", "2026-03-01T12:00:00.000000Z", "2026-03-01T13:00:00+01:00"])
def test_times_are_read_as_they_are_written(text: str) -> None:
    assert diagnosis.when(text) == NOW
