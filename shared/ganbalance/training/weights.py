"""Weights as safetensors files: names, shapes and numbers, nothing that could run."""

from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor


def save(path: Path, state: Mapping[str, Tensor]) -> None:
    """Write a state dict; memory layouts such as channels-last are not kept."""
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}, path)


def load(path: Path) -> dict[str, Tensor]:
    """Read what `save` wrote, onto the CPU."""
    return load_file(path)
