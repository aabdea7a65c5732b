"""The checks that folders and buckets have in common: what every store must be able to do, tried in a store of its own.

Trials are written to `.doctor/<token>` inside the examined store and removed whatever happens.
"""

import secrets
import tempfile
from abc import ABC, abstractmethod
from contextlib import suppress
from pathlib import Path

from ganbalance.errors import ConfigError, DataError, GanbalanceError
from ganbalance.maintenance.doctor.checks import ANOTHER, TRIALS, Check, CheckResult
from ganbalance.store import Store
from ganbalance.store.base import MARKER

TRIAL, ONCE = "trial", "once"
CONTENT = b"written by ganbalance doctor"


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
