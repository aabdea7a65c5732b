"""Synthetic images of a rare class that were made elsewhere: files in a folder, checked against what is held out."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ganbalance.called import typed
from ganbalance.data import pictures
from ganbalance.data.images import TaskImages
from ganbalance.data.listing import image_files
from ganbalance.data.pictures import Fit
from ganbalance.data.split import Split
from ganbalance.errors import ConfigError, DataError
from ganbalance.keys import digest, sha256_file
from ganbalance.paths import expanded

LONGEST_FOLDER = 255
"""Bytes in a name on the file systems that are in use."""


def folder(pattern: str, seed: int, class_name: str) -> Path:
    """Name the folder of one class at one seed. Raises ConfigError for a pattern that does not tell them apart."""
    if "{seed}" not in pattern:
        raise ConfigError(
            f"synthetic.images = {pattern!r}: every seed has other training images, so its generator is another one; "
            "write {seed} where the folders differ, and {class} where classes do"
        )
    named = str(expanded(pattern, "synthetic.images ="))  # before a class whose name begins with ~
    return Path(named.replace("{seed}", str(seed)).replace("{class}", class_folder(class_name)))


def class_folder(class_name: str) -> str:
    """Name a class's folder, which lies in the folder that it is put into.

    A slash is a hyphen. A name that no folder can have, such as one of several classes that is too long, ends in a
    digest of it. Raises ConfigError where the names of files are in an encoding that lacks its letters.
    """
    folder = class_name.replace("/", "-").replace("\0", "-")
    try:
        encoded = os.fsencode(folder)
    except UnicodeEncodeError as error:
        raise ConfigError(
            f"no folder can be called {folder!r} in this locale: {error.reason}; set PYTHONUTF8=1"
        ) from error
    if folder.strip(". ") and len(encoded) <= LONGEST_FOLDER:
        return folder
    start = encoded[: LONGEST_FOLDER // 2].decode(errors="ignore").strip(". ")
    return f"{start or 'class'}-{digest(class_name)[:8]}"


def check_folders(class_names: Sequence[str]) -> None:
    """Raise ConfigError where two classes would have one folder, as a/b and a-b."""
    folders = [class_folder(name) for name in class_names]
    twice = [name for name, folder in zip(class_names, folders, strict=True) if folders.count(folder) > 1]
    if twice:
        raise ConfigError(
            f"classes {' and '.join(map(repr, twice))} would have the same folder, {class_folder(twice[0])!r}; "
            "rename one in the dataset"
        )


def fingerprint(path: Path) -> str:
    """Hash the names and bytes of the image files in a folder by SHA-256. Raises DataError where there are none."""
    return digest({str(file.relative_to(path)): sha256_file(file) for file in _files(path)})


def check_unchanged(path: Path, planned: str) -> None:
    """Raise DataError where the files are not those that the run was planned with."""
    if fingerprint(path) != planned:
        raise DataError(f"the images in {path} changed since the run was planned; start it again with '{typed('run')}'")


def load(path: Path, data: TaskImages, fit: Fit) -> NDArray[np.uint8]:
    """Load the images in the order of their names, uint8 (N, C, side, side), fitted as those of `data` were."""
    return np.stack([pictures.read(file, data.side_px, data.channels, fit) for file in _files(path)])


def check_no_copies(images_NCHW: NDArray[np.uint8], data: TaskImages, split: Split) -> None:
    """Raise DataError where an image has the pixels of one that is held out, tested on, or given to the oracle."""
    rows = np.concatenate([split.held_out, split.test, split.removed])
    hidden = {data.images[row].tobytes(): int(row) for row in rows}
    copies = [number for number, image in enumerate(images_NCHW) if image.tobytes() in hidden]
    if copies:
        row = hidden[images_NCHW[copies[0]].tobytes()]
        raise DataError(
            f"{len(copies)} of {len(images_NCHW)} images that were made elsewhere are copies of validation, tuning, "
            f"test or removed images (first: number {copies[0]} by name, row {row} of the dataset): train on nothing "
            "but what 'ganbalance export --split' writes"
        )


def _files(path: Path) -> list[Path]:
    if not path.is_dir() or not image_files(path):
        raise DataError(
            f"{path} is no folder of images; those to train a generator on are written by 'ganbalance export --split' "
            "of a run of this experiment without the arm"
        )
    return image_files(path)
