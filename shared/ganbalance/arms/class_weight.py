"""class-weight: every class weighs the same in the loss, n / (K n_k) per image, as scikit-learn's "balanced".

The weights of King & Zeng 2001, "Logistic regression in rare events data", section 4.2 (population over sample
share), with a population share of 1/K for every class.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.class_weight import compute_sample_weight

from ganbalance.arms.base import Arm, TrainingSet
from ganbalance.data.split import Split


class ClassWeight(Arm):
    def training_set(
        self, split: Split, labels_N: NDArray[np.int64], *, seed: int, added: Mapping[int, int]
    ) -> TrainingSet:
        return TrainingSet(split.train, compute_sample_weight("balanced", labels_N[split.train]))
