"""Write one report over several runs: compare.html, compare.md, compare.csv and their pictures."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ganbalance.reporting import page
from ganbalance.reporting.comparison import crossing_text, curves, tables, wording
from ganbalance.reporting.comparison.differences import text
from ganbalance.reporting.comparison.runs import Comparison
from ganbalance.reporting.formats import arm_name, verdict_label
from ganbalance.reporting.layout import Item, Section
from ganbalance.reporting.published import span
from ganbalance.reporting.wording import deviation, flaws, is_paper, label

NAME = "compare"
PARTS = ("mean", "low", "high")


def write(folder: Path, comparison: Comparison) -> Path:
    """Write every file; the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    page.render(folder, NAME, content(comparison))
    with (folder / f"{NAME}.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        differences = (f"difference_{part}" for part in PARTS)
        head = ("run", *comparison.differing, "arm", "family", "metric", *PARTS, *differences)
        seeds = () if "seeds" in comparison.differing else ("seeds",)
        rows.writerow((*head, "p", "p_holm", "verdict", "gate", *seeds))
        rows.writerows(_rows(comparison))
    return folder / f"{NAME}.html"


def content(comparison: Comparison) -> dict[str, Any]:
    """Collect everything the templates show."""
    alike = len(set(map(is_paper, comparison.summaries))) == 1
    return {
        "name": wording.title(comparison),
        "note": "",
        "label": label(comparison.first) if alike else "",
        "advice": "",
        "headline": wording.headline(comparison),
        "asked": wording.asked(comparison),
        "flaws": flaws(comparison.first) if alike else (),
        "deviation": deviation(comparison.first) if alike else None,
        "remarks": [],
        "sections": tuple(sections(comparison)),
    }


def sections(comparison: Comparison) -> Iterator[Section]:
    """Yield the curves and verdicts, where arms cross, the gates, the other metrics, where it all comes from."""
    said = {arm: wording.along(comparison, arm) for arms in comparison.arms.values() for arm in arms}
    yield Section(
        title="Where verdicts change",
        warnings=comparison.warnings,
        text=(wording.NO_CLAIM,),
        figures=(curves.ranking(comparison),),
        items=tuple(Item(arm_name(arm), sentence) for arm, sentence in said.items() if sentence),
    )
    yield from crossing_text.section(comparison)
    yield Section(title="Every arm in every run", tables=(tables.verdicts(comparison), tables.ranking(comparison)))
    yield Section(title="What each run had to work with", tables=(tables.gates(comparison),))
    if others := curves.other_metrics(comparison):
        yield Section(title="Other metrics", figures=(others,))
    again = Item("To make this page again", f"ganbalance compare {' '.join(comparison.runs)}")
    yield Section(title="Provenance", items=(again,), tables=(tables.provenance(comparison),), measured=False)


def _rows(comparison: Comparison) -> Iterator[tuple[Any, ...]]:
    """Yield a row per run, arm and metric."""
    for place, (run, summary) in enumerate(zip(comparison.runs, comparison.summaries, strict=True)):
        values = tuple(text(of_key[place]) for of_key in comparison.differing.values())
        seeds = () if "seeds" in comparison.differing else (span(summary.seeds),)
        gate = "" if summary.gate is None else "open" if summary.gate.open else "shut"
        for arm, found in summary.arms.items():
            verdict = verdict_label(summary, arm) if found.verdict else ""
            for metric, value in found.metrics.items():
                change = value.difference
                yield (
                    run, *values, arm, found.family, metric, *(getattr(value, part) for part in PARTS),
                    *(getattr(change, part, None) for part in (*PARTS, "p", "p_holm")), verdict, gate, *seeds,
                )  # fmt: skip
