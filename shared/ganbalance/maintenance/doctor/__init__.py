"""Diagnose a store: one finding per check, a check after those it rests on, each failure with its fix.

A check returns what it saw or raises; the message of an error ends in "; " and the fix. Nothing is left behind: trials
are written to `.doctor/<token>` inside the examined store, which is a store of its own, and removed whatever happens.
So no marker is written to the examined store, and no writer is disturbed.
"""

import os
import secrets
import shutil
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from ganbalance.errors import EXIT_DONE, ConfigError, DataError, GanbalanceError, UnavailableError
from ganbalance.store import S3_SCHEME, Store
from ganbalance.store.base import MARKER, redacted
from ganbalance.store.local import LocalStore, folder_of

State = Literal["ok", "note", "warn", "FAIL", "skipped"]
TRIALS = ".doctor"  # where trials are written, inside the store
ANOTHER = "choose another store (--store, STORE=...)"
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
    """One thing to check, once the checks that it `needs` have passed."""

    name: str
    run: Callable[[], CheckResult]
    needs: Sequence[str] = ()


def findings(checks: Iterable[Check]) -> Iterator[Finding]:
    """Run each check and yield its finding at once. Raises nothing."""
    causes: dict[str, str] = {}  # check without a result -> the failed check that is the cause
    for check in checks:
        if cause := next((causes[need] for need in check.needs if need in causes), None):
            finding = Finding(check.name, "skipped", f"cannot run before {cause} is fixed")
        else:
            try:
                result = check.run()
                finding = Finding(check.name, result.state, redacted(result.text), redacted(result.fix))
            except Exception as error:  # whatever one check raises, the others still run
                finding = failure(check.name, error)
        if finding.state in ("FAIL", "skipped"):
            causes[check.name] = cause or check.name
        yield finding


def failure(check: str, error: Exception) -> Finding:
    """Turn an error into a finding: the fix is what follows its last semicolon."""
    if isinstance(error, OSError):
        error = UnavailableError(f"{error}; {ANOTHER}, or see to its permissions and its disk")
    elif not isinstance(error, GanbalanceError):
        error = GanbalanceError(f"{type(error).__name__}: {error}; a bug, please report it")
    text, parted, fix = str(error).rpartition("; ")
    if not parted:
        text, fix = fix, "give --store (or STORE=...) a store as described here"
    if "ganbalance doctor" in fix:
        fix = "look up the server's answer in its documentation and its log"
    return Finding(check, "FAIL", redacted(" ".join(text.split())), redacted(fix), error.exit_code)


class Target(ABC):
    """A store to examine."""

    def __init__(self) -> None:
        self.place = f"{TRIALS}/{secrets.token_hex(6)}"
        self.written: tuple[str, ...] = ()

    @abstractmethod
    def of_place(self) -> list[Check]:
        """List the checks of where the store is, each after those it rests on."""

    @abstractmethod
    def open(self, place: str = "") -> Store:
        """The store, or the one at a place inside of it; one of another format is refused."""

    def checks(self) -> list[Check]:
        """List all checks: of the place, the format, and what can be done there."""
        found = self.of_place()
        return [
            *found,
            Check("format", self.of_format, [check.name for check in found]),
            Check("write", self.write, ["format"]),
            Check("read", self.read, ["write"]),
            Check("create once", self.create_once, ["write"]),
            Check("delete", self.delete, ["write"]),
        ]

    def of_format(self) -> CheckResult:
        """No other version has written it."""
        return CheckResult("new: nothing was written yet" if self.open().is_new else "a store of this version")

    def write(self) -> CheckResult:
        """A file can be made."""
        self.trial = self.open(self.place)
        self.written = (TRIAL, ONCE, MARKER)
        with tempfile.TemporaryDirectory(prefix="ganbalance-") as folder:
            source = Path(folder) / TRIAL
            source.write_bytes(CONTENT)
            self.trial.put(TRIAL, source)
        return CheckResult(f"a file was written under {TRIALS}/")

    def read(self) -> CheckResult:
        """What comes back is what was written."""
        if self.trial.read(TRIAL) != CONTENT:
            raise DataError("other bytes came back than were written; see what lies between, a proxy or a cache")
        return CheckResult("the same bytes came back")

    def create_once(self) -> CheckResult:
        """A second writer of a name is refused."""
        if [self.trial.create(ONCE, b"1"), self.trial.create(ONCE, b"2")] != [True, False]:
            raise ConfigError(f"a second writer of a name is not refused; {ANOTHER}")
        return CheckResult("a second writer of a name is refused")

    def delete(self) -> CheckResult:
        """What was written can be removed."""
        for name in self.written:
            self.trial.delete(name)
        if left := list(self.trial.names("")):
            raise DataError(f"{', '.join(left)} in {self.trial.url} is still there after deleting; delete it by hand")
        self.written = ()
        return CheckResult("what was written is gone")

    def clean_up(self) -> None:
        """Remove what is left of the trials."""
        for name in self.written:
            with suppress(GanbalanceError):
                self.trial.delete(name)


class Folder(Target):
    """A folder; trials go into it, or into the nearest parent that exists."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.root = folder_of(url)
        self.home = next(path for path in (self.root, *self.root.parents) if os.path.lexists(path))

    def of_place(self) -> list[Check]:
        """The folder, and space in it."""
        return [Check("folder", self.folder), Check("free space", self.free_space, ["folder"])]

    def open(self, place: str = "") -> LocalStore:
        """The store, or a trial's."""
        return LocalStore(str(self.home / place if place else self.root))

    def folder(self) -> CheckResult:
        """It is a folder, or can become one."""
        if not self.home.is_dir():
            raise ConfigError(f"{self.home} is no folder; {ANOTHER}")
        if self.home == self.root:
            return CheckResult(f"{self.root} is there")
        return CheckResult(f"{self.root} is not there yet: the first write makes it in {self.home}")

    def free_space(self) -> CheckResult:
        """There is space for a run."""
        free = shutil.disk_usage(self.home).free
        text = f"{free / 1e9:.1f} GB"
        if free < LOW_BYTES:
            return CheckResult(f"only {text}", "warn", f"free some, or {ANOTHER}: {LOW_BYTES / 1e9:.0f} GB and more")
        return CheckResult(text)

    def clean_up(self) -> None:
        """Remove what is left of the trials, folders too; one that others try in stays."""
        trial = self.home / self.place
        shutil.rmtree(trial, ignore_errors=True)
        with suppress(OSError):
            trial.parent.rmdir()


def examine(url: str) -> Iterator[Finding]:
    """Every check of the store at `url`, each as soon as it is made. Raises nothing."""
    try:
        if url.startswith(S3_SCHEME):
            from ganbalance.maintenance.doctor.bucket import Bucket

            target: Target = Bucket(url)
        else:
            target = Folder(url)
    except Exception as error:  # a URL can be wrong in more ways than one thinks of
        yield failure("store", error)
        return
    try:
        yield from findings(target.checks())
    finally:
        target.clean_up()


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
