"""Save a stage's checkpoints in the store on a timer; whichever attempt comes next finds them."""

import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ganbalance.errors import DataError, UnavailableError
from ganbalance.keys import digest
from ganbalance.pipeline.plan import Node
from ganbalance.store.artifacts import Artifacts, Commit, Ended, new_attempt

# training.checkpoint is imported where it is used: a report needs neither checkpoints nor torch


class Checkpoints:
    """The checkpoints of one node and its inputs, written by one attempt."""

    def __init__(self, artifacts: Artifacts, node: Node, inputs: Mapping[str, Commit], every_s: float) -> None:
        self.attempt = new_attempt()
        # a state belongs to the very bytes it was trained on, and a key does not name those
        self._belongs_to = digest([node.key, {role: commit.digest for role, commit in inputs.items()}])
        self._artifacts, self._stage, self._key = artifacts, node.stage, node.key
        self._every_s = every_s
        self._started = self._saved_at = self._tried_at = time.monotonic()

    def latest(self) -> dict[str, Any] | None:
        """Load the state furthest on that is whole; a damaged checkpoint is skipped with a message."""
        from ganbalance.training import checkpoint

        for path in self._artifacts.checkpoints(self._stage, self._key):
            try:
                state = checkpoint.load(path, self._belongs_to)
            except DataError as error:
                print(f"skipped a checkpoint: {error}", file=sys.stderr, flush=True)
                continue
            print(f"resuming at step {state['step']}", flush=True)
            return state
        return None

    def save(self, state: dict[str, Any], *, is_last: bool = False) -> None:
        """Keep `state`, which says its "step". Where the store is away, only the last one raises UnavailableError."""
        from ganbalance.training import checkpoint

        try:
            with tempfile.TemporaryDirectory(prefix="ganbalance-") as scratch:
                path = Path(scratch) / "checkpoint"
                checkpoint.save(path, state, self._belongs_to)
                self._artifacts.save_checkpoint(self._stage, self._key, self.attempt, state["step"], path)
            self._saved_at = time.monotonic()
        except UnavailableError as error:
            message = f"checkpoint at step {state['step']} not written: {error}"
            if is_last:
                raise UnavailableError(f"stopped; {message}") from error
            print(f"{message}; training goes on", file=sys.stderr, flush=True)
        self._tried_at = time.monotonic()

    def record_ended(self, spent: Mapping[str, Any]) -> None:
        """Keep what this attempt took, which ends without a commit, and how much of it a checkpoint holds."""
        ended = Ended(kept_seconds=round(self._saved_at - self._started, 2), **spent)
        self._artifacts.record_ended(self._stage, self._key, self.attempt, ended)

    def due(self) -> bool:
        """Tell whether it is time for another."""
        return time.monotonic() - self._tried_at >= self._every_s
