"""Backbones: frozen networks, one file each, found by file name."""

import sys

from ganbalance import registry
from ganbalance.models.backbones.base import Backbone


def names() -> list[str]:
    """The backbones there are."""
    return registry.names(sys.modules[__name__])


def find(name: str) -> Backbone:
    """The backbone of that name. Raises ConfigError naming the ones there are."""
    return registry.load(sys.modules[__name__], name, Backbone)()  # type: ignore[type-abstract]
