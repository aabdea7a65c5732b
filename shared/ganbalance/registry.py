"""Registration by being there: a file in a package is an entry, its name (with hyphens) is the entry's name."""

import importlib
import pkgutil
from collections.abc import Mapping
from types import ModuleType
from typing import Any, TypeVar

from ganbalance.errors import ConfigError
from ganbalance.frozen import Frozen, parse

T = TypeVar("T")
F = TypeVar("F", bound=Frozen)


def names(package: ModuleType) -> list[str]:
    """List the entries of `package`, sorted; nothing is imported. A file named base.py is not an entry."""
    files = (module.name for module in pkgutil.iter_modules(package.__path__))
    return sorted(name.replace("_", "-") for name in files if name != "base")


def load(package: ModuleType, name: str, base: type[T]) -> type[T]:
    """Load the one class derived from `base` that the entry's file defines. Raises ConfigError for an unknown name."""
    what = package.__name__.rpartition(".")[2].removesuffix("s")
    if name not in names(package):
        raise ConfigError(f"there is no {what} {name!r}; choose among {', '.join(names(package))}")
    module = importlib.import_module(f"{package.__name__}.{name.replace('-', '_')}")
    defined = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, base) and value.__module__ == module.__name__
    ]
    if len(defined) != 1:
        raise TypeError(f"{module.__file__} defines {len(defined)} classes derived from {base.__name__}, not one")
    return defined[0]


def choose(package: ModuleType, choice: str | Mapping[str, Any], base: type[F]) -> F:
    """Choose an entry that is its own settings, by name or as {name: ..., setting: value}. Raises ConfigError."""
    settings = {"name": choice} if isinstance(choice, str) else dict(choice)
    name = settings.pop("name", None)
    what = package.__name__.rpartition(".")[2].removesuffix("s")
    if not isinstance(name, str):
        raise ConfigError(f"{what} = {choice!r}: it needs a name; choose among {', '.join(names(package))}")
    return parse(load(package, name, base), settings, where=f"{what} {name}")
