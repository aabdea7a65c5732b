"""Image files in one folder per class: PATH/train/<class>/*.png and PATH/test/<class>/*.png, or PATH/<class>/*.png."""

from functools import cached_property
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ganbalance import config
from ganbalance.data import groups
from ganbalance.data.own_images import SUFFIXES, OwnImages, content_settings, hidden, image_files, read_image
from ganbalance.errors import DataError
from ganbalance.keys import digest, sha256_file


class Folder(OwnImages):
    """Image files in one folder per class."""

    def classes(self) -> list[str]:
        return sorted(
            folder.name for folder in self._train.iterdir() if folder.is_dir() and not hidden(Path(folder.name))
        )

    def fingerprint(self) -> str:
        files = {str(path.relative_to(self._path)): sha256_file(path) for path in image_files(self._path)}
        named = self._settings.groups
        of_files = {"groups": dict(zip(self._below, self._group_names(named), strict=True))} if named else {}
        return digest({"files": files, "settings": content_settings(self._settings)} | of_files)

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
