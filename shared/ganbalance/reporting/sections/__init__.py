"""The sections of a page, one file each: a function `sections` from a Report to its Sections, if any."""

import sys
from importlib import import_module

from ganbalance import registry
from ganbalance.reporting.layout import Report, Section

FIRST = (
    "answer", "cost", "thresholds", "metrics", "classes", "penalty", "doses", "variance", "calibration", "deployment",
    "gans", "quality",
    "recipes",
)  # fmt: skip
LAST = ("data", "classifier", "missing", "provenance")
"""Files that neither names come between them."""


def all_of(report: Report) -> tuple[Section, ...]:
    """Collect every section that has something to show."""
    others = [name for name in registry.names(sys.modules[__name__]) if name not in (*FIRST, *LAST)]
    made = [import_module(f"{__name__}.{name.replace('-', '_')}").sections(report) for name in (*FIRST, *others, *LAST)]
    return tuple(section for of_file in made for section in of_file)
