"""Measure what an attempt at a stage takes, and keep that where it ends without a commit: it is a cost too."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from ganbalance.errors import GanbalanceError, UnavailableError
from ganbalance.pipeline import provenance
from ganbalance.pipeline.checkpoints import Checkpoints


@contextmanager
def measured(checkpoints: Checkpoints, threads: int) -> Iterator[Callable[[], dict[str, Any]]]:
    """Give what says, for the provenance, what was spent so far: seconds, threads, and the device computed on.

    Where the block fails or is stopped, keep that in the store. Not where the store has gone: it would only be waited
    for once more.
    """
    started, allocations = time.time(), provenance.allocations()

    def spent() -> dict[str, Any]:
        device = "cuda" if provenance.allocations() > allocations else "cpu"
        return {"seconds": round(time.time() - started, 2), "threads": threads, "device": device}

    try:
        yield spent
    except UnavailableError:
        raise
    except BaseException:
        with suppress(GanbalanceError, OSError):
            checkpoints.record_ended(spent())
        raise
