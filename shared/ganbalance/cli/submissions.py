"""Commands that start a run on a cluster: submit, resume, render, and drive, which the driver's pod runs."""

import argparse
import importlib
import sys

import yaml

from ganbalance.called import typed
from ganbalance.cli import experiments, sweeps
from ganbalance.cli.commands import add_access, command, connected, flag, positive
from ganbalance.config import OwnImages
from ganbalance.errors import ConfigError, DataError, Stopped, UnavailableError
from ganbalance.k8s import diagnosis, manifest, preflight
from ganbalance.k8s.client import Access, Cluster
from ganbalance.k8s.connection import templates
from ganbalance.k8s.driver import Driver
from ganbalance.k8s.operations import latest, next_submission
from ganbalance.k8s.status import drivers, name_of, observe
from ganbalance.maintenance.doctor import findings
from ganbalance.pipeline import heartbeat, request, runs
from ganbalance.pipeline.outages import outlast
from ganbalance.pipeline.plan import make_plan
from ganbalance.pipeline.runs import Submission
from ganbalance.pipeline.signals import stoppable
from ganbalance.pipeline.state import State
from ganbalance.plurals import plural
from ganbalance.store import Store, open_store
from ganbalance.store.artifacts import Artifacts

PARALLEL = 4
PENDING_S = 24 * 3600
PARALLEL_FLAG = flag(
    "--parallel", type=positive, default=PARALLEL, metavar="N", help=f"pods of stages at a time (default: {PARALLEL})"
)
PENDING_FLAG = flag(
    "--pending", type=positive, default=PENDING_S, metavar="SECONDS",
    help=f"give a stage up whose pod cannot start for so long (default: {PENDING_S}, a day)",
)  # fmt: skip
AWAY_FLAG = flag(
    "--away", type=positive, default=runs.AWAY_S, metavar="SECONDS",
    help=f"give up when the store or the API server is away for so long (default: {runs.AWAY_S:.0f}, 6 hours)",
)  # fmt: skip
DRIVER_FLAG = flag(
    "--driver", choices=("cluster", "local"), default="cluster",
    help="where the driver runs: as a Job, or here in the foreground (default: cluster)",
)  # fmt: skip


@command(
    "submit", 'jobs/experiments/honest.yaml --gan "dcgan wgan-gp" --seeds 0..9 --parallel 8',
    experiments.add_request, PARALLEL_FLAG, PENDING_FLAG, AWAY_FLAG, DRIVER_FLAG, add_access,
)  # fmt: skip
def submit(flags: argparse.Namespace) -> None:
    """Run an experiment on a cluster, or each one of a sweep; the same again resumes it."""
    members = sweeps.requested(flags)
    with connected(flags) as (cluster, store):
        records = sweeps.records(members)  # images may be on S3 as the cluster reaches it
        if flags.driver == "cluster" and (warning := sweeps.made_twice(store, records)):
            print(warning)
        for record in records:
            _start(flags, cluster, store, record, is_new=True)
        if len(records) > 1:
            names = " ".join(record.plan.run for record in records)
            print(f"when all are done: {typed(f'compare {names} {cluster.flags}')}")


@command(
    "resume", "--run quick-1a2b3c4d", flag("--run", help="a run (default: the one that was submitted last)"),
    PARALLEL_FLAG, PENDING_FLAG, AWAY_FLAG, DRIVER_FLAG, add_access,
)  # fmt: skip
def resume(flags: argparse.Namespace) -> None:
    """Resume a run that was cancelled or has failed stages; needs no experiment."""
    with connected(flags) as (cluster, store):
        _start(flags, cluster, store, runs.load(store, flags.run or latest(cluster)), is_new=False)


@command(
    "render", "jobs/experiments/quick.yaml --gan dcgan",
    experiments.add_request, PARALLEL_FLAG, PENDING_FLAG, AWAY_FLAG, add_access,
)  # fmt: skip
def render(flags: argparse.Namespace) -> None:
    """Print the manifests that submit would create, as YAML; create nothing."""
    experiment = request.only(sweeps.requested(flags), flags.experiment)
    with connected(flags) as (cluster, store):
        plan = make_plan(experiment)
        submission = _new_submission(flags, cluster, store, plan.run)
        jobs = manifest.jobs(experiment, State(plan, Artifacts(store)), submission, observe(cluster, plan.run).jobs)
    print(yaml.safe_dump_all(jobs, sort_keys=False, width=200), end="")


@command(
    "drive", "--run quick-1a2b3c4d --submission 1",
    flag("--run", required=True), flag("--submission", type=int, required=True), request.add_store,
)  # fmt: skip
def drive(flags: argparse.Namespace) -> None:
    """Drive a submission to its end, as its pod does; the exit code says whether every stage has a result."""

    def driver() -> Driver:
        store = open_store(flags.store)
        record, submission = runs.load(store, flags.run), runs.load_submission(store, flags.run, flags.submission)
        return Driver(Cluster(Access()), record.experiment, State(record.plan, Artifacts(store)), submission)

    with stoppable("stopped; another driver goes on from here"):
        _report_failures(outlast(driver, runs.AWAY_S).run())


