"""From shares to results.csv and to the tables of docs/statistics.md."""

import csv
import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.simulation.shares import POINT, Row

RESULTS = Path(__file__).with_name("results.csv")
PAGE = Path("docs/statistics.md")
BEGIN, END = "<!-- simulation: made by `make simulate`, do not edit -->", "<!-- /simulation -->"


def write(results: Sequence[Row], made: str) -> None:
    """results.csv, and the tables between the markers of docs/statistics.md."""
    names = list(dict.fromkeys(itertools.chain.from_iterable(results)))
    with RESULTS.open("w", newline="") as file:
        table = csv.DictWriter(file, names, lineterminator="\n")
        table.writeheader()
        table.writerows({name: short(value) for name, value in row.items()} for row in results)
    text = PAGE.read_text() if PAGE.exists() else f"{BEGIN}\n{END}\n"
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n{page(results, made)}\n{END}{after}")


def short(value: Any) -> Any:
    """A number as a file keeps it."""
    return f"{value:.6g}" if isinstance(value, float) else value


def page(results: Sequence[Row], made: str) -> str:
    """All tables as Markdown; `made` says how they came about."""
    of = _Results(results)
    return "\n\n".join(
        [
            f"{made} Percent; the Monte Carlo standard error is at most {of.largest_error():.1f} points, and stands in "
            "`tests/simulation/results.csv` for each. What is out of bounds is **bold**. All runs count; *verdicts* "
            "is the percentage of them whose test images are enough for a verdict.",
            "**Coverage of the 95 % interval, other images at every seed** (at least 93)",
            markdown(of.coverage("fresh", FRESH_COVERAGE, "coverage")),
            "**Runs with a false call in a family of equal arms** (at most 5; g: three generative arms, c: two cheap)",
            markdown(of.calls("fresh", ("synthetic", "jittered", "redrawn", "diverging"))),
            "**`keep: 1.0`: coverage for these images, and for new data in brackets** (at least 93; redrawn: every arm "
            "has splits of its own, which arms of a run never have)",
            markdown(of.kept()),
            "**`keep: 1.0`: runs with a false call in a family of equal arms** (at most 5)",
            markdown(of.calls("kept", ("synthetic", "jittered", "redrawn"))),
            "**Power at the effect that the formula asks for, and runs whose printed range holds it, with a "
            "known variance** (80, 80)",
            markdown(of.power()),
            "**The same on real features, the choice of a strength included: power / range**",
            markdown(of.power_on_features()),
            "**Other known answers**",
            markdown(of.known()),
            "**An arm that only moves a threshold, at 5 seeds**",
            markdown(of.moved()),
        ]
    )


FRESH_COVERAGE = {
    "equal: synthetic": ("synthetic", "equal"),
    "equal: jittered": ("jittered", "equal"),
    "equal: redrawn": ("redrawn", "equal"),
    "diverged": ("diverging", "diverged"),
    "class-weight": ("effects", "class-weight"),
    "oversample": ("effects", "oversample"),
    "memoriser": ("effects", "memoriser"),
    "synthetic": ("effects", "synthetic/0"),
    "oracle-matched": ("effects", "oracle-matched"),
    "oracle": ("effects", "oracle"),
}
LEAST, MOST = 0.93, 0.05


