"""Where a user's data is: on this machine, in an installed package, or on S3, from where it is copied to the cache."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory

from ganbalance.data import cache
from ganbalance.errors import ConfigError, DataError
from ganbalance.keys import digest
from ganbalance.paths import expanded
from ganbalance.progress import Progress
from ganbalance.store import Store, open_store

S3, PACKAGE = "s3://", "package:"
TABLES = {".csv", ".tsv", ".txt", ".jsonl", ".ndjson"}
FILES = {*TABLES, ".npz", ".parquet"}
CONNECTIONS = 8


def local(place: str, key: str = "dataset.path") -> Path:
    """Find the folder or file `place` names: a path, s3://bucket/prefix, or package:NAME/path of an installed package.

    `key` is where an experiment says it. Raises ConfigError for a package that is not installed, DataError where there
    is nothing, and what a store raises.
    """
    if not place:
        raise ConfigError(f"{key} is empty; name the folder or file that the images are in")
    if place.startswith(PACKAGE):
        name, _, below = place.removeprefix(PACKAGE).partition("/")
        try:
            path = Path(str(files(name))) / below
        except (ImportError, TypeError, ValueError) as error:
            raise ConfigError(
                f"{key} = {place!r}: the Python package {name} is not installed here; install it"
            ) from error
    elif place.startswith(S3):
        return _mirrored(place)
    else:
        path = expanded(place, f"{key} =")
    if not path.exists():
        raise DataError(f"{key} = {place!r}: there is no such file or folder")
    return path


def local_all(given: str | tuple[str, ...]) -> list[tuple[str, Path]]:
    """Find the places that an experiment names, one or several, each with what the names of its files begin with."""
    several = (given,) if isinstance(given, str) else given
    return [(f"{number}/" if len(several) > 1 else "", local(place)) for number, place in enumerate(several)]


def local_folders(given: str | tuple[str, ...]) -> list[tuple[str, Path]]:
    """Find them as `local_all` does, where all of them are folders. Raises DataError for a file."""
    found = local_all(given)
    for _, path in found:
        if not path.is_dir():
            raise DataError(
                f"dataset.path = {str(path)!r} is a file, and dataset.name: folder reads folders; "
                "a CSV, TSV or JSON lines file takes dataset.name: table, arrays take npz, Parquet takes parquet"
            )
    return found


def local_file(place: str | tuple[str, ...], what: str) -> Path:
    """Find the one file that `place` names. Raises DataError for anything else."""
    if not isinstance(place, str):
        raise ConfigError(
            f"dataset.path names {len(place)} places, and {what} is one file; several take dataset.name: folder"
        )
    path = local(place)
    if path.is_dir():
        raise DataError(f"dataset.path = {place!r} is a folder, and not {what}; name the file in it")
    return path


def _mirrored(url: str) -> Path:
    """Copy to the cache what is below an S3 prefix, or one object; of a table, all that is beside it.

    What is there already with the same tag is not fetched again.
    """
    folder, _, last = url.rstrip("/").rpartition("/")
    suffix = Path(last).suffix.casefold()
    store = open_store(folder if suffix in FILES else url)
    root = cache.folder() / "s3" / digest([store.url, getattr(store, "endpoint", "")])[:24]
    found = {
        entry.name: f"{entry.tag} {entry.size} {entry.modified.isoformat()}"
        for entry in store.entries("")
        if not entry.name.endswith("/") and (suffix in TABLES or suffix not in FILES or entry.name == last)
    }
    if not found or (suffix in FILES and last not in found):
        raise DataError(f"dataset.path = {url!r}: there is no such object, and nothing below that name")
    copies = root / "copies"
    if outside := [name for name in found if not _is_inside(name)]:
        raise DataError(f"dataset.path = {url!r}: no file can have the name {outside[0]!r}; rename that object")
    folders = {name[:end] for name in found for end in range(len(name)) if name[end] == "/"}
    if both := sorted(folders & found.keys()):
        raise DataError(
            f"dataset.path = {url!r}: {both[0]!r} is an object, and others are below it; remove that object"
        )
    known: dict[str, str] = {}
    with suppress(OSError, ValueError):
        known = json.loads((root / "tags.json").read_bytes())
    for path in copies.rglob("*"):  # all, since one that was interrupted has kept no list
        if path.is_file() and path.relative_to(copies).as_posix() not in found:
            path.unlink(missing_ok=True)
    _fetch(
        store, [name for name, tag in found.items() if known.get(name) != tag or not (copies / name).exists()], copies
    )
    scratch = root / f"tags.{os.getpid()}"
    scratch.write_text(json.dumps(found), "utf-8")
    scratch.replace(root / "tags.json")
    return copies / last if suffix in FILES else copies


def _is_inside(name: str) -> bool:
    return not any(part in ("", ".", "..") for part in name.split("/"))


def _fetch(store: Store, names: list[str], to: Path) -> None:
    """Copy objects, each under its name; one is there whole or not at all."""
    to.mkdir(parents=True, exist_ok=True)
    progress = Progress("fetch images")
    with TemporaryDirectory(dir=to.parent) as scratch, ThreadPoolExecutor(CONNECTIONS) as pool:

        def fetch(name: str) -> None:
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            store.fetch(name, Path(scratch)).replace(to / name)

        for done, _ in enumerate(pool.map(fetch, names), start=1):
            progress(done, len(names), "files")
    progress.close()
