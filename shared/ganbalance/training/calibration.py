"""Scores back on the scale of probabilities after a penalty has shrunk them.

A strong penalty may rank images best and still leave every score near the classes' shares, so that nothing reaches
0.5: the strength, not the arm, would then decide what a threshold means. One scale and one shift per class, fitted
without a penalty on the arm's own training images, undo that. The scale is common to all classes and positive, so
for two classes the order of the scores, and with it AUC, stays exactly as it was.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Calibration:
    """Probabilities are softmax(scale * logits + shift): a positive number, and float64 (K,)."""

    scale: float
    shift: Floats

    def __call__(self, logits_NK: Floats) -> Floats:
        """Probabilities float64 (N, K)."""
        probabilities: Floats = softmax(self.scale * logits_NK + self.shift, axis=1)
        return probabilities


def fit(logits_NK: Floats, labels_N: NDArray[np.int64], weights_N: Floats) -> Calibration:
    """Minimise the weighted cross entropy of softmax(scale * logits + shift) on training images.

    Targets are smoothed as by Platt 1999, "Probabilistic outputs for support vector machines", section 2.2: a class
    with n images gets (n + 1) / (n + 2), which keeps the scale finite where training images are told apart perfectly.
    """
    columns = logits_NK.shape[1]
    targets_NK = _smoothed(labels_N, columns)
    share_N = weights_N / weights_N.sum()

    def objective(parameters: Floats) -> tuple[float, Floats]:
        scale, shift = np.exp(parameters[0]), np.append(0.0, parameters[1:])
        log_p = log_softmax(scale * logits_NK + shift, axis=1)
        slope_NK = share_N[:, None] * (np.exp(log_p) - targets_NK)
        gradient = np.append(scale * (slope_NK * logits_NK).sum(), slope_NK.sum(axis=0)[1:])
        return float(-(share_N[:, None] * targets_NK * log_p).sum()), gradient

    found = minimize(objective, np.zeros(columns), jac=True, method="BFGS", options={"gtol": 1e-7})
    return Calibration(float(np.exp(found.x[0])), np.append(0.0, found.x[1:]))


def _smoothed(labels_N: NDArray[np.int64], columns: int) -> Floats:
    """Each image's target over the classes, float64 (N, K)."""
    missing_K = 1 / (np.bincount(labels_N, minlength=columns) + 2)
    targets_NK = np.repeat(missing_K[labels_N, None] / (columns - 1), columns, axis=1)
    targets_NK[np.arange(len(labels_N)), labels_N] = 1 - missing_K[labels_N]
    return targets_NK
