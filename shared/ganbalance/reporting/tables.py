"""The tables of a report as rows of text, for HTML, Markdown, a terminal and the README."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ganbalance.metrics.statistics import HELPS, HURTS, LEAST_P, MIN_SEEDS_INTERVAL, MOVES, NO_EVIDENCE, TOO_FEW
from ganbalance.reporting.collect import Found
from ganbalance.reporting.summary import WITHHELD, Summary
from ganbalance.reporting.wording import PAPER, arm_name, capitalised, metric_name

REPORTED = ("accuracy", "precision", "recall", "f1", "auc")
"""The metrics of the course report's tables and bar plot, in its order."""
TERMINAL_COLUMNS = 100
NOTHING = "–"

BADGES = {HELPS: "▲", HURTS: "▼", MOVES: "↔", NO_EVIDENCE: "○", TOO_FEW: "…", WITHHELD: "?"}
"""A sign per verdict, so that no verdict is told by colour alone."""


@dataclass(frozen=True)
class Entry:
    """One field of a table; `badge` is a verdict's name where the text is one."""

    text: str
    badge: str = ""


@dataclass(frozen=True)
class Table:
    """A caption, column heads, and rows whose first entry names the row."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[Entry, ...], ...]
    note: str = ""


def at_plain(summary: Summary, metric: str) -> str:
    """The full name of a metric under the plain rule; metrics of the order of scores need no rule."""
    return metric if metric == "auc" else f"{metric}@{summary['plain_rule']}"


def verdicts(summary: Summary) -> Table:
    """The main table: one row per arm."""
    reference, plain = summary["reference"], summary["plain_rule"]
    head = ("arm", "AUC", "ΔAUC to none", "p (Holm)", "balanced accuracy at " + plain, "verdict")
    rows = []
    for arm, found in summary["arms"].items():
        auc = found["metrics"].get("auc")
        change = auc["difference"] if auc else None
        balanced = found["metrics"].get(f"balanced_accuracy@{plain}")
        texts = (interval(auc), interval(change, signed=True), _p(change), interval(balanced))
        beats = found["beats_reference"] if arm != summary["baseline"] else None
        flags = (_yes_no(beats), _share(found["gap_recovered"]))
        rows.append((_arm(summary, arm), *map(Entry, texts), _badge(found), *map(Entry, flags)))
    return Table(
        _labelled(summary, "Every arm against doing nothing"),
        (*head, f"beats {reference}?", "share of oracle gap"),
        tuple(rows),
        _how_to_read(summary),
    )


def _how_to_read(summary: Summary) -> str:
    """The note under the main table: what its numbers are, and which arms share the error that Holm controls."""
    if len(summary["seeds"]) < MIN_SEEDS_INTERVAL:
        numbers = "One seed: single values without intervals."
    else:
        numbers = "Mean over seeds with its 95 % interval over seeds and test images; ΔAUC is paired by seed."
    macro = " AUC is macro one-vs-rest." if summary["plain_rule"] == "argmax" else ""
    named = " and ".join(arm for arm in (summary["oracle"], "threshold") if arm in summary["arms"])
    return f"{numbers}{macro} Holm’s family is all arms beside the baseline{named and f', {named} included'}."


def headline(summary: Summary) -> Table:
    """The course report's metrics, and average precision, for every arm."""
    names = [*(at_plain(summary, metric) for metric in REPORTED), "average_precision"]
    heads = [capitalised(metric_name(name)) for name in names]
    return _metrics_table(summary, "All arms, the reported metrics", names, heads)


def thresholds(summary: Summary) -> Table:
    """Balanced accuracy under every decision rule: what moves the threshold and what knows more."""
    rules = (summary["plain_rule"], "prior", "validation")
    heads = [f"at {summary['plain_rule']}", "prior-corrected", "chosen on validation"]
    names = [f"balanced_accuracy@{rule}" for rule in rules]
    note = "An arm that only moves the threshold gains in the first column and not in the second."
    return _metrics_table(summary, "Balanced accuracy by decision threshold", names, heads, note)


def deployed(summary: Summary) -> Table:
    """Metrics weighted to the class shares of the imbalanced data."""
    plain = summary["plain_rule"]
    names = [
        "deployed_average_precision",
        *(f"deployed_{metric}@{rule}" for rule in (plain, "prior") for metric in ("precision", "f1")),
    ]
    heads = ["average precision", f"precision at {plain}", f"F1 at {plain}", "precision, corrected", "F1, corrected"]
    note = "The test images are weighted so that the class shares are those of the imbalanced data."
    return _metrics_table(summary, "At the shares of deployment", names, heads, note)


def against_baseline(summary: Summary, found: Found, arm: str) -> Table | None:
    """One arm beside the baseline as the course report shows it, over the seeds that both have."""
    base, other = found.cells[summary["baseline"]], found.cells[arm]
    seeds = sorted(set(base) & set(other))
    if not seeds:
        return None
    rows = []
    for metric in (at_plain(summary, name) for name in REPORTED):
        before = float(np.mean([base[seed].metrics[metric] for seed in seeds]))
        after = float(np.mean([other[seed].metrics[metric] for seed in seeds]))
        shift = f"{(after - before) / before:+z.2%}" if before else NOTHING
        texts = (
            capitalised(metric_name(metric)),
            number(before),
            number(after),
            number(after - before, signed=True),
            shift,
        )
        rows.append(tuple(map(Entry, texts)))
    name = arm_name(arm, gan=summary["arms"][arm]["gan"])
    return Table(
        _labelled(summary, f"{name} against the baseline"),
        ("Metric", "Baseline", f"{name} balanced", "Absolute difference", "Performance shift"),
        tuple(rows),
        f"Means over {len(seeds)} shared seed{'s' * (len(seeds) != 1)}; the shift is relative to the baseline.",
    )


