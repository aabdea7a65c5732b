"""The base of every configuration class: frozen, strict, and loud about what it does not know."""

import json
from collections.abc import Mapping
from typing import Any, TypeVar

import pydantic

from ganbalance.errors import ConfigError

M = TypeVar("M", bound="Frozen")


class Frozen(pydantic.BaseModel):
    """An immutable settings class: unknown keys, wrong types and impossible values are errors."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


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
    """The plain JSON-ready data that `parse` turns back into an equal `model`."""
    return model.model_dump(mode="json")


def _sentence(model: type[pydantic.BaseModel], detail: Any) -> str:
    key = ".".join(str(part) for part in detail["loc"]) or model.__name__
    if detail["type"] == "extra_forbidden":
        allowed = ", ".join(_fields_beside(model, detail["loc"]))
        return f"unknown key '{key}'" + (f" (allowed: {allowed})" if allowed else "")
    rule: str = detail["msg"].removeprefix("Value error, ")
    rule = rule[:1].lower() + rule[1:]
    if detail["type"] == "missing":
        return f"key '{key}' is missing: it is required"
    if detail["type"] == "value_error" and not detail["loc"]:
        return rule
    return f"{key} = {detail['input']!r}: {rule}"


def _fields_beside(model: type[pydantic.BaseModel], location: tuple[str | int, ...]) -> list[str]:
    """The keys that are allowed where `location` points, as far as the schema tells."""
    owner: Any = model
    for part in location[:-1]:
        field = getattr(owner, "model_fields", {}).get(part)
        owner = field.annotation if field else None
    return sorted(getattr(owner, "model_fields", {}))
