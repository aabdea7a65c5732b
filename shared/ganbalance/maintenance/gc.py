"""Find what a store holds that nobody needs, and delete it only when asked to.

    committed artifacts that no run references            COMMIT.json goes first: no reader sees one without its files
    attempts that a COMMIT does not name                  failed, killed, or lost a race
    attempts at what has no COMMIT                        failed or killed, with their checkpoints
    files of a committed attempt that are not part of it  checkpoints, mostly
    what a doctor that was killed wrote to try the store
    writes that were begun and never ended

All of it only when nothing was written to it for the retention time, by the store's clock. What a run references
and a COMMIT names is never among it, and neither is anything under a COMMIT that is unreadable.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain

from ganbalance.errors import DataError, UnavailableError
from ganbalance.maintenance import ls
from ganbalance.maintenance.doctor.checks import TRIALS
from ganbalance.maintenance.inventory import Address, Holding, Inventory, find, references
from ganbalance.store import Store
from ganbalance.store.artifacts import Commit, attempt_name
from ganbalance.store.base import Entry, Unfinished
from ganbalance.store.local import TEMPORARY
from ganbalance.store.transfer import side_by_side

BATCH = 64  # deletions between two checks of the runs
# where a store's own writes are: one at the root of a bucket shares it with whatever else is in there
OWN = ("stages/", "runs/", f"{TRIALS}/", f"{TEMPORARY}/")


@dataclass(frozen=True, eq=False)
class Garbage(ABC):
    """Something that can go, why, how many bytes that frees, and when it was last written to."""

    what: str
    reason: str
    size: int
    modified: datetime

    @abstractmethod
    def delete(self, store: Store) -> bool:
        """Delete it, unless it changed since it was found; True if it is gone."""


@dataclass(frozen=True, eq=False)
class Files(Garbage):
    """Files under the folder `what`, in the order in which they go; those named in `spared` stay."""

    entries: tuple[Entry, ...]
    spared: frozenset[str]

    def delete(self, store: Store) -> bool:
        """They may have been written to in between; then they stay."""
        if {entry for entry in store.entries(self.what) if entry.name not in self.spared} != set(self.entries):
            return False
        for entry in self.entries:
            store.delete(entry.name)
        return True


@dataclass(frozen=True, eq=False)
class OfStage(Files):
    """Files of a stage; `commit` is what stood at its address when they were found."""

    at: Address
    commit: Commit | None

    def delete(self, store: Store) -> bool:
        """An attempt may also have been committed in between; then it stays."""
        try:
            if find(store, self.at) != self.commit:
                return False
        except DataError:
            return False
        return super().delete(store)


@dataclass(frozen=True, eq=False)
class Write(Garbage):
    """A write that was begun and never ended."""

    write: Unfinished

    def delete(self, store: Store) -> bool:
        """One that has ended by now is no longer there to be given up."""
        store.discard(self.write)
        return True


@dataclass(frozen=True)
class ScanResults:
    """Garbage that may go, garbage that is too young, and what is left alone because its COMMIT is unreadable."""

    old: list[Garbage]
    young: list[Garbage]
    unreadable: list[DataError]
    runs: frozenset[str]  # whose needs are known


def collect(store: Store, older_than: timedelta) -> ScanResults:
    """All garbage of a store. Raises DataError when a run's record is unreadable: then nobody knows what it needs."""
    inventory = Inventory(store)
    needed = _needed(inventory)
    commits = inventory.commits(inventory.committed)
    found = [
        piece
        for at, holding in inventory.holdings.items()
        if at not in inventory.problems
        for piece in _pieces(at, holding, commits.get(at), is_needed=at in needed)
    ]
    found += [_trial(name, files) for name, files in inventory.trials.items()]
    found += [_unfinished(write) for write in store.unfinished() if write.name.startswith(OWN)]
    now = datetime.now(UTC)
    # a clock that is ahead of ours makes things younger, never older than they are
    is_old = {piece: max(timedelta(0), now - piece.modified) >= older_than for piece in found}
    old, young = ([piece for piece in found if is_old[piece] == wanted] for wanted in (True, False))
    return ScanResults(old, young, list(inventory.problems.values()), frozenset(inventory.recorded))


