"""A user's own images: a folder per class, or one .npz file.

    PATH/train/<class>/*.png and PATH/test/<class>/*.png, or PATH/<class>/*.png
    PATH.npz with images (N,H,W), (N,H,W,1) or (N,H,W,3) uint8 and labels (N,), and perhaps test_images, test_labels

Where there is no test part, `test_fraction` of every class is held back, the same for every seed. Images are
brought to one side and one number of channels, so that real and synthetic ones take the same way; what is
transparent becomes black. Files and folders whose name starts with a dot are not looked at.
"""

import zipfile
import zlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from ganbalance import config
from ganbalance.data.datasets.base import Counts, Images
from ganbalance.data.holdout import held_count, hold_out
from ganbalance.errors import DataError
from ganbalance.keys import digest, sha256_file

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"}
MODES = {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr"}  # Pillow clips any deeper one to 8 bits
GREY, COLOUR = 1, 3
NO_CHANNELS, CHANNELS_LAST = 3, 4  # dimensions of an array of images
TEST_SPLIT_SEED = 0  # the test part belongs to the dataset: no seed of an experiment may move it


class _OwnImages:
    """What files in folders and arrays in a file have in common."""

    def __init__(self, settings: config.OwnImages) -> None:
        self._settings = settings
        self._path = Path(settings.path).expanduser()

    @property
    def side_px(self) -> int:
        return self._settings.side_px


class FolderImages(_OwnImages):
    """Image files in one folder per class."""

    def classes(self) -> list[str]:
        return sorted(
            folder.name for folder in self._train.iterdir() if folder.is_dir() and not _hidden(Path(folder.name))
        )

    def fingerprint(self) -> str:
        files = {str(path.relative_to(self._path)): sha256_file(path) for path in image_files(self._path)}
        return digest({"files": files, "settings": _content_settings(self._settings)})

    def ensure(self) -> None:
        if len(self.classes()) < 2:  # noqa: PLR2004
            raise DataError(
                f"{self._train} has {len(self.classes())} class folders; put the images of each class in one"
            )

    def counts(self) -> Counts:
        train, test = (
            [len(image_files(part / name)) for name in self.classes()] for part in (self._train, self._path / "test")
        )
        return Counts(train, test) if (self._path / "test").is_dir() else _held_back(train, self._settings)

    def load(self) -> Images:
        train = self._read(self._train)
        if (self._path / "test").is_dir():
            return _joined(train, self._read(self._path / "test"))
        return _split(*train, self.classes(), self._settings)

    @cached_property
    def _train(self) -> Path:
        if not self._path.is_dir():
            raise DataError(f"dataset.path = {str(self._path)!r}: there is no such folder")
        return self._path / "train" if (self._path / "train").is_dir() else self._path

    def _read(self, folder: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        images, labels = [], []
        for label, name in enumerate(self.classes()):
            files = image_files(folder / name)
            if not files:
                raise DataError(f"{folder / name} holds no images ({', '.join(sorted(SUFFIXES))})")
            images += [read_image(path, self._settings.side_px, self._settings.channels) for path in files]
            labels += [label] * len(files)
        return np.stack(images), np.asarray(labels, np.int64)


class NpzImages(_OwnImages):
    """Arrays in an .npz file. Labels may be any integers; the classes are the distinct ones in order."""

    def classes(self) -> list[str]:
        return [str(label) for label in np.unique(self._labels("labels"))]

    def fingerprint(self) -> str:
        if not self._path.is_file():
            raise DataError(f"dataset.path = {str(self._path)!r}: there is no such file")
        return digest({"file": sha256_file(self._path), "settings": _content_settings(self._settings)})

    def ensure(self) -> None:
        if len(self.classes()) < 2:  # noqa: PLR2004
            raise DataError(f"{self._path} has one class only in 'labels': two are needed to tell apart")

    def counts(self) -> Counts:
        parts = ("labels", "test_labels") if "test_images" in self._names else ("labels",)
        train, *test = (np.bincount(self._indices(part), minlength=len(self.classes())).tolist() for part in parts)
        return Counts(train, test[0]) if test else _held_back(train, self._settings)

    def load(self) -> Images:
        train = self._part("images", "labels")
        if "test_images" in self._names:
            return _joined(train, self._part("test_images", "test_labels"))
        return _split(*train, self.classes(), self._settings)

    @cached_property
    def _names(self) -> list[str]:
        return list(self._arrays)

    @cached_property
    def _arrays(self) -> dict[str, NDArray[np.generic]]:
        try:
            file = np.load(self._path, allow_pickle=False)
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise DataError(f"{self._path} holds one bare array; save 'images' and 'labels' with np.savez")
            with file:
                return dict(file)
        except FileNotFoundError as error:
            raise DataError(f"dataset.path = {str(self._path)!r}: there is no such file") from error
        except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise DataError(f"{self._path} is not a readable .npz of plain arrays: {error}") from error

    def _array(self, name: str) -> NDArray[np.generic]:
        if name not in self._arrays:
            raise DataError(f"{self._path} has no array '{name}', only {', '.join(self._names) or 'nothing'}")
        return self._arrays[name]

    def _labels(self, name: str) -> NDArray[np.int64]:
        labels = self._array(name)
        if not np.issubdtype(labels.dtype, np.integer) or labels.ndim != 1:
            raise DataError(
                f"{self._path}: '{name}' is {labels.dtype} {labels.shape}; it must be integers of shape (N,)"
            )
        return labels.astype(np.int64)

    def _pixels(self, name: str, n_labels: int) -> NDArray[np.uint8]:
        """uint8 (N, H, W) or (N, H, W, 3)."""
        pixels: NDArray[Any] = self._array(name)
        shaped = pixels.ndim == NO_CHANNELS or (pixels.ndim == CHANNELS_LAST and pixels.shape[-1] in (GREY, COLOUR))
        if pixels.dtype != np.uint8 or not shaped or not pixels.size or len(pixels) != n_labels:
            raise DataError(
                f"{self._path}: '{name}' is {pixels.dtype} {pixels.shape} for {n_labels} labels; "
                "it must be uint8 of shape (N,H,W), (N,H,W,1) or (N,H,W,3) with one label each"
            )
        grey = pixels.ndim == CHANNELS_LAST and pixels.shape[-1] == GREY
        return pixels[..., 0] if grey else pixels

    def _part(self, images: str, labels: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        indices = self._indices(labels)
        pixels = self._pixels(images, len(indices))
        side_px, channels = self._settings.side_px, self._settings.channels
        return np.stack([_canonical(Image.fromarray(image), side_px, channels) for image in pixels]), indices

    def _indices(self, name: str) -> NDArray[np.int64]:
        """An array of labels as indices into `classes()`."""
        labels, classes = self._labels(name), np.unique(self._labels("labels"))
        if not np.isin(labels, classes).all():
            raise DataError(f"{self._path}: '{name}' holds classes that 'labels' does not")
        return np.searchsorted(classes, labels).astype(np.int64)


def image_files(folder: Path) -> list[Path]:
    """Every image file in a folder and those in it, by name."""
    images = (path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    return sorted(path for path in images if not _hidden(path.relative_to(folder)))


def read_image(path: Path, side_px: int, channels: int) -> NDArray[np.uint8]:
    """One image file as uint8 (channels, side, side). Raises DataError where it is none."""
    return _canonical(_open(path), side_px, channels)


def _held_back(counts: list[int], settings: config.OwnImages) -> Counts:
    """Of data without a test part."""
    test = [held_count(count, settings.test_fraction) for count in counts]
    return Counts([count - held for count, held in zip(counts, test, strict=True)], test)


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _content_settings(settings: config.OwnImages) -> dict[str, float]:
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


def _canonical(image: Image.Image, side_px: int, channels: int) -> NDArray[np.uint8]:
    """One image as uint8 (channels, side, side)."""
    resampling = Image.Resampling.BOX if image.width > side_px else Image.Resampling.BILINEAR
    resized = _opaque(image).convert("L" if channels == GREY else "RGB").resize((side_px, side_px), resampling)
    return np.asarray(resized, np.uint8).reshape(side_px, side_px, channels).transpose(2, 0, 1)


def _opaque(image: Image.Image) -> Image.Image:
    """The image as it looks on black: the colours under transparent pixels are nobody's to see."""
    if not image.has_transparency_data:
        return image
    return Image.alpha_composite(Image.new("RGBA", image.size, "black"), image.convert("RGBA"))


def _joined(
    train: tuple[NDArray[np.uint8], NDArray[np.int64]], test: tuple[NDArray[np.uint8], NDArray[np.int64]]
) -> Images:
    return Images(np.concatenate([train[0], test[0]]), np.concatenate([train[1], test[1]]), len(train[0]))


def _split(
    images: NDArray[np.uint8], labels: NDArray[np.int64], classes: Sequence[str], settings: config.OwnImages
) -> Images:
    """Hold `test_fraction` of every class back, at least one image. Raises DataError when a class has none left."""
    train, test = hold_out(labels, settings.test_fraction, np.random.default_rng(TEST_SPLIT_SEED))
    counts = np.bincount(labels, minlength=len(classes))
    for name, count, left in zip(classes, counts, np.bincount(labels[train], minlength=len(classes)), strict=True):
        if not left:
            raise DataError(
                f"{settings.path}: class {name!r} has {count} image(s), none left to train on after "
                f"dataset.test_fraction = {settings.test_fraction}; give the class more images or lower the fraction"
            )
    order = np.concatenate([train, test])
    return Images(images[order], labels[order], len(train))
