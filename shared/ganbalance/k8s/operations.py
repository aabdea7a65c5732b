"""What a user does to a run on a cluster besides submitting it: cancel it, clean it away, read its logs."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from ganbalance.called import typed
from ganbalance.errors import ConfigError, UnavailableError
from ganbalance.k8s import diagnosis
from ganbalance.k8s.client import Cluster
from ganbalance.k8s.manifest import DRIVER, PART, RUN, SUBMISSION, Manifest
from ganbalance.k8s.status import drivers, name_of, stage_of
from ganbalance.pipeline import heartbeat, runs
from ganbalance.plurals import plural
from ganbalance.store import Store

GONE_WITHIN_S = 180.0  # a pod has two minutes to write its checkpoint
POLL_S = 1.0


def latest(cluster: Cluster) -> str:
    """Find the run that was submitted last. Raises ConfigError when there is none."""
    jobs = drivers(cluster)
    if not jobs:
        raise ConfigError(f"namespace {cluster.namespace} has no run; name one with --run (RUN=...), or submit one")
    return str(jobs[-1]["metadata"]["labels"][RUN])


def cancel(cluster: Cluster, store: Store, run: str, say: Callable[[str], object]) -> int:
    """Delete every Job and pod of a run, after keeping the logs; returns how many Jobs. What is committed stays."""
    found = 0
    for part in (DRIVER, "stage"):  # first the one that would make more
        jobs = cluster.list("Job", {RUN: run, PART: part})
        pods = cluster.list("Pod", {RUN: run, PART: part})
        for pod in pods:
            keep_log(cluster, store, run, pod)
        for job in jobs:
            cluster.delete("Job", name_of(job))
        found += len(jobs)
        _wait_for_end(cluster, run, part, say)
    if found:
        runs.note(store, run, "cancelled")
    return found


def keep_log(cluster: Cluster, store: Store, run: str, pod: Manifest) -> None:
    """Keep what a pod has printed so far, in place of what was kept before."""
    if (log := cluster.log(name_of(pod))) is not None:
        runs.replace(store, runs.log_name(run, stage_of(pod), name_of(pod)), log)


def _wait_for_end(cluster: Cluster, run: str, part: str, say: Callable[[str], object]) -> None:
    deadline = time.monotonic() + GONE_WITHIN_S
    reported = 0
    while pods := cluster.list("Pod", {RUN: run, PART: part}):
        if time.monotonic() > deadline:
            raise UnavailableError(
                f"{len(pods)} pods of run {run} are still ending, {name_of(pods[0])} among them; "
                "run the same command again, and look at them with kubectl describe pod"
            )
        if reported != len(pods):
            reported = len(pods)
            say(f"waiting for {plural(reported, 'pod')} to end; those that run write a checkpoint")
        time.sleep(POLL_S)


def logs(cluster: Cluster, store: Store, run: str, stage: str) -> Iterator[tuple[str, bytes]]:
    """Yield pod and log of every try at the stages that `stage` names, oldest first; "driver" names the driver.

    A stage is named as in `status`, or by the start of its name. A live pod's log comes from the pod, another's from
    the store. Raises ConfigError when nothing of that name has run.
    """
    entries = list(store.entries(runs.log_folder(run, stage)))
    kept = {Path(entry.name).stem: entry.name for entry in entries}
    labels = {RUN: run, PART: DRIVER if stage == DRIVER else "stage"}
    pods = {name_of(pod): pod for pod in cluster.list("Pod", labels) if f"{stage_of(pod)}/".startswith(f"{stage}/")}
    if not kept and not pods:
        runs.load(store, run)
        raise ConfigError(
            f"run {run} has not started a stage {stage!r}; '{typed(f'status --run {run} {cluster.flags}')}' lists its "
            "stages, 'driver' is the driver"
        )
    # a stage has one pod at a time, so when one was made comes after all that the one before it wrote
    made = {Path(entry.name).stem: (Path(entry.name).parent.as_posix(), entry.modified) for entry in entries}
    made |= {
        name: (runs.log_folder(run, stage_of(pod)), diagnosis.when(pod["metadata"]["creationTimestamp"]))
        for name, pod in pods.items()
    }
    for name in sorted(made, key=lambda name: (made[name], name)):
        is_live = name in pods and diagnosis.phase(pods[name]) == "Running"
        log = cluster.log(name) if is_live or name not in kept else store.read(kept[name])
        if log is not None:
            yield name, log


def check_is_ours(cluster: Cluster, store: Store, run: str, mine: str) -> None:
    """Raise UnavailableError when others work on a run than the pods of this namespace; `mine` is our heartbeat."""
    ours = {name_of(pod) for pod in cluster.list("Pod", {RUN: run})}
    found = [(worker, ago) for worker, ago in heartbeat.others(store, run, mine) if worker.process not in ours]
    if found:
        worker, ago = found[0]
        more = f" and {plural(len(found) - 1, 'other')}" if found[1:] else ""
        raise UnavailableError(
            f"run {run} in the store {store.url} is in use by {worker.what} ({worker.process}){more}, since "
            f"{worker.since:%Y-%m-%d %H:%M} UTC, last seen {ago.total_seconds():.0f} s ago; nothing was deleted: stop "
            f"it there (Ctrl-C, or {typed('cancel')} in its namespace), then run the same command again; what was "
            f"killed counts as dead {heartbeat.DEAD_AFTER.total_seconds():.0f} s after it was last seen"
        )


def next_submission(cluster: Cluster, store: Store, run: str) -> int:
    """Choose a number that no submission has, nor any Job that is there, also one of a store that was another then."""
    of_jobs = [int(job["metadata"]["labels"][SUBMISSION]) for job in cluster.list("Job", {RUN: run})]
    return 1 + max([*runs.submission_numbers(store, run), *of_jobs], default=0)
