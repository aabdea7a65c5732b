"""List the reports of a folder in Markdown, a line each: its seeds, its command, and its result in one sentence."""

import csv
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from ganbalance.metrics import verdicts
from ganbalance.printing import escaped
from ganbalance.reporting import headline
from ganbalance.reporting.comparison.axis import label, title
from ganbalance.reporting.comparison.differences import NOT_SET, text
from ganbalance.reporting.formats import NOTHING, arm_name, capitalised, listed
from ganbalance.reporting.origin import EXPERIMENT_FILE
from ganbalance.reporting.summary import Summary

NAME = "reports"
"""What the markers of the table are called."""
HEAD = ("report", "seeds", "made by", "result")
FEWEST_IN_A_SPAN, MOST_PLACES = 3, 3


def table(folder: Path) -> str:
    """Build a row for each report in a folder of `folder`: a summary.json, or the compare.csv of a sweep."""
    rows = [HEAD, ("---",) * len(HEAD)]
    for place in sorted(one for one in folder.iterdir() if one.is_dir()):
        if (path := place / "summary.json").is_file():
            rows.append(_of_summary(place, Summary.read(path)))
        elif (path := place / "compare.csv").is_file():
            with path.open(newline="", encoding="utf-8") as file:
                rows.append(_of_sweep(place.name, list(csv.DictReader(file))))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def _of_summary(place: Path, summary: Summary) -> tuple[str, ...]:
    """Build the row of a report: after its result stands what its note begins with, that it is a demonstration, say.

    What `make publish` keeps is called after its preset; a report of no preset is run from the file beside it.
    """
    result, *_ = [*headline.gate(summary), *headline.in_short(summary)]
    begins, stop, _ = summary.note.partition(". ")
    said = f"{result} {begins}{stop}".strip()
    command, name = summary.provenance.command, place.name
    if f"/{name}.yaml" in command:
        command = command.replace("make run", "make publish", 1)
    if command.endswith(f"={EXPERIMENT_FILE}"):
        command = f"make run EXPERIMENT={place / EXPERIMENT_FILE}"
    return f"[{name}]({name}/report.md)", span(summary.seeds), f"`{command}`", escaped(said)


def _of_sweep(name: str, rows: Sequence[dict[str, str]]) -> tuple[str, ...]:
    """Build a row with the command of the preset of the same name, as `make publish` calls what it keeps after it."""
    seeds = {row.get("seeds", NOTHING) for row in rows}
    command = f"make publish EXPERIMENT=jobs/experiments/{name}.yaml"
    return f"[{name}]({name}/compare.md)", " or ".join(sorted(seeds)), f"`{command}`", escaped(along(rows))


def along(rows: Sequence[dict[str, str]]) -> str:
    """Say where along a sweep each arm helps or hurts, from the rows of compare.csv."""
    columns = list(rows[0])
    keys = columns[1 : columns.index("arm")]
    found = {key: [NOT_SET if row[key] == text(NOT_SET) else row[key] for row in rows] for key in keys}
    called: dict[tuple[str, str], list[str]] = defaultdict(list)
    for row, value in zip(rows, map(label, zip(*found.values(), strict=True)), strict=True):
        of_arm = called[row["arm"], row["verdict"]]
        if row["verdict"] in (verdicts.HELPS, verdicts.HURTS) and value not in of_arm:
            of_arm.append(value)
    runs = len({row["run"] for row in rows})
    said = [f"{arm_name(arm)} {verdict} {_at(where, runs)}" for (arm, verdict), where in called.items() if where]
    return capitalised(f"along {title(found)}, {'; '.join(said) or 'no arm helps or hurts'}.")


def _at(where: Sequence[str], runs: int) -> str:
    return f"at {listed(where)}" if len(where) <= MOST_PLACES else f"in {len(where)} of {runs} runs"


def span(seeds: Sequence[int]) -> str:
    """Format as '10 to 14', '0, 3 and 7'."""
    first, last = seeds[0], seeds[-1]
    if len(seeds) >= FEWEST_IN_A_SPAN and list(seeds) == list(range(first, last + 1)):
        return f"{first} to {last}"
    return listed([*map(str, seeds)])
