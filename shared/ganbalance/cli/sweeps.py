"""Run, plan or submit each of the experiments of a file that sweeps, and compare runs: compare."""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from ganbalance import sweep
from ganbalance.cli import text
from ganbalance.cli.commands import access, add_access, command, flag, writable
from ganbalance.errors import ConfigError, DataError, GanbalanceError
from ganbalance.k8s import manifest
from ganbalance.k8s.client import Cluster
from ganbalance.k8s.connection import templates
from ganbalance.pipeline import request, runs
from ganbalance.pipeline.plan import Node, Plan, make_plan
from ganbalance.pipeline.runs import Record
from ganbalance.pipeline.stages import TrainGan
from ganbalance.pipeline.state import open_state
from ganbalance.plurals import plural
from ganbalance.reporting import ranking
from ganbalance.reporting.comparison import runs as comparing
from ganbalance.reporting.comparison import tables
from ganbalance.reporting.ranking import Ranking
from ganbalance.reporting.summary import Summary
from ganbalance.store import Store, open_store
from ganbalance.sweep import Member


def requested(flags: argparse.Namespace) -> tuple[Member, ...]:
    """Read the experiments that the flags of `experiments.add_request` ask for. Raises ConfigError."""
    only_gans = None if flags.gan is None else flags.gan.replace(",", " ").split()
    return request.experiments(flags.experiment, sets=flags.set, seeds=flags.seeds, only_gans=only_gans)


def records(members: Sequence[Member]) -> list[Record]:
    """Plan the run of each, before anything is done for any. Raises ConfigError or DataError, which name the values."""
    made = []
    for member in members:
        try:
            made.append(Record(experiment=member.experiment, plan=make_plan(member.experiment)))
        except GanbalanceError as error:
            raise type(error)(f"with {member}: {error}" if member.values else str(error)) from error
    return made


def show(members: Sequence[Member], plans: Sequence[Plan], done: Sequence[set[str]], left: Sequence[Node]) -> None:
    """Print the experiments, what of each is done, and what they share."""
    runs_of = Counter(node.key for plan in plans for node in plan.nodes)
    keys = tuple(dict.fromkeys(key for member in members for key in member.values))
    cells = [
        (
            *(sweep.shown(member.values[key]) if key in member.values else "" for key in keys),
            plan.run, str(len(plan.nodes)), str(len(of_plan)), str(sum(runs_of[node.key] > 1 for node in plan.nodes)),
        )
        for member, plan, of_plan in zip(members, plans, done, strict=True)
    ]  # fmt: skip
    head = (*keys, "run", "stages", "done", "shared")
    print(text.table(head, cells, right=("stages", "done", "shared")))
    every = {node.key: node for plan in plans for node in plan.nodes}
    shared = [node for key, node in every.items() if runs_of[key] > 1]
    print(f"{len(members)} experiments, {len(every)} stages: {len(every) - len(left)} done, {len(left)} not started")
    print(f"not started: {', '.join(by_stage(left)) or 'nothing'}")
    print(f"shared by several of them: {', '.join(by_stage(shared)) or 'nothing'}")


def made_twice(store: Store, of_runs: Sequence[Record]) -> str:
    """Make a warning where runs that start together would each train GANs that they share."""
    trained = [node.key for record in of_runs for node in record.plan.nodes if node.stage == TrainGan.stage]
    shared = {key for key, count in Counter(trained).items() if count > 1}
    if not shared or not (left := shared.difference(*(settled(store, record.plan) for record in of_runs))):
        return ""
    return (
        f"note: {plural(len(left), 'training')} of GANs shared by several of these runs, which each may do as "
        "they run side by side; '--driver local' runs them one after the other"
    )


def gpu_bound(flags: argparse.Namespace, of_runs: Sequence[Record], left: Sequence[Node]) -> str:
    """Say what the stages that are left take on the cluster that the flags name, each of them once."""
    of_pods, hours, waiting = templates(Cluster(access(flags))), 0.0, {node.key for node in left}
    for record in of_runs:
        mine = [node for node in record.plan.nodes if node.key in waiting]
        hours += manifest.gpu_hours(record.experiment, of_pods, mine)
        waiting -= {node.key for node in mine}
    if not hours:
        return "no GPU-hours: its pods ask for no GPU"
    return f"at most {hours:,.0f} GPU-hours, if every pod runs up to its deadline, once"


@command(
    "compare", "keep-ratio-shirt-0-2-1a2b3c4d keep-ratio-shirt-0-02-5e6f7a8b --out out/keep-ratio",
    flag("runs", nargs="+", metavar="RUN", help="two runs or more that have reports"),
    flag("--out", type=writable, default="out/compare", metavar="DIR",
         help="where it is written (default: out/compare)"),
    request.add_store, add_access,
)  # fmt: skip
def compare(flags: argparse.Namespace) -> None:
    """Write one report over several runs: curves along what differs between them, and where verdicts change.

    Where what differs has no order, theirs is that of the page.
    """
    store = open_store(flags.store)
    summaries, rankings = _reports_of(store, flags.runs)
    if missing := [run for run in flags.runs if run not in summaries]:
        raise DataError(f"no report yet of {', '.join(missing)}; run their experiments to the end, or leave them out")
    _write_comparison(summaries, rankings, flags.out)


def _reports_of(store: Store, names: Sequence[str]) -> tuple[dict[str, Summary], dict[str, Ranking]]:
    """Read the summaries of those runs that have a report, and the rankings, which older versions did not keep, by run.

    Raises ConfigError, DataError.
    """
    summaries, rankings = {}, {}
    for run in dict.fromkeys(names):
        with runs.opened(store, run) as (_record, state):
            if report := state.artifact("report"):
                summaries[run] = Summary.of(report.json("summary.json"), where=f"the report of run {run}")
                if ranking.FILE in report.names:
                    rankings[run] = Ranking.load(report.path(ranking.FILE), summaries[run])
    return summaries, rankings


def _write_comparison(summaries: dict[str, Summary], rankings: dict[str, Ranking], folder: Path) -> None:
    """Write the comparison and print what it says. Raises ConfigError where it makes no sense."""
    from ganbalance.reporting.comparison import page

    comparison = comparing.compare(summaries, rankings)
    path = page.write(folder, comparison)
    print(f"\n{tables.terminal(comparison)}\n\ncomparison: {path}")


def compare_all(flags: argparse.Namespace, store: Store, of_runs: Sequence[Record]) -> None:
    """Compare those that have a report; that some cannot be compared is no failure of theirs."""
    names = [record.plan.run for record in of_runs]
    summaries, rankings = _reports_of(store, names)
    if missing := [run for run in names if run not in summaries]:
        print(f"without a report, and so not compared: {', '.join(missing)}", file=sys.stderr)
    try:
        _write_comparison(summaries, rankings, flags.out / flags.experiment.stem)
    except ConfigError as error:
        print(f"no comparison: {error}", file=sys.stderr)


def settled(store: Store, plan: Plan) -> set[str]:
    """Find the keys of the stages that are done."""
    with open_state(plan, store) as state:
        return {node.key for node in plan.nodes} - {node.key for node in state.unsettled(plan.nodes)}


def by_stage(nodes: Sequence[Node]) -> list[str]:
    """Count the nodes of each stage."""
    return [f"{count} {stage}" for stage, count in Counter(node.stage for node in nodes).items()]
