"""oversample: repeat images of the smaller classes, drawn at random, until all classes are as large as the largest.

Lemaitre, Nogueira & Aridas 2017, "Imbalanced-learn", JMLR 18(17).
"""

from collections.abc import Mapping

import numpy as np
from imblearn.over_sampling import RandomOverSampler
from numpy.typing import NDArray

from ganbalance.arms.base import Arm, TrainingSet, evenly
from ganbalance.data.split import Split
from ganbalance.seeding import derive


class Oversample(Arm):
    def training_set(
        self, split: Split, labels_N: NDArray[np.int64], *, seed: int, added: Mapping[int, int]
    ) -> TrainingSet:
        sampler = RandomOverSampler(random_state=derive(seed, "training-set") % 2**32)
        rows, _ = sampler.fit_resample(split.train[:, None], labels_N[split.train])
        return evenly(rows[:, 0])
