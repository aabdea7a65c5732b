"""Observe a run on a cluster at one moment; show as rows what each stage does, where, since when and why not."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain
from typing import Any, Literal, get_args

from ganbalance.errors import ConfigError, DataError
from ganbalance.frozen import Frozen
from ganbalance.k8s import diagnosis
from ganbalance.k8s.client import Cluster
from ganbalance.k8s.diagnosis import advised
from ganbalance.k8s.manifest import DRIVER, PART, QUEUE, ROUND, RUN, SUBMISSION, Manifest, Round, stages_of
from ganbalance.pipeline import runs
from ganbalance.pipeline.state import State
from ganbalance.store.artifacts import Commit

JOB_NAME, JOB_INDEX = "batch.kubernetes.io/job-name", "batch.kubernetes.io/job-completion-index"
# how a driver ends that did its work: the rows of the stages say what failed
STAGES_FAILED = f"exit {DataError.exit_code} ({diagnosis.MEANING[DataError.exit_code]}): "
LET_GO = """--patch '{"spec": {"suspend": false}}'"""
StageState = Literal["done", "diverged", "running", "pending", "queued", "failed", "blocked", "not started"]
STATES: tuple[str, ...] = get_args(StageState)
HAS_RESULT = ("done", "diverged")


@dataclass
class ClusterSnapshot:
    """Stage Jobs by name, earlier rounds first; pods by Job; Warning events where pods are not made or do not start."""

    jobs: dict[str, Manifest] = field(default_factory=dict)
    pods: dict[str, list[Manifest]] = field(default_factory=dict)
    events: list[Manifest] = field(default_factory=list)
    flags: str = ""  # that lead kubectl to them

    def active(self) -> list[Manifest]:
        """List the Jobs that are not over."""
        return [job for job in self.jobs.values() if diagnosis.terminal(job) is None]

    def pods_of(self, job: Manifest, index: int) -> list[Manifest]:
        """List the pods of one index of a Job."""
        return [pod for pod in self.pods.get(name_of(job), ()) if index_of(pod) == index]

    def failed(self, job: Manifest) -> Iterator[tuple[int, str]]:
        """Yield the indexes of a Job that have ended without success, each with its cause."""
        status = job.get("status", {})
        over = set(range(job["spec"]["completions"])) if diagnosis.is_failed(job) else set()
        by_itself = diagnosis.indexes(status.get("failedIndexes"))
        for_all = diagnosis.end_for_all(job, self.pods.get(name_of(job), ()))
        for index in sorted((over | by_itself) - completed(job)):
            pods = self.pods_of(job, index)
            own = diagnosis.last_end(pods) if index in by_itself else ""  # whatever became of the others
            if for_all and not own and not diagnosis.end_for_all(job, pods):
                yield index, f"stopped with the rest of its Job: {for_all}"
            else:
                yield index, own or diagnosis.cause(job, pods, self.events)

    def retryable(self, job: Manifest) -> Iterator[int]:
        """Yield the indexes of a Job that have failed, and neither by bad data nor by a bad configuration."""
        pods = self.pods.get(name_of(job), ())
        for index, _ in () if diagnosis.end_for_all(job, pods) else self.failed(job):
            if DataError.exit_code not in map(diagnosis.exit_code, self.pods_of(job, index)):
                yield index

    def away_since(self, job: Manifest) -> datetime | None:
        """Find since when every index that began and is not over has ended by exit 75 alone; None while one has not."""
        over = completed(job) | diagnosis.indexes(job.get("status", {}).get("failedIndexes"))
        begun = [self.pods_of(job, index) for index in range(job["spec"]["completions"]) if index not in over]
        since = [diagnosis.away_since(pods) for pods in begun if pods]  # the others wait for room beside those
        return max(filter(None, since), default=None) if all(since) else None

    def images(self) -> dict[str, str]:
        """Read what the images of the run's pods really were: name -> digest."""
        pods = chain.from_iterable(self.pods.values())
        statuses = [one for pod in pods for one in pod["status"].get("containerStatuses", ())]
        return {one["image"]: one["imageID"] for one in statuses if one.get("imageID")}

    def idle_since(self) -> datetime | None:
        """Find when the last pod of the run ended and freed a node for others; None while one runs."""
        pods = [pod for of_job in self.pods.values() for pod in of_job]
        if any(diagnosis.phase(pod) == "Running" for pod in pods):
            return None
        return max((diagnosis.ended(pod) for pod in pods), default=datetime.fromtimestamp(0, UTC))


