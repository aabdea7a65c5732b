"""A store that goes away and comes back."""

from collections.abc import Iterator
from pathlib import Path

from ganbalance.errors import UnavailableError
from ganbalance.store.base import Entry, OnBytes, ignore
from ganbalance.store.local import LocalStore


class Outage(LocalStore):
    """The next `left` requests fail, of those whose name has `part` in it."""

    left = 0
    part = ""

    def _refuse(self, name: str) -> None:
        if self.left and self.part in name:
            self.left -= 1
            raise UnavailableError("no answer")

    def read(self, name: str) -> bytes:
        self._refuse(name)
        return super().read(name)

    def entries(self, prefix: str) -> Iterator[Entry]:
        self._refuse(prefix)
        return super().entries(prefix)

    def _put(self, name: str, source: Path, on_bytes: OnBytes = ignore) -> None:
        self._refuse(name)
        super()._put(name, source, on_bytes)

    def _create(self, name: str, data: bytes) -> bool:
        self._refuse(name)
        return super()._create(name, data)
