"""Verify that every byte of every artifact is the committed one."""

import errno
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ganbalance.errors import DataError
from ganbalance.maintenance.inventory import Address, Inventory, references
from ganbalance.store import Store, transfer
from ganbalance.store.artifacts import Artifacts, Commit, result_digest
from ganbalance.store.base import OnBytes

UNREADABLE = {errno.EACCES, errno.EIO}  # of a file in place; others are about this machine, not about the file


@dataclass(frozen=True)
class Verified:
    """How much was verified, what is broken and what is out of date: address -> a line for each problem."""

    artifacts: int
    n_bytes: int
    broken: dict[Address, list[str]]
    stale: dict[Address, list[str]]


def verify_artifacts(store: Store, run: str | None = None) -> Verified:
    """Hash every file of every artifact, or of those of one run. Raises ConfigError when there is no such run."""
    inventory = Inventory(store)
    wanted = set(inventory.committed)
    if run is not None:
        wanted &= references(inventory.state(run))
    commits = inventory.commits(inventory.committed)
    chosen = {at: commits[at] for at in sorted(wanted) if at in commits}
    sizes = {at: commit.n_bytes for at, commit in chosen.items()}
    checked = transfer.move(lambda at, on_bytes: _check(store, chosen[at], on_bytes), sizes, "verify")
    unreadable = {at: [str(inventory.problems[at])] for at in wanted if at in inventory.problems}
    broken = {at: problems for at, problems in checked.items() if problems} | unreadable
    return Verified(
        artifacts=len(wanted),
        n_bytes=sum(sizes.values()),
        broken=dict(sorted(broken.items())),
        stale={at: lines for at, commit in chosen.items() if (lines := _changed_inputs(commit, commits))},
    )


def _check(store: Store, commit: Commit, on_bytes: OnBytes) -> list[str]:
    """Say what is wrong with an artifact, and what to delete."""
    problems = [problem for file in commit.files if (problem := _check_file(store, commit, file.path))]
    if result_digest(commit.files, commit.outcome, commit.metrics) != commit.digest:
        problems.append(
            "its COMMIT contradicts itself: the digest is not that of its files and metrics; "
            f"delete {commit.name} in the store {store.url} and run again to make it anew"
        )
    on_bytes(commit.n_bytes)
    return problems


def _check_file(store: Store, commit: Commit, path: str) -> str | None:
    """Say what is wrong with one file; of what is fetched no more is on the disk than what is being hashed."""
    with tempfile.TemporaryDirectory(prefix="ganbalance-") as scratch:
        try:
            Artifacts(store, Path(scratch)).open(commit).path(path)
        except DataError as error:
            return str(error)
        except OSError as error:
            if error.errno not in UNREADABLE:
                raise
            return f"{commit.file_name(path)} is unreadable: {error.strerror}; fix that, or delete {commit.name}"
    return None


def _changed_inputs(commit: Commit, commits: Mapping[Address, Commit]) -> list[str]:
    """List the inputs that are no longer what the artifact was made from."""
    problems = []
    for role, ref in commit.inputs.items():
        parent = commits.get(Address.of(ref))
        if parent is None or parent.digest != ref.digest:
            what = "is gone" if parent is None else "was made anew since, with other bytes"
            problems.append(f"its input {role} ({ref.stage}/{ref.key[:12]}) {what}")
    return problems
