"""Show the data: images per class before and after the imbalance."""

from collections.abc import Iterator

from ganbalance.printing import printable
from ganbalance.reporting import figures
from ganbalance.reporting.formats import quoted
from ganbalance.reporting.layout import Entry, Group, Item, Picture, Report, Section, Table
from ganbalance.reporting.lettering import lettering
from ganbalance.reporting.plotting import picture
from ganbalance.reporting.summary import Dataset

COUNTED = ("before", "after", "train", "validation", "tuning", "tested")


def sections(report: Report) -> Iterator[Section]:
    """Show the counts as a figure and as a table, folded where it is long, and the data card of images of one's own."""
    data = report.summary.dataset
    head = ["class", "before", "kept", "trained on", "validation", "removed, for tuning", "test"]
    counted = [*COUNTED]
    if data.tested_groups:
        head.append("test groups")
        counted.append("tested_groups")
    rows = [
        (Entry(printable(name)), *(Entry(f"{getattr(data, part)[name]:,}") for part in counted))
        for name in data.classes
    ]
    tables = (Table("Images per class", tuple(head), (Group("", tuple(rows)),)),)
    pictures, card = (_picture(data),), report.results.card
    items = () if card is None else tuple(Item(*row) for row in card.divided(report.question.experiment.folds).rows())
    if len(rows) <= figures.MOST_NAMED:
        yield Section(title="Data", tables=tables, figures=pictures, items=items, measured=False)
    else:
        every = Section(title="Every class", tables=tables, folded=True, measured=False)
        yield Section(title="Data", figures=pictures, items=items, sections=(every,), measured=False)


def _picture(data: Dataset) -> Picture:
    names, before, after = data.classes, list(data.before.values()), list(data.after.values())
    counts = [f"{quoted(name)} {data.before[name]} before and {data.after[name]} after" for name in names]
    if len(names) > figures.MANY_CLASSES:
        counts = [f"{min(one)} to {max(one)} {when}" for when, one in (("before", before), ("after", after))]
    ranked = len(names) > figures.MOST_NAMED
    how = ", its classes in the order of what is left of them" if ranked else ""
    return picture(
        figures.class_counts(names, before, after),
        "class-counts.png",
        f"Training images per class: {', '.join(counts)}.",
        f"Training images per class, before and after the imbalance{how}.{'' if ranked else lettering(names).legend}",
    )