def observe(cluster: Cluster, run: str) -> ClusterSnapshot:
    """Ask the API server."""
    labels = {RUN: run, PART: "stage"}
    listed = sorted(cluster.list("Job", labels), key=lambda job: int(job["metadata"]["labels"][ROUND]))
    jobs = {name_of(job): job for job in listed}
    pods: dict[str, list[Manifest]] = {name: [] for name in jobs}
    for pod in cluster.list("Pod", labels):
        pods.setdefault(pod["metadata"]["labels"].get(JOB_NAME, ""), []).append(pod)
    snapshot = ClusterSnapshot(jobs, pods, flags=cluster.flags)
    if any(_is_silent(pods[name_of(job)]) for job in snapshot.active()):
        snapshot.events = cluster.list("Event", fields="type=Warning")
    return snapshot


def drivers(cluster: Cluster, run: str | None = None) -> list[Manifest]:
    """List the driver Jobs of a run, or of all, the newest last."""
    labels = {PART: DRIVER} | ({RUN: run} if run else {})
    return sorted(
        cluster.list("Job", labels),
        key=lambda job: (job["metadata"]["creationTimestamp"], int(job["metadata"]["labels"][SUBMISSION])),
    )


def completed(job: Manifest) -> set[int]:
    """Read the indexes of a Job that have succeeded."""
    return diagnosis.indexes(job.get("status", {}).get("completedIndexes"))


def name_of(thing: Manifest) -> str:
    """Read the name of an object."""
    return str(thing["metadata"]["name"])


def index_of(pod: Manifest) -> int:
    """Read which index of its Job a pod runs."""
    return int(pod["metadata"].get("annotations", {}).get(JOB_INDEX, -1))


def stage_of(pod: Manifest) -> str:
    """Name the stage that a pod runs, or "driver"."""
    return stages[index_of(pod)] if (stages := stages_of(pod)) else DRIVER


def is_named(stage: str, name: str) -> bool:
    """Tell whether a name is that of a stage, or the start of it: train-gan, train-gan/dcgan."""
    return f"{stage}/".startswith(f"{name}/")


def _is_silent(pods: list[Manifest]) -> bool:
    """Tell whether a Job has no pod now, or one that does not start and does not say why."""
    alive = [pod for pod in pods if diagnosis.phase(pod) in ("Pending", "Running")]
    return not alive or any(diagnosis.phase(pod) == "Pending" and not diagnosis.waiting(pod) for pod in alive)


Place = tuple[Manifest, int, str | None]  # a Job, the index of a stage in it, why that failed


class Row(Frozen):
    """One stage. `cause` says why it does not run, or ended as it did; `since` is when it came into its state."""

    stage: str
    group: str
    job: str | None = None
    index: int | None = None
    state: StageState
    cause: str = ""
    since: datetime | None = None
    node: str | None = None
    key: str


class DriverRow(Frozen):
    """The driver of a run's last submission."""

    job: str | None = None
    state: Literal["none", "pending", "running", "done", "failed"]
    cause: str = ""


def rows(state: State, snapshot: ClusterSnapshot) -> list[Row]:
    """Make a row per stage of the plan, group by group as its Jobs run them."""
    found: dict[str, Place] = {}
    for job in snapshot.jobs.values():  # the latest round counts
        failed = failures(state, snapshot, job)
        found |= {stage: (job, index, failed.get(stage)) for index, stage in enumerate(Round.of(job).stages)}
    made: list[Row] = []
    absent: set[str] = set()
    lost: dict[str, str] = {}  # stage without a result to come -> the stage that failed
    for node in chain.from_iterable(runs.groups(state.plan).values()):
        of = {"stage": node.name, "group": runs.group_of(node), "key": state.key(node, absent)}
        row = _row(of, state.commit(node.name, absent), snapshot, found.get(node.name))
        causes = [lost[name] for name in node.inputs.values() if name in lost]
        if row.state == "not started" and causes:
            row = row.model_copy(update={"state": "blocked", "cause": f"upstream failed: {causes[0]}"})
        if row.state in ("failed", "blocked") and not node.kind.allow_missing_inputs:
            lost[node.name] = causes[0] if row.state == "blocked" else node.name
        made.append(row)
    return made


def rows_of_jobs(snapshot: ClusterSnapshot) -> list[Row]:
    """Make a row per stage of the Jobs, by what the cluster alone says: no keys, and what diverged counts as done."""
    made: dict[str, Row] = {}
    for job in snapshot.jobs.values():  # the latest round counts
        failed, of = dict(snapshot.failed(job)), Round.of(job)
        for index, stage in enumerate(of.stages):
            place = (job, index, failed.get(index))
            made[stage] = _row({"stage": stage, "group": of.group, "key": ""}, None, snapshot, place)
    return list(made.values())


def failures(state: State, snapshot: ClusterSnapshot, job: Manifest) -> dict[str, str]:
    """Find the stages that a Job is over with and that have no result, each with its cause."""
    stages = Round.of(job).stages
    gone = "it was done, and its artifact is gone from the store; resume the run"
    lost = {stages[index]: gone for index in completed(job) if state.commit(stages[index]) is None}
    return {stages[index]: cause for index, cause in snapshot.failed(job)} | lost


