"""Pictures for tests that read files: each is of its own."""

from pathlib import Path

import numpy as np
from PIL import Image


def painted(path: Path, *, seed: int = 0, size: tuple[int, int] = (24, 24), mode: str = "L") -> Path:
    """A file with random blocks in it or, where its name is not that of a picture, a few words."""
    if path.suffix != ".png":
        path.write_text("no picture")
        return path
    blocks = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    Image.fromarray(blocks).resize(size, Image.Resampling.NEAREST).convert(mode).save(path)
    return path
