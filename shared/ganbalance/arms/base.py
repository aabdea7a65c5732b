"""What a balancing method is: a choice of training rows and their weights."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ganbalance.data.split import Split


@dataclass(frozen=True)
class TrainingSet:
    """`rows` int64 (R,) into the real images, repeats allowed; `weights` float64 (R,), one per row.

    An arm with a GAN is given that GAN's images on top, each with weight 1.
    """

    rows: NDArray[np.int64]
    weights: NDArray[np.float64]


class Arm(ABC):
    """A balancing method. Every arm of a seed gets the same split, the same tuning and the same randomness."""

    needs_removed: ClassVar[bool] = False  # only the oracle may see what the imbalance took away
    matches_synthetic: ClassVar[bool] = False  # whether it asks how many images a GAN adds
    rescores: ClassVar[str | None] = None  # the arm whose scores this one corrects instead of training anything

    @abstractmethod
    def training_set(
        self, split: Split, labels_N: NDArray[np.int64], *, seed: int, added: Mapping[int, int]
    ) -> TrainingSet:
        """The real rows to train on. `labels_N` are the classes of all rows of the dataset.

        `added` is how many images of each rare class a GAN of this run adds; empty unless `matches_synthetic`.
        """


def evenly(rows: NDArray[np.int64]) -> TrainingSet:
    """Every row once, all alike."""
    return TrainingSet(rows, np.ones(len(rows)))
