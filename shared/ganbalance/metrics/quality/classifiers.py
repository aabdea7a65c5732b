"""Let linear classifiers say how good synthetic images are: can one tell them from real ones, does one learn from them?

The head is logistic regression of standardised features with one mild penalty, since nothing is held out to choose it
on; the measures compare sets of images under it, and do not say how well an arm's own head does.
"""

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MILD = 0.01  # the penalty, as `training.head` defines its strength
MOST_ITERATIONS = 200
FEWEST = 10
"""Images of either kind for a two-sample test: half of them are few enough."""


def two_sample_accuracy(one_ND: Floats, other_MD: Floats, rng: np.random.Generator) -> float | None:
    """Say how often a classifier tells which set an image is of: .5 for equal distributions, 1 for none in common.

    Lopez-Paz & Oquab 2017, arXiv:1610.06545. As many images of either set; it learns from a random half of
    them, and the accuracy is that on the other one. None with fewer than `FEWEST`.
    """
    n = min(len(one_ND), len(other_MD))
    if n < FEWEST:
        return None
    drawn = [features[rng.permutation(len(features))[:n]] for features in (one_ND, other_MD)]
    half = n // 2
    learned, tested = ([features[rows] for features in drawn] for rows in (slice(half), slice(half, None)))
    is_right = [scores > 0 if other else scores < 0 for other, scores in enumerate(_scored(learned, tested))]
    return float(np.concatenate(is_right).mean())


def auc_trained_on(rare_ND: Floats, others_MD: Floats, real_rare_RD: Floats, real_others_QD: Floats) -> float | None:
    """Compute AUC on real images of a classifier that learned the rare class from `rare_ND`, others from `others_MD`.

    With synthetic images of the rare class: train on synthetic, test on real. Esteban et al. 2017, arXiv:1706.02633.
    None where a set has fewer than two images.
    """
    from sklearn.metrics import roc_auc_score

    if min(map(len, (rare_ND, others_MD, real_rare_RD, real_others_QD))) < 2:  # noqa: PLR2004 - nothing to standardise
        return None
    scores = _scored([others_MD, rare_ND], [real_others_QD, real_rare_RD])
    is_rare = np.repeat([0, 1], [len(of_class) for of_class in scores])
    return float(roc_auc_score(is_rare, np.concatenate(scores)))


def _scored(learned: list[Floats], tested: list[Floats]) -> list[Floats]:
    """Score each set in `tested` by the log odds of the second class; the classes of `learned` weigh the same."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    features, labels = np.concatenate(learned), np.repeat([0, 1], [len(of_class) for of_class in learned])
    head = LogisticRegression(C=1 / (MILD * len(labels)), class_weight="balanced", max_iter=MOST_ITERATIONS)
    model: Any = make_pipeline(StandardScaler(), head)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the ranking has long settled
        model.fit(features, labels)
    return [np.asarray(model.decision_function(of_class), dtype=np.float64) for of_class in tested]
