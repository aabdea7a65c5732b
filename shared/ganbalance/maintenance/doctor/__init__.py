"""Diagnose a store: one finding per check, a check after those it rests on, each failure with its fix.

A check returns what it saw or raises; the message of an error ends in "; " and the fix. Nothing is left behind: trials
are written to `.doctor/<token>` inside the examined store, which is a store of its own, and removed whatever happens.
So no marker is written to the examined store, and no writer is disturbed.
"""

import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

from ganbalance.errors import EXIT_DONE, ConfigError, DataError, GanbalanceError, UnavailableError
from ganbalance.store import S3_SCHEME, Store
from ganbalance.store.base import MARKER, redacted
from ganbalance.store.local import LocalStore, folder_of

State = Literal["ok", "note", "warn", "FAIL", "skipped"]
TRIALS = ".doctor"  # where trials are written, inside the store
ANOTHER = "choose another store (--store, STORE=...)"
TRIED = "format, write, read, create once, delete"
TRIAL, ONCE = "trial", "once"
CONTENT = b"written by ganbalance doctor"
LOW_BYTES = 5e9  # the environment of one honest run, its checkpoints and images


@dataclass(frozen=True)
class Finding:
    """What one check found; `fix` says what to do, `exit_code` is that of the error that was raised."""

    check: str
    state: State
    text: str
    fix: str = ""
    exit_code: int = EXIT_DONE


class CheckResult(NamedTuple):
    """What a check that did not fail returns."""

    text: str
    state: State = "ok"
    fix: str = ""


class Check(NamedTuple):
    """One thing to check, once the checks that it `needs` have passed; or several, "name, name", each after another.

    `run` then gives the results one by one.
    """

    name: str
    run: Callable[[], CheckResult | Iterator[CheckResult]]
    needs: Sequence[str] = ()


def findings(checks: Iterable[Check]) -> Iterator[Finding]:
    """Run each check and yield its finding at once. Raises nothing."""
    causes: dict[str, str] = {}  # check without a result -> the failed check that is the cause
    for check in checks:
        cause = next((causes[need] for need in check.needs if need in causes), None)
        with closing(_results(check)) as results:
            for name in check.name.split(", "):
                if cause:
                    finding = Finding(name, "skipped", f"cannot run before {cause} is fixed")
                else:
                    try:
                        result = next(results)
                        finding = Finding(name, result.state, redacted(result.text), redacted(result.fix))
                    except Exception as error:  # whatever one check raises, the others still run
                        finding = failure(name, error)
                if finding.state in ("FAIL", "skipped"):
                    causes[name] = cause = cause or name
                yield finding


def _results(check: Check) -> Generator[CheckResult]:
    found = check.run()
    if isinstance(found, CheckResult):
        yield found
    else:
        yield from found


def failure(check: str, error: Exception) -> Finding:
    """Turn an error into a finding: the fix is what follows its last semicolon."""
    if isinstance(error, OSError):
        error = UnavailableError(f"{error}; {ANOTHER}, or see to its permissions and its disk")
    elif not isinstance(error, GanbalanceError):
        error = GanbalanceError(f"{type(error).__name__}: {error}; a bug, please report it")
    text, parted, fix = str(error).rpartition("; ")
    if not parted:
        text, fix = fix, "give --store (or STORE=...) a store as described here"
    if fix.endswith("may tell why"):
        fix = "look up the server's answer in its documentation and its log"
    return Finding(check, "FAIL", redacted(" ".join(text.split())), redacted(fix), error.exit_code)


def trials(open_at: Callable[[str], Store], place: str) -> Iterator[CheckResult]:
    """Try what every store must be able to do, `TRIED`, in the store at a place inside it; "" is the store itself."""
    yield CheckResult("new: nothing was written yet" if open_at("").is_new else "a store of this version")
    trial, written = open_at(place), (TRIAL, ONCE, MARKER)
    try:
        with tempfile.TemporaryDirectory(prefix="ganbalance-") as folder:
            source = Path(folder) / TRIAL
            source.write_bytes(CONTENT)
            trial.put(TRIAL, source)
        yield CheckResult(f"a file was written under {TRIALS}/")
        if trial.read(TRIAL) != CONTENT:
            raise DataError("other bytes came back than were written; see what lies between, a proxy or a cache")
        yield CheckResult("the same bytes came back")
        if [trial.create(ONCE, b"1"), trial.create(ONCE, b"2")] != [True, False]:
            raise ConfigError(f"a second writer of a name is not refused; {ANOTHER}")
        if getattr(trial, "conditional_writes", True):  # of a bucket; whether its server refuses by itself
            yield CheckResult("a second writer of a name is refused")
        else:
            message = "conditional writes are not honoured: two writers are settled by reading back"
            yield CheckResult(f"{message}, results stay correct", "note")
        for name in written:
            trial.delete(name)
        if left := list(trial.names("")):
            raise DataError(f"{', '.join(left)} in {trial.url} is still there after deleting; delete it by hand")
        yield CheckResult("what was written is gone")
    finally:
        for name in written:
            with suppress(GanbalanceError):
                trial.delete(name)


def _folder(url: str) -> Iterator[CheckResult]:
    """Check a folder, its space, and try it; of what can become one, try the nearest parent that exists."""
    root = folder_of(url)
    home = next(path for path in (root, *root.parents) if os.path.lexists(path))
    if not home.is_dir():
        raise ConfigError(f"{home} is no folder; {ANOTHER}")
    there = f"{root} is there"
    yield CheckResult(there if home == root else f"{root} is not there yet: the first write makes it in {home}")
    free = shutil.disk_usage(home).free
    text = f"{free / 1e9:.1f} GB"
    if free < LOW_BYTES:
        yield CheckResult(f"only {text}", "warn", f"free some, or {ANOTHER}: {LOW_BYTES / 1e9:.0f} GB and more")
    else:
        yield CheckResult(text)
    place = f"{TRIALS}/{secrets.token_hex(6)}"
    try:
        yield from trials(lambda place: LocalStore(str(home / place if place else root)), place)
    finally:  # folders too; one that others try in stays
        shutil.rmtree(home / place, ignore_errors=True)
        with suppress(OSError):
            (home / TRIALS).rmdir()


def examine(url: str) -> Iterator[Finding]:
    """Yield the finding of every check of the store at `url`, each as soon as it is made. Raises nothing."""
    try:
        if url.startswith(S3_SCHEME):
            from ganbalance.maintenance.doctor import bucket

            checks = bucket.checks(url)
        else:
            folder_of(url)
            checks = [Check(f"folder, free space, {TRIED}", partial(_folder, url))]
    except Exception as error:  # a URL can be wrong in more ways than one thinks of
        yield failure("store", error)
        return
    yield from findings(checks)


def judged(found: Sequence[Finding], what: str, next_command: str, *, again: str) -> tuple[str, int]:
    """Sum up all findings in one line, with the exit code: that of the first failure."""
    failed = [finding for finding in found if finding.state == "FAIL"]
    if failed:
        first, *others = (finding.check for finding in failed)
        then = f", then {', '.join(others)}" if others else ""
        return f"{what} cannot be used: fix {first}{then}; then run '{again}' again", failed[0].exit_code
    warned = ", ".join(finding.check for finding in found if finding.state == "warn")
    verdict = f"can be used, with warnings: {warned}" if warned else "is OK"
    return f"{what} {verdict}; next: {next_command}", EXIT_DONE