class _Results:
    """Shares by what they are of."""

    def __init__(self, results: Sequence[Row]) -> None:
        self.rows = results
        self._found = {
            (*(row[name] for name in POINT), row["of"], row["what"]): row for row in results if "scenario" in row
        }
        self.points = sorted({key[:4] for key in self._found}, key=lambda key: (key[1], key[0], key[2], key[3]))

    def largest_error(self) -> float:
        """In points, of shares."""
        return 100 * float(max(row["error"] for row in self.rows if row.get("what") in ("coverage", "any call")))

    def line(self, point: tuple[Any, ...]) -> dict[str, str]:
        """What a line is of."""
        task, _, seeds, rare = point
        scenario = self._found[(*point, "synthetic", "equal", "coverage")]
        verdicts = f"{100 * scenario['verdicts']:.0f}"
        return {"rare class": task, "seeds": str(seeds), "rare images": str(rare), "verdicts": verdicts}

    def value(
        self, point: tuple[Any, ...], scenario: str, of: str, what: str, bad: Callable[[Row], bool] | None = None
    ) -> str:
        """In percent."""
        row = self._found.get((*point, scenario, of, what))
        if row is None:
            return "–"
        shown = f"{100 * row['value']:.1f}"
        return f"**{shown}**" if bad and bad(row) else shown

    def coverage(self, design: str, columns: Mapping[str, tuple[str, str]], what: str) -> list[dict[str, str]]:
        return [
            self.line(point) | {name: self.value(point, *where, what, too_low) for name, where in columns.items()}
            for point in self.points
            if point[1] == design
        ]

    def calls(self, design: str, scenarios: Sequence[str]) -> list[dict[str, str]]:
        return [
            self.line(point)
            | {
                f"{scenario} {family[0]}": self.value(point, scenario, family, "any call", too_high)
                for scenario in scenarios
                for family in ("generative", "cheap")
            }
            for point in self.points
            if point[1] == design
        ]

    def kept(self) -> list[dict[str, str]]:
        columns = {
            name: where
            for name, where in FRESH_COVERAGE.items()
            if where[1] in ("equal", "class-weight", "oversample", "synthetic/0")
        }
        here, anywhere = (self.coverage("kept", columns, what) for what in ("coverage", "coverage, new data"))
        return [
            {name: f"{shown} ({other[name].strip('*')})" if name in columns else shown for name, shown in row.items()}
            for row, other in zip(here, anywhere, strict=True)
        ]

    def power(self) -> list[dict[str, str]]:
        return [
            {"variance from": row["mix"], "seeds": str(row["seeds"]), "tests": str(row["tests"])}
            | {name: f"{100 * row[name]:.1f}" for name in ("called", "in_range", "false", "covered")}
            for row in self.rows
            if "mix" in row
        ]

    def power_on_features(self) -> list[dict[str, str]]:
        kinds = {
            "synthetic": ("synthetic", "equal"),
            "jittered": ("jittered", "equal"),
            "redrawn": ("redrawn", "equal"),
            "oracle-matched": ("effects", "oracle-matched"),
        }
        return [
            self.line(point)
            | {
                name: " / ".join(
                    self.value(point, *where, what)
                    for what in ("power where the formula says .80", "range holds the effect")
                )
                for name, where in kinds.items()
            }
            for point in self.points
            if point[1] == "fresh"
        ]

    def known(self) -> list[dict[str, str]]:
        found = []
        for point in self.points:
            if point[1] != "fresh":
                continue
            found.append(
                self.line(point)
                | {
                    "memoriser beats oversample": self.value(point, "effects", "memoriser", "beats oversample"),
                    "gate open: equal arms": self.value(point, "synthetic", "equal", "interval above 0"),
                    "gate open: oracle": self.value(point, "effects", "oracle", "interval above 0"),
                    "oracle-matched helps": self.value(point, "effects", "oracle-matched", "helps"),
                    "class-weight hurts": self.value(point, "effects", "class-weight", "hurts"),
                    "no difference, wrongly: class-weight": self.value(
                        point, "effects", "class-weight", "no difference, though beyond the margin"
                    ),
                    "oracle-matched": self.value(
                        point, "effects", "oracle-matched", "no difference, though beyond the margin"
                    ),
                }
            )
        return found

    def moved(self) -> list[dict[str, str]]:
        """Lines of `known`."""
        shown = ("helps or hurts", "measurable", "moves")
        return [
            {"classes": str(row["classes"]), "runs": str(row["runs"])}
            | {name: f"{100 * row[name]:.1f}" for name in shown}
            for row in self.rows
            if "classes" in row
        ]


def too_low(row: Row) -> bool:
    """A coverage."""
    return bool(row["value"] < LEAST)


def too_high(row: Row) -> bool:
    """The same of a share that should be small."""
    return bool(row["value"] > MOST)


def markdown(rows: Sequence[Mapping[str, str]]) -> str:
    """Rows of one table by column."""
    if not rows:
        return "–"
    names = list(rows[0])
    lines = [names, ["---"] * len(names), *([row.get(name, "") for name in names] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
