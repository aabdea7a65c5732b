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

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import chain

from ganbalance.errors import DataError, UnavailableError
from ganbalance.maintenance.doctor import TRIALS
from ganbalance.maintenance.inventory import Address, Holding, Inventory, references
from ganbalance.store import Store
from ganbalance.store.artifacts import Artifacts, Commit
from ganbalance.store.base import Entry, Unfinished
from ganbalance.store.local import TEMPORARY
from ganbalance.store.transfer import side_by_side

BATCH = 64  # deletions between two checks of the runs
# where a store's own writes are: one at the root of a bucket shares it with whatever else is in there
OWN = ("stages/", "runs/", f"{TRIALS}/", f"{TEMPORARY}/")


@dataclass(frozen=True, eq=False, kw_only=True)
class Garbage:
    """Files under `what` that can go, in that order, and why; those named in `spared` stay.

    Of a stage, `commit` is what stood at the address `at` when they were found. `write` is one that never ended.
    """

    what: str
    reason: str
    entries: tuple[Entry, ...]
    spared: frozenset[str] = frozenset()
    at: Address | None = None
    commit: Commit | None = None
    write: Unfinished | None = None

    @property
    def size(self) -> int:
        """How many bytes it frees."""
        return sum(entry.size for entry in self.entries)

    @property
    def modified(self) -> datetime:
        """When it was last written to."""
        return max(entry.modified for entry in self.entries)

    def delete(self, store: Store) -> bool:
        """Delete it, unless it was written to or committed since it was found; True if it is gone."""
        if self.write:
            store.discard(self.write)  # nothing happens where it has ended by now
            return True
        try:
            if self.at and Artifacts(store).find(*self.at) != self.commit:
                return False
        except DataError:
            return False
        if {entry for entry in store.entries(self.what) if entry.name not in self.spared} != set(self.entries):
            return False
        for entry in self.entries:
            store.delete(entry.name)
        return True


@dataclass(frozen=True)
class ScanResults:
    """Garbage that may go, garbage that is too young, and what is left alone because its COMMIT is unreadable."""

    old: list[Garbage]
    young: list[Garbage]
    unreadable: list[DataError]
    runs: frozenset[str]  # whose needs are known


def collect(store: Store, older_than: timedelta) -> ScanResults:
    """Find all garbage of a store. Raises DataError if a run's record is unreadable: nobody knows what that needs."""
    inventory = Inventory(store)
    found = _under(inventory, list(inventory.holdings), needed=_needed(inventory))
    found += [
        Garbage(what=f"{TRIALS}/{name}", reason="trial of a doctor that was killed or is at work", entries=tuple(files))
        for name, files in inventory.trials.items()
    ]
    found += [
        Garbage(what=write.name, reason="write that never ended", entries=(write,), write=write)
        for write in store.unfinished()
        if write.name.startswith(OWN)
    ]
    now = datetime.now(UTC)
    # a clock that is ahead of ours makes things younger, never older than they are
    is_old = {piece: max(timedelta(0), now - piece.modified) >= older_than for piece in found}
    old, young = ([piece for piece in found if is_old[piece] == wanted] for wanted in (True, False))
    return ScanResults(old, young, list(inventory.problems.values()), frozenset(inventory.recorded))


def of_run(store: Store, run: str) -> ScanResults:
    """Find what the store holds for a run alone: everything under each address that no other run references.

    Raises ConfigError when there is no such run, DataError when a record is unreadable.
    """
    inventory = Inventory(store)
    mine = references(inventory.state(run)) - _needed(inventory, besides=run)
    found = _under(inventory, sorted(mine & inventory.holdings.keys()), needed=set())
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
            f"what run {broken[0]} needs is not known, so no artifact is deleted: {inventory.problems[broken[0]]}"
        )
    return {at for state in states.values() for at in references(state)}


def _under(inventory: Inventory, addresses: Sequence[Address], *, needed: Set[Address]) -> list[Garbage]:
    """List the garbage under these addresses, but for those whose COMMIT is unreadable."""
    commits = inventory.commits(addresses)
    return [
        piece
        for at in addresses
        if at not in inventory.problems
        for piece in _pieces(at, inventory.holdings[at], commits.get(at), is_needed=at in needed)
    ]


def _pieces(at: Address, holding: Holding, commit: Commit | None, *, is_needed: bool) -> Iterator[Garbage]:
    """Yield the garbage under one address."""
    piece = partial(Garbage, at=at, commit=commit)
    if commit is not None and holding.committed is not None and not is_needed:
        everything = (holding.committed, *chain.from_iterable(holding.attempts.values()))
        yield piece(what=f"stages/{at}", reason="no run references it", entries=everything)
        return
    for attempt, files in holding.attempts.items():
        folder = f"stages/{at}/attempts/{attempt}"
        named: frozenset[str] = frozenset()
        if commit is None:
            reason = "attempt without a COMMIT: failed, killed or at work"
        elif attempt != commit.attempt:
            reason = "attempt that failed, was killed or lost a race"
        else:
            reason = "left over in a committed attempt"
            named = frozenset(commit.file_name(file.path) for file in commit.files)
        if left := tuple(file for file in files if file.name not in named):
            yield piece(what=folder, reason=reason, entries=left, spared=named)


def sweep(store: Store, found: ScanResults) -> list[Garbage]:
    """Delete what may go; returns what was kept, because it changed since it was found.

    Raises UnavailableError when a run was recorded meanwhile: it may need some of this.
    """
    kept = []
    for start in range(0, len(found.old), BATCH):
        if new := set(Inventory(store, "runs").recorded) - found.runs:
            message = f"run {min(new)} was recorded meanwhile and may need some of this"
            raise UnavailableError(f"{message}; run the same again")
        batch = found.old[start : start + BATCH]
        gone = side_by_side(lambda piece: piece.delete(store), batch)
        kept += [piece for piece in batch if not gone[piece]]
    return kept
