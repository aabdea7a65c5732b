"""Show metrics at the class shares of deployment; a balanced test set makes them look better."""

from collections.abc import Iterator

from ganbalance.metrics.scores import PAIR
from ganbalance.reporting.formats import capitalised, metric_name, quoted, some
from ganbalance.reporting.layout import Report, Section
from ganbalance.reporting.tables import of_metrics

RULES = (("as trained", "as-trained"), ("deployment", "deployment"))


def sections(report: Report) -> Iterator[Section]:
    """Show average precision, precision and F1 by rule, and what one gets at fixed levels."""
    summary = report.summary
    decided = [
        (f"{head}, {rule_head}", f"deployed_{metric}@{rule}")
        for rule_head, rule in RULES
        for head, metric in (("Precision", "precision"), ("F1", "f1"))
    ]
    levels = summary.levels
    fixed = [f"recall_at_precision_{level:g}" for level in levels.precision]
    fixed += [f"precision_at_recall_{level:g}" for level in levels.recall]
    many = len(report.results.class_names) > PAIR
    averaged = ("Average precision is the mean over the rare classes, precision and F1 over all.",) if many else ()
    tables = (
        of_metrics(
            summary,
            "Average precision, precision and F1",
            [("Average precision", "deployed_average_precision"), *decided],
            notes=averaged,
        ),
        of_metrics(
            summary,
            "At a fixed precision or recall",
            [(capitalised(metric_name(name)), name) for name in fixed],
            notes=(
                "Recall at the threshold with at least that precision, and the other way round; read off the test "
                "images, so the threshold itself would have to be found on others.",
            ),
        ),
    )
    yield Section(
        title="At the class shares of deployment",
        text=(
            "The test images are weighted so that the class shares are those of the imbalanced data: "
            f"{_shares(report)}. The rule “deployment” is the fair one with the offset of these shares.",
        ),
        tables=tuple(table for table in tables if table),
    )


def _shares(report: Report) -> str:
    prior = zip(report.results.class_names, report.results.prior, strict=True)
    return ", ".join(some([f"{quoted(name)} {100 * share:.2g} %" for name, share in prior]))
