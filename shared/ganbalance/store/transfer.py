"""Many files to or from a store side by side, with their progress."""

import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from ganbalance.progress import Progress
from ganbalance.store.base import EndedError, OnBytes, Store

T = TypeVar("T")
R = TypeVar("R")

AT_ONCE = 8
SHOWN_FROM = 32 * 1024**2  # bytes; less has arrived before a bar could be read


def put_all(store: Store, files: Mapping[str, Path], what: str) -> None:
    """Keep local files under their names: name -> file. `what` says to a person what they are."""
    sizes = {name: path.stat().st_size for name, path in files.items()}
    move(lambda name, on_bytes: store.put(name, files[name], on_bytes), sizes, f"to the store: {what}")


def move(one: Callable[[T, OnBytes], R], sizes: Mapping[T, int], what: str) -> dict[T, R]:
    """Do what moves bytes for every item of a known size; show no progress where there is little to move."""
    lock, ended, moved, total = threading.Lock(), threading.Event(), 0, sum(sizes.values())

    def on_bytes(more: int) -> None:
        nonlocal moved
        if ended.is_set():  # nothing else reaches the threads that move bytes
            raise EndedError
        with lock:
            moved += more
            if total >= SHOWN_FROM:
                progress(moved, total, "B")

    with closing(Progress(what, "transfer")) as progress:
        return side_by_side(lambda item: one(item, on_bytes), sizes, ended)


def side_by_side(do: Callable[[T], R], items: Iterable[T], ended: threading.Event | None = None) -> dict[T, R]:
    """Call `do` for every item, several at a time: item -> result. The first error stops what has not begun.

    Then, and when a signal interrupts it, `ended` is set for those that are under way.
    """
    with ThreadPoolExecutor(AT_ONCE) as pool:
        try:
            futures: dict[Future[R], T] = {pool.submit(do, item): item for item in items}
            return {futures[future]: future.result() for future in as_completed(futures)}
        except BaseException:
            if ended is not None:
                ended.set()
            raise
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
