"""Arrays in an .npz file: images (N,H,W), (N,H,W,1) or (N,H,W,3) uint8 and labels (N,), and perhaps test_images too."""

import zipfile
import zlib
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ganbalance import config
from ganbalance.data.own_images import GREY, OwnImages, canonical, content_settings
from ganbalance.errors import DataError
from ganbalance.keys import digest, sha256_file

NO_CHANNELS, CHANNELS_LAST = 3, 4  # dimensions of an array of images
COLOUR = 3


class Npz(OwnImages):
    """Arrays in an .npz file. Labels may be any integers; the classes are the distinct ones in order."""

    def classes(self) -> list[str]:
        return [str(label) for label in np.unique(self._given_labels("labels"))]

    def fingerprint(self) -> str:
        if not self._path.is_file():
            raise DataError(f"dataset.path = {str(self._path)!r}: there is no such file")
        named = {"groups": self._settings.groups.array} if self._settings.groups else {}
        return digest({"file": sha256_file(self._path), "settings": content_settings(self._settings)} | named)

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
        return np.stack([canonical(Image.fromarray(image), side_px, channels) for image in pixels])

    def _indices(self, name: str) -> NDArray[np.int64]:
        """An array of labels as indices into `classes()`."""
        labels, classes = self._given_labels(name), np.unique(self._given_labels("labels"))
        if not np.isin(labels, classes).all():
            raise DataError(f"{self._path}: '{name}' holds classes that 'labels' does not")
        return np.searchsorted(classes, labels).astype(np.int64)
