"""Commands about a run on a cluster: status, watch, logs, cancel, clean."""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from functools import cache, partial

from ganbalance.called import typed
from ganbalance.cli import text
from ganbalance.cli.commands import access, add_access, command, connected, flag
from ganbalance.cli.screen import screen
from ganbalance.cli.stores import JSON, KEY_CHARS
from ganbalance.errors import DataError, GanbalanceError, UnavailableError
from ganbalance.frozen import dump
from ganbalance.k8s import operations, status
from ganbalance.k8s.client import Cluster, ForbiddenError
from ganbalance.k8s.connection import at_fault, reach
from ganbalance.k8s.diagnosis import advised
from ganbalance.k8s.status import DriverRow, Row
from ganbalance.maintenance import gc as garbage
from ganbalance.pipeline import heartbeat, runs
from ganbalance.pipeline.state import State
from ganbalance.plurals import plural
from ganbalance.store import Store, open_store
from ganbalance.store.artifacts import Artifacts

EVERY_S = 2.0
OUT_OF_REACH = (UnavailableError, ForbiddenError)  # a store; then Jobs and pods alone are shown
CLEAR = "\033[H\033[J"
RUN = flag("--run", help="a run (default: the one that was submitted last)")
STAGE = flag("--stage", help="only this stage, or those whose names begin so, such as train-gan/dcgan")
STATE = flag("--state", choices=status.STATES, help="only stages in this state")


@command("status", "--namespace ganbalance --json", "--state failed", JSON, RUN, STAGE, STATE, add_access)
def show_status(flags: argparse.Namespace) -> None:
    """Print what every stage of a run on a cluster is doing, and why not."""
    with _opening(flags) as (cluster, run, store):
        rows, driver, away = _observer(cluster, run, store)()
    asked = _asked(flags, rows)
    data = {"run": run, "driver": dump(driver), "stages": [dump(row) for row in asked]}
    text.show(flags, data, f"{_table(asked)}\n\n{_summary(run, rows, driver, cluster.flags, away)}")
    if away:
        raise away


@command("watch", "--run quick-1a2b3c4d", "--stage train-gan/dcgan", RUN, STAGE, STATE, add_access)
def watch(flags: argparse.Namespace) -> None:
    """Print live, until the run is over, which stages fail or wait and why, and how many of each group are done.

    Where there is no terminal, a line per change.
    """
    with _opening(flags) as (cluster, run, store):
        observe, shown = _observer(cluster, run, store), dict[str, str]()
        while True:
            rows, driver, away = observe()
            asked, summary = _asked(flags, rows), _summary(run, rows, driver, cluster.flags, away)
            if sys.stdout.isatty():
                print(CLEAR + screen(str(away or ""), asked, summary), flush=True)
            else:
                _print_changes(asked, str(away or ""), shown)
            # only the store knows all that is done, and one that is away may come back
            if _is_over(rows, driver) and not isinstance(away, UnavailableError):
                break
            time.sleep(EVERY_S)
    if not sys.stdout.isatty():
        print(summary)
    if any(row.state == "failed" for row in rows) or driver.state == "failed":
        raise DataError(f"run {run} has failed stages")
    if away:
        raise away


@command(
    "logs", "--stage train-gan/dcgan --follow",
    flag("--stage", default="driver", help="a stage as status names it, the start of its name, or driver (default)"),
    flag("--follow", action="store_true", help="go on until no pod of it runs"),
    RUN, add_access,
)  # fmt: skip
def logs(flags: argparse.Namespace) -> None:
    """Print what the programs of a stage printed, from their live pods or else the store, each under its pod's name."""
    with _opening(flags) as (cluster, run, store):
        try:
            kept, away = list(store().entries(runs.log_folder(run, flags.stage))), None
        except OUT_OF_REACH as error:
            kept, away = [], _fault(cluster, error)
        found = operations.logs(cluster, run, flags.stage, kept, store)
        last = ""
        for pod, log in operations.followed(cluster, run, flags.stage, found) if flags.follow else found:
            print(f"==> {pod} <==\n" * (pod != last) + log.decode(errors="replace"), end="", flush=True)
            last = pod
    if away:
        raise away


@command("cancel", "--run quick-1a2b3c4d", RUN, add_access)
def cancel(flags: argparse.Namespace) -> None:
    """Stop a run: its Jobs and pods go, what is committed stays. A store that is away keeps no logs."""
    say = partial(print, file=sys.stderr, flush=True)
    with _opening(flags) as (cluster, run, open_it):
        store = None
        try:
            store = open_it()
        except UnavailableError as error:
            say(f"{_fault(cluster, error)}; cancelling without keeping logs")
        found = operations.cancel(cluster, store, run, say)
        if store and not found:
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


