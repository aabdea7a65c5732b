"""List the sections of a page in order, one file each: a function from a Report to its Sections, if any."""

from collections.abc import Callable, Iterable

from ganbalance.reporting.layout import Report, Section
from ganbalance.reporting.sections import (
    answer,
    calibration,
    classes,
    classifier,
    data,
    deployment,
    gans,
    metrics,
    missing,
    penalty,
    provenance,
    recipes,
    thresholds,
    variance,
)

ORDER: tuple[Callable[[Report], Iterable[Section]], ...] = (
    answer.sections,
    thresholds.sections,
    metrics.sections,
    classes.sections,
    penalty.sections,
    variance.sections,
    calibration.sections,
    deployment.sections,
    gans.sections,
    recipes.sections,
    data.sections,
    classifier.sections,
    missing.sections,
    provenance.sections,
)


def all_of(report: Report) -> tuple[Section, ...]:
    """Every section that has something to show."""
    return tuple(section for made in ORDER for section in made(report))
