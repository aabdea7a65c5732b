"""Answer SIGTERM and Ctrl-C, so that what is under way ends in good order."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ganbalance.errors import Stopped


@contextmanager
def answered(answer: Callable[[], object]) -> Iterator[None]:
    """Let both call `answer` within this block, and do nothing else."""
    before = {number: signal.signal(number, lambda *_: answer()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def stoppable(message: str) -> Iterator[None]:
    """Let both end this block at once, by Stopped with this message, so that what it has opened does not stay open."""

    def stop() -> None:
        # no Exception: during a request a client would take one for a fault of the connection, and try again
        raise KeyboardInterrupt

    try:
        with answered(stop):
            yield
    except KeyboardInterrupt:
        raise Stopped(message) from None
