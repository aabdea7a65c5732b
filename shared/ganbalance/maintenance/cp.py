"""Copy a run from one store to another: what it references, in an order that never shows half of it.

Artifacts go in the order of the plan, the files of each before its COMMIT.json, and the run's record last of all.
Every file is verified on the way; an attempt keeps its name and its COMMIT. What is there already is left, so the
same command resumes an interrupted copy.
"""

import tempfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from ganbalance.errors import ConfigError, DataError
from ganbalance.maintenance.inventory import Address, load_record
from ganbalance.pipeline import runs
from ganbalance.pipeline.stages import Report
from ganbalance.pipeline.state import State
from ganbalance.progress import Progress
from ganbalance.store import Store
from ganbalance.store.artifacts import Artifacts, Commit
from ganbalance.store.transfer import side_by_side


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
    one, other = Path(source.url), Path(target.url)
    if source.url == target.url or (one.exists() and other.exists() and one.samefile(other)):
        raise ConfigError(f"the source and the target are the same store, {source.url}; name another one")
    record = load_record(source, run)
    state = State(record.plan, Artifacts(source))
    commits = [commit for node in record.plan.nodes if (commit := state.commit(node.name))]  # inputs first
    there = side_by_side(lambda at: Artifacts(target).find(*at), map(Address.of, commits))
    wanted = [commit for commit in commits if not _is_same(commit, there[Address.of(commit)], target)]
    n_bytes = sum(commit.n_bytes for commit in wanted)
    with closing(Progress(f"copy {run}", "transfer")) as progress:
        done = 0
        for commit in wanted:
            with tempfile.TemporaryDirectory(prefix="ganbalance-") as scratch:  # local copies are not kept
                paths = Artifacts(source, Path(scratch)).open(commit).paths()
                _is_same(commit, Artifacts(target).put(commit, paths), target)
            done += commit.n_bytes
            progress(done, n_bytes, "B")
    events = set(source.names(f"runs/{run}/events")) - set(target.names(f"runs/{run}/events"))
    side_by_side(lambda name: target.create(name, source.read(name)), events)
    runs.submit(target, record)
    return Copied(
        artifacts=len(wanted),
        n_bytes=n_bytes,
        there_already=len(commits) - len(wanted),
        events=len(events),
        missing=len(record.plan.nodes) - len(commits),
    )


def _is_same(commit: Commit, there: Commit | None, target: Store) -> bool:
    """Tell whether the target's own commit at the address does as well. Raises DataError when only its bytes differ."""
    if there is None or there.inputs != commit.inputs:
        return False
    # a report says when and where it was made; nothing reads it, so the target's own is as good
    if there.digest != commit.digest and commit.stage != Report.stage:
        raise DataError(
            f"the store {target.url} has other bytes at {commit.stage}/{commit.key}, and what was made from them "
            f"there would be out of date; copy to another store, or delete {commit.name} "
            "there and run the same command again"
        )
    return True
