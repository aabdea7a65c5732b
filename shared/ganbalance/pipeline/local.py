"""Run a plan on this machine: independent stages side by side, each in a process of its own.

The processes are forked from one that has loaded the job programs already, so that a stage starts in
milliseconds; each runs the very `main(argv)` that a container would run.
"""

import importlib
import json
import multiprocessing
import os
import signal
import statistics
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Literal

from tqdm import tqdm

from ganbalance.errors import EXIT_DONE, Stopped
from ganbalance.pipeline.plan import Node
from ganbalance.pipeline.signals import answered
from ganbalance.pipeline.state import State

POLL_S = 0.5
PRELOADED = (
    *(f"jobs.{name}" for name in ("imbalance", "train_gan", "synthesize", "train_classifier", "report")),
    # what is loaded when a stage first uses it, seconds of work: once here, not in every stage
    "torch._dynamo",
    "timm",
    "imblearn",
)


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
        """Estimate the wall-clock seconds until everything is done; None while too little is known."""
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
    """Read how far a stage says it is, from the last progress line of its log."""
    lines = log.read_text("utf-8", "replace").splitlines() if log.is_file() else []
    said = [line for line in lines if line.startswith('{"stage"') and line.endswith("}")]  # one is still being written
    if not said:
        return None
    row = json.loads(said[-1])
    return float(row["done"]) / float(row["total"]) or None


@dataclass(frozen=True)
class Failure:
    """A stage that did not finish: its name, exit code, the last line it said, and where the rest is."""

    stage: str
    code: int
    cause: str
    log: Path


class LocalRunner:
    """Runs what of a plan is not done, at most `workers` stages at a time.

    A failed stage blocks only what needs it. Ctrl-C and SIGTERM stop every stage at its next checkpoint.
    """

    def __init__(self, state: State, *, logs: Path, workers: int) -> None:
        self._plan, self._state = state.plan, state
        self._logs, self._workers = logs, workers
        self._running: dict[str, Running] = {}
        self._failures: dict[str, Failure] = {}
        self._stops: list[bool] = []  # one for each signal
        self._processes = multiprocessing.get_context("forkserver")
        self._processes.set_forkserver_preload([*PRELOADED, type(state.artifacts.store).__module__])
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the runner, which stops the stages
        forkserver.ensure_running()
        signal.signal(signal.SIGINT, before)

    def run(self) -> list[Failure]:
        """Run until nothing more can be; returns what failed. Raises Stopped after a signal."""
        nodes = self._plan.nodes
        waiting = {node.name: node for node in self._state.unsettled(nodes)}
        estimate = Estimate(self._state, self._workers, already=len(nodes) - len(waiting))
        with answered(lambda: self._stops.append(True)), closing(estimate):
            while waiting or self._running:
                self._start_ready(waiting)
                if self._stops:  # passed on; another signal says nothing new
                    for entry in self._running.values():
                        entry.process.terminate()
                if not self._running:
                    break
                for name, entry, outcome in self._reap():
                    estimate.ended(name, entry, self._running, outcome)
                estimate.update(self._running)
        if self._stops:
            raise Stopped("stopped; what is done is kept, and the same command goes on from there")
        return list(self._failures.values())

    def _start_ready(self, waiting: dict[str, Node]) -> None:
        for name, node in list(waiting.items()):
            if self._stops or len(self._running) >= self._workers:
                return
            if any(parent in waiting or parent in self._running for parent in node.inputs.values()):
                continue
            failed = [parent for parent in node.inputs.values() if parent in self._failures]
            del waiting[name]
            if failed and not node.kind.allow_missing_inputs:
                # the stage that failed is reported; this one only counts as not done
                self._failures[name] = Failure(name, EXIT_DONE, f"upstream failed: {failed[0]}", Path())
            elif not self._state.commit(name):
                self._running[name] = self._start(node)

    def _start(self, node: Node) -> Running:
        log = self._logs / f"{node.name.replace('/', '.')}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        argv = ["--run", self._plan.run, "--store", self._state.artifacts.store.url, "--stage", node.name]
        process = self._processes.Process(target=_child, args=(node.program, argv, str(log)), name=node.name)
        process.start()
        return Running(process, log, time.monotonic())

    def _reap(self) -> Iterator[tuple[str, Running, Literal["done", "FAILED", "stopped"]]]:
        """Yield the stages that ended within the poll interval, and how."""
        wait([entry.process.sentinel for entry in self._running.values()], timeout=POLL_S)
        for name, entry in list(self._running.items()):
            if entry.process.is_alive():
                continue
            entry.process.join()
            code = entry.process.exitcode or EXIT_DONE
            del self._running[name]
            if code != EXIT_DONE and not self._stops:
                self._failures[name] = Failure(name, code, _last_line(entry.log, code), entry.log)
                yield name, entry, "FAILED"
            else:
                yield name, entry, "done" if self._state.commit(name) else "stopped"


def _child(program: str, argv: list[str], log: str) -> None:
    """Run a program as a stage's process: its output goes to a file, Ctrl-C reaches it only by way of the runner."""
    os.setsid()
    with open(log, "ab") as file:  # noqa: PTH123 - a file descriptor is what is wanted
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    for stream in (sys.stdout, sys.stderr):  # the runner reads it, whatever the locale
        stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)  # type: ignore[union-attr]
    module = importlib.import_module(f"jobs.{program.replace('-', '_')}")
    code = module.main(argv)
    sys.stdout.flush()
    sys.exit(code)


def _last_line(log: Path, code: int) -> str:
    lines = [line for line in log.read_text("utf-8", "replace").splitlines() if line.strip()] if log.is_file() else []
    if code < 0:
        return f"killed by {signal.Signals(-code).name}" + ("; was memory short?" if code == -signal.SIGKILL else "")
    return lines[-1].partition(": ")[2] if lines else f"exit code {code}"
