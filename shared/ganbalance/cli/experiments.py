"""Commands that take an experiment: run, plan, data get, data card."""

import argparse
import os
import sys
import time
from contextlib import ExitStack
from importlib.util import find_spec

from ganbalance import sweep
from ganbalance.called import program, typed
from ganbalance.cli import results, sweeps
from ganbalance.cli.commands import add_access, command, flag, is_named, positive
from ganbalance.cli.text import table
from ganbalance.config import Experiment
from ganbalance.data.datasets import open_dataset
from ganbalance.errors import EXIT_DONE, ConfigError, UnavailableError
from ganbalance.models import backbones
from ganbalance.paths import expanded
from ganbalance.pipeline import heartbeat, request, resolution, runs
from ganbalance.pipeline.local import Failure, LocalRunner
from ganbalance.pipeline.state import State, open_state
from ganbalance.printing import shortened
from ganbalance.store import open_store

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
MOST_NAMED, LONGEST_NAME = 40, 60  # of classes that a line names


def add_request(parser: argparse.ArgumentParser) -> None:
    """Add the flags that say which experiment."""
    default = request.DEFAULT_EXPERIMENT
    parser.add_argument(
        "experiment", type=expanded, nargs="?", default=default, help=f"an experiment or a sweep (default: {default})"
    )
    parser.add_argument("--gan", metavar="NAMES", help='these GANs instead of the experiment\'s, e.g. "dcgan wgan-gp"')
    request.add_overrides(parser)


@command(
    "run", 'jobs/experiments/quick.yaml --gan "vanilla dcgan" --seeds 0..9', add_request,
    flag("--workers", type=positive, default=CORES, help=f"stages at a time (default: {CORES})"),
    results.OUT, request.add_store,
)  # fmt: skip
def run(flags: argparse.Namespace) -> int:
    """Run what is not done yet, then the report; experiments of a sweep one after the other, then their comparison."""
    members = sweeps.requested(flags)
    records, store, codes = sweeps.records(members), open_store(flags.store), []
    with ExitStack() as stack:
        states = [stack.enter_context(open_state(record.plan, store)) for record in records]
        for record, state in zip(records, states, strict=True):
            _preflight(record.experiment, state)
        for place, (member, record, state) in enumerate(zip(members, records, states, strict=True), start=1):
            if len(members) > 1:
                print(f"\n{place} of {len(members)}: {member}")
            codes.append(_run(flags, record, state))
    if len(members) > 1:
        sweeps.compare_all(flags, store, records)
    return next((code for code in codes if code != EXIT_DONE), EXIT_DONE)


def _run(flags: argparse.Namespace, record: runs.Record, state: State) -> int:
    started, plan, store = time.monotonic(), record.plan, state.artifacts.store
    runs.submit(store, record)
    missing = state.unsettled(plan.nodes)
    done = len(plan.nodes) - len(missing)
    print(f"run {plan.run}: {len(plan.nodes)} stages, {done} done already, store {store.url}")
    for line in (*plan.notes, *plan.forecast):
        print(f"  {line}")
    failures: list[Failure] = []
    if missing:
        runs.note(store, plan.run, "started", workers=flags.workers)
        runner = LocalRunner(state, logs=flags.out / plan.run / "logs", workers=flags.workers)
        with heartbeat.beating(store, plan.run, "ganbalance run"):
            failures = runner.run()
        runs.note(store, plan.run, "ended", failed=[failure.stage for failure in failures])
    results.write_report(state, flags.out / plan.run)
    took = time.monotonic() - started
    if failures:
        return _report_failures(failures)
    print(f"everything was done already ({took:.1f} s)" if not missing else f"finished in {took:.0f} s")
    return EXIT_DONE


