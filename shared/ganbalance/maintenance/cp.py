"""Copy a run from one store to another: what it references, in an order that never shows half of it.

Artifacts go in the order of the plan, the files of each before its COMMIT.json, and the run's record last of all.
Every file is verified on the way. What is there already is left, so the same command resumes an interrupted copy.
"""

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ganbalance.errors import ConfigError, DataError
from ganbalance.frozen import dump
from ganbalance.maintenance.inventory import Address, Inventory, find, load_record, references
from ganbalance.maintenance.ls import size
from ganbalance.pipeline import runs
from ganbalance.pipeline.runs import Record
from ganbalance.pipeline.stages import Report
from ganbalance.progress import Progress
from ganbalance.store import Store, transfer
from ganbalance.store.artifacts import Artifacts, Commit, attempt_name, commit_name


@dataclass(frozen=True)
class Copied:
    """What a copy came to. `missing` counts the stages that have no artifact in the source."""

    artifacts: int
    n_bytes: int
    there_already: int
    events: int
    missing: int


def copy_run(run: str, source: Store, target: Store) -> Copied:
    """Copy a run and its current artifacts. Raises ConfigError, and DataError before anything is written."""
    if source.url == target.url or _same_folder(source, target):
        raise ConfigError(f"the source and the target are the same store, {source.url}; name another one")
    record = load_record(source, run)
    commits = _current(record, source)
    standing = _standing(commits, target)
    wanted = [commit for commit in commits if not _is_there(commit, standing)]
    _copy_artifacts(f"copy {run}", wanted, source, target)
    events = _copy_events(run, source, target)
    runs.submit(target, record)
    return Copied(
        artifacts=len(wanted),
        n_bytes=sum(size(commit) for commit in wanted),
        there_already=len(commits) - len(wanted),
        events=events,
        missing=len(record.plan.nodes) - len(commits),
    )


def _same_folder(source: Store, target: Store) -> bool:
    one, other = Path(source.url), Path(target.url)
    return one.exists() and other.exists() and one.samefile(other)


def _current(record: Record, source: Store) -> list[Commit]:
    """The run's commits in the source that are current, inputs first. Raises DataError when one is unreadable."""
    inventory = Inventory(source, "stages")
    state = inventory.states({record.plan.run: record})[record.plan.run]
    for problem in (inventory.problems[at] for at in references(state) if at in inventory.problems):
        raise problem
    return [commit for node in record.plan.nodes if (commit := state.commit(node.name))]


def _standing(commits: list[Commit], target: Store) -> dict[Address, Commit]:
    """The target's own commits at the same addresses. Raises DataError when they have other bytes."""
    addresses = [Address(commit.stage, commit.key) for commit in commits]
    found = transfer.side_by_side(lambda at: find(target, at), addresses)
    standing = {at: commit for at, commit in found.items() if commit is not None}
    for commit in commits:
        there = standing.get(Address(commit.stage, commit.key))
        if there and there.inputs == commit.inputs and not _is_there(commit, standing):
            raise DataError(
                f"the store {target.url} has other bytes at {commit.stage}/{commit.key}, and what was made from them "
                f"there would be out of date; copy to another store, or delete {commit_name(commit.stage, commit.key)} "
                "there and run the same command again"
            )
    return standing


def _is_there(commit: Commit, standing: dict[Address, Commit]) -> bool:
    there = standing.get(Address(commit.stage, commit.key))
    if there is None or there.inputs != commit.inputs:
        return False
    # a report says when and where it was made; nothing reads it, so the target's own is as good
    return there.digest == commit.digest or commit.stage == Report.stage


def _copy_artifacts(what: str, commits: list[Commit], source: Store, target: Store) -> None:
    progress, total, done = Progress(what, "transfer"), sum(size(commit) for commit in commits), 0
    try:
        for commit in commits:
            _copy_artifact(commit, source, target)
            done += size(commit)
            progress(done, total, "B")
    finally:
        progress.close()


def _copy_artifact(commit: Commit, source: Store, target: Store) -> None:
    """One artifact with its attempt's name and its COMMIT as they are; local copies of its files are not kept."""
    with tempfile.TemporaryDirectory(prefix="ganbalance-") as scratch:
        paths = Artifacts(source, Path(scratch)).open(commit).paths()
        named = {attempt_name(commit.stage, commit.key, commit.attempt, file): path for file, path in paths.items()}
        transfer.put_all(target, named, f"{commit.stage} {commit.key[:8]}")
    _commit(commit, target)


def _commit(commit: Commit, target: Store) -> None:
    """Write the COMMIT unless one that says the same is there; one made from other inputs is out of date."""
    name, data = commit_name(commit.stage, commit.key), json.dumps(dump(commit), indent=1).encode()
    while not target.create(name, data):
        if _is_there(commit, _standing([commit], target)):
            return
        target.delete(name)


def _copy_events(run: str, source: Store, target: Store) -> int:
    prefix = f"runs/{run}/events"
    missing = set(source.names(prefix)) - set(target.names(prefix))
    transfer.side_by_side(lambda name: target.create(name, source.read(name)), missing)
    return len(missing)
