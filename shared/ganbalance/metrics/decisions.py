"""Decision rules: how class probabilities become one predicted class.

A rule is a vector of K log-offsets b; it predicts argmax_k(log p_k + b_k), the first class on a tie.
Classes are columns 0..K-1; in the pair task (K = 2) column 1 is the positive, rare class. One form holds
them all: the plain rule (b = 0: 0.5 for K = 2, argmax beyond), the correction for the prior under which the
classifier was fitted (b = -log prior), and the rule that validation chose.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ganbalance.errors import DataError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

PAIR = 2
"""Classes in a pair task; more are measured by averages over the classes."""

PRIOR = "prior"
VALIDATION = "validation"
MIN_RARE_VALIDATION = 20
"""Validation images that the rarest class needs before a threshold is chosen on them: with 12 the choice
costs .016 +- .022 of balanced accuracy, and prior correction costs nothing."""

TAUS = np.linspace(0.0, 2.0, 41)
"""Exponents tried for K > 2: 0 is the plain rule, 1 the prior-corrected one."""

_TINY = float(np.finfo(np.float64).tiny)


def plain_name(k: int) -> str:
    """What the rule without offsets is called: '0.5' in a pair task, 'argmax' beyond."""
    return "0.5" if k == PAIR else "argmax"


def plain(k: int) -> Floats:
    """No offsets, float64 (K,): the more probable class wins; p = .5 exactly is class 0."""
    return np.zeros(k, dtype=np.float64)


def prior_corrected(prior_K: ArrayLike) -> Floats:
    """Offsets -log prior, float64 (K,): from the prior a classifier was fitted under to a uniform one.

    Saerens, Latinne & Decaestecker 2002, "Adjusting the outputs of a classifier to new a priori
    probabilities", eq. 2.4, with equal new priors; the same as post-hoc logit adjustment with tau = 1,
    Menon et al. 2021, arXiv:2007.07314, eq. 9.
    """
    return -np.log(_checked_prior(prior_K))


def decide(probabilities_TK: ArrayLike, offsets_K: ArrayLike) -> Ints:
    """The predicted classes, int64 (T,), of the rule `offsets_K` on probabilities in [0, 1], (T, K)."""
    scores_TK = _log(probabilities_TK) + np.asarray(offsets_K, dtype=np.float64)
    predicted_T: Ints = np.argmax(scores_TK, axis=1).astype(np.int64)
    return predicted_T


def can_tune(labels_V: ArrayLike, k: int = 2) -> bool:
    """Whether every one of the k classes has enough validation images for a tuned rule."""
    return int(_counts(labels_V, k).min()) >= MIN_RARE_VALIDATION


def tuned(validation_probabilities_VK: ArrayLike, validation_labels_V: ArrayLike, prior_K: ArrayLike) -> Floats:
    """Offsets, float64 (K,), with the best balanced accuracy on validation.

    K = 2: every threshold between two distinct scores is tried. K > 2: offsets -tau log prior over `TAUS`
    (Menon et al. 2021, eq. 9). Among equally good rules the one nearest to prior correction wins, then the
    one that predicts the rare class more readily (K = 2) or has the smaller tau: where validation cannot
    tell, the rule that needs no validation decides. With too few images (`can_tune`) it is that rule.
    """
    probabilities_VK = np.asarray(validation_probabilities_VK, dtype=np.float64)
    labels_V = np.asarray(validation_labels_V, dtype=np.int64)
    corrected_K = prior_corrected(prior_K)
    if not can_tune(labels_V, len(corrected_K)):
        return corrected_K
    if len(corrected_K) == PAIR:
        return _best_threshold(probabilities_VK, labels_V, corrected_K)
    return _best_tau(probabilities_VK, labels_V, corrected_K)


def prior_shifted(probabilities_TK: ArrayLike, prior_K: ArrayLike, target_K: ArrayLike | None = None) -> Floats:
    """Probabilities, float64 (T, K), as they were under `target_K` (default uniform) instead of `prior_K`.

    Saerens et al. 2002, eq. 2.4: p'_k is proportional to p_k * target_k / prior_k. A classifier shifted to
    the uniform prior needs no further correction: its own prior-corrected rule is the plain one.
    """
    prior = _checked_prior(prior_K)
    target = np.full(len(prior), 1.0 / len(prior)) if target_K is None else _checked_prior(target_K)
    scores_TK = _log(probabilities_TK) + np.log(target) - np.log(prior)
    odds_TK = np.exp(scores_TK - scores_TK.max(axis=1, keepdims=True))
    return np.asarray(odds_TK / odds_TK.sum(axis=1, keepdims=True), dtype=np.float64)


def _best_threshold(probabilities_V2: Floats, labels_V: Ints, corrected_2: Floats) -> Floats:
    log_p = _log(probabilities_V2)
    margin_V = log_p[:, 1] - log_p[:, 0]
    score_U, group_V = np.unique(margin_V, return_inverse=True)
    positives_U = np.bincount(group_V, weights=labels_V == 1, minlength=len(score_U)).astype(np.int64)
    negatives_U = np.bincount(group_V, weights=labels_V == 0, minlength=len(score_U)).astype(np.int64)
    # threshold i lies below score i; the first and the last predict one class for all images
    threshold = np.concatenate([score_U[:1] - 1.0, (score_U[:-1] + score_U[1:]) / 2, score_U[-1:] + 1.0])
    found = positives_U.sum() - np.concatenate([[0], np.cumsum(positives_U)])
    rejected = np.concatenate([[0], np.cumsum(negatives_U)])
    # 2 * P * N * balanced accuracy: whole numbers, so that equal is equal
    quality = found * negatives_U.sum() + rejected * positives_U.sum()
    best = threshold[quality == quality.max()]
    wanted = corrected_2[0] - corrected_2[1]
    return np.array([0.0, -best[np.argmin(np.abs(best - wanted))]])


def _best_tau(probabilities_VK: Floats, labels_V: Ints, corrected_K: Floats) -> Floats:
    counts_K = _counts(labels_V, len(corrected_K))
    hits = [decide(probabilities_VK, tau * corrected_K) == labels_V for tau in TAUS]
    # rounded, since the sum of the same recalls in another order is the same balanced accuracy
    quality = np.round([(np.bincount(labels_V, weights=hit) / counts_K).mean() for hit in hits], 12)
    best = TAUS[quality == quality.max()]
    return np.asarray(best[np.argmin(np.round(np.abs(best - 1.0), 12))] * corrected_K, dtype=np.float64)


def _counts(labels: ArrayLike, k: int) -> Ints:
    return np.bincount(np.asarray(labels, dtype=np.int64), minlength=k).astype(np.int64)


def _log(probabilities: ArrayLike) -> Floats:
    return np.log(np.clip(np.asarray(probabilities, dtype=np.float64), _TINY, 1.0))


def _checked_prior(prior_K: ArrayLike) -> Floats:
    prior = np.asarray(prior_K, dtype=np.float64)
    if not (np.all(prior > 0) and np.isclose(prior.sum(), 1.0, atol=1e-6)):
        raise DataError(f"a prior needs one positive share per class with sum 1, got {prior.tolist()}")
    return prior
