"""Commands that manage a store: init, ls, show, cp, gc, verify."""

import argparse
import shlex
import sys
import time
from collections.abc import Sequence

import yaml

from ganbalance.called import typed
from ganbalance.cli import text
from ganbalance.cli.commands import add_access, command, flag, positive
from ganbalance.errors import ConfigError, DataError, UnavailableError
from ganbalance.frozen import dump
from ganbalance.maintenance.cp import copy_run
from ganbalance.maintenance.gc import Garbage, ScanResults, collect, sweep
from ganbalance.maintenance.inventory import Inventory
from ganbalance.maintenance.show import RunRow, StageRow, describe, runs_of, stages_of
from ganbalance.maintenance.verify import verify_artifacts
from ganbalance.pipeline import request
from ganbalance.plurals import plural
from ganbalance.store import Store, make_store, open_store
from ganbalance.store.base import MARKER

WAIT_STEP_S = 3.0
KEY_CHARS = 12
JSON = flag("--json", action="store_true", help="print JSON")


@command(
    "store init", "--store s3://bucket/prefix --wait 60",
    flag("--wait", type=positive, default=0, metavar="SECONDS",
         help="keep trying while the server does not answer"),
    request.add_store, add_access,
)  # fmt: skip
def init(flags: argparse.Namespace) -> None:
    """Make the bucket or the folder of a store, unless it is there."""
    deadline, made = time.monotonic() + flags.wait, None
    while made is None:
        try:
            made = make_store(flags.store, attempts=1 if flags.wait else None)
        except UnavailableError as error:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                waited = f"the store {flags.store} did not answer within {flags.wait} s: " if flags.wait else ""
                raise UnavailableError(f"{waited}{error}") from error
            print(f"waiting for the store {flags.store} ({left_s:.0f} s left): {error}", file=sys.stderr, flush=True)
            time.sleep(min(WAIT_STEP_S, left_s))
    url = open_store(flags.store).url
    print(f"made the store {url}" if made else f"the store {url} is there already")


@command(
    "store ls", "", "quick-1a2b3c4d --json",
    flag("run", nargs="?", metavar="RUN", help="list the stages of this run instead of the runs"),
    JSON, request.add_store, add_access,
)  # fmt: skip
def ls(flags: argparse.Namespace) -> None:
    """List the runs in a store, or the stages of one."""
    inventory = Inventory(_opened(flags))
    if flags.run is None:
        runs = runs_of(inventory)
        text.show(flags, [dump(row) for row in runs], _run_lines(runs, inventory))
    else:
        stages = stages_of(inventory, flags.run)
        text.show(flags, [dump(row) for row in stages], _stage_lines(stages))


def _run_lines(rows: Sequence[RunRow], inventory: Inventory) -> str:
    """Format a line per run, and one of the store as a whole."""
    cells = [
        (row.run, text.when(row.recorded), f"{row.done}/{row.stages}", text.size(row.size), row.report)
        if row.problem is None
        else (row.run, text.when(row.recorded), text.NOTHING, text.NOTHING, "unreadable")
        for row in rows
    ]
    head = ("run", "recorded (UTC)", "done", "size", "report")
    lines = [text.table(head, cells, right=("done", "size"))] if rows else []
    lines += [row.problem for row in rows if row.problem]
    counted = f"{plural(len(rows), 'run')}, {plural(len(inventory.committed), 'artifact')}"
    return "\n".join([*lines, f"{counted}, {text.size(inventory.n_bytes)} in the store {inventory.store.url}"])


def _stage_lines(rows: Sequence[StageRow]) -> str:
    cells = [
        (
            row.state if row.step is None else f"checkpoint at step {row.step}", row.name, row.key[:KEY_CHARS],
            str(row.files or text.NOTHING), text.size(row.size) if row.files else text.NOTHING,
            text.NOTHING if row.seconds is None else f"{row.seconds:,.1f} s", text.when(row.when),
        )
        for row in rows
    ]  # fmt: skip
    head = ("state", "stage", "key", "files", "size", "took", "committed (UTC)")
    return text.table(head, cells, right=("files", "size", "took"))


@command(
    "store show", "quick-1a2b3c4d", "report/0f1e2d", "quick-1a2b3c4d:imbalance/seed-0",
    flag("what", metavar="RUN|STAGE/KEY|RUN:NAME", help="the first 6 characters of a key will do"),
    JSON, request.add_store, add_access,
)  # fmt: skip
def show(flags: argparse.Namespace) -> None:
    """Show all there is to know about a run, an artifact, or a stage of a run."""
    described = describe(Inventory(_opened(flags)), flags.what)
    text.show(flags, described, yaml.safe_dump(described, sort_keys=False, allow_unicode=True, width=200).rstrip())


