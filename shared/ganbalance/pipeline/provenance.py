"""Describe where and with what something was made. Recorded beside results, never part of a key or a digest."""

import functools
import os
import platform
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

PACKAGES = ("ganbalance", "torch", "torchvision", "timm", "numpy", "scikit-learn", "scipy")


@functools.cache
def here() -> dict[str, Any]:
    """Describe this process: machine, versions and the commit of the code."""
    torch = sys.modules.get("torch")  # a process that has not loaded it uses no GPU
    return {
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "accelerator": torch.cuda.get_device_name() if torch and torch.cuda.is_available() else None,
        "versions": {name: found.version for name in PACKAGES for found in [*distributions(name=name)][:1]},
        "git_commit": os.environ.get("GANBALANCE_COMMIT") or _git_commit(),
    }


def allocations() -> int:
    """Count how often this process has allocated memory of an accelerator: it computes there where this grows."""
    torch = sys.modules.get("torch")
    counted = torch.cuda.memory_stats() if torch and torch.cuda.is_initialized() else {}
    return int(counted.get("allocation.all.allocated", 0))


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def _git_commit() -> str | None:
    """Ask git for the commit of the checkout this file lies in, with a + when files were changed since."""
    describe = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--abbrev=12", "--dirty=+"]
    try:
        done = subprocess.run(describe, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None