def _row(of: dict[str, str], commit: Commit | None, snapshot: ClusterSnapshot, place: Place | None) -> Row:
    job, index, failed = place or (None, None, None)
    pods = snapshot.pods_of(job, index) if job is not None and index is not None else []
    last = max(pods, key=lambda pod: pod["metadata"]["creationTimestamp"], default=None)
    at: dict[str, Any] = {
        **of, "job": name_of(job) if job else None, "index": index,
        "node": last["spec"].get("nodeName") if last else None,
    }  # fmt: skip
    if commit:
        made = commit.provenance
        ended = datetime.fromtimestamp(made["started"] + made["seconds"], UTC) if "started" in made else None
        return Row(**at, state=commit.outcome, since=ended)
    if job is None:
        return Row(**at, state="not started")
    if failed is not None:
        return Row(**at, state="failed", cause=failed, since=_ended(last) or _ended(job))
    if index in completed(job):
        return Row(**at, state="done", since=_ended(last) or _ended(job))
    return Row(**at, **_live(job, pods, last, snapshot))


def _live(job: Manifest, pods: Sequence[Manifest], last: Manifest | None, snapshot: ClusterSnapshot) -> dict[str, Any]:
    """Describe a stage whose Job is not over with it."""
    tries = sum(diagnosis.phase(pod) == "Failed" for pod in pods)
    again = f"try {tries + 1}; before: {diagnosis.last_end(pods)}" if tries else ""
    if last is None or diagnosis.phase(last) in ("Failed", "Succeeded"):
        suspended = _suspended(job, snapshot.flags) if job["spec"].get("suspend") else ""
        return {"state": "queued", "cause": suspended or diagnosis.cause(job, [], snapshot.events) or again}
    created = diagnosis.when(last["metadata"]["creationTimestamp"])
    if diagnosis.phase(last) == "Running":
        started = last["status"].get("startTime")
        since = diagnosis.when(started) if started else created
        return {"state": "running", "cause": diagnosis.node_away(last) or again, "since": since}
    met = diagnosis.waiting(last, snapshot.events)
    return {"state": "pending", "cause": met.cause if met else again, "since": created}


def _suspended(job: Manifest, flags: str) -> str:
    """Say who holds a Job back: a queue, or else a person, whose command has to be undone."""
    if QUEUE in job["metadata"]["labels"]:
        return "suspended: its queue has not let it in"
    undo = f"kubectl {flags} patch job {name_of(job)} {LET_GO}"
    return f"suspended, and not by a queue; let it go on: {undo}"


def _ended(thing: Manifest | None) -> datetime | None:
    """Find when a pod or a Job that is over came to be as it is."""
    conditions = thing.get("status", {}).get("conditions", ()) if thing else ()
    return max((diagnosis.when(one["lastTransitionTime"]) for one in conditions), default=None)


def driver_row(cluster: Cluster, run: str) -> DriverRow:
    """Describe the last of a run's driver Jobs."""
    jobs = drivers(cluster, run)
    if not jobs:
        return DriverRow(state="none")
    job = jobs[-1]
    name = name_of(job)
    if (condition := diagnosis.terminal(job)) and condition["type"] == "Complete":
        return DriverRow(job=name, state="done")
    pods = cluster.list("Pod", {RUN: run, PART: DRIVER, JOB_NAME: name})
    events = [] if pods else cluster.list("Event", fields="type=Warning")
    cause = advised(diagnosis.cause(job, pods, events).removeprefix(STAGES_FAILED))
    if condition:
        return DriverRow(job=name, state="failed", cause=cause)
    is_running = any(diagnosis.phase(pod) == "Running" for pod in pods)
    return DriverRow(job=name, state="running" if is_running else "pending", cause=cause)


def queue_causes(cluster: Cluster, snapshot: ClusterSnapshot) -> dict[str, str]:
    """Find why Kueue has not admitted suspended Jobs: Job -> what its Workload says. The driver may not read those."""
    suspended = {job["metadata"]["uid"]: name for name, job in snapshot.jobs.items() if job["spec"].get("suspend")}
    try:
        workloads = cluster.list("Workload") if suspended else []
    except ConfigError:
        return {}  # no permission, or no Kueue here
    found = {}
    for workload in workloads:
        owner = next((one["uid"] for one in workload["metadata"].get("ownerReferences", ())), None)
        for condition in workload.get("status", {}).get("conditions", ()):
            if owner in suspended and condition["type"] == "QuotaReserved" and condition["status"] == "False":
                found[suspended[owner]] = f"{condition['reason']}: {condition['message']}"
    return found
