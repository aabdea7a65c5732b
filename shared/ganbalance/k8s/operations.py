"""What a user does to a run on a cluster besides submitting it: cancel it, clean it away, read its logs."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from ganbalance.called import typed
from ganbalance.errors import ConfigError, UnavailableError
from ganbalance.k8s import diagnosis
from ganbalance.k8s.client import Cluster
from ganbalance.k8s.manifest import DRIVER, PART, RUN, SUBMISSION, Manifest
from ganbalance.k8s.status import drivers, is_named, name_of, stage_of
from ganbalance.pipeline import heartbeat, runs
from ganbalance.plurals import plural
from ganbalance.store import Store
from ganbalance.store.base import Entry

GONE_WITHIN_S = 180.0  # a pod has two minutes to write its checkpoint
POLL_S = 2.0


def latest(cluster: Cluster) -> str:
    """Find the run that was submitted last. Raises ConfigError when there is none."""
    jobs = drivers(cluster)
    if not jobs:
        raise ConfigError(
            f"namespace {cluster.namespace} has no Job of a run (cancelled?); name one with --run (RUN=...; "
            f"'{typed(f'store ls {cluster.flags}')}' lists them), or submit one"
        )
    return str(jobs[-1]["metadata"]["labels"][RUN])


def cancel(cluster: Cluster, store: Store | None, run: str, say: Callable[[str], object]) -> int:
    """Delete every Job and pod of a run, after keeping the logs; returns how many Jobs. What is committed stays.

    Without a store, which may be away, the logs are lost.
    """
    found = 0
    for part in (DRIVER, "stage"):  # first the one that would make more
        jobs = cluster.list("Job", {RUN: run, PART: part})
        pods = cluster.list("Pod", {RUN: run, PART: part})
        if store:
            for pod in pods:
                keep_log(cluster, store, run, pod)
        for job in jobs:
            cluster.delete("Job", name_of(job))
        found += len(jobs)
        _wait_for_end(cluster, run, part, say)
    if found and store:
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


Log = tuple[str, bytes]  # a pod, what it printed


def logs(
    cluster: Cluster, run: str, stage: str, kept: Sequence[Entry], store: Callable[[], Store]
) -> Iterator[Log]:  # fmt: skip
    """Yield pod and log of every try at the stages that `stage` names, oldest first; "driver" names the driver.

    A stage is named as in `status`, or by the start of its name. A live pod's log comes from the pod, another's from
    those `kept` in the store. Raises ConfigError when nothing of that name has run.
    """
    names = {Path(entry.name).stem: entry.name for entry in kept}
    pods = _pods(cluster, run, stage)
    if not names and not pods:
        runs.load(store(), run)
        raise ConfigError(
            f"run {run} has not started a stage {stage!r}; '{typed(f'status --run {run} {cluster.flags}')}' lists its "
            "stages, 'driver' is the driver"
        )
    # a stage has one pod at a time, so when one was made comes after all that the one before it wrote
    made = {Path(entry.name).stem: (Path(entry.name).parent.as_posix(), entry.modified) for entry in kept}
    made |= {
        name: (runs.log_folder(run, stage_of(pod)), diagnosis.when(pod["metadata"]["creationTimestamp"]))
        for name, pod in pods.items()
    }
    live = _running(pods)
    for name in sorted(made, key=lambda name: (made[name], name)):
        log = cluster.log(name) if name in live or name not in names else store().read(names[name])
        if log is not None:
            yield name, log


def followed(cluster: Cluster, run: str, stage: str, logs: Iterator[Log]) -> Iterator[Log]:
    """Yield these logs and then what is new in those of live pods, in whole lines, until none of them runs."""
    live, printed = _running(_pods(cluster, run, stage)), dict[str, int]()
    for name, log in logs:
        whole = _whole_lines(log) if name in live else log
        printed[name] = len(whole)
        yield name, whole
    while live:
        time.sleep(POLL_S)
        pods = _pods(cluster, run, stage)
        known_live, live = live, _running(pods)
        for name in [name for name in pods if name in known_live or name not in printed]:
            if (read := cluster.log(name)) is not None:
                now = _whole_lines(read) if name in live else read
                known = printed.get(name, 0)
                if new := now[known if known <= len(now) else 0 :]:  # a node begins a new file when one is large
                    yield name, new
                printed[name] = len(now)


def _whole_lines(log: bytes) -> bytes:
    return log[: log.rfind(b"\n") + 1]


def _pods(cluster: Cluster, run: str, stage: str) -> dict[str, Manifest]:
    """List the pods of the stages that `stage` names, by name."""
    labels = {RUN: run, PART: DRIVER if stage == DRIVER else "stage"}
    return {name_of(pod): pod for pod in cluster.list("Pod", labels) if is_named(stage_of(pod), stage)}


def _running(pods: Mapping[str, Manifest]) -> set[str]:
    return {name for name, pod in pods.items() if diagnosis.phase(pod) == "Running"}


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
