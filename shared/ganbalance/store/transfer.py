"""Many files to or from a store side by side, with their progress."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from ganbalance.progress import Progress
from ganbalance.store.base import OnBytes, Store

T = TypeVar("T")
R = TypeVar("R")

AT_ONCE = 8
WORTH_TELLING = 32 * 1024**2  # bytes; less is there before a bar could be read


def put_all(store: Store, files: Mapping[str, Path], what: str) -> None:
    """Keep local files under their names: name -> file. `what` says to a person what they are."""
    sizes = {name: path.stat().st_size for name, path in files.items()}
    with _bar(f"to the store: {what}", sum(sizes.values())) as on_bytes:
        side_by_side(lambda name: store.put(name, files[name], on_bytes), files)


def fetch_all(store: Store, sizes: Mapping[str, int], scratch: Path, what: str) -> dict[str, Path]:
    """Local files with the bytes under the names: name -> file, as `Store.fetch` gives it."""
    with _bar(f"from the store: {what}", sum(sizes.values())) as on_bytes:
        return side_by_side(lambda name: store.fetch(name, scratch, on_bytes), sizes)


def side_by_side(do: Callable[[T], R], items: Iterable[T]) -> dict[T, R]:
    """`do` for every item, several at a time: item -> result. The first error stops what has not begun."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        futures: dict[Future[R], T] = {pool.submit(do, item): item for item in items}
        try:
            return {futures[future]: future.result() for future in as_completed(futures)}
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


@contextmanager
def _bar(what: str, total: int) -> Iterator[OnBytes]:
    """Sums up what several threads say; silent where there is little to move."""
    progress, lock, moved = Progress(what, "transfer"), threading.Lock(), 0

    def on_bytes(more: int) -> None:
        nonlocal moved
        with lock:
            moved += more
            if total >= WORTH_TELLING:
                progress(moved, total, "B")

    try:
        yield on_bytes
    finally:
        progress.close()
