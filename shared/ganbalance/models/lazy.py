"""torch and its kind, each loaded when something of it is first used.

A plan reads a GAN's settings and a backbone's hash, and loading torch would be nearly all of its work. Files of
`models/` therefore take `torch`, `nn`, `F` and the types from here instead of from torch. Two things load it at once
and do not belong at their top level: a class derived from `nn.Module`, which goes into the function that builds with
it, and annotations that are evaluated, hence `from __future__ import annotations` (0021).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__all__ = ["F", "Generator", "Tensor", "nn", "timm", "torch", "torchvision"]

if TYPE_CHECKING:
    import timm
    import torch
    import torch.nn.functional as F
    import torchvision
    from torch import Generator, Tensor, nn
else:

    class _Lazy:
        def __init__(self, module: str) -> None:
            self._module = module

        def __getattr__(self, name: str) -> Any:
            return getattr(import_module(self._module), name)

    timm, torch, torchvision = _Lazy("timm"), _Lazy("torch"), _Lazy("torchvision")
    nn, F = _Lazy("torch.nn"), _Lazy("torch.nn.functional")
    Generator = Tensor = Any  # for annotations alone
