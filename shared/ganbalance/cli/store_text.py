"""Format what the store commands print."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from ganbalance.cli import text
from ganbalance.maintenance.cp import Copied
from ganbalance.maintenance.gc import Garbage, ScanResults
from ganbalance.maintenance.inventory import Address, Inventory
from ganbalance.maintenance.ls import RunRow, StageRow
from ganbalance.maintenance.verify import Verified

KEY_CHARS = 12


def runs(rows: Sequence[RunRow], inventory: Inventory) -> str:
    """A line per run, and the store as a whole."""
    cells = [
        (row.run, text.when(row.recorded), f"{row.done}/{row.stages}", text.size(row.size), row.report)
        if row.problem is None
        else (row.run, text.when(row.recorded), text.NOTHING, text.NOTHING, "unreadable")
        for row in rows
    ]
    whole = (
        f"{text.counted(len(rows), 'run')}, {text.counted(len(inventory.committed), 'artifact')}, "
        f"{text.size(inventory.n_bytes)} in the store {inventory.store.url}"
    )
    head = ("run", "recorded (UTC)", "done", "size", "report")
    lines = [text.table(head, cells, right=("done", "size"))] if rows else []
    return "\n".join([*lines, *(str(row.problem) for row in rows if row.problem), whole])


def stages(rows: Sequence[StageRow]) -> str:
    """A line per stage."""
    cells = [
        (
            row.state if row.step is None else f"checkpoint at step {row.step}",
            row.name,
            row.key[:KEY_CHARS],
            str(row.files or text.NOTHING),
            text.size(row.size) if row.files else text.NOTHING,
            text.took(row.seconds),
            text.when(row.when),
        )
        for row in rows
    ]
    head = ("state", "stage", "key", "files", "size", "took", "committed (UTC)")
    return text.table(head, cells, right=("files", "size", "took"))


def description(described: dict[str, Any]) -> str:
    """YAML, with sizes for people and a line per file."""
    shown = {**described}
    if "files" in shown:
        shown["files"] = {
            file["path"]: f"{text.size(file['size'])}, sha256 {file['sha256']}" for file in shown["files"]
        }
    if "size" in shown:
        shown["size"] = text.size(shown["size"])
    if "inputs" in shown:
        shown["inputs"] = {
            role: f"{ref['stage']}/{ref['key']}, digest {ref['digest']}" for role, ref in shown["inputs"].items()
        }
    return str(yaml.safe_dump(shown, sort_keys=False, allow_unicode=True, width=200)).rstrip()


def copied(copy: Copied, run: str, source: str, target: str) -> str:
    """What was copied, what was not, and the next command."""
    lines = [
        f"copied {text.counted(copy.artifacts, 'artifact')} ({text.size(copy.n_bytes)}) and "
        f"{text.counted(copy.events, 'event')} of run {run} to {target}; {copy.there_already:,} were there already"
    ]
    if copy.missing:
        lines.append(f"{text.counted(copy.missing, 'stage')} of the run not done in {source}, and so not here either")
    lines.append(f"next: ganbalance fetch-report --run {run} --store {target}")
    return "\n".join(lines)


@dataclass(frozen=True)
class Collected:
    """What gc found; `then` is the command that deletes it."""

    found: ScanResults
    kept: list[Garbage]
    deleted: bool
    then: str

    def data(self) -> dict[str, Any]:
        """For programs."""
        return {
            "garbage": [
                {
                    "what": piece.what,
                    "reason": piece.reason,
                    "size": piece.size,
                    "modified": piece.modified.isoformat(),
                    "deleted": self.deleted and piece not in self.kept,
                }
                for piece in self.found.old
            ],
            "size": _sum(self.found.old),
            "younger": {"pieces": len(self.found.young), "size": _sum(self.found.young)},
            "unreadable": [str(error) for error in self.found.unreadable],
            "command": None if self.deleted else self.then,
        }

    def text(self) -> str:
        """For people."""
        cells = [
            (piece.what, text.size(piece.size), text.when(piece.modified), piece.reason) for piece in self.found.old
        ]
        head = ("garbage", "size", "last written (UTC)", "why")
        lines = [text.table(head, cells, right=("size",))] if cells else []
        lines += [f"left alone: {error}" for error in self.found.unreadable]
        if self.found.young:
            young = text.counted(len(self.found.young), "piece")
            lines.append(f"{young} of garbage ({text.size(_sum(self.found.young))}) younger than that, left alone")
        return "\n".join([*lines, self._summary()])

    def _summary(self) -> str:
        if not self.found.old:
            return "no garbage that is old enough"
        if not self.deleted:
            return f"{_amount(self.found.old)}; to delete it: {self.then}"
        gone = [piece for piece in self.found.old if piece not in self.kept]
        changed = f"; left alone, because it changed meanwhile: {_amount(self.kept)}" if self.kept else ""
        return f"deleted {_amount(gone)}{changed}"


def _amount(pieces: Sequence[Garbage]) -> str:
    return f"{text.counted(len(pieces), 'piece')} of garbage, {text.size(_sum(pieces))}"


def _sum(pieces: Sequence[Garbage]) -> int:
    return sum(piece.size for piece in pieces)


def verified(found: Verified) -> str:
    """What is broken, what is out of date, and how much was verified."""
    lines = [*_problems("corrupt", found.broken), *_problems("out of date", found.stale)]
    lines.append(
        f"verified {text.counted(found.artifacts, 'artifact')}, {text.size(found.n_bytes)}: "
        f"{len(found.broken):,} corrupt, {len(found.stale):,} out of date"
    )
    return "\n".join(lines)


def _problems(what: str, found: dict[Address, list[str]]) -> list[str]:
    return [line for at, why in found.items() for line in (f"{what}: {at}", *(f"  {reason}" for reason in why))]
