"""The images of a task: labels are its class indices, negative 0 and positive 1 for two classes."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ganbalance.data.datasets.base import Images
from ganbalance.errors import DataError


@dataclass(frozen=True)
class TaskImages:
    """`images` uint8 (N,C,H,W); `labels` int64 (N,) class indices;
    the rows before `n_train` are for training, the others for testing."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    n_train: int
    class_names: tuple[str, ...]

    @classmethod
    def select(cls, whole: Images, classes: Sequence[Sequence[int]], class_names: tuple[str, ...]) -> Self:
        """Only the images of `classes`, sets of the dataset's labels whose places in the sequence become the labels."""
        index_of = np.full(max(whole.labels.max(), *(max(labels) for labels in classes)) + 1, -1)
        for index, labels in enumerate(classes):
            index_of[list(labels)] = index
        rows = np.flatnonzero(index_of[whole.labels] >= 0)
        n_train = int((rows < whole.n_train).sum())
        return cls(whole.images[rows], index_of[whole.labels[rows]].astype(np.int64), n_train, class_names)

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
    def load(cls, path: Callable[[str], Path]) -> Self:
        """Read what `save` wrote; `path` says where each file is. The images stay on disk until they are used."""
        described = json.loads(path("classes.json").read_text())
        return cls(
            np.load(path("images.npy"), mmap_mode="r", allow_pickle=False),
            np.load(path("labels.npy"), allow_pickle=False),
            described["n_train"],
            tuple(described["class_names"]),
        )
