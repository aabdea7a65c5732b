"""What a user's own images have in common, in a folder per class or in one .npz file.

    PATH/train/<class>/*.png and PATH/test/<class>/*.png, or PATH/<class>/*.png
    PATH.npz with images (N,H,W), (N,H,W,1) or (N,H,W,3) uint8 and labels (N,), and perhaps test_images, test_labels

Where there is no test part, `test_fraction` of every class is held back, the same for every seed: of its images, or,
where `groups` says which of them belong together, of its groups. Images are
brought to one side and one number of channels, so that real and synthetic ones take the same way; what is
transparent becomes black. Files and folders whose name starts with a dot are not looked at.
"""

from abc import abstractmethod
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from ganbalance import config
from ganbalance.data.datasets.base import Counts, Dataset, Grouped, Images
from ganbalance.data.holdout import held_count, hold_out
from ganbalance.errors import DataError

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"}
MODES = {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr"}  # Pillow clips any deeper one to 8 bits
GREY = 1
TEST_SPLIT_SEED = 0  # the test part belongs to the dataset: no seed of an experiment may move it


class OwnImages(Dataset):
    """What files in folders and arrays in a file have in common: a part to train on, and perhaps one to test on."""

    def __init__(self, settings: config.OwnImages) -> None:
        self._settings, self.side_px = settings, settings.side_px
        self._path = Path(settings.path).expanduser()

    def counts(self) -> Counts:
        labels, n_classes = np.concatenate(self._labels()), len(self.classes())
        return Counts(*(np.bincount(labels[rows], minlength=n_classes).tolist() for rows in self._sides))

    def grouped(self) -> Grouped | None:
        if self._groups is None:
            return None
        rows = np.concatenate(self._sides)
        return Grouped(np.concatenate(self._labels())[rows], self._groups[rows], len(self._sides[0]))

    def load(self) -> Images:
        images, labels = np.concatenate(self._images()), np.concatenate(self._labels())
        rows = np.concatenate(self._sides)
        of_rows = None if self._groups is None else self._groups[rows]
        return Images(images[rows], labels[rows], len(self._sides[0]), of_rows)

    @abstractmethod
    def _labels(self) -> list[NDArray[np.int64]]:
        """Of every image of each part, (N,); the properties below number images through all parts."""

    @abstractmethod
    def _images(self) -> list[NDArray[np.uint8]]:
        """Those of each part, uint8 (N, C, side, side)."""

    @abstractmethod
    def _group_names(self, settings: config.Groups) -> list[str]:
        """The group of every image."""

    @cached_property
    def _groups(self) -> NDArray[np.int64] | None:
        """The group of every image as a number, (N,). Raises DataError where one is in both parts."""
        if self._settings.groups is None:
            return None
        names, numbers = np.unique(self._group_names(self._settings.groups), return_inverse=True)
        n_train = len(self._labels()[0])
        if len(shared := np.intersect1d(numbers[:n_train], numbers[n_train:])):
            raise DataError(
                f"{self._path}: {len(shared)} groups have images in both the training and the test part (first: "
                f"{str(names[shared[0]])!r}); move the images of each to one of them, or put all into one part, of "
                "which dataset.test_fraction is then held back by group"
            )
        return numbers.astype(np.int64)

    @cached_property
    def _sides(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The images to train on and those to test on. Raises DataError for a class that has none of one of them."""
        (labels, *tested), numbers = self._labels(), self._groups
        if tested:
            return np.arange(len(labels)), len(labels) + np.arange(len(tested[0]))
        group_of = np.arange(len(labels)) if numbers is None else numbers
        fraction, rng = self._settings.test_fraction, np.random.default_rng(TEST_SPLIT_SEED)
        train, test = hold_out(labels, group_of, lambda count: held_count(count, fraction), rng)
        for label, name in enumerate(self.classes()):
            has = labels == label
            for use, rows in (("train", train), ("test", test)):
                if has.any() and not has[rows].any():
                    among = "" if numbers is None else f" in {len(np.unique(group_of[has]))} group(s)"
                    raise DataError(
                        f"{self._path}: class {name!r} has {has.sum()} image(s){among}, none left to {use} on after "
                        f"dataset.test_fraction = {fraction}; give the class more {'groups' if among else 'images'} "
                        "or change the fraction"
                    )
        return train, test


def image_files(folder: Path) -> list[Path]:
    """Every image file in a folder and those in it, by name."""
    images = (path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    return sorted(path for path in images if not hidden(path.relative_to(folder)))


def read_image(path: Path, side_px: int, channels: int) -> NDArray[np.uint8]:
    """One image file as uint8 (channels, side, side). Raises DataError where it is none."""
    return canonical(_open(path), side_px, channels)


def hidden(path: Path) -> bool:
    """Whether its name, or that of a folder it is in, starts with a dot."""
    return any(part.startswith(".") for part in path.parts)


def content_settings(settings: config.OwnImages) -> dict[str, float]:
    """What, besides the files, decides the pixels."""
    return {"side_px": settings.side_px, "channels": settings.channels, "test_fraction": settings.test_fraction}


def _open(path: Path) -> Image.Image:
    try:
        with Image.open(path) as image:
            image.load()
    except (OSError, UnidentifiedImageError) as error:
        raise DataError(f"{path} is not a readable image: {error}") from error
    if image.mode not in MODES:
        raise DataError(f"{path} is of mode {image.mode}, not one of {', '.join(sorted(MODES))}; convert it to 8 bits")
    return image


def canonical(image: Image.Image, side_px: int, channels: int) -> NDArray[np.uint8]:
    """One image as uint8 (channels, side, side)."""
    resampling = Image.Resampling.BOX if image.width > side_px else Image.Resampling.BILINEAR
    resized = _opaque(image).convert("L" if channels == GREY else "RGB").resize((side_px, side_px), resampling)
    return np.asarray(resized, np.uint8).reshape(side_px, side_px, channels).transpose(2, 0, 1)


def _opaque(image: Image.Image) -> Image.Image:
    """The image as it looks on black: the colours under transparent pixels are nobody's to see."""
    if not image.has_transparency_data:
        return image
    return Image.alpha_composite(Image.new("RGBA", image.size, "black"), image.convert("RGBA"))