@command(
    "store cp", "--run quick-1a2b3c4d .store s3://bucket/prefix",
    flag("--run", required=True, help="a run, as 'ganbalance store ls' names it"),
    flag("source", metavar="SOURCE", help="the store that has it: a folder or s3://bucket/prefix"),
    flag("target", metavar="TARGET", help="the store that gets it"),
)  # fmt: skip
def cp(flags: argparse.Namespace) -> None:
    """Copy a run with all its artifacts to another store. Run it again to resume an interrupted copy."""
    source, target = open_store(flags.source), open_store(flags.target)
    copied = copy_run(flags.run, source, target)
    print(
        f"copied {plural(copied.artifacts, 'artifact')} ({text.size(copied.n_bytes)}) and "
        f"{plural(copied.events, 'event')} of run {flags.run} to {target.url}; "
        f"{copied.there_already:,} were there already"
    )
    if copied.missing:
        missing = plural(copied.missing, "stage")
        print(f"{missing} of the run not done in {source.url}, and so not here either")
    print(f"next: {typed(f'fetch-report --run {flags.run} --store {shlex.quote(target.url)}')}")


@command(
    "store gc", "--older-than 12h", "--older-than 12h --delete",
    flag("--delete", action="store_true", help="delete it; without this it is only listed"),
    flag("--older-than", default="7d", metavar="AGE",
         help="leave what was written to since: 7d, 12h, 30m; 0s only while nothing runs (default: 7d)"),
    JSON, request.add_store, add_access,
)  # fmt: skip
def gc(flags: argparse.Namespace) -> None:
    """List what nobody needs, and delete it if asked to: failed attempts, leftovers, artifacts without a run."""
    age = text.age(flags.older_than)
    store = _opened(flags)
    found = collect(store, age)
    kept = sweep(store, found) if flags.delete else found.old
    again = typed(f"store gc --store {shlex.quote(store.url)} --older-than {flags.older_than} --delete")
    then = None if flags.delete else again
    data = {
        "garbage": [
            {name: getattr(piece, name) for name in ("what", "reason", "size")}
            | {"modified": piece.modified.isoformat(), "deleted": piece not in kept}
            for piece in found.old
        ],
        "size": _size(found.old),
        "younger": {"pieces": len(found.young), "size": _size(found.young)},
        "unreadable": [str(error) for error in found.unreadable],
        "command": then,
    }
    text.show(flags, data, _garbage_lines(found, kept, then))


def _garbage_lines(found: ScanResults, kept: Sequence[Garbage], then: str | None) -> str:
    """Say what was found and what became of it; `then` is the command that deletes it."""
    cells = [(piece.what, text.size(piece.size), text.when(piece.modified), piece.reason) for piece in found.old]
    lines = [text.table(("garbage", "size", "last written (UTC)", "why"), cells, right=("size",))] if cells else []
    lines += [f"left alone: {error}" for error in found.unreadable]
    if found.young:
        young = plural(len(found.young), "piece")
        lines.append(f"{young} of garbage ({text.size(_size(found.young))}) younger than that, left alone")
    if not found.old:
        lines.append("no garbage that is old enough")
    elif then:
        lines.append(f"{_amount(found.old)}; to delete it: {then}")
    else:
        changed = f"; left alone, because it changed meanwhile: {_amount(kept)}" if kept else ""
        lines.append(f"deleted {_amount([piece for piece in found.old if piece not in kept])}{changed}")
    return "\n".join(lines)


def _amount(pieces: Sequence[Garbage]) -> str:
    return f"{plural(len(pieces), 'piece')} of garbage, {text.size(_size(pieces))}"


def _size(pieces: Sequence[Garbage]) -> int:
    return sum(piece.size for piece in pieces)


@command(
    "store verify", "", "--run quick-1a2b3c4d", flag("--run", help="only the artifacts of this run"),
    request.add_store, add_access,
)  # fmt: skip
def verify(flags: argparse.Namespace) -> None:
    """Read every file of every artifact and compare it with its sha256."""
    store = open_store(flags.store)
    verified = verify_artifacts(store, flags.run)
    if store.is_new and not verified.artifacts:
        raise ConfigError(f"{_unwritten(store)}; give --store (or STORE=...) the store that is meant")
    for what, problems in (("corrupt", verified.broken), ("out of date", verified.stale)):
        for at, reasons in problems.items():
            print("\n  ".join([f"{what}: {at}", *reasons]))
    print(
        f"verified {plural(verified.artifacts, 'artifact')}, {text.size(verified.n_bytes)}: "
        f"{len(verified.broken):,} corrupt, {len(verified.stale):,} out of date"
    )
    if verified.broken:
        raise DataError(f"{plural(len(verified.broken), 'artifact')} of the store {store.url} corrupt, see above")


def _opened(flags: argparse.Namespace) -> Store:
    """Open the store; one that nobody ever wrote to is no error, but often a mistyped one."""
    store = open_store(flags.store)
    if store.is_new:
        print(f"note: {_unwritten(store)}", file=sys.stderr)
    return store


def _unwritten(store: Store) -> str:
    return f"nothing was ever written to the store {store.url}: it holds no {MARKER}"
