"""What one classifier reaches on the test set, by scikit-learn; `weighted` is the same over many bootstrap draws.

Names: `auc` and `average_precision` need no threshold; `accuracy@prior` is accuracy under the decision rule
named `prior`. Names that start with `deployed_` weight the test images so that the class shares are those
at deployment: a balanced test set flatters precision, F1 and average precision of a rare class.
Binary: of the positive class, column 1. K > 2: macro averages, AUC and average precision one-vs-rest.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike
from sklearn.metrics import (
    average_precision_score,
    balanced_accuracy_score,
    confusion_matrix,
    precision_recall_fscore_support,
    roc_auc_score,
)

from ganbalance.errors import DataError
from ganbalance.metrics.decisions import PAIR, Floats, Ints, decide

PRIMARY = "auc"
RANKED = ("auc", "average_precision", "deployed_average_precision")
"""Metrics of the order of the scores alone."""
DECIDED = ("accuracy", "precision", "recall", "f1", "balanced_accuracy", "deployed_precision", "deployed_f1")
"""Metrics of a decision rule; reported as name@rule."""


def metric_names(rules: Mapping[str, object]) -> list[str]:
    """Every name that `measure` returns for these rules, in its order."""
    return [*RANKED, *(f"{metric}@{rule}" for rule in rules for metric in DECIDED)]


def measure(
    labels_T: ArrayLike, probabilities_TK: ArrayLike, offsets: Mapping[str, ArrayLike], deployment_prior_K: ArrayLike
) -> dict[str, float]:
    """Every metric of one classifier on one test set, each in [0, 1].

    labels_T int in 0..K-1, every class present; probabilities_TK in [0, 1]; offsets: rule name -> K log-offsets.
    """
    labels, probabilities = checked(labels_T, probabilities_TK)
    weights_T = deployment_weights(labels, deployment_prior_K)
    measured = _ranked(labels, probabilities, weights_T)
    for rule, offsets_K in offsets.items():
        decided = _decided(labels, decide(probabilities, offsets_K), probabilities.shape[1], weights_T)
        measured |= {f"{metric}@{rule}": decided[metric] for metric in DECIDED}
    return measured


def confusion(labels: ArrayLike, predictions: ArrayLike, k: int) -> Ints:
    """Counts, int64 (K, K): row is the true class, column the predicted one."""
    return np.asarray(confusion_matrix(labels, predictions, labels=np.arange(k)), dtype=np.int64)


def deployment_weights(labels_T: Ints, deployment_prior_K: ArrayLike) -> Floats:
    """Weight of each test image, float64 (T,), mean 1, under which class shares equal the deployment prior."""
    prior_K = np.asarray(deployment_prior_K, dtype=np.float64)
    shares_K = np.bincount(labels_T, minlength=len(prior_K)) / len(labels_T)
    return np.asarray((prior_K / shares_K)[labels_T], dtype=np.float64)


def checked(labels_T: ArrayLike, probabilities_TK: ArrayLike) -> tuple[Ints, Floats]:
    """Labels as int64 (T,) and probabilities as float64 (T, K), or DataError where they cannot be measured."""
    labels = np.asarray(labels_T, dtype=np.int64)
    probabilities = np.asarray(probabilities_TK, dtype=np.float64)
    if probabilities.shape != (*labels.shape, probabilities.shape[-1]) or labels.ndim != 1:
        raise DataError(f"one row of probabilities per label: given {probabilities.shape} for labels {labels.shape}")
    if not np.array_equal(np.unique(labels), np.arange(probabilities.shape[1])):
        raise DataError(f"every class 0..{probabilities.shape[1] - 1} needs test images, got {np.unique(labels)}")
    if not np.isfinite(probabilities).all():
        raise DataError("probabilities must be finite: a diverged cell is left out, not measured")
    return labels, probabilities


def ranked_classes(k: int) -> range:
    """The classes whose one-vs-rest order is averaged: the positive one in a pair task, else all."""
    return range(1, 2) if k == PAIR else range(k)


def _ranked(labels: Ints, probabilities: Floats, weights_T: Floats) -> dict[str, float]:
    pairs = [(labels == c, probabilities[:, c]) for c in ranked_classes(probabilities.shape[1])]
    deployed = [average_precision_score(truth, score, sample_weight=weights_T) for truth, score in pairs]
    return {
        "auc": float(np.mean([roc_auc_score(truth, score) for truth, score in pairs])),
        "average_precision": float(np.mean([average_precision_score(truth, score) for truth, score in pairs])),
        "deployed_average_precision": float(np.mean(deployed)),
    }


def _decided(labels: Ints, predictions: Ints, k: int, weights_T: Floats) -> dict[str, float]:
    average = {"average": "binary"} if k == PAIR else {"average": "macro", "labels": np.arange(k)}
    scored = {"zero_division": 0, **average}
    precision, recall, f1, _ = precision_recall_fscore_support(labels, predictions, **scored)
    deployed = precision_recall_fscore_support(labels, predictions, sample_weight=weights_T, **scored)
    return {
        "accuracy": float(np.mean(labels == predictions)),
        "precision": float(precision),
        "recall": float(recall),
        "f1": float(f1),
        "balanced_accuracy": float(balanced_accuracy_score(labels, predictions)),
        "deployed_precision": float(deployed[0]),
        "deployed_f1": float(deployed[2]),
    }
