"""Sizes, ages and tables as people write and read them."""

import argparse
import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from ganbalance.errors import ConfigError
from ganbalance.printing import columns, padded, printable

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 24 * 3600}  # seconds
STEP = 1000
NOTHING = "–"


def size(n_bytes: float) -> str:
    """Format as '12.3 MB'; a MB is a million bytes."""
    unit = "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if n_bytes < STEP:
            break
        n_bytes, unit = n_bytes / STEP, larger
    return f"{n_bytes:.0f} B" if unit == "B" else f"{n_bytes:.1f} {unit}"


def age(text: str) -> timedelta:
    """Parse how long 7d, 12h, 30m, 0s are. Raises ConfigError."""
    matched = re.fullmatch(r"(\d{1,6})([smhd])", text)
    if not matched:
        raise ConfigError(f"--older-than {text!r}: give a number and a unit, such as 7d, 12h, 30m or 0s")
    return timedelta(seconds=int(matched[1]) * UNITS[matched[2]])


def rough_age(duration: timedelta) -> str:
    """Format as '5s', '12m', '3h', '2d': in the largest unit that goes into it twice, as kubectl writes it."""
    length_s = max(0, int(duration.total_seconds()))
    unit = [unit for unit, seconds in UNITS.items() if length_s >= 2 * seconds or seconds == 1][-1]
    return f"{length_s // UNITS[unit]}{unit}"


def when(time: datetime | None) -> str:
    """Format a time in UTC, to the minute."""
    return NOTHING if time is None else f"{time.astimezone(UTC):%Y-%m-%d %H:%M}"


def show(flags: argparse.Namespace, data: Any, lines: str) -> None:
    """Print the data if --json was given, else the lines that say the same."""
    print(json.dumps(data, indent=1) if flags.json else lines)


def table(head: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str] = ()) -> str:
    """Set columns side by side; those whose heads are named in `right` end at the same place."""
    lines = [[*map(printable, row)] for row in (head, *rows)]
    widths = [max(columns(line[place]) for line in lines) for place in range(len(head))]
    return "\n".join(
        "  ".join(
            padded(text, width, right=name in right) for text, width, name in zip(line, widths, head, strict=True)
        ).rstrip()
        for line in lines
    )
