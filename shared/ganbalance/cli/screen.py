"""Show the stages of a run on one screen, however many: what fails on top, then a line per group of stages."""

import shutil
from collections import Counter
from collections.abc import Sequence

from ganbalance.cli import text
from ganbalance.k8s.status import HAS_RESULT, STATES, Row
from ganbalance.plurals import plural
from ganbalance.printing import columns, cut


def screen(top: str, rows: Sequence[Row], bottom: str) -> str:
    """Format as lines that fit the terminal; the texts above and below the rows are whole.

    Where there is no room for all, failures go before what waits, and groups at work before those that are done.
    """
    width, height = shutil.get_terminal_size()
    taken = sum(1 + columns(line) // width for line in (*top.splitlines(), *bottom.splitlines()))
    free = height - taken - 4  # an empty line below each part, and the line of the cursor
    causes, groups = _causes(rows), _groups(rows)
    causes = _fitting(causes, max(free - len(groups), free // 2), "stage")
    groups = _fitting(groups, free - len(causes), "group")
    parts = ["\n".join(cut(line, width) for line in lines) for lines in (causes, groups)]
    return "\n\n".join(filter(None, [top, *parts, bottom]))


def _causes(rows: Sequence[Row]) -> list[str]:
    """Format a line per stage that failed, or is not done for a reason of its own."""
    found = [row for row in rows if row.state == "failed" or (row.cause and row.state != "blocked")]
    found.sort(key=lambda row: row.state != "failed")
    return [f"{row.state}  {row.stage}  {row.cause}" for row in found]


def _groups(rows: Sequence[Row]) -> list[str]:
    """Format a line per group: how many of its stages are in each state that there is."""
    counts: dict[str, Counter[str]] = {}
    for row in rows:
        counts.setdefault(row.group, Counter())[row.state] += 1
    states = [state for state in STATES if any(state in counted for counted in counts.values())]
    ordered = sorted(counts.items(), key=lambda group: group[1].keys() <= {*HAS_RESULT})
    cells = [(name, *(str(counted[state] or "") for state in states)) for name, counted in ordered]
    return text.table(("group", *states), cells, right=states).splitlines()


def _fitting(lines: list[str], n: int, what: str) -> list[str]:
    """Leave out what is over `n` lines, and say how many."""
    kept = max(n - 1, 0)
    return lines if len(lines) <= max(n, 0) else [*lines[:kept], f"and {plural(len(lines) - kept, f'more {what}')}"]
