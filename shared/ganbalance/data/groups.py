"""Which group each image file belongs to: by a CSV beside the images, or by the names of the files."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from ganbalance.data import tables
from ganbalance.data.listing import readable
from ganbalance.errors import DataError


def by_column(table: Path, column: str, files: Sequence[str]) -> list[str]:
    """The entry in `column` of each of `files`, paths below the folder of the dataset.

    The first column of the table names a file, as a `Finder` finds it. Raises DataError unless every file has one group
    and every row a file.
    """
    find = tables.Finder(files, table.parent)
    group_of: dict[str, str] = {}
    for line, cells in tables.cells(table):
        first, *others = cells
        if column not in others:
            raise DataError(
                f"{table} has no column {column!r} after its first, which names the images; its columns are "
                f"{', '.join(cells)}; set dataset.groups.column to one of them"
            )
        found, group = find(cells[first], f"{table}, line {line}"), readable(cells[column])
        if found is None:
            raise DataError(
                f"{table}, line {line}: no image is called {cells[first]!r}; name each by its path below the dataset's "
                f"folder, such as {files[0]}, and leave out rows of images that are not there"
            )
        if group_of.setdefault(found, group) != group:
            raise DataError(f"{table}, line {line}: {found!r} is in {group!r} and in {group_of[found]!r}; keep one")
    missing = [file for file in files if not group_of.get(file)]
    if missing:
        raise DataError(
            f"{table} says no {column!r} of {len(missing)} of {len(files)} images (first: {missing[0]}); "
            "give each image a row, or remove it"
        )
    return [group_of[file] for file in files]


def by_pattern(pattern: str, files: Mapping[str, str]) -> list[str]:
    """What `pattern` calls `group` in the name of each file, by its path. Raises DataError for a name without it."""
    found = [match["group"] if (match := re.search(pattern, name)) else None for name in files.values()]
    missing = [file for file, group in zip(files, found, strict=True) if not group]
    if missing:
        raise DataError(
            f"dataset.groups.pattern = {pattern!r} finds no group in {len(missing)} of {len(files)} file names "
            f"(first: {missing[0]}); change the pattern, or list the groups in a CSV"
        )
    return [group for group in found if group]
