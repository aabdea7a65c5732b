"""The registry of GANs: one file here is one GAN, and its name is the file's with hyphens.

Listing the names imports none of the files, and no torch.
"""

import importlib
import pkgutil
from typing import TYPE_CHECKING

from ganbalance.errors import ConfigError
from ganbalance.seeding import derive

if TYPE_CHECKING:
    from ganbalance.models.base import Gan


def names() -> list[str]:
    """The names of all GANs, sorted: `wgan_gp.py` is "wgan-gp"."""
    return sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(__path__))


def load(name: str) -> "type[Gan]":
    """The GAN class called `name`; ConfigError when there is none."""
    if name not in names():
        raise ConfigError(f"unknown GAN '{name}' (known: {', '.join(names())})")
    from ganbalance.models.base import Gan

    module = importlib.import_module(f"{__name__}.{name.replace('-', '_')}")
    owned = [kind for kind in vars(module).values() if isinstance(kind, type) and kind.__module__ == module.__name__]
    gans = [kind for kind in owned if issubclass(kind, Gan)]
    if len(gans) != 1:
        raise TypeError(f"{module.__file__} must define exactly one Gan, it defines {len(gans)}")
    return gans[0]


def build(name: str, config: "Gan.Config", channels: int, seed: int) -> "Gan":
    """The GAN `name` with its initial weights drawn from `seed` alone; the global RNG is left as it was."""
    import torch

    kind = load(name)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(derive(seed, "gan-init"))
        return kind(config, channels)
