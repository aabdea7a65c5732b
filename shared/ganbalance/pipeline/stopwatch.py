"""Measure what an attempt at a stage takes, and keep that where it ends without a commit: it is a cost too."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from ganbalance.errors import GanbalanceError, UnavailableError
from ganbalance.pipeline import provenance
from ganbalance.pipeline.checkpoints import Checkpoints
from ganbalance.store.artifacts import Ended


class Stopwatch:
    """Runs from when it is made, in a process whose stage was given `threads`."""

    def __init__(self, threads: int) -> None:
        self._threads, self._started, self._allocations = threads, time.time(), provenance.allocations()

    def spent(self) -> dict[str, Any]:
        """What the provenance says of it: seconds, threads, and the device that it computed on."""
        device = "cuda" if provenance.allocations() > self._allocations else "cpu"
        return {"seconds": round(time.time() - self._started, 2), "threads": self._threads, "device": device}


@contextmanager
def measured(checkpoints: Checkpoints, threads: int) -> Iterator[Stopwatch]:
    """Run a stopwatch; where the block fails or is stopped, keep what it says in the store.

    Not where the store has gone: it would only be waited for once more.
    """
    watch = Stopwatch(threads)
    try:
        yield watch
    except UnavailableError:
        raise
    except BaseException:
        with suppress(GanbalanceError, OSError):
            checkpoints.record_ended(Ended(kept_seconds=round(checkpoints.kept_s, 2), **watch.spent()))
        raise
