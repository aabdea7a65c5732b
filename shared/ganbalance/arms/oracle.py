"""oracle: the images that the imbalance took away, given back. What they are worth, not the most an arm can reach."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ganbalance.arms.base import Arm, TrainingSet, evenly
from ganbalance.data.split import Split


class Oracle(Arm):
    needs_removed = True

    def training_set(
        self, split: Split, labels_N: NDArray[np.int64], *, seed: int, added: Mapping[int, int]
    ) -> TrainingSet:
        return evenly(np.sort(np.concatenate([split.train, split.removed])))
