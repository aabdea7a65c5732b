"""Commands about a run on a cluster: status, watch, logs, cancel, clean."""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

from ganbalance.called import typed
from ganbalance.cli import text
from ganbalance.cli.commands import add_access, command, connected, flag
from ganbalance.cli.stores import JSON, KEY_CHARS
from ganbalance.errors import DataError, UnavailableError
from ganbalance.frozen import dump
from ganbalance.k8s import operations, status
from ganbalance.k8s.client import Cluster
from ganbalance.k8s.diagnosis import advised
from ganbalance.k8s.status import DriverRow, Row
from ganbalance.maintenance import gc as garbage
from ganbalance.pipeline import heartbeat, runs
from ganbalance.pipeline.state import State
from ganbalance.plurals import plural
from ganbalance.store import Store
from ganbalance.store.artifacts import Artifacts

EVERY_S = 2.0
CLEAR = "\033[H\033[J"
RUN = flag("--run", help="a run (default: the one that was submitted last)")


@command("status", "--namespace ganbalance --json", JSON, RUN, add_access)
def show_status(flags: argparse.Namespace) -> None:
    """Print what every stage of a run on a cluster is doing, and why not."""
    with connected(flags) as (cluster, store):
        run = flags.run or operations.latest(cluster)
        rows, driver = _observe(cluster, store, runs.load(store, run))
    data = {"run": run, "driver": dump(driver), "stages": [dump(row) for row in rows]}
    text.show(flags, data, _page(run, rows, driver, cluster.flags))


@command("watch", "--run quick-1a2b3c4d", RUN, add_access)
def watch(flags: argparse.Namespace) -> None:
    """Print the same as status, live, until the run is over; where there is no terminal, a line per change."""
    with connected(flags) as (cluster, store):
        run = flags.run or operations.latest(cluster)
        record, shown = runs.load(store, run), dict[str, str]()
        while True:
            rows, driver = _observe(cluster, store, record)
            if sys.stdout.isatty():
                print(CLEAR + _page(run, rows, driver, cluster.flags), flush=True)
            else:
                for row in rows:
                    line = f"{row.stage}  {row.state}" + (f"  {row.cause}" if row.cause else "")
                    if shown.get(row.stage, f"{row.stage}  not started") != line:
                        print(line, flush=True)
                    shown[row.stage] = line
            if _is_over(rows, driver):
                break
            time.sleep(EVERY_S)
    if not sys.stdout.isatty():
        print(_summary(run, rows, driver, cluster.flags))
    if any(row.state == "failed" for row in rows) or driver.state == "failed":
        raise DataError(f"run {run} has failed stages")


@command(
    "logs", "--stage train-gan/dcgan",
    flag("--stage", default="driver", help="a stage as status names it, the start of its name, or driver (default)"),
    RUN, add_access,
)  # fmt: skip
def logs(flags: argparse.Namespace) -> None:
    """Print what the programs of a stage printed, from their live pods or else the store, each under its pod's name."""
    with connected(flags) as (cluster, store):
        run = flags.run or operations.latest(cluster)
        for pod, log in operations.logs(cluster, store, run, flags.stage):
            print(f"==> {pod} <==", flush=True)
            sys.stdout.write(log.decode(errors="replace"))


@command("cancel", "--run quick-1a2b3c4d", RUN, add_access)
def cancel(flags: argparse.Namespace) -> None:
    """Stop a run: its Jobs and pods go, what is committed stays."""
    with connected(flags) as (cluster, store):
        run = flags.run or operations.latest(cluster)
        found = operations.cancel(cluster, store, run, partial(print, file=sys.stderr, flush=True))
        if not found:
            runs.load(store, run)  # or it is none
    print(
        f"cancelled {run}: {plural(found, 'Job')} deleted, what is committed is kept; "
        f"to resume: {typed(f'resume --run {run} {cluster.flags}')}"
    )


@command("clean", "--run quick-1a2b3c4d", flag("--run", required=True, help="a run"), add_access)
def clean(flags: argparse.Namespace) -> None:
    """Cancel a run and delete its record and what no other run needs; refused while others work on it."""
    run = flags.run
    with connected(flags) as (cluster, store):
        runs.load(store, run)
        with heartbeat.beating(store, run, "ganbalance clean") as beat:
            operations.check_is_ours(cluster, store, run, beat)
            found = operations.cancel(cluster, store, run, partial(print, file=sys.stderr, flush=True))
            mine = garbage.of_run(store, run)
            kept = garbage.sweep(store, mine)
            gone = f"{plural(found, 'Job')}, {plural(len(mine.old) - len(kept), 'artifact')}"
            if kept:
                raise UnavailableError(
                    f"{plural(len(kept), 'artifact')} of run {run} changed meanwhile: kept, with its record; "
                    f"{gone} are gone; see who writes to the store {store.url}, then run the same command again"
                )
            garbage.forget(store, run)
    for error in mine.unreadable:
        print(f"left alone: {error}")
    size = text.size(sum(piece.size for piece in mine.old))
    print(f"cleaned {run}: {gone} ({size}) and its record are gone; what other runs need is kept")


def _observe(cluster: Cluster, store: Store, record: runs.Record) -> tuple[list[Row], DriverRow]:
    """Observe the rows of a run as they are now."""
    run, state = record.plan.run, State(record.plan, Artifacts(store))
    snapshot = status.observe(cluster, run)
    causes = status.queue_causes(cluster, snapshot)
    rows = []
    for row in status.rows(state, snapshot):
        of_queue = causes.get(row.job or "") if row.state == "queued" else None
        rows.append(row.model_copy(update={"cause": of_queue or advised(row.cause)}))
    return rows, status.driver_row(cluster, run)


def _page(run: str, rows: Sequence[Row], driver: DriverRow, cluster: str) -> str:
    now = datetime.now(UTC)
    cells = [
        (
            row.stage, text.NOTHING if row.index is None else str(row.index), row.state,
            text.rough_age(now - row.since) if row.since else text.NOTHING, row.node or text.NOTHING,
            row.key[:KEY_CHARS], row.cause,
        )
        for row in rows
    ]  # fmt: skip
    table = text.table(("stage", "index", "state", "age", "node", "key", "cause"), cells, right=("index", "age"))
    return f"{table}\n\n{_summary(run, rows, driver, cluster)}"


def _summary(run: str, rows: Sequence[Row], driver: DriverRow, cluster: str) -> str:
    counts = Counter(row.state for row in rows)
    counted = ", ".join(f"{n} {state}" for state, n in counts.most_common())
    cause = f" ({driver.cause})" if driver.cause else ""
    where = f"--run {run} {cluster}"
    if all(row.state in status.HAS_RESULT for row in rows):
        then = f"next: {typed(f'fetch-report {where}')}"
    elif _is_over(rows, driver):
        none = "no driver in the cluster: nothing there starts what is missing; type: "
        then = f"{none if driver.state == 'none' else 'to resume: '}{typed(f'resume {where}')}"
    else:
        then = f"for its logs: {typed(f'logs {where} --stage STAGE')}"
    return f"run {run}: {counted}; driver: {driver.state}{cause}\n{then}"


def _is_over(rows: Sequence[Row], driver: DriverRow) -> bool:
    """Tell whether nothing happens any more. A driver outside of the cluster is not seen, and stages outlive theirs."""
    is_over = driver.state in ("done", "failed", "none")
    return is_over and not any(row.state in ("running", "pending", "queued") for row in rows)
