"""What every store can do: keep whole files under names, and create a name at most once.

A store knows nothing about stages or artifacts (see `artifacts`); a new kind of store is one file that
fills in this class and passes the store contract tests.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from ganbalance.errors import DataError


class MissingError(DataError):
    """A name that the store does not hold was read."""


class Store(ABC):
    """Files under slash-separated relative names. Writers are whole-file: a reader sees all of a file or none.

    Every method raises UnavailableError when the store went away or is full, and ConfigError when it
    refuses access.
    """

    FORMAT: ClassVar[int] = 1  # raised when the layout of `artifacts` or `runs` changes
    url: str

    @abstractmethod
    def put(self, name: str, source: Path) -> None:
        """Keep the bytes of the local file `source` under `name`, replacing what was there."""

    @abstractmethod
    def create(self, name: str, data: bytes) -> bool:
        """Keep `data` under `name` unless the name exists; True if this call made it."""

    @abstractmethod
    def read(self, name: str) -> bytes:
        """The bytes under `name`. Raises MissingError."""

    @abstractmethod
    def fetch(self, name: str, scratch: Path) -> Path:
        """A local file with the bytes under `name`: in place, or a copy inside `scratch`. Raises MissingError."""

    @abstractmethod
    def names(self, prefix: str) -> Iterator[str]:
        """Every name that starts with the folder `prefix`, sorted; empty when there is none."""

    @abstractmethod
    def delete(self, name: str) -> None:
        """Forget `name`; nothing happens when it is not there."""
