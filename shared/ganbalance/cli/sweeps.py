"""Run, plan or submit each of the experiments of a file that sweeps."""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any

from ganbalance import sweep
from ganbalance.cli import compare, text
from ganbalance.cli.access import access, is_named
from ganbalance.errors import EXIT_DONE, ConfigError, GanbalanceError
from ganbalance.k8s import rendering
from ganbalance.k8s.client import Cluster
from ganbalance.k8s.connection import templates
from ganbalance.pipeline import request
from ganbalance.pipeline.plan import Node, Plan, make_plan
from ganbalance.pipeline.runs import Record
from ganbalance.pipeline.stages import TrainGan
from ganbalance.pipeline.state import open_state
from ganbalance.plurals import plural
from ganbalance.store import Store, open_store
from ganbalance.sweep import Member


def requested(flags: argparse.Namespace) -> tuple[Member, ...]:
    """The experiments that the flags of `experiments.add_request` ask for. Raises ConfigError."""
    return request.experiments(flags.experiment, **overrides(flags))


def overrides(flags: argparse.Namespace) -> dict[str, Any]:
    """What the flags change of the file."""
    return {"sets": flags.set, "seeds": flags.seeds, "only_gans": None if flags.gan is None else flags.gan.split()}


def records(members: Sequence[Member]) -> list[Record]:
    """The run of each, before anything is done for any. Raises ConfigError or DataError, which name the values."""
    made = []
    for member in members:
        try:
            made.append(Record(experiment=member.experiment, plan=make_plan(member.experiment)))
        except GanbalanceError as error:
            raise type(error)(f"with {member}: {error}" if member.values else str(error)) from error
    return made


def plan(flags: argparse.Namespace, members: Sequence[Member]) -> int:
    """Print the experiments, what of each is done, and what they share."""
    of_runs, store = records(members), open_store(flags.store)
    planned = [record.plan for record in of_runs]
    done = [settled(store, plan) for plan in planned]
    runs_of = Counter(node.key for plan in planned for node in plan.nodes)
    keys = tuple(dict.fromkeys(key for member in members for key in member.values))
    cells = [
        (
            *(sweep.shown(member.values[key]) if key in member.values else "" for key in keys),
            plan.run, str(len(plan.nodes)), str(len(of_plan)), str(sum(runs_of[node.key] > 1 for node in plan.nodes)),
        )
        for member, plan, of_plan in zip(members, planned, done, strict=True)
    ]  # fmt: skip
    head = (*keys, "run", "stages", "done", "shared")
    print(text.table(head, cells, right=("stages", "done", "shared")))
    every = {node.key: node for plan in planned for node in plan.nodes}
    shared = [node for key, node in every.items() if runs_of[key] > 1]
    left = [node for key, node in every.items() if key not in set().union(*done)]
    print(f"{len(members)} experiments, {len(every)} stages: {len(every) - len(left)} done, {len(left)} not started")
    print(f"not started: {', '.join(by_stage(left)) or 'nothing'}")
    print(f"shared by several of them: {', '.join(by_stage(shared)) or 'nothing'}")
    if is_named(flags):
        print(gpu_bound(flags, of_runs, left))
    for line in dict.fromkeys(line for plan in planned for line in (*plan.notes, *plan.forecast)):
        print(f"note: {line}")
    print(f"the stages of one: ganbalance plan {flags.experiment} {sweep.which(members)}")
    return EXIT_DONE


def made_twice(store: Store, of_runs: Sequence[Record]) -> str:
    """A warning where runs that start together would each train GANs that they share."""
    trained = [node.key for record in of_runs for node in record.plan.nodes if node.stage == TrainGan.stage]
    shared = {key for key, count in Counter(trained).items() if count > 1}
    if not shared or not (left := shared.difference(*(settled(store, record.plan) for record in of_runs))):
        return ""
    return (
        f"note: {plural(len(left), 'training')} of GANs shared by several of these runs, which each may do as "
        "they run side by side; '--driver local' runs them one after the other"
    )


def gpu_bound(flags: argparse.Namespace, of_runs: Sequence[Record], left: Sequence[Node]) -> str:
    """What the stages that are left take on the cluster that the flags name, each of them once."""
    of_pods, hours, waiting = templates(Cluster(access(flags))), 0.0, {node.key for node in left}
    for record in of_runs:
        mine = [node for node in record.plan.nodes if node.key in waiting]
        hours += rendering.gpu_hours(record.experiment, of_pods, mine)
        waiting -= {node.key for node in mine}
    if not hours:
        return "no GPU-hours: its pods ask for no GPU"
    return f"at most {hours:,.0f} GPU-hours, if every pod runs up to its deadline, once"


def compare_all(flags: argparse.Namespace, store: Store, of_runs: Sequence[Record]) -> None:
    """Compare those that have a report; that some cannot be compared is no failure of theirs."""
    runs = [record.plan.run for record in of_runs]
    reports = compare.reports_of(store, runs)
    if missing := [run for run in runs if run not in reports]:
        print(f"without a report, and so not compared: {', '.join(missing)}", file=sys.stderr)
    try:
        compare.write_comparison(reports, flags.out / flags.experiment.stem)
    except ConfigError as error:
        print(f"no comparison: {error}", file=sys.stderr)


def settled(store: Store, plan: Plan) -> set[str]:
    """The keys of the stages that are done."""
    with open_state(plan, store) as state:
        return {node.key for node in plan.nodes if state.is_settled(node.name)}


def by_stage(nodes: Sequence[Node]) -> list[str]:
    """How many nodes there are of each stage."""
    return [f"{count} {stage}" for stage, count in Counter(node.stage for node in nodes).items()]
