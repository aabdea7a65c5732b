"""Show each rare class by itself, where there are more than two classes and averages hide it."""

from collections.abc import Iterator

from ganbalance.metrics.scores import PAIR
from ganbalance.reporting.formats import capitalised, listed, metric_name
from ganbalance.reporting.layout import Report, Section, Table
from ganbalance.reporting.summary import Summary
from ganbalance.reporting.tables import of_metrics

DECIDED = ("recall", "precision", "f1")
RULES = ("as-trained", "fair")
RANKED = (("AUC, one-vs-rest", "auc"), ("pairwise AUC", "pairwise_auc"))


def sections(report: Report) -> Iterator[Section]:
    """Macro means, a table for each rare class, and the pairs of two rare ones; nothing for two classes."""
    summary, names = report.summary, report.results.class_names
    if len(names) == PAIR:
        return
    macro = _table(summary, "Means over all classes")
    tables = [_table(summary, f"“{names[c]}” alone", f"/{c}") for c in report.results.rare]
    yield Section(
        title="Each rare class",
        text=(
            f"Rare: {listed([f'“{names[c]}”' for c in report.results.rare])}. AUC: the class against the rest, "
            "by the probabilities as trained, which a shift of other classes changes too; it decides nothing. Pairwise "
            "AUC: the mean over two-class heads of the class and every other one, on which verdicts rest.",
        ),
        tables=tuple(table for table in (macro, *tables, _pairs(summary, report)) if table),
    )


def _table(summary: Summary, caption: str, of: str = "") -> Table | None:
    """What is said of all classes, or of one: `of` is then what its metrics add to a name."""
    decided = [(f"{metric}@{rule}", f"{metric}{of}@{rule}") for rule in RULES for metric in DECIDED]
    heads = [(capitalised(metric_name(head)), name) for head, name in decided]
    return of_metrics(summary, caption, [*heads, *((head, f"{metric}{of}") for head, metric in RANKED)])


def _pairs(summary: Summary, report: Report) -> Table | None:
    rare, names = report.results.rare, report.results.class_names
    pairs = [(low, high) for low in rare for high in rare if low < high]
    columns = [(f"“{names[low]}” and “{names[high]}”", f"pairwise_auc/{low}-{high}") for low, high in pairs]
    return of_metrics(summary, "Pairs of two rare classes: AUC of their head", columns)
