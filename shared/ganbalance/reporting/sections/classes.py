"""Show each rare class by itself, where there are more than two classes and averages hide it."""

from collections.abc import Iterator

from ganbalance.metrics.scores import PAIR
from ganbalance.printing import printable
from ganbalance.reporting.formats import capitalised, listed, metric_name, quoted, some
from ganbalance.reporting.layout import Report, Section, Table
from ganbalance.reporting.summary import Summary
from ganbalance.reporting.tables import of_classes, of_metrics

DECIDED = ("recall", "precision", "f1")
RULES = ("as-trained", "fair")
RANKED = (("AUC, one-vs-rest", "auc"), ("pairwise AUC", "pairwise_auc"))
MOST_ALONE = 6
"""Rare classes with a table, and pairs of them with a column, of their own; more are rows."""
MOST_ROWS = 20


def sections(report: Report) -> Iterator[Section]:
    """Show macro means, a table for each rare class, and the pairs of two rare ones; nothing for two classes."""
    summary, names, rare = report.summary, report.results.class_names, report.results.rare
    if len(names) == PAIR:
        return
    macro = _table(summary, "Means over all classes")
    few = len(rare) <= MOST_ALONE
    alone = [_table(summary, f"“{printable(names[c])}” alone", f"/{c}") for c in rare if few]
    by_class = () if few else (Section(title="Metrics by class", tables=_by_class(report), folded=True),)
    yield Section(
        title="Each rare class",
        text=(
            f"Rare: {listed(some([quoted(names[c]) for c in rare]))}. AUC: the class against the rest, "
            "by the probabilities as trained, which a shift of other classes changes too; it decides nothing. Pairwise "
            "AUC: the mean over two-class heads of the class and every other one, on which verdicts rest.",
        ),
        tables=tuple(table for table in (macro, *alone, _pairs(summary, report)) if table),
        sections=by_class,
    )


def _table(summary: Summary, caption: str, of: str = "") -> Table | None:
    """Tabulate what is said of all classes, or of one: `of` is then what its metrics add to a name."""
    return of_metrics(summary, caption, _columns(of))


def _columns(of: str) -> list[tuple[str, str]]:
    decided = [(f"{metric}@{rule}", f"{metric}{of}@{rule}") for rule in RULES for metric in DECIDED]
    heads = [(capitalised(metric_name(head)), name) for head, name in decided]
    return [*heads, *((head, f"{metric}{of}") for head, metric in RANKED)]


def _by_class(report: Report) -> tuple[Table, ...]:
    """Build a table for each metric, of many rare classes: a row for each of the rarest."""
    names, left = report.results.class_names, report.results.counts["after"]
    rarest = sorted(report.results.rare, key=left.__getitem__)[:MOST_ROWS]
    rows = [(printable(names[c]), [name for _, name in _columns(f"/{c}")]) for c in rarest]
    notes = _left_out(len(report.results.rare), "classes", "rarest")
    tables = [
        of_classes(report.summary, capitalised(head), [(name, metrics[place]) for name, metrics in rows], notes=notes)
        for place, (head, _) in enumerate(_columns(""))
    ]
    return tuple(table for table in tables if table)


def _pairs(summary: Summary, report: Report) -> Table | None:
    rare, names = report.results.rare, report.results.class_names
    pairs = [(low, high) for low in rare for high in rare if low < high]
    columns = [
        (f"“{printable(names[low])}” and “{printable(names[high])}”", f"pairwise_auc/{low}-{high}")
        for low, high in pairs
    ]
    caption = "Pairs of two rare classes: AUC of their head"
    if len(pairs) <= MOST_ALONE:
        return of_metrics(summary, caption, columns)
    baseline = summary.arms[summary.baseline].metrics
    measured = [column for column in columns if column[1] in baseline]
    hardest = sorted(measured, key=lambda column: baseline[column[1]].mean)[:MOST_ROWS]
    return of_classes(summary, caption, hardest, notes=_left_out(len(measured), "pairs", "hardest"))


def _left_out(count: int, what: str, kind: str) -> tuple[str, ...]:
    if count <= MOST_ROWS:
        return ()
    return (f"The {MOST_ROWS} {kind} of {count:,} {what}; results.csv has all, with classes by their number from 0.",)
