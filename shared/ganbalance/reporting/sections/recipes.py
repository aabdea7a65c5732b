"""What an arm does whose name does not say it."""

from collections.abc import Iterator
from typing import Any

import yaml

from ganbalance.reporting.formats import arm_name
from ganbalance.reporting.layout import Item, Report, Section


def sections(report: Report) -> Iterator[Section]:
    """List the parts of every recipe that the experiment spells out."""
    dumped = [recipe.model_dump(mode="json", exclude_defaults=True) for recipe in report.question.experiment.arms]
    spelled = [parts for parts in dumped if isinstance(parts, dict)]
    if spelled:
        items = tuple(Item(arm_name(parts.pop("name")), _line(parts)) for parts in spelled)
        yield Section(title="What the arms are made of", items=items, measured=False)


def _line(parts: dict[str, Any]) -> str:
    """Write as in the experiment file, on one line."""
    return yaml.safe_dump(parts, default_flow_style=True, sort_keys=False, width=1000).strip()[1:-1]
