"""A user's own images: a folder per class, or one .npz file.

    PATH/train/<class>/*.png and PATH/test/<class>/*.png, or PATH/<class>/*.png
    PATH.npz with images (N,H,W) or (N,H,W,C) uint8 and labels (N,), and perhaps test_images and test_labels

Where there is no test part, `test_fraction` of every class is held back, the same for every seed. Images are
brought to one side and one number of channels, so that real and synthetic ones take the same way.
"""

import zipfile
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from sklearn.model_selection import train_test_split

from ganbalance import config
from ganbalance.data.datasets.base import Images
from ganbalance.errors import DataError
from ganbalance.keys import digest, sha256_file

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"}
TEST_SPLIT_SEED = 0  # the test part belongs to the dataset: no seed of an experiment may move it


class FolderImages:
    """Image files in one folder per class."""

    def __init__(self, settings: config.OwnImages) -> None:
        self._settings = settings
        self._root = Path(settings.path).expanduser()

    def classes(self) -> list[str]:
        return sorted(folder.name for folder in self._train.iterdir() if folder.is_dir())

    def fingerprint(self) -> str:
        files = {str(path.relative_to(self._root)): sha256_file(path) for path in self._files(self._root)}
        return digest({"files": files, "settings": _content_settings(self._settings)})

    def ensure(self) -> None:
        if len(self.classes()) < 2:  # noqa: PLR2004
            raise DataError(
                f"{self._train} has {len(self.classes())} class folders; put the images of each class in one"
            )

    def load(self) -> Images:
        train = self._read(self._train)
        if (self._root / "test").is_dir():
            return _joined(train, self._read(self._root / "test"))
        return _split(*train, self._settings.test_fraction)

    @cached_property
    def _train(self) -> Path:
        if not self._root.is_dir():
            raise DataError(f"dataset.path = {str(self._root)!r}: there is no such folder")
        return self._root / "train" if (self._root / "train").is_dir() else self._root

    def _files(self, folder: Path) -> list[Path]:
        return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)

    def _read(self, folder: Path) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        images, labels = [], []
        for label, name in enumerate(self.classes()):
            files = self._files(folder / name)
            if not files:
                raise DataError(f"{folder / name} holds no images ({', '.join(sorted(SUFFIXES))})")
            images += [_canonical(_open(path), self._settings) for path in files]
            labels += [label] * len(files)
        return np.stack(images), np.asarray(labels, np.int64)


class NpzImages:
    """Arrays in an .npz file. Labels may be any integers; the classes are the distinct ones in order."""

    def __init__(self, settings: config.OwnImages) -> None:
        self._settings = settings
        self._path = Path(settings.path).expanduser()

    def classes(self) -> list[str]:
        return [str(label) for label in np.unique(self._array("labels"))]

    def fingerprint(self) -> str:
        if not self._path.is_file():
            raise DataError(f"dataset.path = {str(self._path)!r}: there is no such file")
        return digest({"file": sha256_file(self._path), "settings": _content_settings(self._settings)})

    def ensure(self) -> None:
        if len(self.classes()) < 2:  # noqa: PLR2004
            raise DataError(f"{self._path} has one class only in 'labels': two are needed to tell apart")

    def load(self) -> Images:
        train = self._part("images", "labels")
        if "test_images" in self._names:
            return _joined(train, self._part("test_images", "test_labels"))
        return _split(*train, self._settings.test_fraction)

    @cached_property
    def _names(self) -> list[str]:
        return list(self._arrays)

    @cached_property
    def _arrays(self) -> dict[str, NDArray[np.generic]]:
        try:
            with np.load(self._path, allow_pickle=False) as file:
                return dict(file)
        except FileNotFoundError as error:
            raise DataError(f"dataset.path = {str(self._path)!r}: there is no such file") from error
        except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
            raise DataError(f"{self._path} is not a readable .npz of plain arrays: {error}") from error

    def _array(self, name: str) -> NDArray[np.generic]:
        if name not in self._arrays:
            raise DataError(f"{self._path} has no array '{name}', only {', '.join(self._names) or 'nothing'}")
        return self._arrays[name]

    def _part(self, images: str, labels: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        pixels, names = self._array(images), self._array(labels)
        if pixels.dtype != np.uint8 or pixels.ndim not in (3, 4) or len(pixels) != len(names):
            raise DataError(
                f"{self._path}: '{images}' is {pixels.dtype} {pixels.shape} for {len(names)} labels; "
                "it must be uint8 of shape (N,H,W) or (N,H,W,C) with one label each"
            )
        classes = np.unique(self._array("labels"))
        if not np.isin(names, classes).all():
            raise DataError(f"{self._path}: '{labels}' holds classes that 'labels' does not")
        canonical = np.stack([_canonical(Image.fromarray(image.squeeze()), self._settings) for image in pixels])
        return canonical, np.searchsorted(classes, names).astype(np.int64)


def _content_settings(settings: config.OwnImages) -> dict[str, float]:
    """What, besides the files, decides the pixels."""
    return {"side_px": settings.side_px, "channels": settings.channels, "test_fraction": settings.test_fraction}


def _open(path: Path) -> Image.Image:
    try:
        with Image.open(path) as image:
            image.load()
            return image
    except (OSError, UnidentifiedImageError) as error:
        raise DataError(f"{path} is not a readable image: {error}") from error


def _canonical(image: Image.Image, settings: config.OwnImages) -> NDArray[np.uint8]:
    """One image as uint8 (C, side, side)."""
    mode = "L" if settings.channels == 1 else "RGB"
    side = settings.side_px
    resampling = Image.Resampling.BOX if image.width > side else Image.Resampling.BILINEAR
    resized = image.convert(mode).resize((side, side), resampling)
    return np.asarray(resized, np.uint8).reshape(side, side, settings.channels).transpose(2, 0, 1)


def _joined(
    train: tuple[NDArray[np.uint8], NDArray[np.int64]], test: tuple[NDArray[np.uint8], NDArray[np.int64]]
) -> Images:
    return Images(np.concatenate([train[0], test[0]]), np.concatenate([train[1], test[1]]), len(train[0]))


def _split(images: NDArray[np.uint8], labels: NDArray[np.int64], test_fraction: float) -> Images:
    rows = np.arange(len(labels))
    try:
        train, test = train_test_split(rows, test_size=test_fraction, stratify=labels, random_state=TEST_SPLIT_SEED)
    except ValueError as error:
        raise DataError(f"cannot hold back dataset.test_fraction = {test_fraction} of every class: {error}") from error
    order = np.concatenate([train, test])
    return Images(images[order], labels[order], len(train))
