"""Folders of pictures for tests that read files: each picture is of its own."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ganbalance import config
from ganbalance.data.datasets import open_dataset

Counted = dict[str, tuple[int, int]]  # class -> images to train on, images to test on


def painted(path: Path, *, seed: int = 0, size: tuple[int, int] = (24, 24), mode: str = "L") -> Path:
    """A file with random blocks in it or, where its name is not that of a picture, a few words."""
    if path.suffix != ".png":
        path.write_text("no picture")
        return path
    blocks = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    Image.fromarray(blocks).resize(size, Image.Resampling.NEAREST).convert(mode).save(path)
    return path


def own(path: Path | tuple[Path, ...], **settings: Any) -> Any:
    places = tuple(map(str, path)) if isinstance(path, tuple) else str(path)
    return open_dataset(config.OwnImages(name="folder", path=places, side_px=8, **settings))


def tree(root: Path, *names: str) -> Path:
    """Files below a folder: pictures, each of its own, where a name ends in .png; "12*cat/.png" are twelve of them."""
    for name in names:
        count, _, pattern = name.partition("*") if "*" in name else ("1", "", name)
        for number in range(int(count)):
            path = root / (pattern.replace(".png", f"{number}.png") if "*" in name else pattern)
            path.parent.mkdir(parents=True, exist_ok=True)
            painted(path, seed=hash_of(path.relative_to(root)))
    return root


def hash_of(name: Path) -> int:
    return sum(ord(letter) * 31**place for place, letter in enumerate(str(name))) % 2**32


def counted(path: Path | tuple[Path, ...], **settings: Any) -> Counted:
    card = own(path, **settings).card()
    return {one.name: (one.train, one.test) for one in card.classes}
