"""The checks of a store that is a folder. One that is not there yet is tried where it would be made."""

import os
import shutil
from contextlib import suppress

from ganbalance.errors import ConfigError
from ganbalance.maintenance.doctor.checks import ANOTHER, Check, CheckResult
from ganbalance.maintenance.doctor.target import Target
from ganbalance.store.local import LocalStore, folder_of

LOW_BYTES = 5e9  # the environment of one honest run, its checkpoints and images


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
