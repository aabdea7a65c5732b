"""Build the tables of a comparison, by arm and by run, and its plain text for a terminal."""

import textwrap
from collections.abc import Callable, Sequence

from ganbalance.printing import columns, padded
from ganbalance.reporting.comparison import crossing_text, wording
from ganbalance.reporting.comparison.runs import Comparison
from ganbalance.reporting.formats import (
    FAMILIES,
    NOTHING,
    SIGNS,
    arm_name,
    capitalised,
    cell,
    change,
    did_not_train,
    interval,
    listed,
    mean,
    number,
    primary_name,
    quoted,
    shown_change,
    some,
    verdict_label,
)
from ganbalance.reporting.layout import Entry, Group, Row, Table
from ganbalance.reporting.summary import Summary
from ganbalance.reporting.tables import TERMINAL_COLUMNS
from ganbalance.reporting.verdict_text import shut
from ganbalance.reporting.wording import is_paper, label


def verdicts(comparison: Comparison) -> Table:
    """Tabulate the verdict on every arm in every run."""

    def entry(summary: Summary, arm: str) -> Entry:
        found = summary.arms[arm].verdict
        return Entry(verdict_label(summary, arm), verdict=found.name) if found else Entry(NOTHING)

    return _of_arms(comparison, "Verdicts", entry, but=("baseline", "exempt"))


def ranking(comparison: Comparison) -> Table:
    """Tabulate the primary metric of every arm in every run, and below it the difference to the baseline."""
    metric, baseline = capitalised(primary_name(comparison.first)), comparison.first.baseline

    def entry(summary: Summary, arm: str) -> Entry:
        value, found = summary.arms[arm].metrics.get(summary.primary), shown_change(summary, arm)
        if summary.arms[arm].family == "exempt":
            return Entry(mean(value), "Δ 0 by construction")
        if arm == baseline or not found:
            return cell(value)
        over = " over the seeds that trained" if did_not_train(summary, arm) else ""
        return Entry(mean(value), f"Δ {interval(found, signed=True)}{over}")

    notes = (
        f"Means over seeds. Δ is the difference to {baseline} of the same run with its 95 % interval; of {baseline} "
        "itself the interval is that of the value.",
    )
    return _of_arms(comparison, f"{metric}, and its difference to {baseline}", entry, notes=notes)


def _of_arms(
    comparison: Comparison,
    caption: str,
    entry: Callable[[Summary, str], Entry],
    *,
    but: Sequence[str] = (),
    notes: tuple[str, ...] = (),
) -> Table:
    """Build a row per arm, a column per run."""
    groups = []
    for family, arms in comparison.arms.items():
        if family not in but:
            rows: list[Row] = [
                (
                    Entry(arm_name(arm)),
                    *(entry(one, arm) if arm in one.arms else Entry(NOTHING) for one in comparison.summaries),
                )
                for arm in arms
            ]
            groups.append(Group(FAMILIES[family], tuple(rows)))
    return Table(f"{caption}, by {comparison.axis.title}", ("arm", *heads(comparison)), tuple(groups), notes)


def heads(comparison: Comparison) -> tuple[str, ...]:
    """Name the columns of the runs."""
    mixed = len(set(map(is_paper, comparison.summaries))) > 1
    return tuple(
        name + (label(summary) if mixed else "")
        for name, summary in zip(comparison.axis.labels, comparison.summaries, strict=True)
    )


