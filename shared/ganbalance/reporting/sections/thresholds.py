"""Tell a moved threshold from better ranking: balanced accuracy under each decision rule."""

from collections.abc import Iterator

from ganbalance.reporting.formats import BALANCED_AS_TRAINED, BALANCED_FAIR, cell, change
from ganbalance.reporting.layout import Entry, Report, Section
from ganbalance.reporting.tables import of_arms


def sections(report: Report) -> Iterator[Section]:
    """Show values, differences, and what of them is threshold alone."""
    summary = report.summary
    measured = {metric for found in summary.arms.values() for metric in found.metrics}
    rules = [rule for rule in (BALANCED_AS_TRAINED, BALANCED_FAIR) if rule in measured]
    heads = {BALANCED_AS_TRAINED: "as trained", BALANCED_FAIR: "fair"}

    def row(arm: str) -> tuple[Entry, ...]:
        found = summary.arms[arm]
        values = [cell(found.metrics.get(rule)) for rule in rules]
        changes = [cell(change(summary, arm, rule), signed=True) for rule in rules]
        return (*values, *changes, *([cell(found.moved, signed=True)] if BALANCED_FAIR in rules else []))

    against = summary.baseline
    moved = ("threshold moved: as trained minus fair",) if BALANCED_FAIR in rules else ()
    head = ("arm", *(heads[rule] for rule in rules), *(f"Δ to {against}, {heads[rule]}" for rule in rules), *moved)
    notes = (
        "What an arm gains as trained and not with the fair threshold is a moved threshold; what it gains with both is "
        "ranking.",
    )
    yield Section(
        title="Threshold or ranking?",
        text=(
            "As trained: the decision that the classifier makes as it is (0.5; of more than two classes the largest "
            "probability). Fair: one scale and one offset per class, fitted for every arm in the same way on real "
            "held-out images with all classes weighted equally.",
        ),
        tables=(of_arms(summary, "Balanced accuracy by decision rule", head, row, notes=notes if moved else ()),),
    )
