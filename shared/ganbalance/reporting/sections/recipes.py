"""What an arm does whose name does not say it."""

from collections.abc import Iterator

import yaml

from ganbalance.config import Recipe
from ganbalance.reporting.formats import arm_name
from ganbalance.reporting.layout import Item, Report, Section


def sections(report: Report) -> Iterator[Section]:
    """The parts of every recipe that the experiment spells out."""
    spelled = [recipe for recipe in report.question.experiment.arms if recipe.model_fields_set > {"name"}]
    if spelled:
        items = tuple(Item(arm_name(recipe.name), _parts(recipe)) for recipe in spelled)
        yield Section(title="What the arms are made of", items=items, measured=False)


def _parts(recipe: Recipe) -> str:
    """As in the experiment file, on one line."""
    parts = {
        part: said for part, said in recipe.model_dump(mode="json", exclude_defaults=True).items() if part != "name"
    }
    return yaml.safe_dump(parts, default_flow_style=True, sort_keys=False, width=1000).strip()[1:-1]
