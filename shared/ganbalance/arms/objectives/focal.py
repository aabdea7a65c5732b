"""focal: images that are classified well count less, by the factor (1 - p)^gamma.

Lin et al. 2017, "Focal loss for dense object detection", arXiv:1708.02002, eq. 4, for any number of classes.
"""

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ganbalance.arms.base import Floats, Objective


class Focal(Objective):
    gamma: Annotated[float, Field(ge=0)] = 2.0

    def loss(self, logits_NK: Floats, labels_N: NDArray[np.int64]) -> tuple[Floats, Floats]:
        from scipy.special import log_softmax

        log_p_NK = log_softmax(logits_NK, axis=1)
        images = np.arange(len(labels_N))
        log_p, p_NK = log_p_NK[images, labels_N], np.exp(log_p_NK)
        rest = np.maximum(-np.expm1(log_p), np.finfo(np.float64).tiny)  # not 0, so that powers below 1 are finite
        factor = rest**self.gamma
        # d loss / d log p, times d log p / d logits = truth - p
        by_log_p = self.gamma * rest ** (self.gamma - 1) * np.exp(log_p) * log_p - factor
        return -factor * log_p, by_log_p[:, None] * (np.eye(logits_NK.shape[1])[labels_N] - p_NK)
