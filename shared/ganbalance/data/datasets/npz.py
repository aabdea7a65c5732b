"""Arrays in an .npz file, in one or several parts, by the names that are usual:

    images, labels            and perhaps test_images, test_labels
    train_images, ...         val_images, test_images and their labels: MedMNIST's
    x_train, y_train          x_test, y_test: Keras'

Images are (N,H,W), (N,H,W,1) or (N,H,W,3); labels (N,) or (N,1), integers or text.
"""

import zipfile
import zlib
from functools import partial
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganbalance.data import places
from ganbalance.data.listing import Entry, Listing, Part, readable, stamp_of
from ganbalance.data.own_images import OwnImages
from ganbalance.data.pictures import COLOUR, GREY, encoded
from ganbalance.errors import DataError

NO_CHANNELS, CHANNELS_LAST = 3, 4  # dimensions of an array of images
NAMES: list[dict[Part, tuple[str, str]]] = [
    {"train": ("images", "labels"), "test": ("test_images", "test_labels")},
    {
        "train": ("train_images", "train_labels"),
        "validation": ("val_images", "val_labels"),
        "test": ("test_images", "test_labels"),
    },
    {"train": ("x_train", "y_train"), "validation": ("x_val", "y_val"), "test": ("x_test", "y_test")},
]


class Npz(OwnImages):
    """Arrays in an .npz file. The classes are the distinct labels."""

    def _list(self) -> Listing:
        path = places.local_file(self._settings.path, "an .npz of arrays")
        arrays, stamp = _read(path), stamp_of(path.stat())
        names = next((names for names in NAMES if names["train"][0] in arrays), NAMES[0])
        used: set[str] = set()
        listing = Listing()
        for part, (images, labels) in names.items():
            if part != "train" and images not in arrays:
                continue
            pixels, of_images = _images(path, arrays, images), _texts(path, arrays, labels)
            groups = [""] * len(pixels)
            if self._settings.groups:
                of_groups = images.replace("images" if "images" in images else "x", str(self._settings.groups.array))
                groups = _texts(path, arrays, of_groups)
                used.add(of_groups)
            if not len(pixels) == len(of_images) == len(groups):
                raise DataError(
                    f"{path}: {len(pixels)} '{images}' and {len(of_images)} '{labels}'"
                    + (f" and {len(groups)} '{of_groups}'" if self._settings.groups else "")
                    + "; each image needs one"
                )
            used |= {images, labels}
            listing.entries += [
                Entry(
                    f"{images}/{row:09}", label, f"{path}, {images}[{row}]", partial(encoded, pixels[row]), stamp, part,
                    group,
                )
                for row, (label, group) in enumerate(zip(of_images, groups, strict=True))
            ]  # fmt: skip
        if others := sorted(arrays.keys() - used):
            listing.left_out["an array of another name"] += others
        return listing


def _read(path: Path) -> dict[str, NDArray[Any]]:
    try:
        file = np.load(path, allow_pickle=False)
        if not isinstance(file, np.lib.npyio.NpzFile):
            raise DataError(f"{path} holds one bare array; save 'images' and 'labels' with np.savez")
        with file:
            return {name: array for name, array in file.items() if isinstance(array, np.ndarray)}
    except (ValueError, OSError, EOFError, MemoryError, TokenError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path} is not a readable .npz of plain arrays: {error}") from error


def _array(path: Path, arrays: dict[str, NDArray[Any]], name: str) -> NDArray[Any]:
    if name not in arrays:
        raise DataError(f"{path} has no array '{name}', only {', '.join(arrays) or 'nothing'}")
    return arrays[name]


def _texts(path: Path, arrays: dict[str, NDArray[Any]], name: str) -> list[str]:
    """Read labels or groups."""
    found = _array(path, arrays, name)
    flat = found[:, 0] if found.ndim == 2 and found.shape[1] == 1 else found  # noqa: PLR2004
    if flat.dtype.kind not in "iuUb" or flat.ndim != 1:
        raise DataError(
            f"{path}: '{name}' is {found.dtype} {found.shape}; it must be integers or text of shape (N,) or (N,1)"
        )
    return [readable(text) for text in flat.astype(str).tolist()]


def _images(path: Path, arrays: dict[str, NDArray[Any]], name: str) -> NDArray[Any]:
    found = _array(path, arrays, name)
    shaped = found.ndim == NO_CHANNELS or (found.ndim == CHANNELS_LAST and found.shape[-1] in (GREY, COLOUR))
    if found.dtype.kind not in "buif" or not shaped or not found.size:
        raise DataError(
            f"{path}: '{name}' is {found.dtype} {found.shape}; it must be numbers of shape (N,H,W), (N,H,W,1) or "
            "(N,H,W,3)"
        )
    return found
