"""A store that is a folder."""

import datetime
import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ganbalance.errors import ConfigError, UnavailableError
from ganbalance.paths import expanded
from ganbalance.store.base import Entry, MissingError, OnBytes, Store, Unfinished, ignore, redacted

TEMPORARY = ".tmp"
REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG}


def folder_of(url: str) -> Path:
    """Return the whole path of a store that is a folder. Raises ConfigError for what names none."""
    if not url or ":/" in url or "\0" in url:
        raise ConfigError(f"store {redacted(url)!r}: a store is a local folder, without ':/', or s3://bucket/prefix")
    return expanded(url, "store").absolute()


class LocalStore(Store):
    """Files under one root folder; new files are written beside it and renamed into place."""

    def __init__(self, url: str) -> None:
        self.root = folder_of(url)
        super().__init__(str(self.root))

    @classmethod
    def make(cls, url: str, attempts: int | None = None) -> bool:
        store = cls(url)
        there = store.root.is_dir()
        with store._translate_errors("write", "anything"):
            store.root.mkdir(parents=True, exist_ok=True)
        return not there

    def _put(self, name: str, source: Path, on_bytes: OnBytes) -> None:
        with self._temporary(name) as (temporary, target):
            shutil.copyfile(source, temporary)
            _sync(temporary)
            temporary.replace(target)
            on_bytes(target.stat().st_size)

    def _create(self, name: str, data: bytes) -> bool:
        with self._temporary(name) as (temporary, target):
            temporary.write_bytes(data)
            _sync(temporary)
            try:
                os.link(temporary, target)  # unlike a rename, a link never replaces
            except FileExistsError:
                return False
            except PermissionError as error:
                raise ConfigError(
                    f"the store {self.url} is on a file system that makes no hard links, which refuse the second of "
                    "two writers; choose a store on another file system (not FAT, not every network's)"
                ) from error
            return True

    def read(self, name: str) -> bytes:
        with self._translate_errors("read", name):
            return (self.root / name).read_bytes()

    def fetch(self, name: str, scratch: Path, on_bytes: OnBytes = ignore) -> Path:
        path = self.root / name
        with self._translate_errors("read", name):
            on_bytes(path.stat().st_size)
        return path

    def entries(self, prefix: str) -> Iterator[Entry]:
        return (entry for entry in self._files(prefix) if not entry.name.startswith(TEMPORARY))

    def unfinished(self) -> Iterator[Unfinished]:
        return (Unfinished(entry.name, entry.size, entry.modified, entry.name) for entry in self._files(TEMPORARY))

    def discard(self, write: Unfinished) -> None:
        self.delete(write.handle)

    def delete(self, name: str) -> None:
        with self._translate_errors("delete", name):
            (self.root / name).unlink(missing_ok=True)

    def _files(self, prefix: str) -> Iterator[Entry]:
        paths = {path.relative_to(self.root).as_posix(): path for path in (self.root / prefix).rglob("*")}
        for name in sorted(paths):
            with suppress(FileNotFoundError):  # gone by now
                found = paths[name].stat()
                if stat.S_ISREG(found.st_mode):
                    yield Entry(name, found.st_size, datetime.datetime.fromtimestamp(found.st_mtime, datetime.UTC))

    @contextmanager
    def _temporary(self, name: str) -> Iterator[tuple[Path, Path]]:
        """Provide a temporary path, of which nothing is left afterwards, and that of `name` on the same file system."""
        temporary, target = self.root / TEMPORARY / f"{os.getpid()}-{secrets.token_hex(6)}", self.root / name
        with self._translate_errors("write", name):
            for path in (temporary, target):
                path.parent.mkdir(parents=True, exist_ok=True)
            try:
                yield temporary, target
            finally:
                temporary.unlink(missing_ok=True)

    @contextmanager
    def _translate_errors(self, verb: str, name: str) -> Iterator[None]:
        """Turn an OSError into one line that names the file and the fix."""
        try:
            yield
        except FileNotFoundError as error:
            if verb == "write":
                raise UnavailableError(f"the store {self.url} went away while writing {name}") from error
            raise MissingError(f"the store {self.url} holds no {name}") from error
        except OSError as error:
            where = f"cannot {verb} {name} in the store {self.url}: {os.strerror(error.errno or 0)}"
            if error.errno in REFUSED:
                advice = "choose another store (--store, STORE=...) or fix its permissions"
                raise ConfigError(f"{where}; {advice}") from error
            raise UnavailableError(f"{where}; fix that and run the same command again") from error


def _sync(path: Path) -> None:
    """Flush the file to the disk before a name points at it: a power cut must not leave half of one."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
