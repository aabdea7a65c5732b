"""Build the tables of a report, and write them in Markdown and in plain text for a terminal."""

import textwrap
from collections.abc import Callable, Iterable

from ganbalance.metrics.results import MIN_SEEDS_INTERVAL
from ganbalance.plurals import plural
from ganbalance.printing import escaped
from ganbalance.reporting.formats import (
    BALANCED_AS_TRAINED,
    BALANCED_FAIR,
    FAMILIES,
    NOTHING,
    SIGNS,
    arm_name,
    brackets,
    by_family,
    cell,
    change,
    did_not_train,
    mean,
    p_value,
    percent,
    primary_name,
    shown_change,
    tested_units,
    verdict_entry,
    verdict_label,
)
from ganbalance.reporting.headline import headline
from ganbalance.reporting.layout import Entry, Group, Row, Table
from ganbalance.reporting.summary import Summary
from ganbalance.reporting.wording import error_rates, label, margins, threshold_alone

TERMINAL_COLUMNS = 100

EXPLAINED = {
    "generative": "images that a model drew are added",
    "cheap": "other weights, losses or copies of the images there are; no model draws any",
    "exempt": "the scores of the baseline, rescaled",
    "control": "what the removed real images are worth",
    "baseline": "the imbalanced data as it is",
}
"""What the heading of each family says once, in the first table."""


def verdicts(summary: Summary) -> Table:
    """Build the main table: every arm under the heading of its family."""
    head = (
        "arm",
        primary_name(summary),
        f"Δ to {summary.baseline}",
        "p (Holm)",
        "balanced accuracy as trained",
        "balanced accuracy, fair",
        "verdict",
        f"beats {arm_name(summary.reference)}?",
        "share of the gap recovered",
    )
    table = of_arms(summary, "Every arm against doing nothing", head, lambda arm: _verdict_row(summary, arm))
    groups = [
        Group(f"{FAMILIES[family]}: {EXPLAINED[family]}", group.rows)
        for family, group in zip(by_family(summary), table.groups, strict=True)
    ]
    return Table(table.caption, head, tuple(groups), tuple(_how_to_read(summary)), stacked=True)


def _verdict_row(summary: Summary, arm: str) -> tuple[Entry, ...]:
    metrics = summary.arms[arm].metrics
    return (
        Entry(mean(metrics.get(summary.primary))),
        _difference(summary, arm),
        _p(summary, arm),
        *(Entry(mean(metrics.get(name))) for name in (BALANCED_AS_TRAINED, BALANCED_FAIR)),
        verdict_entry(summary, arm),
        _beats(summary, arm),
        _recovered(summary, arm),
    )


def _difference(summary: Summary, arm: str) -> Entry:
    """Format the difference to the baseline; of an arm that did not train, over the seeds at which it did."""
    if summary.arms[arm].family == "exempt":
        return Entry("0 by construction")
    shown = cell(shown_change(summary, arm), signed=True)
    over = " over the seeds that trained" if did_not_train(summary, arm) else ""
    return Entry(shown.text, f"{shown.detail}{over}".strip())


def _p(summary: Summary, arm: str) -> Entry:
    """Format p, adjusted within the family; of a control the plain one."""
    found, family = change(summary, arm), summary.arms[arm].family
    if not found or family == "exempt":
        return Entry(NOTHING)
    return Entry(p_value(found.p), "unadjusted") if family == "control" else Entry(p_value(found.p_holm))


def _beats(summary: Summary, arm: str) -> Entry:
    found = summary.arms[arm]
    against = found.reference_difference
    if against is None or found.beats_reference is None:
        return Entry(NOTHING)
    p = f" p {p_value(against.p_holm)}" if against.p_holm is not None else ""
    verdict = "yes" if found.beats_reference else "no"
    return Entry(f"{verdict}: {mean(against, signed=True)}", brackets(against, signed=True) + p)


def _recovered(summary: Summary, arm: str) -> Entry:
    share = summary.arms[arm].gap_recovered
    if share is None:
        return Entry(NOTHING)
    return Entry(percent(share.mean), f"[{percent(share.low)}, {percent(share.high)}]")


def _how_to_read(summary: Summary) -> list[str]:
    """Say what the numbers of the main table are."""
    if len(summary.seeds) < MIN_SEEDS_INTERVAL:
        return ["One seed: single values without intervals."]
    drawn = f"seeds and {tested_units(summary)}"
    said = [f"Means over seeds. In brackets 95 % intervals over {drawn}; differences are paired by seed."]
    if summary.primary != "auc":
        said.append(
            "Pairwise AUC: how well two-class heads tell each rare class from every other class, averaged; no shift of "
            "a class’s scores changes it."
        )
    said += error_rates(summary)
    if "generative" in by_family(summary):
        said.append(f"p against {arm_name(summary.reference)} is adjusted within the generative arms.")
    return [*said, *margins(summary), *threshold_alone(summary)]


def of_metrics(
    summary: Summary, caption: str, columns: Iterable[tuple[str, str]], *, notes: tuple[str, ...] = ()
) -> Table | None:
    """Build a column (head, metric) for each metric that some arm has, a row for each arm; None without any metric."""
    measured = {name for found in summary.arms.values() for name in found.metrics}
    shown = [(head, name) for head, name in columns if name in measured]
    if not shown:
        return None

    def row(arm: str) -> tuple[Entry, ...]:
        metrics = summary.arms[arm].metrics
        return tuple(cell(metrics.get(name)) for _, name in shown)

    return of_arms(summary, caption, ("arm", *(head for head, _ in shown)), row, notes=notes)


