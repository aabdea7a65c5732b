"""What every dataset can say of itself."""

from abc import ABC, abstractmethod
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from ganbalance.data.card import Card
from ganbalance.frozen import Frozen


@dataclass(frozen=True)
class Images:
    """`images` uint8 (N,C,H,W) and `labels` int64 (N,): the first `n_train` rows to train on, the rest to test on.

    `groups` int64 (N,): equal numbers for images that belong together; None where each stands for itself.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    n_train: int
    groups: NDArray[np.int64] | None = None


@dataclass(frozen=True)
class Grouped:
    """The labels and groups of a dataset's images, int64 (N,), in the order of `Images`."""

    labels: NDArray[np.int64]
    groups: NDArray[np.int64]
    n_train: int


class Counts(NamedTuple):
    """Images of each class, by label: to train on, and to test on."""

    train: list[int]
    test: list[int]


class Dataset(ABC):
    """Images with labels. A label is an index into `classes()`; `side_px` is the side of the square images."""

    class Settings(Frozen):
        """What an experiment may set of it; those of the datasets that come along are in `config`."""

    side_px: int
    brings_test_part = True
    """Whether its test part is its own, so that images of it are never trained on; else it was held back here."""

    def __init__(self, settings: Any) -> None:
        self._settings = settings

    @abstractmethod
    def classes(self) -> list[str]:
        """List the class names. Raises DataError when the data is not there."""

    def of(self, labels: Collection[int]) -> Self:
        """Return the same data where only these labels' images are asked for: the others need not be read."""
        return self

    @abstractmethod
    def fingerprint(self) -> str:
        """Name the content: equal for equal files, wherever they lie; other files may hold the same pixels."""

    @abstractmethod
    def load(self) -> Images:
        """Load everything, verified. Raises DataError for missing or damaged data."""

    def ensure(self) -> None:  # noqa: B027 - most have nothing to get
        """Get the data if it is not here. Raises DataError that names every place it was looked for in."""

    def counts(self) -> Counts:
        """Count the images of each class that `load` gives; where that reads many, count without it."""
        found, n_classes = self.load(), len(self.classes())
        sides = found.labels[: found.n_train], found.labels[found.n_train :]
        return Counts(*(np.bincount(labels, minlength=n_classes).tolist() for labels in sides))

    def card(self) -> Card | None:
        """Tell what somebody should know of it before work starts; None for data that is the same for everybody."""
        return None

    def grouped(self) -> Grouped | None:
        """Say how the images of `load` are grouped, None where they are not; where it reads many, find out without.

        Raises DataError.
        """
        found = self.load()
        return None if found.groups is None else Grouped(found.labels, found.groups, found.n_train)
