"""Image files in a Parquet file, or in a folder of them, as dataset libraries write them; takes ganbalance[parquet].

Images are bytes, or structs with the bytes in a field `bytes`; labels are text or integers, which are named where the
file's Hugging Face metadata names them. A file called after a part of the data, or in a folder called so, is that part.
"""

import json
import re
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from ganbalance import config
from ganbalance.data import places
from ganbalance.data.layouts import part_called
from ganbalance.data.listing import Entry, File, Listing, Part, readable, stamp_of, walk
from ganbalance.data.own_images import OwnImages
from ganbalance.errors import ConfigError, DataError

SUFFIX = ".parquet"


class Parquet(OwnImages):
    """A row for each image."""

    def _list(self) -> Listing:
        listing = Listing()
        for prefix, root in places.local_all(self._settings.path):
            found = walk(root, {SUFFIX}).files if root.is_dir() else [File("", root, stamp_of(root.stat()))]
            if not found:
                raise DataError(f"{root} holds no {SUFFIX} files")
            for file in found:
                if file.problem:
                    raise DataError(f"{file.path} {file.problem}")
                self._add(file, prefix + file.name, listing)
        return listing

    def _add(self, found: File, name: str, listing: Listing) -> None:
        path, file = found.path, _opened(found.path)
        columns = _columns(path, self._settings.columns, file.schema_arrow.names)
        stamp = found.stamp and f"{found.stamp} {columns['path']}"
        called = _class_names(file.schema_arrow, columns["label"])
        by_name = _part(found.name or path.name)
        number = 0
        for group in range(file.num_row_groups):
            cells = _read(file, path, group, [column for role, column in columns.items() if role != "path"]).to_pylist()
            for row, of_row in enumerate(cells):
                number += 1
                label, split, belongs = (of_row.get(columns.get(role)) for role in ("label", "split", "group"))
                part = by_name if split is None else part_called(str(split))
                where = f"{path}, row {number}"
                if isinstance(label, list | dict):
                    raise DataError(f"{where}: its label is {label!r}, and an image has one class; name another column")
                if label != label or (called and label == -1):  # noqa: PLR0124 - not a number; none, of a dataset library
                    label = None
                if label is None or part is None:
                    why = (
                        "a row without a label"
                        if label is None
                        else f"of split {split!r}, not train, validation or test"
                    )
                    listing.left_out[why].append(where)
                    continue
                read = partial(_content, path, stamp, group, row, columns["path"])
                label = called.get(label, str(label))
                group_name = "" if belongs is None else readable(str(belongs))
                listing.entries.append(
                    Entry(f"{name}/{number:09}", readable(label), where, read, stamp, part, group_name)
                )


def _opened(path: Path) -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ConfigError("dataset.name: parquet takes ganbalance[parquet], which is not installed here") from error
    try:
        return pyarrow.parquet.ParquetFile(path)
    except (OSError, pyarrow.ArrowException) as error:
        raise _damaged(path, error) from error


def _read(file: Any, path: Path, group: int, columns: list[str]) -> Any:
    """Read some columns of a row group. Raises DataError."""
    import pyarrow

    try:
        return file.read_row_group(group, columns)
    except (OSError, pyarrow.ArrowException) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> DataError:
    return DataError(f"{path} is no readable Parquet file: {' '.join(str(error).split())}")


def _part(name: str) -> Part:
    """Find the part by a word of the file's name or, with none there, of its folders: test-00000, or test/0000."""
    words = [word for level in reversed(name.split("/")) for word in re.split(r"[-_.= ]", level)]
    return next((part for word in words if (part := part_called(word))), "train")


def _columns(path: Path, asked: config.Columns, there: Sequence[str]) -> dict[str, str]:
    """Find the columns of the file by what they are for. Raises DataError."""
    found = {"path": str(asked.path or "image"), "label": str(asked.label or "label")}
    for role in ("split", "group"):
        if (name := getattr(asked, role)) or role in there:
            found[role] = str(name or role)
    for role, name in found.items():
        if name not in there:
            raise DataError(
                f"{path} has no column {name!r} for the {'image' if role == 'path' else role}; its columns are "
                f"{', '.join(there)}; say which one it is by dataset.columns.{role}"
            )
    return found


def _class_names(schema: Any, column: str) -> dict[Any, str]:
    """Find what the labels that are integers are called, where the file's metadata says it."""
    with suppress(KeyError, ValueError, TypeError):
        features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
        return dict(enumerate(features[column]["names"]))
    return {}


def _content(path: Path, stamp: str | None, group: int, row: int, column: str) -> bytes:
    """Read the bytes of one image. Raises OSError."""
    cell = _row_group(path, stamp, group, column)[row].as_py()
    found = cell.get("bytes") if isinstance(cell, dict) else cell
    if not isinstance(found, bytes):
        raise OSError("holds no bytes of an image in its row")
    return found


@lru_cache(maxsize=4)  # rows are read in their order, class by class
def _row_group(path: Path, _stamp: str | None, group: int, column: str) -> Any:
    return _read(_opened(path), path, group, [column]).column(0)