@command(
    "plan", "jobs/experiments/honest.yaml", add_request, request.add_store, add_access,
    flag("--record", type=expanded, metavar="FILE",
         help="keep the run's record in the store, and its name in FILE as a flag: the programs take @FILE"),
)  # fmt: skip
def plan(flags: argparse.Namespace) -> None:
    """Print what would run, and what is done already; of a sweep also what its experiments share."""
    members = sweeps.requested(flags)
    if flags.record:
        request.only(members, flags.experiment)
    records, store = sweeps.records(members), open_store(flags.store)
    done = [sweeps.settled(store, record.plan) for record in records]
    every = {node.key: node for record in records for node in record.plan.nodes}
    left = [node for key, node in every.items() if key not in set().union(*done)]
    if len(members) > 1:
        sweeps.show(members, [record.plan for record in records], done, left)
    else:
        print(f"run {records[0].plan.run}")
        for node in records[0].plan.nodes:
            print(f"  {'done' if node.key in done[0] else 'not started':<11}  {node.key[:12]}  {node.name}")
        print(", ".join([f"{len(done[0])} done", f"{len(left)} not started", *sweeps.by_stage(left)]))
    if is_named(flags):
        print(sweeps.gpu_bound(flags, records, left))
    for line in dict.fromkeys(line for record in records for line in (*record.plan.notes, *record.plan.forecast)):
        print(f"note: {line}")
    if flags.record:
        runs.submit(store, records[0])
        flags.record.write_text(f"--run={records[0].plan.run}\n", "utf-8")
    elif len(members) > 1:
        print(f"the stages of one: {program()} plan {flags.experiment} {sweep.which(members)}")


@command("data get", "jobs/experiments/quick.yaml", add_request)
def get(flags: argparse.Namespace) -> None:
    """Get the images and the backbone's weights that an experiment needs, unless they are here, and check them."""
    for experiment, _values in sweeps.requested(flags):
        source = open_dataset(experiment.dataset)
        source.ensure()
        images = source.load()
        n_test = len(images.labels) - images.n_train
        print(f"{experiment.dataset.name} is here and whole: {images.n_train:,} training and {n_test:,} test images")
        settings = experiment.classifier
        if resolution.weights_sha256(settings):
            weights = backbones.find(settings.backbone).weights_file(settings.weights)
            print(f"the weights of {settings.backbone} are here: {weights}")


@command("data card", "jobs/experiments/quick.yaml", add_request)
def card(flags: argparse.Namespace) -> None:
    """Say what is in an experiment's images: classes, sizes, what is done to them, left out, and there twice."""
    experiment = request.only(sweeps.requested(flags), flags.experiment)
    source = open_dataset(experiment.dataset)
    source.ensure()
    classes, _ = resolution.classes_of(experiment, source)
    asked = [label for labels in classes for label in labels]
    found, known = source.of(asked).card(), source.classes()
    if found is None:
        counts = source.counts()
        counted = [(known[label], counts.train[label], counts.test[label]) for label in sorted(asked)]
    else:
        counted = [(one.name, one.train, one.test) for one in found.classes]
    head = ["images"] if experiment.folds else ["to train on", "to test on"]
    rows = [
        [shortened(name, LONGEST_NAME), *(f"{n:,}" for n in ([sum(sides)] if experiment.folds else sides))]
        for name, *sides in counted
    ]
    print(table(["class", *head], rows, right=head))
    if others := [name for label, name in enumerate(known) if label not in asked]:
        more = f" and {len(others) - MOST_NAMED} more" if len(others) > MOST_NAMED else ""
        print(f"\nnot in the task: {', '.join(shortened(name, LONGEST_NAME) for name in others[:MOST_NAMED])}{more}")
    if found is not None:
        said = [[f"{term}:", text] for term, text in found.divided(experiment.folds).rows()]
        print("\n" + table(["", ""], said).lstrip("\n"))


def _preflight(experiment: Experiment, state: State) -> None:
    """Fail on what cannot be had before any work is done."""
    if not state.unsettled(state.plan.nodes):
        return
    if find_spec("torch") is None:
        raise ConfigError(
            "stages train with torch, which is not installed here; install ganbalance[train], "
            f"or have them run where it is ('{typed('submit')}')"
        )
    if experiment.resources.device == "cuda":  # any other choice can be had, and torch takes seconds to say so
        from ganbalance.training import device

        device.resolve("cuda")
    if state.commit("dataset") is None:
        open_dataset(experiment.dataset).ensure()
    backbone = backbones.find(experiment.classifier.backbone)
    if "backbone" in state.plan.by_name and state.commit("backbone") is None:
        backbone.weights_file(experiment.classifier.weights)


def _report_failures(failures: list[Failure]) -> int:
    """Print a line per failed stage; return the exit code of the first."""
    failed = [failure for failure in failures if failure.code != EXIT_DONE]
    for failure in failed:
        cause = f"failed: {failure.stage} (exit {failure.code}): {failure.cause}"
        print(f"{cause}\n        log: {failure.log}", file=sys.stderr)
    blocked = len(failures) - len(failed)
    print(f"{len(failed)} failed, {blocked} blocked by them; fix that and run the same command again", file=sys.stderr)
    # killed by a signal: memory or the node, so trying again may help
    return failed[0].code if failed[0].code > 0 else UnavailableError.exit_code
