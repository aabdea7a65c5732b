"""A store that is a folder."""

import errno
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ganbalance.errors import ConfigError, DataError, UnavailableError
from ganbalance.store.base import MissingError, Store

MARKER = "store.json"
TEMPORARY = ".tmp"
REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG}


class LocalStore(Store):
    """Files under one root folder; new files are written beside it and renamed into place."""

    def __init__(self, root: Path) -> None:
        self.root = root.expanduser().absolute()
        self.url = str(self.root)
        self._marked = self._check_format()

    def put(self, name: str, source: Path) -> None:
        self._mark()
        with self._told("write", name), self._fresh() as temporary:
            shutil.copyfile(source, temporary)
            _sync(temporary)
            target = self._path(name)
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary.replace(target)

    def create(self, name: str, data: bytes) -> bool:
        self._mark()
        return self._create(name, data)

    def _create(self, name: str, data: bytes) -> bool:
        with self._told("write", name), self._fresh() as temporary:
            temporary.write_bytes(data)
            _sync(temporary)
            target = self._path(name)
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(temporary, target)  # unlike a rename, a link never replaces
            except FileExistsError:
                return False
            return True

    def read(self, name: str) -> bytes:
        with self._told("read", name):
            return self._path(name).read_bytes()

    def fetch(self, name: str, scratch: Path) -> Path:
        path = self._path(name)
        with self._told("read", name):
            path.stat()
        return path

    def names(self, prefix: str) -> Iterator[str]:
        top = self._path(prefix)
        yield from sorted(path.relative_to(self.root).as_posix() for path in top.rglob("*") if path.is_file())

    def delete(self, name: str) -> None:
        with self._told("delete", name):
            self._path(name).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self.root / name

    @contextmanager
    def _fresh(self) -> Iterator[Path]:
        """A temporary file name on the same file system, gone afterwards whatever happens."""
        folder = self.root / TEMPORARY
        folder.mkdir(parents=True, exist_ok=True)
        temporary = folder / f"{os.getpid()}-{secrets.token_hex(6)}"
        try:
            yield temporary
        finally:
            temporary.unlink(missing_ok=True)

    @contextmanager
    def _told(self, verb: str, name: str) -> Iterator[None]:
        """Say in one line what the operating system refused."""
        try:
            yield
        except FileNotFoundError as error:
            if verb == "write":
                raise UnavailableError(f"the store {self.url} went away while writing {name}") from error
            raise MissingError(f"the store {self.url} holds no {name}") from error
        except OSError as error:
            where = f"cannot {verb} {name} in the store {self.url}: {os.strerror(error.errno or 0)}"
            if error.errno in REFUSED:
                raise ConfigError(f"{where}; choose another store (STORE=...) or mend its permissions") from error
            raise UnavailableError(f"{where}; mend that and run the same command again") from error

    def _mark(self) -> None:
        """Mark a new store with its format, at the first write: looking must leave no trace."""
        if not self._marked:
            self._create(MARKER, json.dumps({"ganbalance_store": self.FORMAT}).encode())
            self._marked = True

    def _check_format(self) -> bool:
        """Whether the store is marked already; one that another version wrote is refused."""
        try:
            found = json.loads(self.read(MARKER))["ganbalance_store"]
        except MissingError:
            return False
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{self.root / MARKER} is not a store marker; choose another store (STORE=...)") from error
        if found != self.FORMAT:
            raise ConfigError(
                f"the store {self.url} has format {found}, this version of ganbalance reads format {self.FORMAT}; "
                "choose another store (STORE=...) or the version that wrote it"
            )
        return True


def _sync(path: Path) -> None:
    """Have the bytes on the disk before a name points at them: a power cut must not leave a torn file."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
