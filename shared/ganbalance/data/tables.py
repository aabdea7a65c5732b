"""Rows of a CSV, a TSV or a JSON lines file: which image, of which class, and perhaps of which part and group."""

import csv
import json
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, TextIO

from ganbalance import config
from ganbalance.data.listing import readable
from ganbalance.errors import DataError

JSON_LINES = {".jsonl", ".ndjson"}
SEPARATORS = ("\t", ",", ";", "|", " ")
csv.field_size_limit(2**24)  # tables of masks hold a mask in a cell


class Row(NamedTuple):
    """What a row says of an image; "" where it says nothing. `line` is where it is in the file."""

    line: int
    path: str
    label: str
    split: str
    group: str


class Finder:
    """Finds the file that a table means: by its path or, where only one can be meant, by its name, suffix or not.

    A path is one below `root`, or leads there.
    """

    def __init__(self, names: Iterable[str], root: Path) -> None:
        self._root = root
        self._names = frozenset(names)
        self._called: dict[str, set[str]] = defaultdict(set)
        for name in self._names:
            path = PurePosixPath(name)
            for called in (path.name, path.stem, str(path.with_suffix(""))):
                self._called[called].add(name)

    def __call__(self, called: str, where: str) -> str | None:
        """Find the name of the file, None where there is none; `where` is the place in the table. Raises DataError."""
        written = readable(called)
        below = os.path.relpath(self._root / written.replace("\\", "/"), self._root)
        for way in (written, below):
            if way in self._names:
                return way
        for way in (written, below):
            if found := self._called.get(way):
                if len(found) > 1:
                    first = ", ".join(sorted(found)[:2])
                    raise DataError(
                        f"{where}: {len(found)} images are called {called!r} ({first}, ...); name each by its path"
                    )
                return next(iter(found))
        return None


def rows(path: Path, columns: config.Columns) -> list[Row]:
    """Read every row. A column is called by its name, or by its number from 1 where no line of names comes first.

    Raises DataError.
    """
    found = cells(path, has_names=not isinstance(columns.path, int))
    there = list(dict.fromkeys(name for _, of_row in found for name in of_row))  # a line of JSON may leave some out
    names = {role: _column(path, role, getattr(columns, role), there) for role in Row._fields[1:]}
    return [Row(line, *(of_row.get(name, "") if name else "" for name in names.values())) for line, of_row in found]


def cells(path: Path, *, has_names: bool = True) -> list[tuple[int, dict[str, str]]]:
    """Read of each row the line that it is on and its cells, by the names of the columns or, without, their numbers.

    The separator is the first of tab, comma, semicolon, bar and blank that the first line has. Raises DataError.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:  # spreadsheets begin a file with a mark
            found = list((_of_json if path.suffix.casefold() in JSON_LINES else _of_text)(path, file, has_names))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is no table of UTF-8 text: {error}; save it again as UTF-8") from error
    if not found:
        raise DataError(f"{path} has no rows")
    return [
        (line, {name.strip(): str("" if cell is None else cell).strip() for name, cell in of_row.items() if name})
        for line, of_row in found
    ]


def _of_text(path: Path, file: TextIO, has_names: bool) -> Iterator[tuple[int, Mapping[str, Any]]]:
    first = file.readline()
    separator = next((one for one in SEPARATORS if one in first.strip()), ",")
    file.seek(0)
    width = len(next(csv.reader([first], delimiter=separator, skipinitialspace=True), []))
    names = None if has_names else [str(number) for number in range(1, width + 1)]
    # strict: a quote that is not closed would take the rows that follow for one cell
    read = csv.DictReader(file, names, delimiter=separator, skipinitialspace=True, restval="", strict=True)
    try:
        called = [name.strip() for name in read.fieldnames or ()]
        read.fieldnames = [f"{name} (twice)" if name and called.count(name) > 1 else name for name in called]
        for of_row in read:
            yield read.line_num, {name: cell for name, cell in of_row.items() if name is not None}
    except csv.Error as error:
        raise DataError(
            f"{path}, in the row after line {read.line_num}: {error}; close every quote, and write two of them for one "
            "in a cell"
        ) from error


def _of_json(path: Path, file: TextIO, _: bool) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for number, line in enumerate(file, start=1):
        if not line.strip():
            continue
        try:
            of_row = json.loads(line, parse_float=str, parse_int=str, parse_constant=lambda _: None)  # NaN
            json.dumps(of_row, ensure_ascii=False).encode()
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path}, line {number}: it is no JSON: {error}") from error
        if not isinstance(of_row, dict):
            raise DataError(f'{path}, line {number}: it is no object such as {{"path": ..., "label": ...}}')
        yield number, {name: json.dumps(cell) if isinstance(cell, bool) else cell for name, cell in of_row.items()}


def _column(path: Path, role: str, asked: str | int | None, there: Sequence[str]) -> str | None:
    """Say what the column for a role is called here; None where the table has none, and need not have one."""
    name = role if asked is None else str(asked)
    if name in there:
        return name
    if asked is None and role in ("split", "group"):
        return None
    raise DataError(
        f"{path} has no column {name!r} for the {role} of an image; its columns are {', '.join(there)}; say which one "
        f"it is by dataset.columns, as in columns: {{{role}: {next(iter(there), '...')}}}"
    )
