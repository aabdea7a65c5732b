"""Outlast a store or a server that is away."""

import sys
import time
from collections.abc import Callable
from typing import TypeVar

from ganbalance.errors import UnavailableError

T = TypeVar("T")

AGAIN_S = 10.0


def outlast(work: Callable[[], T], for_s: float) -> T:
    """Return what `work` does, tried again while something is away. Raises UnavailableError after `for_s` s of that."""
    away_since = None
    while True:
        try:
            return work()
        except UnavailableError as error:
            now = time.monotonic()
            if now - (away_since or now) >= for_s:
                raise
            if away_since is None:
                print(f"{error}; trying again for {for_s:.0f} s", file=sys.stderr, flush=True)
            away_since = away_since or now
        time.sleep(AGAIN_S)
