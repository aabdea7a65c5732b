"""Observe the Jobs and pods of a run at one moment: all that the driver and `status` know of the cluster."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ganbalance.k8s import diagnosis
from ganbalance.k8s.client import Cluster
from ganbalance.k8s.manifest import DRIVER, PART, ROUND, RUN, SUBMISSION, Manifest, stages_of

JOB_NAME, JOB_INDEX = "batch.kubernetes.io/job-name", "batch.kubernetes.io/job-completion-index"


@dataclass
class ClusterSnapshot:
    """Stage Jobs by name, earlier rounds first; pods by Job; Warning events where pods are not made or do not start."""

    jobs: dict[str, Manifest] = field(default_factory=dict)
    pods: dict[str, list[Manifest]] = field(default_factory=dict)
    events: list[Manifest] = field(default_factory=list)

    def active(self) -> list[Manifest]:
        """The Jobs that are not over."""
        return [job for job in self.jobs.values() if diagnosis.terminal(job) is None]

    def pods_of(self, job: Manifest, index: int) -> list[Manifest]:
        """The pods of one index of a Job."""
        return [pod for pod in self.pods.get(name_of(job), ()) if index_of(pod) == index]

    def failed(self, job: Manifest) -> Iterator[tuple[int, str]]:
        """The indexes of a Job that have ended without success, each with its cause."""
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

    def images(self) -> dict[str, str]:
        """What the images of the run's pods really were: name -> digest."""
        statuses = [
            one for pods in self.pods.values() for pod in pods for one in pod["status"].get("containerStatuses", ())
        ]
        return {one["image"]: one["imageID"] for one in statuses if one.get("imageID")}

    def idle_since(self) -> datetime | None:
        """When the last pod of the run ended and freed a node for others; None while one runs."""
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
        pods.setdefault(job_of(pod), []).append(pod)
    snapshot = ClusterSnapshot(jobs, pods)
    if any(_is_silent(pods[name_of(job)]) for job in snapshot.active()):
        snapshot.events = cluster.list("Event", fields="type=Warning")
    return snapshot


def drivers(cluster: Cluster, run: str | None = None) -> list[Manifest]:
    """The driver Jobs of a run, or of all, the newest last."""
    labels = {PART: DRIVER} | ({RUN: run} if run else {})
    return sorted(
        cluster.list("Job", labels),
        key=lambda job: (job["metadata"]["creationTimestamp"], int(job["metadata"]["labels"][SUBMISSION])),
    )


def completed(job: Manifest) -> set[int]:
    """The indexes of a Job that have succeeded."""
    return diagnosis.indexes(job.get("status", {}).get("completedIndexes"))


def name_of(thing: Manifest) -> str:
    """The name of an object."""
    return str(thing["metadata"]["name"])


def job_of(pod: Manifest) -> str:
    """The Job of a pod."""
    return str(pod["metadata"]["labels"].get(JOB_NAME, ""))


def index_of(pod: Manifest) -> int:
    """Which index of its Job a pod runs."""
    return int(pod["metadata"].get("annotations", {}).get(JOB_INDEX, -1))


def stage_of(pod: Manifest) -> str:
    """The stage that a pod runs, or "driver"."""
    return stages[index_of(pod)] if (stages := stages_of(pod)) else DRIVER


def _is_silent(pods: list[Manifest]) -> bool:
    """Whether a Job has no pod now, or one that does not start and does not say why."""
    alive = [pod for pod in pods if diagnosis.phase(pod) in ("Pending", "Running")]
    return not alive or any(diagnosis.phase(pod) == "Pending" and not diagnosis.waiting(pod) for pod in alive)