@contextmanager
def _opening(flags: argparse.Namespace) -> Iterator[tuple[Cluster, str, Callable[[], Store]]]:
    """Provide the cluster that the flags name, the run, and what opens the store, which may be away and come back."""
    cluster = Cluster(access(flags))
    with ExitStack() as opened:
        url = cache(lambda: opened.enter_context(reach(cluster)))
        yield cluster, flags.run or operations.latest(cluster), cache(lambda: open_store(url()))


def _observer(
    cluster: Cluster, run: str, store: Callable[[], Store]
) -> Callable[[], tuple[list[Row], DriverRow, GanbalanceError | None]]:  # fmt: skip
    """Make what observes the rows of a run as they are now; of a store that is out of reach, it says why."""
    state = cache(lambda: State(runs.load(store(), run).plan, Artifacts(store())))

    def observe() -> tuple[list[Row], DriverRow, GanbalanceError | None]:
        snapshot, away = status.observe(cluster, run), None
        try:
            rows = status.rows(state(), snapshot)
        except OUT_OF_REACH as error:
            rows, away = status.rows_of_jobs(snapshot), _fault(cluster, error)
        causes = status.queue_causes(cluster, snapshot)
        for place, row in enumerate(rows):
            of_queue = causes.get(row.job or "") if row.state == "queued" else None
            rows[place] = row.model_copy(update={"cause": of_queue or advised(row.cause)})
        return rows, status.driver_row(cluster, run), away

    return observe


def _fault(cluster: Cluster, error: GanbalanceError) -> GanbalanceError:
    """Name the pod or the node because of which the store does not answer, where that can be seen."""
    why = at_fault(cluster) if isinstance(error, UnavailableError) else ""
    return UnavailableError(why) if why else error


def _asked(flags: argparse.Namespace, rows: Sequence[Row]) -> list[Row]:
    """Pick the rows that the flags ask for."""
    of_stage = [row for row in rows if flags.stage is None or status.is_named(row.stage, flags.stage)]
    return [row for row in of_stage if flags.state in (None, row.state)]


def _print_changes(rows: Sequence[Row], away: str, shown: dict[str, str]) -> None:
    """Print a line per stage that is not as `shown` before, and bring that up to date."""
    lines = {row.stage: f"{row.stage}  {row.state}" + (f"  {row.cause}" if row.cause else "") for row in rows}
    for stage, line in ({"": away} | lines).items():
        if line and shown.get(stage, f"{stage}  not started") != line:
            print(line, flush=True)
        shown[stage] = line


def _table(rows: Sequence[Row]) -> str:
    now = datetime.now(UTC)
    cells = [
        (
            row.stage, text.NOTHING if row.index is None else str(row.index), row.state,
            text.rough_age(now - row.since) if row.since else text.NOTHING, row.node or text.NOTHING,
            row.key[:KEY_CHARS], row.cause,
        )
        for row in rows
    ]  # fmt: skip
    return text.table(("stage", "index", "state", "age", "node", "key", "cause"), cells, right=("index", "age"))


def _summary(
    run: str, rows: Sequence[Row], driver: DriverRow, cluster: str, away: GanbalanceError | None
) -> str:  # fmt: skip
    counts = Counter(row.state for row in rows)
    counted = ", ".join(f"{n} {state}" for state, n in counts.most_common())
    cause = f" ({driver.cause})" if driver.cause else ""
    where = f"--run {run} {cluster}"
    if not away and all(row.state in status.HAS_RESULT for row in rows):  # only the store knows all stages
        then = f"next: {typed(f'fetch-report {where}')}"
    elif not _is_over(rows, driver):
        then = f"for its logs: {typed(f'logs {where} --stage STAGE')}"
    else:
        none = "no driver in the cluster: nothing there starts what is missing; type: "
        then = f"{none if driver.state == 'none' else 'to resume: '}{typed(f'resume {where}')}"
    return f"run {run}: {counted}; driver: {driver.state}{cause}\n{then}"


def _is_over(rows: Sequence[Row], driver: DriverRow) -> bool:
    """Tell whether nothing happens any more. A driver outside of the cluster is not seen, and stages outlive theirs."""
    is_over = driver.state in ("done", "failed", "none")
    return is_over and not any(row.state in ("running", "pending", "queued") for row in rows)
