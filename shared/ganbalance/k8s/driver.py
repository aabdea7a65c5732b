"""Drive a run: observe its Jobs and COMMITs, start what can be started, and keep nothing in memory.

A group is the stages of one kind and one GAN or arm (`runs.group_of`). When all that a group reads is settled, the
driver starts one Job, the group's next round, over those of its stages that are missing and whose inputs are committed.
Jobs and COMMITs alone decide, so a driver that dies after any call is followed by another that goes on:

    a Job that is not over             is waited for, whoever made it
    a stage that this submission ran   is not run again by it: its Job has used up its retries; unless it failed, and
                                       its checkpoint is further than when that Job was made
    a stage that an older one ran      is run again, in the next round
"""

import itertools
import os
import textwrap
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ganbalance.config import Experiment
from ganbalance.errors import UnavailableError
from ganbalance.k8s import diagnosis, manifest, status
from ganbalance.k8s.client import Cluster, QuotaError
from ganbalance.k8s.manifest import CAUSE, DRIVER, GROUP, INDEXES, QUEUE, Manifest, Round, by_index
from ganbalance.k8s.operations import keep_log
from ganbalance.k8s.status import ClusterSnapshot, completed, name_of, observe
from ganbalance.pipeline import heartbeat, runs, stages
from ganbalance.pipeline.outages import outlast
from ganbalance.pipeline.plan import Node
from ganbalance.pipeline.runs import Submission
from ganbalance.pipeline.state import State
from ganbalance.plurals import plural

POLL_S = 3.0
STUCK_AFTER_S = 1  # a deadline that has passed: how a Job is ended so that it says Failed


