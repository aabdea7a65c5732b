"""List the missing results, and why they are missing."""

from collections.abc import Iterator

from ganbalance.reporting.layout import Entry, Group, Report, Section, Table


def sections(report: Report) -> Iterator[Section]:
    """Show one table; no section where nothing is missing."""
    missing = report.summary.missing_results
    if not missing:
        return
    rows = tuple(tuple(map(Entry, (one.what, one.kind, one.because))) for one in missing)
    table = Table("What is missing or diverged", ("result", "kind", "reason"), (Group("", rows),))
    yield Section(title="Missing results", tables=(table,))
