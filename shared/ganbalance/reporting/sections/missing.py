"""Missing results: what is not there, and why."""

from collections.abc import Iterator

from ganbalance.reporting.layout import Entry, Group, Report, Section, Table


def sections(report: Report) -> Iterator[Section]:
    """Nothing where nothing is missing."""
    holes = report.summary["holes"]
    if not holes:
        return
    rows = tuple(tuple(Entry(hole[key]) for key in ("what", "kind", "because")) for hole in holes)
    table = Table("What is missing or diverged", ("result", "kind", "reason"), (Group("", rows),))
    yield Section(title="Missing results", tables=(table,))