def of_run(store: Store, run: str) -> ScanResults:
    """What the store holds for a run alone: everything under each address that no other run references.

    Raises ConfigError when there is no such run, DataError when a record is unreadable.
    """
    inventory = Inventory(store)
    mine = references(ls.open_run(inventory, run))
    others = _needed(inventory, besides=run)
    commits = inventory.commits(mine - others)
    found = [
        piece
        for at in sorted(mine - others)
        if at in inventory.holdings
        for piece in _pieces(at, inventory.holdings[at], commits.get(at), is_needed=False)
    ]
    return ScanResults(found, [], list(inventory.problems.values()), frozenset(inventory.recorded))


def forget(store: Store, run: str) -> None:
    """Delete all that a run's own folder holds, its record last."""
    names = sorted(store.names(f"runs/{run}"), key=lambda name: name.endswith("/run.json"))
    *rest, last = names
    side_by_side(store.delete, rest)
    store.delete(last)


def _needed(inventory: Inventory, besides: str | None = None) -> set[Address]:
    states = inventory.states({run: record for run, record in inventory.records().items() if run != besides})
    if broken := [run for run in inventory.recorded if run in inventory.problems]:
        raise DataError(
            f"what run {broken[0]} needs is not known, so nothing is deleted: {inventory.problems[broken[0]]}"
        )
    return {at for state in states.values() for at in references(state)}


def _pieces(at: Address, holding: Holding, commit: Commit | None, *, is_needed: bool) -> Iterator[Garbage]:
    """The garbage under one address."""
    if commit is not None and holding.committed is not None and not is_needed:
        everything = [holding.committed, *chain.from_iterable(holding.attempts.values())]
        yield _files(f"stages/{at}", "no run references it", at, commit, everything)
        return
    for attempt, files in holding.attempts.items():
        folder = f"stages/{at}/attempts/{attempt}"
        if commit is None:
            yield _files(folder, "attempt without a COMMIT: failed, killed or at work", at, commit, files)
        elif attempt != commit.attempt:
            yield _files(folder, "attempt that failed, was killed or lost a race", at, commit, files)
        else:
            named = frozenset(attempt_name(*at, attempt, file.path) for file in commit.files)
            if left := [file for file in files if file.name not in named]:
                yield _files(folder, "left over in a committed attempt", at, commit, left, named)


def _files(  # noqa: PLR0913 - what a piece is made of
    what: str,
    reason: str,
    at: Address,
    commit: Commit | None,
    files: list[Entry],
    spared: frozenset[str] = frozenset(),
) -> Garbage:
    return OfStage(what, reason, *_size_and_time(files), entries=tuple(files), spared=spared, at=at, commit=commit)


def _trial(name: str, files: list[Entry]) -> Garbage:
    reason = "trial of a doctor that was killed or is at work"
    return Files(f"{TRIALS}/{name}", reason, *_size_and_time(files), entries=tuple(files), spared=frozenset())


def _size_and_time(files: list[Entry]) -> tuple[int, datetime]:
    return sum(file.size for file in files), max(file.modified for file in files)


def _unfinished(write: Unfinished) -> Garbage:
    return Write(write.name, "write that never ended", write.size, write.modified, write=write)


def sweep(store: Store, found: ScanResults) -> list[Garbage]:
    """Delete what may go; returns what was kept, because it changed since it was found.

    Raises UnavailableError when a run was recorded meanwhile: it may need some of this.
    """
    kept = []
    for start in range(0, len(found.old), BATCH):
        _check_runs(store, found.runs)
        batch = found.old[start : start + BATCH]
        gone = side_by_side(lambda piece: piece.delete(store), batch)
        kept += [piece for piece in batch if not gone[piece]]
    return kept


def _check_runs(store: Store, known: frozenset[str]) -> None:
    if new := set(Inventory(store, "runs").recorded) - known:
        raise UnavailableError(f"run {min(new)} was recorded meanwhile and may need some of this; run the same again")
