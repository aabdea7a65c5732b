"""Arms: the balancing methods that an experiment compares, one file each, found by file name.

A GAN's name is an arm too: the training rows of `none` with that GAN's images on top.
"""

import sys

from ganbalance import registry
from ganbalance.arms.base import Arm, TrainingSet
from ganbalance.errors import ConfigError
from ganbalance.models import gans

__all__ = ["Arm", "TrainingSet", "find", "gan_of", "names"]


def names() -> list[str]:
    """The arms that need no GAN."""
    return registry.names(sys.modules[__name__])


def gan_of(arm: str) -> str | None:
    """The GAN whose images the arm adds, if any."""
    return arm if arm in gans.names() else None


def find(arm: str) -> Arm:
    """The arm of that name. Raises ConfigError naming the ones there are."""
    if arm not in names() + gans.names():
        raise ConfigError(f"there is no arm {arm!r}; choose among {', '.join(names() + gans.names())}")
    file = "none" if gan_of(arm) else arm
    return registry.load(sys.modules[__name__], file, Arm)()  # type: ignore[type-abstract]
