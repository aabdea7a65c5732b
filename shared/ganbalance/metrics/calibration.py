"""From logits to probabilities: one positive scale and one offset per class.

A penalty shrinks logits, and a training mix that is not the world's shifts them. A `Rule` undoes both: it predicts
argmax_k(scale * logit_k + offset_k) with probabilities softmax(scale * logits + offsets). The scale is common to all
classes and positive, so for two classes no rule changes the order of the images, and with it AUC. It is the vector
scaling of Guo et al. 2017 (arXiv:1706.04599, section 4.2) with one slope, called bias-corrected temperature scaling by
Alexandari et al. 2020 (arXiv:1901.06852).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ganbalance.errors import DataError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Rule:
    """Probabilities softmax(scale * logits + offsets); the decision is the most probable class."""

    scale: float
    offsets: Floats  # (K,)

    def log_probabilities(self, logits_NK: Floats) -> Floats:
        """Compute log probabilities, float64 (N, K); exact also where a probability rounds to 1."""
        from scipy.special import log_softmax

        log_p: Floats = log_softmax(self.scale * logits_NK + self.offsets, axis=1)
        return log_p

    def decide(self, logits_NK: Floats) -> Ints:
        """Predict the classes, int64 (N,); the first class on a tie."""
        predicted_N: Ints = np.argmax(self.scale * logits_NK + self.offsets, axis=1).astype(np.int64)
        return predicted_N

    def for_prior(self, learned_K: ArrayLike, wanted_K: ArrayLike | None = None) -> "Rule":
        """Adapt the rule to class shares `wanted_K` (default: equal) in place of the `learned_K` it was fitted under.

        Saerens, Latinne & Decaestecker 2002, "Adjusting the outputs of a classifier to new a priori probabilities",
        eq. 2.4. Raises DataError for a class without a share.
        """
        learned = _checked_prior(learned_K)
        wanted = np.full(len(learned), 1.0 / len(learned)) if wanted_K is None else _checked_prior(wanted_K)
        return Rule(self.scale, self.offsets + np.log(wanted) - np.log(learned))


def fit(logits_NK: Floats, labels_N: Ints, weights_N: Floats) -> Rule:
    """Fit the rule with the smallest weighted cross entropy on these images.

    Targets are smoothed as by Platt 1999, "Probabilistic outputs for support vector machines", section 2.2: a class
    with n images gets (n + 1) / (n + 2), which keeps the scale finite where the classes are separated perfectly. With
    more than two classes, which Platt does not treat, the rest is shared evenly.
    """
    from scipy.optimize import minimize
    from scipy.special import log_softmax

    classes = logits_NK.shape[1]
    targets_NK = _smoothed(labels_N, classes)
    share_N = weights_N / weights_N.sum()
    # around each class's mean and in units of their own spread: from a scale of 1 and no offsets, a minimiser would be
    # lost on logits a thousand times larger, or that far from 0
    units_NK = logits_NK - logits_NK.mean(axis=1, keepdims=True)
    centre_K = share_N @ units_NK
    units_NK -= centre_K
    spread = float(np.std(units_NK)) or 1.0
    units_NK /= spread

    def objective(parameters: Floats) -> tuple[float, Floats]:
        scale, offsets = np.exp(parameters[0]), np.append(0.0, parameters[1:])
        log_p = log_softmax(scale * units_NK + offsets, axis=1)
        slope_NK = share_N[:, None] * (np.exp(log_p) - targets_NK)
        gradient = np.append(scale * (slope_NK * units_NK).sum(), slope_NK.sum(axis=0)[1:])
        return float(-(share_N[:, None] * targets_NK * log_p).sum()), gradient

    found = minimize(objective, np.zeros(classes), jac=True, method="BFGS", options={"gtol": 1e-7})
    scale = float(np.exp(found.x[0])) / spread
    offsets = np.append(0.0, found.x[1:]) - scale * centre_K
    return Rule(scale, offsets - offsets[0])


def fit_fair(logits_NK: Floats, labels_N: Ints) -> Rule:
    """Fit the rule for classes that weigh the same, whatever their numbers among these images. Every class is there."""
    counts_K = np.bincount(labels_N, minlength=logits_NK.shape[1])
    return fit(logits_NK, labels_N, 1.0 / counts_K[labels_N])


def _smoothed(labels_N: Ints, classes: int) -> Floats:
    """Smooth each image's target over the classes, float64 (N, K)."""
    missing_K = 1 / (np.bincount(labels_N, minlength=classes) + 2)
    targets_NK = np.repeat(missing_K[labels_N, None] / (classes - 1), classes, axis=1)
    targets_NK[np.arange(len(labels_N)), labels_N] = 1 - missing_K[labels_N]
    return targets_NK


def _checked_prior(prior_K: ArrayLike) -> Floats:
    prior = np.asarray(prior_K, dtype=np.float64)
    if not (np.all(prior > 0) and np.isclose(prior.sum(), 1.0, atol=1e-6)):
        raise DataError(f"a prior needs one positive share per class with sum 1, got {prior.tolist()}")
    return prior