def of_classes(
    summary: Summary, caption: str, rows: Iterable[tuple[str, str]], *, notes: tuple[str, ...] = ()
) -> Table | None:
    """Build a row (name, metric) for each metric that some arm has, a column for each arm; None without any metric."""
    arms = [arm for of_family in by_family(summary).values() for arm in of_family]
    shown = tuple(
        (Entry(name), *(cell(summary.arms[arm].metrics.get(metric)) for arm in arms))
        for name, metric in rows
        if any(metric in summary.arms[arm].metrics for arm in arms)
    )
    return Table(caption, ("class", *map(arm_name, arms)), (Group("", shown),), notes) if shown else None


def of_arms(
    summary: Summary,
    caption: str,
    head: tuple[str, ...],
    row: Callable[[str], tuple[Entry, ...] | None],
    *,
    notes: tuple[str, ...] = (),
) -> Table:
    """Build a row per arm, a group per family; `row` is what follows an arm's name, or None to leave it out."""
    groups = []
    for arms in by_family(summary).values():
        rows: list[Row] = [(arm_entry(summary, arm), *rest) for arm in arms if (rest := row(arm)) is not None]
        if rows:
            groups.append(Group("", tuple(rows)))
    return Table(caption, head, tuple(groups), notes)


def arm_entry(summary: Summary, arm: str) -> Entry:
    """Name an arm, with its seeds where some are missing or diverged."""
    found, seeds = summary.arms[arm], len(summary.seeds)
    partial = f"{found.n_seeds} of {seeds} seeds" if found.n_seeds < seeds else ""
    diverged = f", {len(found.diverged_seeds)} diverged" if found.diverged_seeds else ""
    return Entry(arm_name(arm), partial + diverged)


def markdown(table: Table) -> str:
    """Write the rows of a table in Markdown, without its caption; a group's heading is a row with one field."""
    lines: list[list[str]] = [[*map(escaped, table.head)], ["---"] * len(table.head)]
    for group in table.groups:
        if group.title:
            lines.append([f"*{escaped(group.title)}*", *[""] * (len(table.head) - 1)])
        lines += [[_marked(entry) for entry in row] for row in group.rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _marked(entry: Entry) -> str:
    text = escaped(entry.text)
    return f"{f'{SIGNS[entry.verdict]} **{text}**' if entry.verdict else text} {escaped(entry.detail)}".strip()


def terminal(summary: Summary) -> str:
    """Write the headline and the main table in at most 100 columns of plain text."""
    seeds = plural(len(summary.seeds), "seed")
    title = f"{summary.experiment}: {seeds}, {summary.classifier.backbone}, {primary_name(summary)}"
    head = ("arm", "AUC", f"Δ to {summary.baseline}", "bal. acc.", "fair", "verdict")
    lines = [head, *(_terminal_row(summary, arm) for of_family in by_family(summary).values() for arm in of_family)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    text = ["  ".join(field.ljust(width) for field, width in zip(line, widths, strict=True)) for line in lines]
    lost = _lost(summary)
    return "\n".join(
        [
            title + label(summary),
            *textwrap.wrap(headline(summary), TERMINAL_COLUMNS),
            *(line.rstrip()[:TERMINAL_COLUMNS] for line in text),
            *([lost] if lost else []),
            *textwrap.wrap(summary.advice, TERMINAL_COLUMNS),
        ]
    )


def _terminal_row(summary: Summary, arm: str) -> tuple[str, ...]:
    metrics, found = summary.arms[arm].metrics, shown_change(summary, arm)
    half = f" ±{(found.high - found.low) / 2:.4f}" if found and found.low is not None and found.high is not None else ""
    exempt = summary.arms[arm].family == "exempt"
    return (
        arm[:17],
        mean(metrics.get(summary.primary)),
        NOTHING if exempt else mean(found, signed=True) + half,
        *(mean(metrics.get(name)) for name in (BALANCED_AS_TRAINED, BALANCED_FAIR)),
        verdict_label(summary, arm).replace("measurably ", ""),
    )


def _lost(summary: Summary) -> str:
    kinds = [one.kind for one in summary.missing_results if one.arm]
    counted = {kind: kinds.count(kind) for kind in ("missing", "diverged") if kind in kinds}
    return ", ".join(f"{plural(count, 'cell')} {kind}" for kind, count in counted.items())


def readme(summary: Summary) -> str:
    """Write the headline and the main table in Markdown, with a line that says where they come from."""
    main, made = verdicts(summary), summary.provenance
    commits = ", ".join(made.git_commit) or "unknown"
    machines = ", ".join([*made.cpu, *made.accelerator]) or "unknown"
    seeds = ", ".join(map(str, summary.seeds))
    name = summary.experiment + label(summary)
    origin = f"Made by `{made.command}`; {name}; seeds {seeds}; {machines}; commit {commits}."
    said = escaped(" ".join(main.notes))
    return "\n\n".join([f"**{escaped(headline(summary))}**", markdown(main), said, origin]) + "\n"
