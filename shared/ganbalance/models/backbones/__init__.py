"""Backbones: networks from images to features, one file each, found by file name; or a library's, by its name there."""

import sys
from importlib.util import find_spec

from ganbalance import registry
from ganbalance.errors import ConfigError
from ganbalance.models.backbones.base import Backbone


def names() -> list[str]:
    """List the backbones that are known here."""
    return registry.names(sys.modules[__name__])


def find(name: str) -> Backbone:
    """Find the backbone of that name, also timm/NAME or torchvision/NAME. Raises ConfigError for an unknown one."""
    library, slash, model = name.partition("/")
    if slash:
        from ganbalance.models.libraries import LIBRARIES  # noqa: PLC0415 - it derives from what is defined here

        if library not in LIBRARIES:
            raise ConfigError(f"classifier.backbone = {name!r}: libraries are {', '.join(LIBRARIES)}")
        return LIBRARIES[library](model)
    return registry.load(sys.modules[__name__], name, Backbone)()  # type: ignore[type-abstract]


def published_sha256(name: str) -> str | None:
    """Return the hash of the weights that everybody uses; None where there are none, as of a library's."""
    return None if "/" in name else find(name).sha256


def check(name: str) -> None:
    """Raise ConfigError for a backbone that there is not; a library that is not installed here is not asked."""
    library, slash, _ = name.partition("/")
    if not slash or library not in ("timm", "torchvision") or find_spec(library):
        find(name)
