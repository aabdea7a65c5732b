"""Files of a Debian package without root and without installing it."""

import shutil
import subprocess
import tempfile
from pathlib import Path

from ganbalance.errors import DataError

TIMEOUT_S = 300


def available() -> bool:
    """Tell whether this machine has Debian's tools."""
    return all(shutil.which(tool) for tool in ("apt-get", "dpkg"))


def unpack(package: str, folder: Path, *, into: Path) -> None:
    """Copy the files that `package` would put in `folder` to `into`. Raises DataError.

    Works with a package index of its own when the system has none, as in a fresh container.
    """
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        try:
            _run(["apt-get", "download", package], work)
        except DataError:
            own = _own_index(work)
            _run(["apt-get", *own, "update"], work)
            _run(["apt-get", *own, "download", package], work)
        (archive,) = work.glob(f"{package}_*.deb")
        _run(["dpkg", "-x", str(archive), "unpacked"], work)
        into.parent.mkdir(parents=True, exist_ok=True)
        partial = into.with_name(into.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(work / "unpacked" / folder.relative_to("/"), partial)
        shutil.rmtree(into, ignore_errors=True)
        partial.rename(into)


def _own_index(work: Path) -> list[str]:
    lists = work / "lists"
    (lists / "partial").mkdir(parents=True, exist_ok=True)
    return ["-o", f"Dir::State::Lists={lists}", "-o", f"Dir::Cache={work / 'cache'}"]


def _run(command: list[str], folder: Path) -> None:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DataError(f"{' '.join(command)} failed: {error}") from error
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        raise DataError(f"{' '.join(command)} failed: {' '.join(last)}")
