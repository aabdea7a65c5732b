"""Arms: the balancing methods that an experiment compares, each a recipe of independent parts.

A name alone stands for a recipe: that of `NAMED`, or one part, which is a method, an objective or a GAN of that name.
"""

from typing import Any

from ganbalance import registry
from ganbalance.arms import filters, methods, objectives
from ganbalance.arms.base import Candidates, Examples, Filter, Method, Objective
from ganbalance.config import Augmentation, Choice, Noise, Recipe, Synthetic
from ganbalance.errors import ConfigError
from ganbalance.frozen import Frozen
from ganbalance.models import gans

__all__ = ["Candidates", "Examples", "Filter", "Method", "Objective", "find", "method", "names", "objective", "resolve"]

NAMED: dict[str, dict[str, Any]] = {
    "none": {},
    "threshold": {"rescoring": "threshold"},
    "oracle": {"removed": "all"},
    "oracle-matched": {"removed": "matched"},
    "augment": {"synthetic": Synthetic(augment=Augmentation())},
    "copy-noise": {"synthetic": Synthetic(noise=Noise())},
}


def names() -> list[str]:
    """List the arms that a name alone stands for."""
    return sorted(_by_name())


def resolve(recipe: Recipe) -> Recipe:
    """Fill in every part that the recipe's name stands for. Raises ConfigError where a part is unknown."""
    known, parts = _by_name(), {key: getattr(recipe, key) for key in recipe.model_fields_set - {"name"}}
    if not parts and recipe.name not in known:
        raise ConfigError(
            f"there is no arm {recipe.name!r}; choose among {', '.join(names())}, or say what it is: "
            f"{{name: {recipe.name}, method: ...}}"
        )
    found = Recipe(name=recipe.name, **(parts or known[recipe.name]))
    if recipe.name in known and found != Recipe(name=recipe.name, **known[recipe.name]):
        raise ConfigError(f"arms: {recipe.name!r} is the name of another arm; give one with other parts another name")
    changed: dict[str, Any] = {
        "method": _plain(found.method, method(found.method)),
        "objective": _plain(found.objective, objective(found.objective)),
    }
    if found.synthetic and (kept := found.synthetic.filter):
        by = _plain(kept.by, image_filter(kept.by))
        changed["synthetic"] = found.synthetic.model_copy(update={"filter": kept.model_copy(update={"by": by})})
    return found.model_copy(update=changed)


def _plain(choice: Choice, entry: Frozen) -> Choice:
    """Leave out the settings that the entry has anyway: what is equal is spelled alike."""
    settings = entry.model_dump(mode="json", exclude_defaults=True)
    name = choice if isinstance(choice, str) else choice["name"]
    return {"name": name} | settings if settings else name


def method(choice: Choice) -> Method:
    """Choose an entry of `methods` with its settings. Raises ConfigError."""
    return registry.choose(methods, choice, Method)  # type: ignore[type-abstract]


def objective(choice: Choice) -> Objective:
    """Choose an entry of `objectives` with its settings. Raises ConfigError."""
    return registry.choose(objectives, choice, Objective)  # type: ignore[type-abstract]


def image_filter(choice: Choice) -> Filter:
    """Choose an entry of `filters` with its settings. Raises ConfigError."""
    return registry.choose(filters, choice, Filter)  # type: ignore[type-abstract]


def _by_name() -> dict[str, dict[str, Any]]:
    parts: dict[str, dict[str, Any]] = {name: {"synthetic": Synthetic(gan=name)} for name in gans.names()}
    parts |= {name: {"objective": name} for name in registry.names(objectives) if name != "cross-entropy"}
    parts |= {name: {"method": name} for name in registry.names(methods)}
    return parts | NAMED