def holes(summary: Summary) -> Table | None:
    """What is not there and why; None where nothing is missing."""
    if not summary["holes"]:
        return None
    rows = [tuple(Entry(hole[key]) for key in ("what", "kind", "because")) for hole in summary["holes"]]
    return Table("What is missing", ("result", "kind", "reason"), tuple(rows))


def terminal(summary: Summary) -> str:
    """The main table in at most 100 columns of plain text."""
    plain = summary["plain_rule"]
    lines = [("arm", "AUC", "ΔAUC to none", f"bal. acc. at {plain}", "verdict")]
    for arm, found in summary["arms"].items():
        auc = found["metrics"].get("auc")
        verdict = found["verdict"]
        texts = (_plus_minus(auc), _plus_minus(auc and auc["difference"], signed=True))
        balanced = _mean(found["metrics"].get(f"balanced_accuracy@{plain}"))
        lines.append((arm[:17], *texts, balanced, verdict["name"] if verdict else "baseline"))
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    text = ["  ".join(field.ljust(width) for field, width in zip(line, widths, strict=True)) for line in lines]
    seeds = len(summary["seeds"])
    counted = f"{seeds} seed{'s' * (seeds != 1)}"
    title = _labelled(summary, f"{summary['experiment']}: {counted}, {summary['backbone']}")
    lost = _lost(summary)
    return "\n".join(line.rstrip()[:TERMINAL_COLUMNS] for line in [title, *text, *([lost] if lost else [])])


def readme(summary: Summary) -> str:
    """The main table in Markdown with a line that says where it comes from."""
    main = verdicts(summary)
    made = summary["provenance"]
    commits = ", ".join(made["git_commit"]) or "unknown"
    machines = ", ".join([*made["cpu"], *made.get("accelerator", ())]) or "unknown"
    lines = [markdown(main), "", f"Made by `{made['command']}`"]
    seeds = ", ".join(map(str, summary["seeds"]))
    lines[-1] += f"; {_labelled(summary, summary['experiment'])}; seeds {seeds}; {machines}; commit {commits}."
    return "\n".join(lines) + "\n"


def markdown(table: Table) -> str:
    """The rows of a table in Markdown, without its caption."""
    rows = [table.head, ("---",) * len(table.head), *([_marked(entry) for entry in row] for row in table.rows)]
    return "\n".join("| " + " | ".join(field.replace("|", "\\|") for field in row) + " |" for row in rows)


def interval(found: Mapping[str, Any] | None, *, signed: bool = False) -> str:
    """'0.9948 [0.9921, 0.9970]', or the mean alone where one seed allows no interval."""
    if not found:
        return NOTHING
    mean = number(found["mean"], signed=signed)
    if found["low"] is None:
        return mean
    return f"{mean} [{number(found['low'], signed=signed)}, {number(found['high'], signed=signed)}]"


def number(value: float, *, signed: bool = False) -> str:
    """Four decimals; z: what rounds to zero is no negative zero."""
    return f"{value:{'+' if signed else ''}z.4f}"


def _metrics_table(summary: Summary, caption: str, names: list[str], heads: list[str], note: str = "") -> Table:
    rows = [
        (_arm(summary, arm), *(Entry(interval(found["metrics"].get(name))) for name in names))
        for arm, found in summary["arms"].items()
    ]
    return Table(_labelled(summary, caption), ("arm", *heads), tuple(rows), note)


def _labelled(summary: Summary, text: str) -> str:
    return f"{text} ({PAPER})" if summary["protocol"] == "paper" else text


def _arm(summary: Summary, arm: str) -> Entry:
    found = summary["arms"][arm]
    seeds = len(summary["seeds"])
    partial = f" ({found['n_seeds']} of {seeds} seeds)" if found["n_seeds"] < seeds else ""
    return Entry(arm_name(arm, gan=found["gan"]) + partial)


def _badge(found: Mapping[str, Any]) -> Entry:
    verdict = found["verdict"]
    return Entry(verdict["name"], verdict["name"]) if verdict else Entry("baseline")


def _marked(entry: Entry) -> str:
    return f"{BADGES[entry.badge]} **{entry.text}**" if entry.badge else entry.text


def _p(change: Mapping[str, Any] | None) -> str:
    if not change or change["p_holm"] is None:
        return NOTHING
    p = float(change["p_holm"])
    return f"{p:.2g}" if p >= LEAST_P else f"<{LEAST_P:g}"


def _yes_no(flag: bool | None) -> str:
    return NOTHING if flag is None else "yes" if flag else "no"


def _share(share: Mapping[str, float] | None) -> str:
    return f"{share['mean']:z.0%} [{share['low']:z.0%}, {share['high']:z.0%}]" if share else NOTHING


def _plus_minus(found: Mapping[str, Any] | None, *, signed: bool = False) -> str:
    mean = _mean(found, signed=signed)
    return f"{mean} ±{(found['high'] - found['low']) / 2:.4f}" if found and found["low"] is not None else mean


def _mean(found: Mapping[str, Any] | None, *, signed: bool = False) -> str:
    return number(found["mean"], signed=signed) if found else NOTHING


def _lost(summary: Summary) -> str:
    kinds = [hole["kind"] for hole in summary["holes"] if hole["arm"]]
    counted = {kind: kinds.count(kind) for kind in ("missing", "diverged") if kind in kinds}
    return ", ".join(f"{count} cell{'s' * (count > 1)} {kind}" for kind, count in counted.items())
