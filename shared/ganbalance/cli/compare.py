"""The command that compares several runs: compare."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ganbalance.cli.access import add_access, add_command
from ganbalance.errors import EXIT_DONE, DataError
from ganbalance.pipeline import request, runs
from ganbalance.reporting import ranking
from ganbalance.reporting.comparison import runs as comparing
from ganbalance.reporting.comparison import tables
from ganbalance.reporting.ranking import Ranking
from ganbalance.reporting.summary import Summary
from ganbalance.store import Store, open_store


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add this command."""
    example = "keep-ratio-shirt-0-2-1a2b3c4d keep-ratio-shirt-0-02-5e6f7a8b --out out/keep-ratio"
    parser = add_command(commands, compare, example)
    parser.add_argument("runs", nargs="+", metavar="RUN", help="two runs or more that have reports")
    out = Path("out/compare")
    parser.add_argument("--out", type=Path, default=out, metavar="DIR", help=f"where it is written (default: {out})")
    request.add_store(parser)
    add_access(parser)


def compare(flags: argparse.Namespace) -> int:
    """Write one report over several runs: curves along what differs between them, and where verdicts change.

    Where what differs has no order, theirs is that of the page.
    """
    store = open_store(flags.store)
    reports = reports_of(store, flags.runs)
    if missing := [run for run in flags.runs if run not in reports]:
        raise DataError(f"no report yet of {', '.join(missing)}; run their experiments to the end, or leave them out")
    write_comparison(reports, flags.out)
    return EXIT_DONE


class RunReport(NamedTuple):
    """What a comparison reads of a run's report; one of an older version kept no ranking."""

    summary: Summary
    ranking: Ranking | None


def reports_of(store: Store, names: Sequence[str]) -> dict[str, RunReport]:
    """Those of the runs that have a report, by run."""
    return {run: found for run in dict.fromkeys(names) if (found := _report(store, run))}


def write_comparison(reports: dict[str, RunReport], folder: Path) -> None:
    """Write the comparison and print what it says. Raises ConfigError where it makes no sense."""
    from ganbalance.reporting.comparison import page

    rankings = {run: found.ranking for run, found in reports.items() if found.ranking}
    comparison = comparing.compare({run: found.summary for run, found in reports.items()}, rankings)
    path = page.write(folder, comparison)
    print(f"\n{tables.terminal(comparison)}\n\ncomparison: {path}")


def _report(store: Store, run: str) -> RunReport | None:
    """Of a run; None where there is none yet. Raises ConfigError, DataError."""
    with runs.opened(store, run) as (_record, state):
        if (report := state.artifact("report")) is None:
            return None
        summary = Summary.of(report.json("summary.json"), where=f"the report of run {run}")
        kept = ranking.FILE in report.names
        return RunReport(summary, Ranking.load(report.path(ranking.FILE), summary) if kept else None)
