"""Show the answer: what each arm does to ranking, the table of all arms, and the evidence."""

from collections.abc import Iterator

from matplotlib.figure import Figure

from ganbalance.reporting import headline, tables, verdict_text, wording
from ganbalance.reporting.formats import (
    arm_name,
    by_family,
    change,
    did_not_train,
    interval,
    primary_name,
    tested_units,
    verdict_entry,
    verdict_label,
)
from ganbalance.reporting.layout import Item, Picture, Report, Section
from ganbalance.reporting.plotting import COLOURS, GRID, INK, MUTED, arm_rows, label_rows, picture, single, whisker
from ganbalance.reporting.summary import Summary

Seeds = dict[str, dict[int, float | None]]
"""Arm -> seed -> its paired difference; None where the arm diverged and counts as the baseline."""


def sections(report: Report) -> Iterator[Section]:
    """Yield one section, with the evidence and the rule inside."""
    summary = report.summary
    cards = [
        Item(arm_name(arm), verdict_text.answer(summary, arm), verdict_entry(summary, arm))
        for arm in headline.answered(summary)
    ]
    yield Section(
        title="The answer",
        cards=tuple(cards),
        text=tuple(headline.worth(summary)),
        tables=(tables.verdicts(summary),),
        figures=(_forest(report),),
        sections=(_evidence(summary), _rule(summary)),
    )


def _evidence(summary: Summary) -> Section:
    said = {arm: wording.evidence(summary, arm) for arms in by_family(summary).values() for arm in arms}
    items = [
        Item(arm_name(arm), text, verdict_entry(summary, arm) if summary.arms[arm].verdict else None)
        for arm, text in said.items()
        if text
    ]
    return Section(title="Evidence for each verdict", items=tuple(items))


def _rule(summary: Summary) -> Section:
    draws, reference = f"{summary.replicates:,} draws", arm_name(summary.reference)
    used = f"{draws} of the {tested_units(summary)}; reference arm: {reference}."
    text = (*_paragraphs(summary.rule), used)
    return Section(title="How a verdict is reached", text=text, folded=True, measured=False)


def _paragraphs(text: str) -> list[str]:
    """Join a text in lines of limited length to one line for its head, for each item and for what follows them."""
    items: list[str] = []
    for line in text.splitlines():
        inside = items and items[-1].startswith("- ") and not line.startswith((" ", "- "))
        if line.startswith("- ") or not items or inside:
            items.append(line)
        else:
            items[-1] += " " + line.strip()
    return items


def _forest(report: Report) -> Picture:
    summary, metric = report.summary, primary_name(report.summary)
    differences = "; ".join(
        f"{arm_name(arm)} {interval(change(summary, arm), signed=True)}" for arm in summary.arms if change(summary, arm)
    )
    return picture(
        forest(summary, seed_differences(report)),
        "differences.png",
        f"Difference in {metric} to {summary.baseline} with 95 % interval: {differences}.",
        f"Difference in {metric} to doing nothing: mean with its 95 % interval, and below it the paired difference of "
        "each seed as a small dot, hollow at 0 where the arm diverged and counts as the baseline. The grey band is the "
        "margin: an interval inside it is no difference worth having.",
    )


def seed_differences(report: Report) -> Seeds:
    """Compute the paired difference of each seed that an arm shares with the baseline."""
    summary, points = report.summary, report.analysis.points
    metric, base = summary.primary, points.get(summary.baseline, {})
    found: Seeds = {}
    for arm, of_arm in summary.arms.items():
        own = points.get(arm, {})
        shared: dict[int, float | None] = {seed: own[seed][metric] - base[seed][metric] for seed in own if seed in base}
        found[arm] = shared | dict.fromkeys(of_arm.imputed_seeds)
    return found


def forest(summary: Summary, seeds: Seeds) -> Figure:
    """Draw the differences of all arms by family, on the band of the margin."""
    rows = arm_rows(summary, baseline=False)
    figure, axes = single(8.4, 0.4 * max(len(rows), 1) + 1.1)
    if summary.margins:
        margin = summary.margins.ranking
        axes.axvspan(-margin, margin, color=GRID, zorder=0, label=f"margin ±{margin:.4f}")
        axes.legend(frameon=False, fontsize=8, loc="lower right", bbox_to_anchor=(1, 1))
    axes.axvline(0, color=MUTED, linewidth=1, zorder=1)
    for row, (_, arm) in enumerate(rows):
        if arm is None or summary.arms[arm].family == "exempt" or not (found := change(summary, arm)):
            continue
        family = summary.arms[arm].family
        if not did_not_train(summary, arm):
            whisker(axes, row, found, family)
        for value in seeds[arm].values():
            face = "white" if value is None else COLOURS[family]
            axes.plot(
                value or 0, row + 0.28, "o", markersize=3.4, color=COLOURS[family], markerfacecolor=face, zorder=3
            )
    label_rows(axes, rows)
    for row, (_, arm) in enumerate(rows):
        if arm is not None:
            place = ("axes fraction", "data")
            said = "0 by construction" if summary.arms[arm].family == "exempt" else verdict_label(summary, arm)
            axes.annotate(said, (1.02, row), xycoords=place, va="center", fontsize=8, color=INK)
    axes.set_xlabel(f"difference in {primary_name(summary)} to {summary.baseline}, 95 % interval", fontsize=8)
    return figure
