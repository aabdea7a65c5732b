"""cross-entropy: the logistic loss, softmax for many classes."""

import numpy as np
from numpy.typing import NDArray

from ganbalance.arms.base import Floats, Objective


class CrossEntropy(Objective):
    def loss(self, logits_NK: Floats, labels_N: NDArray[np.int64]) -> tuple[Floats, Floats]:
        from scipy.special import log_softmax

        log_p = log_softmax(logits_NK, axis=1)
        truth = np.eye(logits_NK.shape[1])[labels_N]
        return -log_p[np.arange(len(labels_N)), labels_N], np.exp(log_p) - truth
