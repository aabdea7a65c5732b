"""What every store can do: keep whole files under names, and create a name at most once.

A store knows nothing about stages or artifacts (see `artifacts`); a new kind of store is one file in
`schemes` that fills in this class and passes the store contract tests.
"""

import json
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import ClassVar

from ganbalance.errors import ConfigError, DataError

MARKER = "store.json"
# for advice to whoever uses a cluster's settings, in its pods or elsewhere: the Secret that decides, the Service behind
# a tunnel, the flags that lead a command there
SECRET, SERVICE, CLUSTER = "GANBALANCE_S3_SECRET", "GANBALANCE_S3_SERVICE", "GANBALANCE_CLUSTER"
GUESSABLE = 4  # characters; a shorter secret is part of any word
OnBytes = Callable[[int], object]  # called with how many more bytes were moved, from any thread; EndedError ends it


class MissingError(DataError):
    """A name that the store does not hold was read."""


class EndedError(Exception):
    """A transfer was given up: nobody waits for it any more."""


@dataclass(frozen=True)
class Entry:
    """A file in a store: its name, its size in bytes and when it was written, by the store's own clock.

    `tag` changes with its bytes; "" where the store has no such thing.
    """

    name: str
    size: int
    modified: datetime
    tag: str = field(default="", kw_only=True)


@dataclass(frozen=True)
class Unfinished(Entry):
    """A write that was begun and has not ended: `name` is for people, `handle` for the store."""

    handle: str


def ignore(n_bytes: int) -> None:
    """Do nothing with the progress."""


def redacted(text: str) -> str:
    """Remove from the text the secrets that a URL or the environment may have brought into it."""
    text = re.sub(r"//[^\s/@]+@|//[^\s@]*:[^\s@]*@", "//***@", text)
    for name in ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        secret = os.environ.get(name, "")
        if len(secret) >= GUESSABLE:
            text = text.replace(secret, "***")
    return text


class Store(ABC):
    """Files under slash-separated relative names. Writers are whole-file: a reader sees all of a file or none.

    Every method raises UnavailableError when the store went away or is full, and ConfigError when it
    refuses access.
    """

    FORMAT: ClassVar[int] = 1  # raised when the layout of `artifacts` or `runs` changes
    url: str
    is_new = True  # without a marker: then nothing was ever written to it

    def __init__(self, url: str) -> None:
        self.url = url
        self.is_new = not self._check_format()

    @classmethod
    def make(cls, url: str, attempts: int | None = None) -> bool:
        """Make what has to be there before anything can be written; False if it was there."""
        return False

    def put(self, name: str, source: Path, on_bytes: OnBytes = ignore) -> None:
        """Keep the bytes of the local file `source` under `name`, replacing what was there."""
        self._mark()
        self._put(name, source, on_bytes)

    def create(self, name: str, data: bytes) -> bool:
        """Keep `data` under `name` unless the name exists; True if this call made it.

        Where the store cannot refuse a second writer, both may get True; readers see the last one.
        """
        self._mark()
        return self._create(name, data)

    @abstractmethod
    def read(self, name: str) -> bytes:
        """Read the bytes under `name`. Raises MissingError."""

    @abstractmethod
    def fetch(self, name: str, scratch: Path, on_bytes: OnBytes = ignore) -> Path:
        """Return a local file with the bytes under `name`: in place, or a copy in `scratch`. Raises MissingError."""

    @abstractmethod
    def entries(self, prefix: str) -> Iterator[Entry]:
        """List every file whose name starts with the folder `prefix` ("" for all), sorted; empty when there is none."""

    def names(self, prefix: str) -> Iterator[str]:
        """List the names of `entries`."""
        return (entry.name for entry in self.entries(prefix))

    @abstractmethod
    def delete(self, name: str) -> None:
        """Delete `name`; nothing happens when it is not there."""

    @abstractmethod
    def unfinished(self) -> Iterator[Unfinished]:
        """List writes that were begun and have not ended: under way now, or left by a process that was killed."""

    @abstractmethod
    def discard(self, write: Unfinished) -> None:
        """Give up an unfinished write and free its space."""

    @abstractmethod
    def _put(self, name: str, source: Path, on_bytes: OnBytes) -> None: ...

    @abstractmethod
    def _create(self, name: str, data: bytes) -> bool: ...

    def _mark(self) -> None:
        """Mark a new store with its format, at the first write: reading writes nothing."""
        if self.is_new:
            self._create(MARKER, self._marker())
            self.is_new = False

    def _marker(self) -> bytes:
        return json.dumps({"ganbalance_store": self.FORMAT}).encode()

    def _check_format(self) -> bool:
        """Check whether the store is marked already; one that another version wrote is refused."""
        try:
            found = json.loads(self.read(MARKER))["ganbalance_store"]
        except MissingError:
            return False
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"{self.url}/{MARKER} is not a store marker; choose another store (--store, STORE=...)"
            ) from error
        if found != self.FORMAT:
            raise ConfigError(
                f"the store {self.url} has format {found}, this version of ganbalance reads format {self.FORMAT}; "
                "choose another store (--store, STORE=...) or the version that wrote it"
            )
        return True
