"""Where the arithmetic runs, and that it runs the same way twice."""

import os

import torch

from ganbalance.config import GPUS
from ganbalance.errors import ConfigError

CHOICES = ("auto", "cpu", "cuda")


def resolve(choice: str) -> torch.device:
    """Choose the device for "auto", "cpu" or "cuda", made deterministic.

    "auto" is cuda where there is one, and where the container asks for one. Raises ConfigError where cuda is not there.
    """
    deterministic()
    if choice not in CHOICES:
        raise ConfigError(f"device = {choice!r}: must be one of {', '.join(CHOICES)}")
    if choice != "cpu" and torch.cuda.is_available():
        return torch.device("cuda")
    is_asked = os.environ.get(GPUS, "0") != "0"
    if choice == "cuda" or (choice == "auto" and is_asked):
        raise ConfigError(f"device = {choice!r}{' in a container that asks for a GPU' * is_asked}: {_why_no_cuda()}")
    return torch.device("cpu")


def _why_no_cuda() -> str:
    """Say why torch sees no CUDA device, and what to do."""
    try:
        torch.cuda.init()  # type: ignore[no-untyped-call]
        why = "none is visible"
    except (AssertionError, RuntimeError) as error:
        why = " ".join(str(error).split()).partition(". Please")[0]  # which advises to install things
    if torch.version.cuda is None:
        fix = "take the image with CUDA (make images DEVICE=cuda)"
    else:
        fix = f"it takes a GPU and a driver for CUDA {torch.version.cuda}"
    return f"torch sees no CUDA device: {why}; {fix}, or set resources.device to cpu"


def deterministic() -> None:
    """Make torch use deterministic algorithms only, in this whole process."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS refuses to be deterministic without it
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
    # a debugging aid that comes with the switch above: it writes NaN into every new tensor, which costs time
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