class Driver:
    """Drives one submission of a run to its end."""

    def __init__(self, cluster: Cluster, experiment: Experiment, state: State, submission: Submission) -> None:
        self._cluster, self._state, self._submission = cluster, state, submission
        self._experiment, self._run = experiment, state.plan.run
        self._groups = runs.groups(state.plan)
        # what follows only spares requests: all of it can be asked for again
        self._emitted: set[str] = set()
        self._ran: dict[str, set[str]] = {}  # of a Job that is over, the stages that are not run again
        self._reported: str | None = None  # which quota has no room
        self._had_room = time.monotonic()
        self._kept_logs = {Path(name).stem for name in state.artifacts.store.names(runs.log_folder(self._run, ""))}

    def run(self) -> dict[str, str]:
        """Drive until nothing is left that could run; return the stages without a result, each with its cause.

        Raises ConfigError when another driver has taken the run over, UnavailableError when the store or the API server
        was away for longer than the submission allows.
        """
        store, away_s = self._state.artifacts.store, self._submission.away_s
        claim = outlast(lambda: heartbeat.take_over(store, self._run), away_s)
        outlast(lambda: runs.note(store, self._run, "driver started", submission=self._submission.number), away_s)

        def step() -> bool:
            # one that takes over after this look meets the names of our Jobs, and adopts what this step makes
            heartbeat.check_claim(store, self._run, claim)
            return self.step()

        with heartbeat.beating(store, self._run, heartbeat.DRIVER + self._cluster.namespace):
            try:
                while not outlast(step, away_s):
                    time.sleep(POLL_S)
            except UnavailableError as error:
                self._give_up_waiting(f"timed out after {away_s:.0f} s; {error}")
                raise
        return outlast(self._end, away_s)

    def _end(self) -> dict[str, str]:
        store, number = self._state.artifacts.store, self._submission.number
        snapshot = observe(self._cluster, self._run)
        failures = self.failures(snapshot)
        runs.note(store, self._run, "driver ended", submission=number, failed=failures, images=snapshot.images())
        if (name := os.environ.get(heartbeat.POD)) and (mine := self._cluster.find("Pod", name)):
            keep_log(self._cluster, store, self._run, mine)
        return failures

    def step(self) -> bool:
        """Observe the cluster once and act on it; True when the run is settled."""
        snapshot = observe(self._cluster, self._run)
        self._keep_logs(snapshot)
        self._end_stuck(snapshot)
        self._emit_events(snapshot)
        started = self._start(snapshot)
        self._widen(snapshot)
        return not started and not snapshot.active()

    def failures(self, snapshot: ClusterSnapshot) -> dict[str, str]:
        """List the stages without a result, each with its cause: those that failed before those blocked by them."""
        rows = [row for row in status.rows(self._state, snapshot) if row.state not in status.HAS_RESULT]
        return {row.stage: row.cause for row in sorted(rows, key=lambda row: row.state != "failed")}

    # ---- starting --------------------------------------------------------------------------------------------------

    def _start(self, snapshot: ClusterSnapshot) -> bool:
        """Start the next round of every group that can have one; whether any was, or will be."""
        free = self._submission.parallel - sum(_width(job) for job in snapshot.active())
        active = {job["metadata"]["labels"][GROUP] for job in snapshot.active()}
        over = [job for job in snapshot.jobs.values() if diagnosis.terminal(job)]
        ran = {stage for job in over for stage in self._used_up(snapshot, job)}
        unsettled: set[str] = set()
        wanted, refused = False, ""
        for group, nodes in self._groups.items():
            if group in active or any(parent in unsettled for node in nodes for parent in node.inputs.values()):
                unsettled |= {node.name for node in nodes}
                continue
            ready = [node for node in nodes if node.name not in ran and self._is_ready(node)]
            if not ready:
                continue
            unsettled |= {node.name for node in nodes}
            wanted = True
            # what the run's other Jobs leave; where Jobs queue, the queue sees to that
            is_queued = QUEUE in self._submission.templates[nodes[0].program]["metadata"].get("labels", {})
            width = min(self._submission.parallel if is_queued else free, len(ready))
            if width > 0 and not refused:
                try:
                    self._start_round(snapshot, ready, width)
                except QuotaError as error:
                    refused = str(error).rpartition("; ")[0]
                else:
                    free -= width
        self._wait_for_room(snapshot, refused)
        return wanted

    def _used_up(self, snapshot: ClusterSnapshot, job: Manifest) -> set[str]:
        """Find the stages of a Job that are not run again after it: a try that got further uses up no retry."""
        of = Round.of(job)
        if of.submission != self._submission.number:
            return set()
        if of.job in self._ran:
            return self._ran[of.job]
        before = dict(zip(of.stages, of.steps, strict=False))
        failed = (self._state.plan.node(of.stages[index]) for index in snapshot.retryable(job))
        steps = {node.name: self._state.artifacts.step(node.stage, node.key) for node in failed}
        self._ran[of.job] = {stage for stage in of.stages if steps.get(stage, 0) <= before.get(stage, 0)}
        return self._ran[of.job]

    def _wait_for_room(self, snapshot: ClusterSnapshot, refused: str) -> None:
        """Say on the driver's own Job which quota has no room. Raises QuotaError when nothing has run for too long."""
        if not refused or snapshot.active():
            self._had_room = time.monotonic()
        pending_s = self._submission.pending_s
        if is_over := time.monotonic() - self._had_room >= pending_s:
            refused = f"timed out after {pending_s:.0f} s; {refused}"
        if refused != self._reported:
            if refused:
                print(refused, flush=True)
            name = runs.job_name(self._run, DRIVER, self._submission.number)
            self._cluster.patch("Job", name, {"metadata": {"annotations": {CAUSE: refused or None}}})
            self._reported = refused
        if is_over:
            raise QuotaError(diagnosis.advised(refused))

    def _is_ready(self, node: Node) -> bool:
        if self._state.commit(node.name) is not None:
            return False
        inputs = self._state.inputs(node)
        if isinstance(declared := node.declared(), stages.Report):
            return not declared.cells.keys().isdisjoint(inputs.commits)  # without a single score there is no report
        return not inputs.missing

    def _start_round(self, snapshot: ClusterSnapshot, ready: Sequence[Node], width: int) -> None:
        """Start a group's next round. Raises DataError where a Job that is no round has its name."""
        made = manifest.next_job(
            self._experiment, self._state, self._submission, ready, snapshot.jobs, parallelism=width
        )
        # one that is there already is another driver's
        if standing := self._cluster.create(made) or self._cluster.find("Job", name_of(made)):
            snapshot.jobs[Round.of(standing).job] = standing

    def _widen(self, snapshot: ClusterSnapshot) -> None:
        """Let Jobs have more pods at a time when others have ended; never fewer, since that would kill some."""
        # a queue that let some pods in would put the Job out again for asking for more
        active = snapshot.active()
        free = self._submission.parallel - sum(_width(job) for job in active)
        for job in active:
            if QUEUE in job["metadata"]["labels"]:
                continue
            more = min(free, _left(job) - job["spec"]["parallelism"])
            if more > 0:
                free -= more
                wider = {"parallelism": job["spec"]["parallelism"] + more}
                version = {"resourceVersion": job["metadata"]["resourceVersion"]}  # another driver may have given more
                self._cluster.patch("Job", name_of(job), {"metadata": version, "spec": wider})

    # ---- ending and reporting --------------------------------------------------------------------------------------

    def _end_stuck(self, snapshot: ClusterSnapshot) -> None:
        """Give up Jobs whose pods cannot start, or find the store away for too long."""
        now, idle_since, submission = datetime.now(UTC), snapshot.idle_since(), self._submission
        for job in snapshot.active():
            pods, away_since = snapshot.pods[name_of(job)], snapshot.away_since(job)
            if away_since and now - away_since >= timedelta(seconds=submission.away_s):
                self._give_up(job, f"timed out after {submission.away_s:.0f} s; {diagnosis.last_end(pods)}")
            elif why := diagnosis.stuck(job, pods, snapshot.events, now, submission.pending_s, idle_since):
                self._give_up(job, why)

    def _give_up(self, job: Manifest, why: str) -> None:
        """End a Job. A deadline that has passed makes it Failed, as any other failure."""
        if job["spec"].get("activeDeadlineSeconds") != STUCK_AFTER_S:
            annotated = {"annotations": {CAUSE: why}}
            change = {"metadata": annotated, "spec": {"activeDeadlineSeconds": STUCK_AFTER_S}}
            self._cluster.patch("Job", name_of(job), change)

    def _give_up_waiting(self, why: str) -> None:
        """Give up the Jobs of which no pod runs: without a driver they would be tried for ever."""
        snapshot = observe(self._cluster, self._run)
        for job in snapshot.active():
            if not any(diagnosis.phase(pod) == "Running" for pod in snapshot.pods[name_of(job)]):
                self._give_up(job, why)

    def _emit_events(self, snapshot: ClusterSnapshot) -> None:
        """Put an Event on each Job at its milestones, for `kubectl describe`."""
        for name, job in snapshot.jobs.items():
            of = Round.of(job)
            stages = plural(len(of.stages), "stage")
            if diagnosis.terminal(job) is None:
                self._emit(job, "Started", f"{of.group}, round {of.number}: {stages}: {', '.join(by_index(of.stages))}")
            elif of.submission != self._submission.number and f"{name}.started" not in self._emitted:
                pass  # an older driver has emitted it; what the Job left behind may have been deleted since
            elif failed := status.failures(self._state, snapshot, job):
                stage, cause = next(iter(failed.items()))
                self._emit(job, "StagesFailed", f"{len(failed)} of {stages} failed; {stage}: {cause}")
            else:
                self._emit(job, "StagesDone", f"{stages} of {of.group} done")

    def _emit(self, job: Manifest, reason: str, message: str) -> None:
        name = f"{name_of(job)}.{reason.lower()}"
        if name in self._emitted:
            return
        more = f"… (annotation {INDEXES})" if reason == "Started" else "…"
        now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        event = {
            "apiVersion": "v1", "kind": "Event", "metadata": {"name": name, "namespace": self._cluster.namespace},
            "involvedObject": {
                "apiVersion": "batch/v1", "kind": "Job", "name": name_of(job),
                "namespace": self._cluster.namespace, "uid": job["metadata"]["uid"],
            },
            "reason": reason, "message": textwrap.shorten(message, 1000, placeholder=more),
            "type": "Warning" if reason == "StagesFailed" else "Normal",
            "source": {"component": "ganbalance-driver"}, "firstTimestamp": now, "lastTimestamp": now, "count": 1,
        }  # fmt: skip
        print(f"{reason} {name_of(job)}: {message}", flush=True)
        self._cluster.create(event)  # one of that name says the same
        self._emitted.add(name)

    def _keep_logs(self, snapshot: ClusterSnapshot) -> None:
        """Copy the logs of pods that have ended, and of those that have to, whose nodes may be gone soon after."""
        for pod in itertools.chain.from_iterable(snapshot.pods.values()):
            has_ended = diagnosis.phase(pod) in ("Succeeded", "Failed")
            if (has_ended or "deletionTimestamp" in pod["metadata"]) and name_of(pod) not in self._kept_logs:
                keep_log(self._cluster, self._state.artifacts.store, self._run, pod)
                self._kept_logs |= {name_of(pod)} if has_ended else set()


def _left(job: Manifest) -> int:
    """Count the indexes of a Job that have not ended."""
    failed = diagnosis.indexes(job.get("status", {}).get("failedIndexes"))
    return int(job["spec"]["completions"]) - len(completed(job) | failed)


def _width(job: Manifest) -> int:
    """Count the pods that a Job may have now."""
    return min(int(job["spec"]["parallelism"]), _left(job))
