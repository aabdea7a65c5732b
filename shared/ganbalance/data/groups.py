"""Which group each image file belongs to: by a CSV beside the images, or by the names of the files."""

import csv
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from ganbalance.errors import DataError


def by_column(table: Path, column: str, files: Sequence[str]) -> list[str]:
    """The entry in `column` of each of `files`, paths below the folder of the dataset.

    The first column of the CSV names a file by such a path or, where only one can be meant, by its name with or without
    suffix. Raises DataError unless every file has one group and every row a file.
    """
    called: dict[str, set[str]] = defaultdict(set)
    for file in files:
        for name in (file, PurePosixPath(file).name, PurePosixPath(file).stem):
            called[name].add(file)
    group_of: dict[str, str] = {}
    for line, name, group in _rows(table, column):
        found = sorted(called.get(name, set()))
        if len(found) != 1:
            meant = f"{len(found)} images are" if found else "no image is"
            raise DataError(
                f"{table}, line {line}: {meant} called {name!r}; name each by its path below the dataset's folder, "
                f"such as {files[0]}, and leave out rows of images that are not there"
            )
        if group_of.setdefault(found[0], group) != group:
            raise DataError(f"{table}, line {line}: {name!r} is in {group!r} and in {group_of[found[0]]!r}; keep one")
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


def _rows(table: Path, column: str) -> Iterator[tuple[int, str, str]]:
    """Line, first entry and entry in `column` of each row. Raises DataError."""
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:  # spreadsheets begin a file with a mark
            rows = csv.DictReader(file)
            columns = list(rows.fieldnames or ())
            if column not in columns[1:]:
                raise DataError(
                    f"{table} has no column {column!r} after its first, which names the images; its columns are "
                    f"{', '.join(columns) or 'none'}; set dataset.groups.column to one of them"
                )
            for row in rows:
                yield rows.line_num, row[columns[0]].strip(), (row[column] or "").strip()
    except OSError as error:
        raise DataError(
            f"dataset.groups.csv = {str(table)!r}: {error.strerror}; its place is below dataset.path"
        ) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{table} is no CSV of UTF-8 text: {error}") from error
