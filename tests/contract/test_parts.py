"""What every part of an arm is: its own settings, which are found by name and written down."""

from collections.abc import Callable
from typing import Any

import pytest

from ganbalance import arms, registry
from ganbalance.arms import Filter, Method, Objective, filters, methods, objectives
from ganbalance.errors import ConfigError
from ganbalance.frozen import Frozen, dump, parse

KINDS = (
    ("filter", filters, arms.image_filter, Filter),
    ("method", methods, arms.method, Method),
    ("objective", objectives, arms.objective, Objective),
)
EVERY_PART = [(kind, name, find, base) for kind, package, find, base in KINDS for name in registry.names(package)]


@pytest.mark.parametrize(("kind", "name", "find", "base"), EVERY_PART)
def test_settings_survive_being_written_down_and_unknown_ones_are_refused_by_name(
    kind: str, name: str, find: Callable[[Any], Frozen], base: type
) -> None:
    part = find(name)
    assert isinstance(part, base)
    assert parse(type(part), dump(part), where="a file") == part
    assert find({"name": name, **dump(part)}) == part
    with pytest.raises(ConfigError, match=f"{kind} {name}: unknown key 'nonsense'"):
        find({"name": name, "nonsense": 1})
