"""What is in each file of a dataset, found by reading it once: a hash of its bytes, and what kind of picture they are.

What was found is kept in the cache folder, by the place of the file and its stamp: inode, size, and the times of its
last change in nanoseconds, of which programs cannot set the last. A file that changed in the two seconds before it was
read is read again the next time, since a later change might leave the same times. The job that reads the pixels trusts
none of it: it compares the bytes that it decodes.
"""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, TypeVar

import PIL

from ganbalance.data import cache, duplicates
from ganbalance.data.listing import Entry
from ganbalance.data.pictures import Done, Picture
from ganbalance.errors import DataError
from ganbalance.keys import digest
from ganbalance.progress import Progress

VERSION = ["2", PIL.__version__]
S = TypeVar("S")
T = TypeVar("T")


class Examined(NamedTuple):
    """One picture: SHA-256 of its bytes, its sides in pixels, whether it has colour, and what is done to it.

    `looks` are what near duplicates are found by, in hex. `problem` says why it cannot be used; the rest is then empty.
    """

    sha256: str = ""
    problem: str = ""
    width: int = 0
    height: int = 0
    is_colourful: bool = False
    done: Sequence[Done] = ()
    looks: str = ""


def examine(entries: Sequence[Entry], dataset: str) -> list[Examined]:
    """Find what is in the file of each entry; `dataset` names what the cache keeps together."""
    path = cache.folder() / "examined" / f"{digest(dataset)[:24]}.json"
    known = _kept(path)
    missing = [entry for entry in entries if entry.stamp is None or known.get(entry.where, ("", ()))[0] != entry.stamp]
    if not missing:
        return [known[entry.where][1] for entry in entries]
    found = read_all(missing, _examined, "look at the images")
    known |= {entry.where: (entry.stamp, what) for entry, what in zip(missing, found, strict=True)}
    with suppress(OSError):  # it is only slower without
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = path.with_suffix(f".{os.getpid()}")
        sure = {where: kept for where, kept in known.items() if kept[0] and not kept[1].problem}
        scratch.write_text(json.dumps({"version": VERSION, "files": sure}), "utf-8")
        scratch.replace(path)
    return [known[entry.where][1] for entry in entries]


def read_all(images: Sequence[S], read: Callable[[S], T], what: str) -> list[T]:
    """Call `read` on every image, in their order, on all cores: decoding pictures holds no lock."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    progress, results = Progress(what), []
    with ThreadPoolExecutor(cores) as pool:
        try:
            for result in pool.map(read, images):
                results.append(result)
                progress(len(results), len(images))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
        finally:
            progress.close()
    return results


def _examined(entry: Entry) -> Examined:
    try:
        content = entry.read()
        picture = Picture(content)
    except (OSError, DataError) as error:
        return Examined(problem=error.strerror or str(error) if isinstance(error, OSError) else str(error))
    sha256 = hashlib.sha256(content).hexdigest()
    done = tuple(sorted(picture.done))
    looks = duplicates.signature(picture.image).tobytes().hex()
    return Examined(sha256, "", *picture.size, picture.is_colourful, done, looks)


def _kept(path: Path) -> dict[str, tuple[str | None, Examined]]:
    """Read what an earlier look found: for the place of a file its stamp, and what was in it."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        found = json.loads(path.read_bytes())
        if found["version"] == VERSION:
            return {where: (stamp, Examined(*kept)) for where, (stamp, kept) in found["files"].items()}
    return {}