def _start(flags: argparse.Namespace, cluster: Cluster, store: Store, record: runs.Record, *, is_new: bool) -> None:
    run, state = record.plan.run, State(record.plan, Artifacts(store))
    missing = state.unsettled(record.plan.nodes)
    print(f"run {run}: {plural(len(record.plan.nodes), 'stage')}, {len(missing)} to run, store {store.url}")
    if not missing:
        print(f"already done; next: {typed(f'fetch-report --run {run} {cluster.flags}')}")
        return
    then = f"next: {typed(f'watch --run {run} {cluster.flags}')}"
    if at_work := [job for job in drivers(cluster, run) if diagnosis.terminal(job) is None]:
        print(f"under way already, driven by the Job {name_of(at_work[0])}; {then}")
        return
    _check_driven_here(cluster, store, run)
    new = _new_submission(flags, cluster, store, run)
    driver, *rest = manifest.jobs(record.experiment, state, new, observe(cluster, run).jobs)
    _preflight(cluster, rest if flags.driver == "local" else [driver, *rest])
    here = [stage for stage in _only_here(record) if state.commit(stage) is None]
    if is_new:
        runs.submit(store, record)
        for stage in here:
            program = importlib.import_module(f"jobs.{record.plan.node(stage).program.replace('-', '_')}")
            if program.main(["--run", run, "--store", store.url, "--stage", stage]):
                raise DataError(f"the {stage} could not be made here, see above; nothing was submitted")
    elif here:
        raise ConfigError(
            f"the {here[0]} of run {run} is made of files that no pod has; submit its experiment again where they are"
        )
    submission = runs.record_submission(store, new)  # of two that submit at one moment, both use the first one's
    if flags.driver == "local":
        _drive_here(cluster, record, state, submission)
    else:
        job = manifest.driver_job(run, submission.number, submission.templates[manifest.DRIVER])
        cluster.create(job)
        print(f"submitted: the Job {job['metadata']['name']} drives it; {then}")


def _check_driven_here(cluster: Cluster, store: Store, run: str) -> None:
    """Raise UnavailableError where another namespace drives a run: neither driver would see the other's Jobs."""
    with heartbeat.beating(store, run, "ganbalance submit") as mine:
        found = [one for one, _ in heartbeat.others(store, run, mine) if one.what.startswith(heartbeat.DRIVER)]
    for driver in found:
        if driver.what != heartbeat.DRIVER + cluster.namespace:
            raise UnavailableError(
                f"run {run} in the store {store.url} is at work under {driver.what} ({driver.process}), since "
                f"{driver.since:%Y-%m-%d %H:%M} UTC; nothing was submitted: wait for its end, or stop it there "
                f"({typed('cancel')}); one that was killed counts as dead two minutes later"
            )


def _drive_here(cluster: Cluster, record: runs.Record, state: State, submission: Submission) -> None:
    try:
        _report_failures(Driver(cluster, record.experiment, state, submission).run())
    except (KeyboardInterrupt, Stopped) as error:
        where = f"--run {submission.run} {cluster.flags}"
        raise Stopped(
            f"stopped; the Jobs that have started go on. To resume: {typed(f'resume {where} --driver local')}; "
            f"to stop them: {typed(f'cancel {where}')}"
        ) from error


def _only_here(record: runs.Record) -> list[str]:
    """List the stages that read images and weights which are files of whoever submits: no pod could read them."""
    settings = record.experiment
    images = settings.dataset
    is_here = {
        "dataset": isinstance(images, OwnImages) and not images.is_on_s3,
        "backbone": settings.classifier.weights is not None,
    }
    return [stage for stage, of_files in is_here.items() if of_files]


def _new_submission(flags: argparse.Namespace, cluster: Cluster, store: Store, run: str) -> Submission:
    return Submission(
        run=run, number=next_submission(cluster, store, run), parallel=flags.parallel, pending_s=flags.pending,
        away_s=flags.away, templates=templates(cluster),
    )  # fmt: skip


def _preflight(cluster: Cluster, jobs: list[manifest.Manifest]) -> None:
    """Print notes and warnings, and stop before anything is created where a check failed."""
    found = list(findings(preflight.checks(cluster, jobs)))
    for finding in found:
        if finding.state in ("note", "warn"):
            print(f"{finding.state}: {finding.check}: {finding.text}" + (f"; {finding.fix}" if finding.fix else ""))
    preflight.refuse(found)


def _report_failures(failures: dict[str, str]) -> None:
    """Print the stages without a result. Raises DataError when there are any."""
    for stage, cause in failures.items():
        print(f"failed: {stage}: {cause}", file=sys.stderr)
    if failures:
        raise DataError(f"{plural(len(failures), 'stage')} without a result; fix that and resume the run")
    print("every stage has its result")
