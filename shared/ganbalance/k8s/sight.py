"""The Jobs and pods of a run at one moment: all that the driver and `status` know of the cluster."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ganbalance.k8s import trouble
from ganbalance.k8s.client import Cluster
from ganbalance.k8s.manifest import DRIVER, PART, ROUND, RUN, SUBMISSION

Object = dict[str, Any]

JOB_NAME, JOB_INDEX = "batch.kubernetes.io/job-name", "batch.kubernetes.io/job-completion-index"


@dataclass
class Sight:
    """Stage Jobs by name, earlier rounds first; pods by Job; Warning events about pods that could not be made."""

    jobs: dict[str, Object] = field(default_factory=dict)
    pods: dict[str, list[Object]] = field(default_factory=dict)
    events: list[Object] = field(default_factory=list)

    def active(self) -> list[Object]:
        """The Jobs that are not over."""
        return [job for job in self.jobs.values() if trouble.terminal(job) is None]

    def pods_of(self, job: Object, index: int) -> list[Object]:
        """The pods of one index of a Job."""
        return [pod for pod in self.pods.get(name_of(job), ()) if index_of(pod) == index]

    def failed(self, job: Object) -> Iterator[tuple[int, str]]:
        """The indexes of a Job that have ended without success, each with its cause."""
        status = job.get("status", {})
        over = set(range(job["spec"]["completions"])) if trouble.is_failed(job) else set()
        for index in sorted((over | trouble.indexes(status.get("failedIndexes"))) - completed(job)):
            yield index, trouble.cause(job, self.pods_of(job, index), self.events)


def look(cluster: Cluster, run: str) -> Sight:
    """Ask the API server."""
    labels = {RUN: run, PART: "stage"}
    listed = sorted(cluster.list("Job", labels), key=lambda job: int(job["metadata"]["labels"][ROUND]))
    jobs = {name_of(job): job for job in listed}
    pods: dict[str, list[Object]] = {name: [] for name in jobs}
    for pod in cluster.list("Pod", labels):
        pods.setdefault(pod["metadata"]["labels"].get(JOB_NAME, ""), []).append(pod)
    sight = Sight(jobs, pods)
    if any(not _is_alive(pods[name_of(job)]) for job in sight.active()):
        sight.events = cluster.list("Event", fields="reason=FailedCreate")
    return sight


def drivers(cluster: Cluster, run: str | None = None) -> list[Object]:
    """The driver Jobs of a run, or of all, the newest last."""
    labels = {PART: DRIVER} | ({RUN: run} if run else {})
    return sorted(
        cluster.list("Job", labels),
        key=lambda job: (job["metadata"]["creationTimestamp"], int(job["metadata"]["labels"][SUBMISSION])),
    )


def completed(job: Object) -> set[int]:
    """The indexes of a Job that have succeeded."""
    return trouble.indexes(job.get("status", {}).get("completedIndexes"))


def name_of(thing: Object) -> str:
    """The name of an object."""
    return str(thing["metadata"]["name"])


def index_of(pod: Mapping[str, Any]) -> int:
    """Which index of its Job a pod runs."""
    return int(pod["metadata"].get("annotations", {}).get(JOB_INDEX, -1))


def _is_alive(pods: list[Object]) -> bool:
    return any(trouble.phase(pod) in ("Pending", "Running") for pod in pods)
