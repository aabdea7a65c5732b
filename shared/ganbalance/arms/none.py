"""none: train on the imbalanced images as they are. What every other arm is compared with."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ganbalance.arms.base import Arm, TrainingSet, evenly
from ganbalance.data.split import Split


class Nothing(Arm):
    def training_set(
        self, split: Split, labels_N: NDArray[np.int64], *, seed: int, added: Mapping[int, int]
    ) -> TrainingSet:
        return evenly(split.train)
