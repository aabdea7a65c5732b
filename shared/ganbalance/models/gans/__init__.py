"""GANs: one file each, found by file name: `wgan_gp.py` is "wgan-gp"."""

import copy
import sys

from ganbalance import registry
from ganbalance.models.base import Gan, ImageSpec
from ganbalance.models.lazy import torch
from ganbalance.seeding import derive


def names() -> list[str]:
    """List the GANs there are."""
    return registry.names(sys.modules[__name__])


def load(name: str) -> type[Gan]:
    """Load the class of a GAN. Raises ConfigError naming the ones there are."""
    return registry.load(sys.modules[__name__], name, Gan)  # type: ignore[type-abstract]


def build(name: str, config: Gan.Config, spec: ImageSpec, seed: int) -> Gan:
    """Build the GAN `name`, its initial weights drawn from `seed` alone; the global RNG is left as it was."""
    kind = load(name)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(derive(seed, "gan-init"))
        gan = kind(config, spec)
    if config.ema is not None:
        gan.average = copy.deepcopy(gan.G).requires_grad_(requires_grad=False)
    return gan
