"""The base of every configuration class: frozen, strict, and loud about what it does not know."""

import json
from collections.abc import Mapping
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

import pydantic

from ganbalance.errors import ConfigError
from ganbalance.printing import printable

M = TypeVar("M", bound="Frozen")


class Frozen(pydantic.BaseModel):
    """An immutable settings class: unknown keys, wrong types and impossible values are errors."""

    # built when first used: most commands use few of them
    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, defer_build=True)


def by_kind(default: str) -> pydantic.Discriminator:
    """Choose among classes by their `kind`, which is `default` where nothing is said."""

    def kind(given: Any) -> Any:
        return given.get("kind", default) if isinstance(given, dict) else getattr(given, "kind", None)

    return pydantic.Discriminator(kind)


def parse(model: type[M], given: Mapping[str, Any], *, where: str) -> M:
    """Build `model` from plain `given` data (as YAML or JSON gives it).

    Raises ConfigError with one line that names every offending key, the value given and the rule;
    `where` says which file or section the data came from.
    """
    try:
        # by way of JSON: there, and only there, a strict model takes a list for a tuple
        return model.model_validate_json(json.dumps(given, default=str))
    except pydantic.ValidationError as error:
        problems = "; ".join(_sentence(model, detail) for detail in error.errors(include_url=False))
        raise ConfigError(f"{where}: {problems}") from error


def dump(model: Frozen) -> dict[str, Any]:
    """Return the plain JSON-ready data that `parse` turns back into an equal `model`."""
    return model.model_dump(mode="json")


def _sentence(model: type[pydantic.BaseModel], detail: Any) -> str:
    path, owner = _resolve(model, detail["loc"])
    key = printable(".".join(path)) or model.__name__
    if detail["type"] == "extra_forbidden":
        allowed = ", ".join(sorted(getattr(owner, "model_fields", {})))
        return f"unknown key '{key}'" + (f" (allowed: {allowed})" if allowed else "")
    rule: str = detail["msg"].removeprefix("Value error, ")
    rule = rule[:1].lower() + rule[1:]
    if detail["type"] == "missing":
        return f"key '{key}' is missing: it is required"
    if detail["type"] == "union_tag_invalid":
        rule = f"its kind is one of {detail['ctx']['expected_tags']}"
    if detail["type"] == "value_error" and not detail["loc"]:
        return rule
    return f"{key} = {detail['input']!r}: {rule}"


def _resolve(model: type[pydantic.BaseModel], location: tuple[str | int, ...]) -> tuple[list[str], Any]:
    """Find where pydantic's `location` is in the file, without the tags of unions, and the class its end belongs to."""
    path: list[str] = []
    holder: Any = None
    owner: Any = model
    for part in location:
        members = _members(owner)
        tagged = [member for member in members if part in _tags(member)]
        if len(members) > 1 and tagged:
            owner = tagged[0]
            continue
        holder = members[0] if len(members) == 1 else owner
        fields = getattr(holder, "model_fields", None)
        if fields is None:
            owner = next((one for one in reversed(get_args(owner)) if one is not ...), None)  # of a tuple or a mapping
        else:
            owner = fields[part].annotation if part in fields else None
        path.append(str(part))
    return path, holder


def _members(annotation: Any) -> list[type[pydantic.BaseModel]]:
    """List the models that an annotation chooses among."""
    if isinstance(annotation, type) and issubclass(annotation, pydantic.BaseModel):
        return [annotation]
    if get_origin(annotation) in (Union, UnionType, Annotated):
        return [member for one in get_args(annotation) for member in _members(one)]
    return []


def _tags(member: type[pydantic.BaseModel]) -> set[Any]:
    """Collect the values that tell a member of a union from the others."""
    return {tag for field in member.model_fields.values() for tag in get_args(field.annotation)}
