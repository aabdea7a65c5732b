"""One root seed, many independent streams.

A stream is named by its purpose ("split", "gan-noise", ...) and never by the arm that draws from it,
so arms of one seed differ only in what they do, not in their luck.
"""

import hashlib

import numpy as np


def derive(seed: int, *purpose: str | int) -> int:
    """Derive a 63-bit seed for the stream `purpose` of root `seed`; equal arguments give equal seeds."""
    name = "/".join(str(part) for part in (seed, *purpose))
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") >> 1


def numpy_rng(seed: int, *purpose: str | int) -> np.random.Generator:
    """Make NumPy's generator for the stream `purpose` of root `seed`."""
    return np.random.default_rng(derive(seed, *purpose))
