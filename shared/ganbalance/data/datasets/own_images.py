"""A user's own images: a folder per class, or one .npz file.

    PATH/train/<class>/*.png and PATH/test/<class>/*.png, or PATH/<class>/*.png
    PATH.npz with images (N,H,W), (N,H,W,1) or (N,H,W,3) uint8 and labels (N,), and perhaps test_images, test_labels

Where there is no test part, `test_fraction` of every class is held back, the same for every seed: of its images, or,
where `groups` says which of them belong together, of its groups. Images are
brought to one side and one number of channels, so that real and synthetic ones take the same way; what is
transparent becomes black. Files and folders whose name starts with a dot are not looked at.
"""

import zipfile
import zlib
from abc import ABC, abstractmethod
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from ganbalance import config
from ganbalance.data import groups
from ganbalance.data.datasets.base import Counts, Grouped, Images
from ganbalance.data.holdout import held_count, hold_out
from ganbalance.errors import DataError
from ganbalance.keys import digest, sha256_file

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"}
MODES = {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr"}  # Pillow clips any deeper one to 8 bits
GREY, COLOUR = 1, 3
NO_CHANNELS, CHANNELS_LAST = 3, 4  # dimensions of an array of images
TEST_SPLIT_SEED = 0  # the test part belongs to the dataset: no seed of an experiment may move it


class _OwnImages(ABC):
    """What files in folders and arrays in a file have in common: a part to train on, and perhaps one to test on."""

    def __init__(self, settings: config.OwnImages) -> None:
        self._settings = settings
        self._path = Path(settings.path).expanduser()

    @property
    def side_px(self) -> int:
        return self._settings.side_px

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
    def classes(self) -> list[str]:
        """See `Dataset`."""

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


class FolderImages(_OwnImages):
    """Image files in one folder per class."""

    def classes(self) -> list[str]:
        return sorted(
            folder.name for folder in self._train.iterdir() if folder.is_dir() and not _hidden(Path(folder.name))
        )

    def fingerprint(self) -> str:
        files = {str(path.relative_to(self._path)): sha256_file(path) for path in image_files(self._path)}
        named = self._settings.groups
        of_files = {"groups": dict(zip(self._below, self._group_names(named), strict=True))} if named else {}
        return digest({"files": files, "settings": _content_settings(self._settings)} | of_files)

    def ensure(self) -> None:
        if len(self.classes()) < 2:  # noqa: PLR2004
            raise DataError(
                f"{self._train} has {len(self.classes())} class folders; put the images of each class in one"
            )

    @cached_property
    def _train(self) -> Path:
        if not self._path.is_dir():
            raise DataError(f"dataset.path = {str(self._path)!r}: there is no such folder")
        return self._path / "train" if (self._path / "train").is_dir() else self._path

    @cached_property
    def _folders(self) -> list[list[tuple[Path, list[Path]]]]:
        """By part and class: its folder, and the image files in it."""
        parts = [self._train, *(part for part in [self._path / "test"] if part.is_dir())]
        return [[(part / name, image_files(part / name)) for name in self.classes()] for part in parts]

    @property
    def _below(self) -> dict[str, str]:
        """The path of every image file below the folder of the dataset -> below that of its class."""
        return {
            file.relative_to(self._path).as_posix(): file.relative_to(folder).as_posix()
            for folder, files in chain(*self._folders)
            for file in files
        }

    def _group_names(self, settings: config.Groups) -> list[str]:
        if settings.pattern is not None:
            return groups.by_pattern(settings.pattern, self._below)
        table = self._path / Path(str(settings.csv)).expanduser()
        return groups.by_column(table, str(settings.column), list(self._below))

    def _labels(self) -> list[NDArray[np.int64]]:
        return [np.repeat(np.arange(len(part)), [len(files) for _, files in part]) for part in self._folders]

    def _images(self) -> list[NDArray[np.uint8]]:
        if empty := [folder for folder, files in chain(*self._folders) if not files]:
            raise DataError(f"{empty[0]} holds no images ({', '.join(sorted(SUFFIXES))})")
        side_px, channels = self._settings.side_px, self._settings.channels
        return [
            np.stack([read_image(file, side_px, channels) for _, files in part for file in files])
            for part in self._folders
        ]


class NpzImages(_OwnImages):
    """Arrays in an .npz file. Labels may be any integers; the classes are the distinct ones in order."""

    def classes(self) -> list[str]:
        return [str(label) for label in np.unique(self._given_labels("labels"))]

    def fingerprint(self) -> str:
        if not self._path.is_file():
            raise DataError(f"dataset.path = {str(self._path)!r}: there is no such file")
        named = {"groups": self._settings.groups.array} if self._settings.groups else {}
        return digest({"file": sha256_file(self._path), "settings": _content_settings(self._settings)} | named)

    def ensure(self) -> None:
        if len(self.classes()) < 2:  # noqa: PLR2004
            raise DataError(f"{self._path} has one class only in 'labels': two are needed to tell apart")

    def _labels(self) -> list[NDArray[np.int64]]:
        return [self._indices(part + "labels") for part in self._parts]

    def _images(self) -> list[NDArray[np.uint8]]:
        return [self._part(part + "images", part + "labels") for part in self._parts]

    def _group_names(self, settings: config.Groups) -> list[str]:
        names = []
        for prefix, labels in zip(self._parts, self._labels(), strict=True):
            of_part = self._array(f"{prefix}{settings.array}")
            if of_part.dtype.kind not in "iuU" or of_part.shape != labels.shape:
                raise DataError(
                    f"{self._path}: '{prefix}{settings.array}' is {of_part.dtype} {of_part.shape} for {len(labels)} "
                    "labels; it must be integers or text of shape (N,), the group of each image"
                )
            names += of_part.astype(str).tolist()
        return names

    @property
    def _parts(self) -> tuple[str, ...]:
        """What the names of the arrays of each part begin with."""
        return ("", "test_") if "test_images" in self._names else ("",)

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

    def _given_labels(self, name: str) -> NDArray[np.int64]:
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

    def _part(self, images: str, labels: str) -> NDArray[np.uint8]:
        pixels = self._pixels(images, len(self._indices(labels)))
        side_px, channels = self._settings.side_px, self._settings.channels
        return np.stack([_canonical(Image.fromarray(image), side_px, channels) for image in pixels])

    def _indices(self, name: str) -> NDArray[np.int64]:
        """An array of labels as indices into `classes()`."""
        labels, classes = self._given_labels(name), np.unique(self._given_labels("labels"))
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
