"""The images of a task: labels are its columns, negative 0 and positive 1 for a pair."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ganbalance.data.datasets.base import Images
from ganbalance.errors import DataError


@dataclass(frozen=True)
class TaskImages:
    """`images` uint8 (N,C,H,W); `labels` int64 (N,) columns;
    the rows before `n_train` are for training, the others for testing."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    n_train: int
    class_names: tuple[str, ...]

    @classmethod
    def select(cls, whole: Images, classes: Sequence[int], class_names: tuple[str, ...]) -> Self:
        """Only the images of `classes`, whose places in the sequence become the labels."""
        rows = np.flatnonzero(np.isin(whole.labels, classes))
        column_of = np.full(whole.labels.max() + 1, -1)
        column_of[list(classes)] = range(len(classes))
        n_train = int((rows < whole.n_train).sum())
        return cls(whole.images[rows], column_of[whole.labels[rows]].astype(np.int64), n_train, class_names)

    @property
    def side_px(self) -> int:
        """The side of the square images."""
        return int(self.images.shape[-1])

    @property
    def channels(self) -> int:
        """1 for grey, 3 for colour."""
        return int(self.images.shape[1])

    def check_every_class_is_tested(self) -> None:
        """Raises DataError for a class without test images: nothing could be said of it in the end."""
        tested = np.bincount(self.labels[self.n_train :], minlength=len(self.class_names))
        for name, count in zip(self.class_names, tested, strict=True):
            if not count:
                raise DataError(f"class {name!r} has no test images, so no arm can be judged on it; add some")

    def save(self, folder: Path) -> None:
        """Write images.npy, labels.npy and classes.json."""
        np.save(folder / "images.npy", self.images)
        np.save(folder / "labels.npy", self.labels)
        classes = {"class_names": self.class_names, "n_train": self.n_train}
        (folder / "classes.json").write_text(json.dumps(classes, indent=1))

    @classmethod
    def load(cls, images: Path, labels: Path, classes: Path) -> Self:
        """Read what `save` wrote; the images stay on disk until they are used."""
        described = json.loads(classes.read_text())
        return cls(
            np.load(images, mmap_mode="r", allow_pickle=False),
            np.load(labels, allow_pickle=False),
            described["n_train"],
            tuple(described["class_names"]),
        )
