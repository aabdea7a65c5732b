"""Show the data: images per class before and after the imbalance."""

from collections.abc import Iterator

from ganbalance.reporting import figures
from ganbalance.reporting.layout import Entry, Group, Item, Report, Section, Table
from ganbalance.reporting.plotting import picture

COUNTED = ("before", "after", "train", "validation", "tuning", "tested")


def sections(report: Report) -> Iterator[Section]:
    """The counts as a figure and as a table, and the data card of images of one's own."""
    data = report.summary.dataset
    names = data.classes
    counts = ", ".join(f"{name} {data.before[name]} before and {data.after[name]} after" for name in names)
    head = ["class", "before", "kept", "trained on", "validation", "removed, for tuning", "test"]
    counted = [*COUNTED]
    if data.tested_groups:
        head.append("test groups")
        counted.append("tested_groups")
    rows = [(Entry(name), *(Entry(f"{getattr(data, part)[name]:,}") for part in counted)) for name in names]
    table = Table("Images per class", tuple(head), (Group("", tuple(rows)),))
    shown = picture(
        figures.class_counts(names, list(data.before.values()), list(data.after.values())),
        "class-counts.png",
        f"Training images per class: {counts}.",
        "Training images per class, before and after the imbalance.",
    )
    card = report.results.card
    items = () if card is None else tuple(Item(term, text) for term, text in card.rows())
    yield Section(title="Data", tables=(table,), figures=(shown,), items=items, measured=False)
