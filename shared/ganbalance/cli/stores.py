"""Commands that manage a store: init, ls, show, cp, gc, verify."""

import argparse
import json
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ganbalance.cli import store_text, text
from ganbalance.cli.access import add_access
from ganbalance.errors import EXIT_DONE, ConfigError, DataError, UnavailableError
from ganbalance.frozen import dump
from ganbalance.maintenance import cp as copying
from ganbalance.maintenance import gc as garbage
from ganbalance.maintenance import ls as listing
from ganbalance.maintenance import verify as verification
from ganbalance.maintenance.inventory import Inventory
from ganbalance.maintenance.show import describe
from ganbalance.pipeline import request
from ganbalance.store import Store, make_store, open_store
from ganbalance.store.base import MARKER

WAIT_STEP_S = 3.0
ATTEMPTS = "AWS_MAX_ATTEMPTS"


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add these commands."""
    store = commands.add_parser("store", help="manage a store: make it, list, copy, clean up, verify")
    group = store.add_subparsers(required=True, metavar="COMMAND")
    maker = _add(group, init, "init --store s3://bucket/prefix --wait 60")
    maker.add_argument(
        "--wait", type=text.seconds, default=0.0, metavar="SECONDS", help="keep trying while the server does not answer"
    )
    lister = _add(group, ls, "ls", "ls quick-1a2b3c4d --json")
    lister.add_argument("run", nargs="?", metavar="RUN", help="list the stages of this run instead of the runs")
    shower = _add(group, show, "show quick-1a2b3c4d", "show report/0f1e2d", "show quick-1a2b3c4d:imbalance/seed-0")
    shower.add_argument("what", metavar="RUN|STAGE/KEY|RUN:NAME", help="the first 6 characters of a key will do")
    verifier = _add(group, verify, "verify", "verify --run quick-1a2b3c4d")
    verifier.add_argument("--run", help="only the artifacts of this run")
    collector = _add(group, gc, "gc --older-than 12h", "gc --older-than 12h --delete")
    collector.add_argument("--delete", action="store_true", help="delete it; without this it is only listed")
    collector.add_argument(
        "--older-than", type=text.age, default="7d", metavar="AGE",
        help="leave what was written to since: 7d, 12h, 30m; 0s only while nothing runs (default: 7d)",
    )  # fmt: skip
    for parser in (maker, lister, shower, verifier, collector):
        request.add_store(parser)
        add_access(parser)
    for parser in (lister, shower, collector):
        parser.add_argument("--json", action="store_true", help="print JSON")
    copier = _add(group, cp, "cp --run quick-1a2b3c4d .store s3://bucket/prefix")
    copier.add_argument("--run", required=True, help="a run, as 'ganbalance store ls' names it")
    copier.add_argument("source", metavar="SOURCE", help="the store that has it: a folder or s3://bucket/prefix")
    copier.add_argument("target", metavar="TARGET", help="the store that gets it")


def init(flags: argparse.Namespace) -> int:
    """Make the bucket or the folder of a store, unless it is there."""
    made = _made(flags.store, flags.wait)
    url = open_store(flags.store).url
    print(f"made the store {url}" if made else f"the store {url} is there already")
    return EXIT_DONE


def ls(flags: argparse.Namespace) -> int:
    """List the runs in a store, or the stages of one."""
    inventory = Inventory(_opened(flags))
    if flags.run is None:
        runs = listing.runs_of(inventory)
        _print(flags, [dump(row) for row in runs], store_text.runs(runs, inventory))
    else:
        stages = listing.stages_of(inventory, flags.run)
        _print(flags, [dump(row) for row in stages], store_text.stages(stages))
    return EXIT_DONE


def show(flags: argparse.Namespace) -> int:
    """Show all there is to know about a run, an artifact, or a stage of a run."""
    described = describe(Inventory(_opened(flags)), flags.what)
    _print(flags, described, store_text.description(described))
    return EXIT_DONE


def cp(flags: argparse.Namespace) -> int:
    """Copy a run with all its artifacts to another store. Run it again to resume an interrupted copy."""
    source, target = open_store(flags.source), open_store(flags.target)
    copied = copying.copy_run(flags.run, source, target)
    print(store_text.copied(copied, flags.run, source.url, target.url))
    return EXIT_DONE


def gc(flags: argparse.Namespace) -> int:
    """List what nobody needs, and delete it if asked to: failed attempts, leftovers, artifacts without a run."""
    store = _opened(flags)
    found = garbage.collect(store, flags.older_than)
    kept = garbage.sweep(store, found) if flags.delete else []
    then = f"ganbalance store gc --store {shlex.quote(store.url)} --older-than {text.as_age(flags.older_than)} --delete"
    report = store_text.Collected(found, kept, deleted=flags.delete, then=then)
    _print(flags, report.data(), report.text())
    return EXIT_DONE


def verify(flags: argparse.Namespace) -> int:
    """Read every file of every artifact and compare it with its sha256."""
    store = open_store(flags.store)
    verified = verification.verify(store, flags.run)
    if store.is_new and not verified.artifacts:
        raise ConfigError(f"{_unwritten(store)}; give --store (or STORE=...) the store that is meant")
    print(store_text.verified(verified))
    if verified.broken:
        raise DataError(f"{text.counted(len(verified.broken), 'artifact')} of the store {store.url} corrupt, see above")
    return EXIT_DONE


def _opened(flags: argparse.Namespace) -> Store:
    """Open the store; one that nobody ever wrote to is no error, but often a mistyped one."""
    store = open_store(flags.store)
    if store.is_new:
        print(f"note: {_unwritten(store)}", file=sys.stderr)
    return store


def _unwritten(store: Store) -> str:
    return f"nothing was ever written to the store {store.url}: it holds no {MARKER}"


def _made(url: str, wait_s: float) -> bool:
    """Call `make_store` until the server answers or the wait is over."""
    deadline = time.monotonic() + wait_s
    while True:
        try:
            with _single_attempt(wait_s):
                return make_store(url)
        except UnavailableError as error:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise _given_up(url, wait_s, error) from error
            print(f"waiting for the store {url} ({left_s:.0f} s left): {error}", file=sys.stderr, flush=True)
            time.sleep(min(WAIT_STEP_S, left_s))


def _given_up(url: str, wait_s: float, error: UnavailableError) -> UnavailableError:
    return UnavailableError(f"the store {url} did not answer within {wait_s:g} s: {error}") if wait_s else error


@contextmanager
def _single_attempt(wait_s: float) -> Iterator[None]:
    """Keep the client from retrying by itself where the loop around it waits."""
    is_ours = wait_s > 0 and ATTEMPTS not in os.environ
    if is_ours:
        os.environ[ATTEMPTS] = "1"
    try:
        yield
    finally:
        if is_ours:
            del os.environ[ATTEMPTS]


def _add(
    group: "argparse._SubParsersAction[argparse.ArgumentParser]",
    command: Callable[[argparse.Namespace], int],
    *examples: str,
) -> argparse.ArgumentParser:
    """Add a command whose name and help are those of its function."""
    doc = str(command.__doc__)
    parser = group.add_parser(
        command.__name__,
        help=doc[:1].lower() + doc[1:].rstrip("."),
        description="\n".join([doc, "", *(f"ganbalance store {example}" for example in examples)]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=command)
    return parser


def _print(flags: argparse.Namespace, data: Any, lines: str) -> None:
    print(json.dumps(data, indent=1) if flags.json else lines)
