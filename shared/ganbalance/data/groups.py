"""Which group each image file belongs to: by a CSV beside the images, or by the names of the files."""

import re
from collections.abc import Sequence
from pathlib import Path

from ganbalance import config
from ganbalance.data import tables
from ganbalance.data.listing import readable
from ganbalance.errors import DataError


def by_column(table: Path, column: str, files: Sequence[str]) -> list[str]:
    """Look up the entry in `column` of each of `files`, paths below the folder of the dataset.

    The first column of the table names a file, as a `Finder` finds it; "" is for a file that has no row. Raises
    DataError for a row without a file, and for a file with two groups.
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
    return [group_of.get(file, "") for file in files]


def by_pattern(pattern: str, names: Sequence[str]) -> list[str]:
    """Find what `pattern` calls `group` in each name, "" where it finds nothing."""
    return [(match["group"] or "") if (match := re.search(pattern, name)) else "" for name in names]


def advice(settings: config.Groups | None) -> str:
    """Say what to do about images that are in no group."""
    if settings is not None and settings.pattern is not None:
        return (
            f"dataset.groups.pattern = {settings.pattern!r} finds none in their names; change the pattern, or list the "
            "groups in a CSV"
        )
    if settings is not None and settings.csv is not None:
        return f"{settings.csv} says no {settings.column!r} of them; give each image a row, or remove it"
    return "give each its group, a name of its own where nothing else belongs to it"
