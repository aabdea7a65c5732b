"""Show what limits the intervals: the variance components of each difference, and what would have been called."""

from collections.abc import Iterator

from ganbalance.reporting.formats import NOTHING, number, percent, primary_name, tested_units, variance_shares
from ganbalance.reporting.layout import Entry, Report, Section
from ganbalance.reporting.tables import of_arms
from ganbalance.reporting.wording import would_shrink


def sections(report: Report) -> Iterator[Section]:
    """Show one table of every arm that was judged; no section where none was."""
    summary = report.summary

    def row(arm: str) -> tuple[Entry, ...] | None:
        found = summary.arms[arm]
        effect = found.detectable
        if not effect:
            return None
        shares = variance_shares(found.components)
        shown = [percent(shares[part]) if shares else NOTHING for part in ("seeds", "images", "interaction")]
        called = Entry(f"{number(effect.low)} to {number(effect.high)}")
        return (*map(Entry, shown), called, Entry(would_shrink(shares, tested_units(summary))))

    head = ("arm", "seeds", tested_units(summary), "interaction", "difference that would be called", "narrower with")
    table = of_arms(summary, f"Variance of the difference in {primary_name(summary)}", head, row)
    if not table.groups:
        return
    of_folds = (
        "With folds the seeds’ part is enlarged, since seeds share most of the images that they learn from: more seeds "
        "shrink it to a floor, more images shrink all of it."
    )
    yield Section(
        title="What limits the intervals",
        text=(
            "Seeds: the draw of the kept images, the GAN’s randomness and the choices made from them; more seeds "
            "shrink it. Test images: which of them happen to be there, the same for every seed; only more test images "
            "shrink it. Interaction: some test images suit some seeds; either shrinks it.",
            "A difference that would be called: the true difference that four in five such runs would call, after "
            "adjustment in its family. It is a range, since a run knows its own variance badly.",
            *([of_folds] if summary.dataset.folds else []),
        ),
        tables=(table,),
    )