def gates(comparison: Comparison) -> Table:
    """Tabulate what each run had to work with: images, baseline, margin, and whether a gain could have been seen."""
    baseline, metric = comparison.first.baseline, primary_name(comparison.first)
    head = (
        comparison.axis.title, "run", "rare images left", "test images", "seeds", f"{metric} of {baseline}", "margin",
        "could a gain have been seen?",
    )  # fmt: skip
    rows = []
    for name, run, summary in zip(heads(comparison), comparison.runs, comparison.summaries, strict=True):
        rows.append(
            (
                Entry(name),
                Entry(run),
                _left(summary),
                Entry(f"{summary.dataset.test:,}"),
                Entry(str(len(summary.seeds))),
                cell(summary.arms[baseline].metrics.get(summary.primary)),
                Entry(f"±{number(summary.margins.ranking)}" if summary.margins else NOTHING),
                _gate(summary),
            )
        )
    return Table("The gate of each run", head, (Group("", tuple(rows)),), stacked=True)


def _left(summary: Summary) -> Entry:
    data = summary.dataset
    left = [
        f"{data.after[one.class_name]:,} of {data.before[one.class_name]:,} {quoted(one.class_name)}"
        for one in data.rare
    ]
    return Entry(", ".join(some(left)))


def _gate(summary: Summary) -> Entry:
    if summary.gate is None:
        return Entry("not known", "no oracle, or no verdicts")
    return Entry("no" if shut(summary) else "yes", f"oracle {interval(summary.gate.gain, signed=True)}")


def provenance(comparison: Comparison) -> Table:
    """Tabulate how to make each run again, and what made it."""
    head = (comparison.axis.title, "run", "to make it again", "code", "machine", "seconds of all its stages")
    rows = []
    for name, run, summary in zip(heads(comparison), comparison.runs, comparison.summaries, strict=True):
        made = summary.provenance
        machine = ", ".join([*made.cpu, *made.accelerator])
        texts = (name, run, made.command, ", ".join(made.git_commit), machine, f"{made.total_seconds:,.0f}")
        rows.append(tuple(Entry(text or "unknown") for text in texts))
    note = "Stages that several runs share are counted in each. Settings of a run: experiment.yaml of its own report."
    return Table("The runs", head, (Group("", tuple(rows)),), (note,), stacked=True)


def terminal(comparison: Comparison) -> str:
    """Write in plain text: the headline, warnings, a table where it fits into 100 columns, a sentence per arm."""
    arms = [arm for of_family in comparison.arms.values() for arm in of_family]
    said = [f"{arm_name(arm)}: {sentence}" for arm in arms if (sentence := wording.along(comparison, arm))]
    lines = [*_wrapped(wording.title(comparison)), *_wrapped(wording.headline(comparison))]
    for warning in comparison.warnings:
        lines += _wrapped(f"note: {warning}")
    metric, baseline = primary_name(comparison.first), comparison.first.baseline
    head = (f"Δ{metric} to {baseline}", *heads(comparison))
    rows = [(arm, *(_short(one, arm) for one in comparison.summaries)) for arm in arms if arm != baseline]
    widths = [max(columns(row[place]) for row in (head, *rows)) for place in range(len(head))]
    table = ["  ".join(map(padded, row, widths)) for row in (head, *rows)]
    if columns(table[0]) <= TERMINAL_COLUMNS:
        lines += [line.rstrip() for line in table]
        lines += _wrapped(f"({signs(comparison)})")
    for sentence in (*said, *map(crossing_text.sentence, comparison.pairs)):
        lines += _wrapped(sentence)
    return "\n".join(lines)


def _short(summary: Summary, arm: str) -> str:
    """Format as '+0.0377 ▲'."""
    found = summary.arms.get(arm)
    if not found or found.family == "exempt" or not change(summary, arm):
        return NOTHING
    sign = SIGNS[found.verdict.name] if found.verdict else ""
    return f"{mean(shown_change(summary, arm), signed=True)} {sign}".rstrip()


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, TERMINAL_COLUMNS)


def signs(comparison: Comparison) -> str:
    """Say what the signs of the terminal's table mean, of those that stand in it."""
    found = {of_arm.verdict.name for one in comparison.summaries for of_arm in one.arms.values() if of_arm.verdict}
    return listed([f"{sign} {name}" for name, sign in SIGNS.items() if name in found])
