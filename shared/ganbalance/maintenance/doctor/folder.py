"""The checks of a store that is a folder. One that is not there yet is tried where it would be made."""

import os
import secrets
import shutil
from contextlib import suppress
from pathlib import Path

from ganbalance.errors import ConfigError
from ganbalance.maintenance.doctor.checks import ANOTHER, CONTENT, TRIALS, Check, CheckResult, same
from ganbalance.store.local import LocalStore, folder_of

LOW_BYTES = 5e9  # the environment of one honest run, its checkpoints and images
MOUNTS = Path("/proc/self/mounts")
FLEETING = {"tmpfs": "memory: gone after a restart", "overlay": "in a container, it goes with the container"}


class Folder:
    """A folder and the place for trials in it, or in the nearest parent that exists."""

    def __init__(self, url: str) -> None:
        self.root = folder_of(url)
        self.home = next(path for path in (self.root, *self.root.parents) if os.path.lexists(path))
        self.trial = self.home / TRIALS / secrets.token_hex(6)

    def checks(self) -> list[Check]:
        """From the folder to what can be done in it."""
        return [
            Check("folder", self.folder),
            Check("format", self.format, ["folder"]),
            Check("write", self.write, ["folder"]),
            Check("read", lambda: same((self.trial / "trial").read_bytes()), ["write"]),
            Check("create once", self.create_once, ["write"]),
            Check("delete", self.delete, ["write"]),
            Check("free space", self.free_space, ["folder"]),
            Check("file system", self.file_system, ["folder"]),
        ]

    def folder(self) -> CheckResult:
        """It is a folder, or can become one."""
        if not self.home.is_dir():
            raise ConfigError(f"{self.home} is no folder; {ANOTHER}")
        if self.home == self.root:
            return CheckResult(f"{self.root} is there")
        return CheckResult(f"{self.root} is not there yet: the first write makes it in {self.home}")

    def format(self) -> CheckResult:
        """No other version has written it."""
        store = LocalStore(self.root)  # refuses another format
        return CheckResult("new: nothing was written yet" if store.is_new else "a store of this version")

    def write(self) -> CheckResult:
        """A file can be made."""
        self.trial.mkdir(parents=True)
        (self.trial / "trial").write_bytes(CONTENT)
        return CheckResult("a file was written")

    def create_once(self) -> CheckResult:
        """A second writer of a name is refused, which takes hard links."""
        store = LocalStore(self.trial / "store")
        try:
            made = [store.create("once", CONTENT), store.create("once", b"")]
        except ConfigError as error:
            message = "the file system makes no hard links, which refuse the second of two writers"
            advice = "choose a store on another file system (not FAT, not every network's)"
            raise ConfigError(f"{message}; {advice}") from error
        if made != [True, False]:
            raise ConfigError(f"a second writer is not refused; {ANOTHER}")
        return CheckResult("a second writer is refused")

    def delete(self) -> CheckResult:
        """What was written can be removed."""
        shutil.rmtree(self.trial)
        return CheckResult("what was written is gone")

    def free_space(self) -> CheckResult:
        """There is space for a run."""
        free = shutil.disk_usage(self.home).free
        text = f"{free / 1e9:.1f} GB"
        if free < LOW_BYTES:
            return CheckResult(f"only {text}", "warn", f"free some, or {ANOTHER}: {LOW_BYTES / 1e9:.0f} GB and more")
        return CheckResult(text)

    def file_system(self) -> CheckResult:
        """What kind it is, where Linux reports it."""
        kind = _kind(self.home.resolve())
        return CheckResult(f"{kind}: {FLEETING[kind]}" if kind in FLEETING else kind, "note")

    def clean_up(self) -> None:
        """Remove what is left of the trials; a folder that others try in stays."""
        shutil.rmtree(self.trial, ignore_errors=True)
        with suppress(OSError):
            self.trial.parent.rmdir()


def _kind(path: Path) -> str:
    """The type of the file system that holds `path`: that of the deepest mount above it, the latest of several."""
    if not MOUNTS.exists():
        return "of a type that this system does not report"
    mounts = [line.split(" ")[1:3] for line in MOUNTS.read_text(errors="replace").splitlines()]
    found = enumerate((at.replace("\\040", " "), kind) for at, kind in mounts)
    above = [(len(at), turn, kind) for turn, (at, kind) in found if path.is_relative_to(at)]
    return max(above, default=(0, 0, "unknown"))[2]
