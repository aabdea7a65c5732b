"""Verify that every byte of every artifact is the committed one."""

import errno
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ganbalance.errors import DataError
from ganbalance.frozen import dump
from ganbalance.keys import digest
from ganbalance.maintenance.inventory import Address, Inventory, load_record, references
from ganbalance.maintenance.ls import size
from ganbalance.progress import Progress
from ganbalance.store import MissingError, Store
from ganbalance.store.artifacts import Commit, File, attempt_name, commit_name
from ganbalance.store.transfer import side_by_side

UNREADABLE = {errno.EACCES, errno.EIO}  # of a file in place; others are about this machine, not about the file


@dataclass(frozen=True)
class Verified:
    """How much was verified, what is broken and what is out of date: address -> a line for each problem."""

    artifacts: int
    n_bytes: int
    broken: dict[Address, list[str]]
    stale: dict[Address, list[str]]


def verify(store: Store, run: str | None = None) -> Verified:
    """Hash every file of every artifact, or of those of one run. Raises ConfigError when there is no such run."""
    inventory = Inventory(store)
    wanted = set(inventory.committed)
    if run is not None:
        wanted &= references(inventory.states({run: load_record(store, run)})[run])
    commits = inventory.commits(inventory.committed)
    chosen = {at: commit for at, commit in commits.items() if at in wanted}
    checked = _check_all(store, chosen)
    unreadable = {at: [str(inventory.problems[at])] for at in wanted if at in inventory.problems}
    return Verified(
        artifacts=len(wanted),
        n_bytes=sum(size(commit) for commit in chosen.values()),
        broken=_sorted({at: problems for at, problems in checked.items() if problems} | unreadable),
        stale=_sorted({at: lines for at, commit in chosen.items() if (lines := _changed_inputs(commit, commits))}),
    )


def _sorted(problems: Mapping[Address, list[str]]) -> dict[Address, list[str]]:
    return {at: problems[at] for at in sorted(problems)}


def _check_all(store: Store, commits: Mapping[Address, Commit]) -> dict[Address, list[str]]:
    """Check side by side; of what is fetched no more is on the disk than what is being hashed."""
    progress, lock, done = Progress("verify", "transfer"), threading.Lock(), 0
    total = sum(size(commit) for commit in commits.values())

    def check(at: Address) -> list[str]:
        nonlocal done
        problems = _check(store, commits[at])
        with lock:
            done += size(commits[at])
            progress(done, total, "B")
        return problems

    try:
        return side_by_side(check, commits)
    finally:
        progress.close()


def _check(store: Store, commit: Commit) -> list[str]:
    """What is wrong with an artifact, and what to delete."""
    problems = [problem for file in commit.files if (problem := _check_file(store, commit, file))]
    result = {"files": [dump(file) for file in commit.files], "outcome": commit.outcome, "metrics": commit.metrics}
    if digest(result) != commit.digest:
        problems.append("its COMMIT contradicts itself: the digest is not that of its files and metrics")
    name = commit_name(commit.stage, commit.key)
    return [*problems, f"delete {name} in the store {store.url} and run again to make it anew"] if problems else []


def _check_file(store: Store, commit: Commit, file: File) -> str | None:
    name = attempt_name(commit.stage, commit.key, commit.attempt, file.path)
    for _ in range(2):  # bytes that were damaged in transit are fetched again
        with tempfile.TemporaryDirectory(prefix="ganbalance-") as scratch:
            try:
                if file.is_at(store.fetch(name, Path(scratch))):
                    return None
            except MissingError:
                return f"{name} is missing"
            except DataError as error:
                return f"{name} is unreadable: {error}"
            except OSError as error:
                if error.errno not in UNREADABLE:
                    raise
                return f"{name} is unreadable: {error.strerror}"
    return f"{name} is corrupt: its sha256 is not the committed one"


def _changed_inputs(commit: Commit, commits: Mapping[Address, Commit]) -> list[str]:
    """The inputs that are no longer what the artifact was made from."""
    problems = []
    for role, ref in commit.inputs.items():
        parent = commits.get(Address(ref.stage, ref.key))
        if parent is None:
            problems.append(f"its input {role} ({ref.stage}/{ref.key[:12]}) is gone")
        elif parent.digest != ref.digest:
            problems.append(f"its input {role} ({ref.stage}/{ref.key[:12]}) was made anew since, with other bytes")
    return problems
