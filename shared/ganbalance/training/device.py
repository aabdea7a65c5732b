"""Where the arithmetic runs, and that it runs the same way twice."""

import os

import torch

from ganbalance.errors import ConfigError

CHOICES = ("auto", "cpu", "cuda")


def resolve(choice: str) -> torch.device:
    """Choose the device for "auto", "cpu" or "cuda" ("auto" is cuda where there is one), made deterministic."""
    deterministic()
    if choice not in CHOICES:
        raise ConfigError(f"device = {choice!r}: must be one of {', '.join(CHOICES)}")
    if choice == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device = 'cuda': torch sees no CUDA device here; use 'auto' or 'cpu'")
    if choice == "auto":
        choice = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(choice)


def deterministic() -> None:
    """Make torch use deterministic algorithms only, in this whole process."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS refuses to be deterministic without it
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
    # a debugging aid that comes with the switch above: it writes NaN into every new tensor, which costs time
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
