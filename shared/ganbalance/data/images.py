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
    """`images` uint8 (N,C,H,W); `labels` int64 (N,) class indices; `groups` int64 (N,), equal where images belong
    together, or None; the rows before `n_train` are for training, the others for testing."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    n_train: int
    class_names: tuple[str, ...]
    groups: NDArray[np.int64] | None = None

    @classmethod
    def select(cls, whole: Images, classes: Sequence[Sequence[int]], class_names: tuple[str, ...]) -> Self:
        """Take the images of `classes`, sets of the dataset's labels whose places in the sequence become the labels."""
        rows, indices = of_classes(whole.labels, classes)
        n_train = int((rows < whole.n_train).sum())
        groups = None if whole.groups is None else whole.groups[rows]
        return cls(whole.images[rows], indices, n_train, class_names, groups)

    def groups_of(self, rows: NDArray[np.int64]) -> NDArray[np.int64] | None:
        """Look up the groups of these images, where images are grouped."""
        return None if self.groups is None else self.groups[rows]

    @property
    def side_px(self) -> int:
        """The side of the square images."""
        return int(self.images.shape[-1])

    @property
    def channels(self) -> int:
        """1 for grey, 3 for colour."""
        return int(self.images.shape[1])

    def check_every_class_is_tested(self) -> None:
        """Raise DataError for a class without test images: nothing could be said of it in the end."""
        tested = np.bincount(self.labels[self.n_train :], minlength=len(self.class_names))
        for name, count in zip(self.class_names, tested, strict=True):
            if not count:
                raise DataError(f"class {name!r} has no test images, so no arm can be judged on it; add some")

    def save(self, folder: Path) -> None:
        """Write images.npy, labels.npy, classes.json and, where images are grouped, groups.npy."""
        np.save(folder / "images.npy", self.images)
        np.save(folder / "labels.npy", self.labels)
        if self.groups is not None:
            np.save(folder / "groups.npy", self.groups)
        grouped = {} if self.groups is None else {"grouped": True}
        classes = {"class_names": self.class_names, "n_train": self.n_train} | grouped
        (folder / "classes.json").write_text(json.dumps(classes, indent=1), "utf-8")

    @classmethod
    def load(cls, path: Callable[[str], Path]) -> Self:
        """Read what `save` wrote; `path` says where each file is. The images stay on disk until they are used."""
        described = json.loads(path("classes.json").read_bytes())
        return cls(
            np.load(path("images.npy"), mmap_mode="r", allow_pickle=False),
            np.load(path("labels.npy"), allow_pickle=False),
            described["n_train"],
            tuple(described["class_names"]),
            np.load(path("groups.npy"), allow_pickle=False) if described.get("grouped") else None,
        )


def of_classes(
    labels_N: NDArray[np.int64], classes: Sequence[Sequence[int]]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find the rows of the images of `classes`, sets of labels, and for each the place of its set, both int64."""
    index_of = np.full(max(labels_N.max(), *(max(labels) for labels in classes)) + 1, -1)
    for index, labels in enumerate(classes):
        index_of[list(labels)] = index
    rows = np.flatnonzero(index_of[labels_N] >= 0)
    return rows, index_of[labels_N[rows]].astype(np.int64)
