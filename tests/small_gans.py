"""Every GAN with every width cut down, for tests: each as it is, and each that can be conditional so as well."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ganbalance.frozen import dump, parse
from ganbalance.models import gans
from ganbalance.models.base import Gan, ImageSpec

GREY = ImageSpec(1)
CLASSES = 3


def _cases() -> list[str]:
    choices = [name for name in gans.names() if "projection" in gans.load(name).Config.model_fields]
    return gans.names() + [f"{name} projection" for name in choices]


CASES = _cases()


def tiny(case: str, spec: ImageSpec = GREY, **changes: Any) -> Gan.Config:
    """The defaults of a case for such images, with every width cut down and two epochs of batches of six."""
    name, *options = case.split()
    kind = gans.load(name).Config
    given = dump(kind().at(spec)) | {"latent": 5, "epochs": 2, "steps": None, "batch_size": 6}
    given |= dict.fromkeys(options, True)
    for key, value in given.items():
        if key.endswith("widths"):
            given[key] = [8 for _ in value]
        elif key.endswith("width"):
            given[key] = 8
    return parse(kind, given | changes, where="tiny")


def built(case: str, spec: ImageSpec = GREY, seed: int = 0, **changes: Any) -> Gan:
    """The small GAN of a case; a conditional one tells three classes apart."""
    config = tiny(case, spec, **changes)
    spec = replace(spec, classes=CLASSES if config.conditional else None)
    return gans.build(case.split(maxsplit=1)[0], config, spec, seed)


def batch(spec: ImageSpec = GREY, n: int = 6) -> tuple[Tensor, Tensor]:
    """Images that hold nothing, with labels that differ."""
    size = (n, spec.channels, spec.side_px, spec.side_px)
    rng = torch.Generator().manual_seed(7)
    return torch.rand(size, generator=rng) * 2 - 1, torch.arange(n) % CLASSES
