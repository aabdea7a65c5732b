"""Estimate how long a run will still take from the stages that are done, and show it in a bar."""

import json
import statistics
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from tqdm import tqdm

from ganbalance.pipeline.state import State

TAIL_BYTES = 4096


class Running(Protocol):
    """A stage at work."""

    @property
    def seconds(self) -> float:
        """Since it started."""

    @property
    def log(self) -> Path:
        """Where it writes its progress."""


class Estimate:
    """Seconds still to go: the mean of each kind of stage, or, while none has ended, what its progress promises."""

    def __init__(self, state: State, workers: int) -> None:
        self._kinds = {node.name: (node.stage, node.gan) for node in state.plan.nodes}
        self._workers = workers
        self._left = set(self._kinds)
        self._seconds: dict[tuple[str, str | None], list[float]] = {}
        self._state = state
        for name in list(self._kinds):
            self.learn(name)

    def learn(self, name: str) -> None:
        """Take note of a stage that is done."""
        if commit := self._state.commit(name):
            self._left.discard(name)
            self._seconds.setdefault(self._kinds[name], []).append(float(commit.provenance["seconds"]))

    def give_up(self, name: str) -> None:
        """A stage that will not be done."""
        self._left.discard(name)

    def seconds_left(self, running: Mapping[str, Running]) -> float | None:
        """Wall-clock seconds until everything is done, or None while too little is known."""
        promised = {kind: statistics.mean(seen) for kind, seen in self._seconds.items()}
        spent: dict[str, float] = {}
        for name, entry in running.items():
            spent[name] = entry.seconds
            fraction = _fraction(entry.log)
            if fraction and self._kinds[name] not in promised:
                promised[self._kinds[name]] = spent[name] / fraction
        if not promised:
            return None
        typical = statistics.mean(promised.values())
        total = sum(max(promised.get(self._kinds[name], typical) - spent.get(name, 0.0), 0.0) for name in self._left)
        return total / self._workers

    @contextmanager
    def bar(self, already: int) -> Iterator["Bar"]:
        """A bar over the plan's stages with the time left; plain lines where there is no terminal."""
        bar = Bar(self, total=len(self._kinds), already=already)
        try:
            yield bar
        finally:
            bar.close()


class Bar:
    """What a person watching a run sees."""

    def __init__(self, estimate: Estimate, *, total: int, already: int) -> None:
        self._estimate = estimate
        self._ended, self._total = already, total
        tqdm.monitor_interval = 0  # its thread would be one more thing to stop
        self._bar: tqdm[Any] = tqdm(
            total=total, initial=already, disable=not sys.stderr.isatty(), leave=False,
            bar_format="{desc} {bar} {n_fmt}/{total_fmt} {elapsed}{postfix}",
        )  # fmt: skip

    def ended(self, name: str, entry: Running, still_running: Mapping[str, Running], *, outcome: str) -> None:
        """Say that a stage ended, and how."""
        if outcome == "done":
            self._estimate.learn(name)
        else:
            self._estimate.give_up(name)
        self._ended += 1
        self._bar.update(1)
        left = self._left(still_running)
        line = f"  {self._ended:>3}/{self._total}  {name:<40} {outcome:<7} {entry.seconds:6.1f} s{left}"
        self._bar.write(line, file=sys.stdout)

    def update(self, running: Mapping[str, Running]) -> None:
        """Show what runs, and the time left."""
        self._bar.set_description_str(" + ".join(running), refresh=False)
        self._bar.set_postfix_str(self._left(running).strip(" ·"))

    def close(self) -> None:
        """Clear the bar away."""
        self._bar.close()

    def _left(self, running: Mapping[str, Running]) -> str:
        seconds = self._estimate.seconds_left(running)
        return "" if seconds is None else f" · about {_duration(seconds)} left"


def _duration(seconds: float) -> str:
    """Write a duration in the unit that fits."""
    if seconds < 90:  # noqa: PLR2004
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"  # noqa: PLR2004


def _fraction(log: Path) -> float | None:
    """How far a stage says it is, from the last progress line of its log."""
    if not log.is_file():
        return None
    with log.open("rb") as file:
        file.seek(max(log.stat().st_size - TAIL_BYTES, 0))
        lines = file.read().decode(errors="replace").splitlines()
    for line in reversed(lines):
        if line.startswith('{"stage"'):
            try:
                row = json.loads(line)
            except ValueError:
                continue  # the line is still being written
            return float(row["done"]) / float(row["total"]) or None
    return None
