"""Estimate how long a run will still take from the stages that are done, and show it in a bar."""

import json
import statistics
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ganbalance.pipeline.state import State


@dataclass(frozen=True)
class Running:
    """A stage at work: its process, where it writes its progress, and when it started."""

    process: BaseProcess
    log: Path
    started: float

    @property
    def seconds(self) -> float:
        """Since it started."""
        return time.monotonic() - self.started


class Estimate:
    """Seconds still to go: the mean of each kind of stage, or, while none has ended, what its progress promises.

    Shown in a bar over the plan's stages, `already` of which are done; plain lines where there is no terminal.
    """

    def __init__(self, state: State, workers: int, already: int = 0) -> None:
        self._kinds = {node.name: (node.stage, node.gan) for node in state.plan.nodes}
        self._state, self._workers, self._ended = state, workers, already
        self._left = set(self._kinds)
        self._seconds: dict[tuple[str, str | None], list[float]] = {}
        for name in self._kinds:
            self._learn(name)
        tqdm.monitor_interval = 0  # its thread would be one more thing to stop
        self._bar: tqdm[Any] = tqdm(
            total=len(self._kinds), initial=already, disable=not sys.stderr.isatty(), leave=False,
            bar_format="{desc} {bar} {n_fmt}/{total_fmt} {elapsed}{postfix}",
        )  # fmt: skip

    def _learn(self, name: str) -> None:
        if commit := self._state.commit(name):
            self._left.discard(name)
            self._seconds.setdefault(self._kinds[name], []).append(float(commit.provenance["seconds"]))

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

    def ended(self, name: str, entry: Running, still_running: Mapping[str, Running], outcome: str) -> None:
        """Say that a stage ended, and how."""
        if outcome == "done":
            self._learn(name)
        self._left.discard(name)
        self._ended += 1
        self._bar.update(1)
        left = self._shown(still_running)
        line = f"  {self._ended:>3}/{len(self._kinds)}  {name:<40} {outcome:<7} {entry.seconds:6.1f} s{left}"
        self._bar.write(line, file=sys.stdout)

    def update(self, running: Mapping[str, Running]) -> None:
        """Show what runs, and the time left."""
        self._bar.set_description_str(" + ".join(running), refresh=False)
        self._bar.set_postfix_str(self._shown(running).strip(" ·"))

    def close(self) -> None:
        """Clear the bar away."""
        self._bar.close()

    def _shown(self, running: Mapping[str, Running]) -> str:
        seconds = self.seconds_left(running)
        return "" if seconds is None else f" · about {tqdm.format_interval(seconds)} left"


def _fraction(log: Path) -> float | None:
    """How far a stage says it is, from the last progress line of its log."""
    lines = log.read_text(errors="replace").splitlines() if log.is_file() else []
    said = [line for line in lines if line.startswith('{"stage"') and line.endswith("}")]  # one is still being written
    if not said:
        return None
    row = json.loads(said[-1])
    return float(row["done"]) / float(row["total"]) or None
