"""The metrics of `classification` on many bootstrap draws of the test set at once.

A draw is a row of whole weights: how often each test image was drawn. Nothing is sorted again per draw: one
order of the scores, then cumulative sums of the weights along it, for a block of draws that fits the cache.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ganbalance.errors import DataError
from ganbalance.metrics.classification import DECIDED, RANKED, checked, metric_names, ranked_classes
from ganbalance.metrics.decisions import Floats, Ints, decide

_BLOCK_VALUES = 2**18
"""Weights per block: 2 MB of float64, so that the passes over a block stay in cache."""


def stratified_draws(labels_T: ArrayLike, draws: int, rng: np.random.Generator) -> NDArray[np.int16]:
    """Weights, int16 (draws, T), of `draws` resamples that keep each class at its size.

    The class sizes of the test set are a choice of the experiment and not a result, so they do not vary.
    """
    labels = np.asarray(labels_T, dtype=np.int64)
    weights_BT = np.zeros((draws, len(labels)), dtype=np.int16)
    for c in np.unique(labels):
        (members,) = np.nonzero(labels == c)
        for row in weights_BT:
            row[members] = np.bincount(rng.integers(0, len(members), len(members)), minlength=len(members))
    return weights_BT


def measure_weighted(
    labels_T: ArrayLike,
    probabilities_TK: ArrayLike,
    offsets: Mapping[str, ArrayLike],
    deployment_prior_K: ArrayLike,
    weights_BT: NDArray[np.integer],
) -> dict[str, Floats]:
    """Metric name -> float64 (B,): row b is `measure` of the test set in which image t appears weights_BT[b, t] times.

    Every draw must hold every class. Deployment weights are taken per draw, so that each has the deployment prior.
    """
    labels, probabilities = checked(labels_T, probabilities_TK)
    draws, k = len(weights_BT), probabilities.shape[1]
    prior_K = np.asarray(deployment_prior_K, dtype=np.float64)
    orders = [_Order.of(labels == c, probabilities[:, c]) for c in ranked_classes(k)]
    cells = _confusion_cells(labels, probabilities, offsets)
    measured = {name: np.empty(draws) for name in metric_names(offsets)}
    block = max(1, _BLOCK_VALUES // len(labels))
    for start in range(0, draws, block):
        rows = slice(start, start + block)
        weights_TC = np.ascontiguousarray(weights_BT[rows].T, dtype=np.float64)
        deployment_KC = _deployment_factors(labels, weights_TC, prior_K)
        found = _ranked(orders, weights_TC, weights_TC * deployment_KC[labels])
        counts = (cells @ weights_TC).T.reshape(weights_TC.shape[1], len(offsets), k, k)
        for index, rule in enumerate(offsets):
            decided = _decided(counts[:, index], deployment_KC.T)
            found |= {f"{metric}@{rule}": decided[metric] for metric in DECIDED}
        for name, values_C in found.items():
            measured[name][rows] = values_C
    return measured


@dataclass(frozen=True)
class _Order:
    """Test images by falling score of one class: the order, who is positive, where tied groups end (None: no ties)."""

    images: Ints
    positive: NDArray[np.bool_]
    ends: Ints | None

    @classmethod
    def of(cls, truth_T: NDArray[np.bool_], score_T: Floats) -> "_Order":
        images = np.argsort(-score_T, kind="stable")
        ends = np.append(np.nonzero(np.diff(score_T[images]))[0], len(images) - 1)
        return cls(images, truth_T[images, None], None if len(ends) == len(images) else ends)

    def curve(self, weights_TC: Floats) -> tuple[Floats, Floats]:
        """Weight of the positives and of all images at or above each distinct score, float64 (G, C) each."""
        sorted_TC = weights_TC[self.images]
        all_GC = np.cumsum(sorted_TC, axis=0)
        sorted_TC *= self.positive
        positive_GC = np.cumsum(sorted_TC, axis=0, out=sorted_TC)
        if self.ends is None:
            return positive_GC, all_GC
        return positive_GC[self.ends], all_GC[self.ends]


def _ranked(orders: list[_Order], weights_TC: Floats, deployed_TC: Floats) -> dict[str, Floats]:
    per_class = []
    for order in orders:
        curve = order.curve(weights_TC)
        per_class.append((_auc(*curve), _average_precision(*curve), _average_precision(*order.curve(deployed_TC))))
    return dict(zip(RANKED, np.mean(per_class, axis=0), strict=True))


def _auc(positive_GC: Floats, all_GC: Floats) -> Floats:
    """Area under the ROC curve by the trapezium rule, float64 (C,): a tied pair counts one half."""
    positive, total = positive_GC[-1], all_GC[-1]
    # the area is the mean over positives of the negatives below them: twice, with the tied group once
    negative_GC = all_GC - positive_GC
    steps_GC = np.diff(negative_GC, axis=0, prepend=0.0)
    twice = 2 * np.einsum("gc,gc->c", steps_GC, positive_GC)
    tied = np.einsum("gc,gc->c", steps_GC, np.diff(positive_GC, axis=0, prepend=0.0))
    return np.asarray((twice - tied) / (2 * positive * (total - positive)), dtype=np.float64)


def _average_precision(positive_GC: Floats, all_GC: Floats) -> Floats:
    """Sum over distinct scores of (recall gained) x (precision there), float64 (C,), as scikit-learn defines it."""
    gained_GC = np.diff(positive_GC, axis=0, prepend=0.0)
    # above the first drawn image nothing is gained either, so 0/0 may be anything finite
    precision_GC = positive_GC / np.where(all_GC > 0, all_GC, 1.0)
    return np.asarray(np.einsum("gc,gc->c", gained_GC, precision_GC) / positive_GC[-1], dtype=np.float64)


def _deployment_factors(labels_T: Ints, weights_TC: Floats, prior_K: Floats) -> Floats:
    """What an image of class k weighs in draw c so that the draw has the deployment prior, float64 (K, C)."""
    counts_KC = np.stack([weights_TC[labels_T == c].sum(axis=0) for c in range(len(prior_K))])
    if not counts_KC.all():
        raise DataError("a draw of the test set lacks a class: its metrics do not exist")
    return np.asarray(prior_K[:, None] * counts_KC.sum(axis=0) / counts_KC, dtype=np.float64)


def _confusion_cells(labels: Ints, probabilities: Floats, offsets: Mapping[str, ArrayLike]) -> Floats:
    """One row per (rule, true class, predicted class), 1 where a test image falls there: (R K K, T)."""
    k = probabilities.shape[1]
    codes = [labels * k + decide(probabilities, offsets_K) for offsets_K in offsets.values()]
    rows = [code == np.arange(k * k)[:, None] for code in codes]
    return np.concatenate(rows).astype(np.float64) if rows else np.zeros((0, len(labels)))


def _decided(counts_CKK: Floats, deployment_CK: Floats) -> dict[str, Floats]:
    recall_CK = _share(_hits(counts_CKK), counts_CKK.sum(axis=2))
    deployed_CKK = counts_CKK * deployment_CK[:, :, None]
    return {
        "accuracy": _hits(counts_CKK).sum(axis=1) / counts_CKK.sum(axis=(1, 2)),
        "precision": _average(_precision(counts_CKK)),
        "recall": _average(recall_CK),
        "f1": _average(_f1(counts_CKK)),
        "balanced_accuracy": recall_CK.mean(axis=1),
        "deployed_precision": _average(_precision(deployed_CKK)),
        "deployed_f1": _average(_f1(deployed_CKK)),
    }


def _hits(counts_CKK: Floats) -> Floats:
    return np.diagonal(counts_CKK, axis1=1, axis2=2)


def _precision(counts_CKK: Floats) -> Floats:
    return _share(_hits(counts_CKK), counts_CKK.sum(axis=1))


def _f1(counts_CKK: Floats) -> Floats:
    """2 TP / (predicted + true), float64 (C, K)."""
    return _share(2 * _hits(counts_CKK), counts_CKK.sum(axis=1) + counts_CKK.sum(axis=2))


def _share(part: Floats, whole: Floats) -> Floats:
    """part / whole, and 0 where nothing was there to share (scikit-learn's zero_division=0)."""
    return np.asarray(part / np.where(whole > 0, whole, 1.0), dtype=np.float64)


def _average(values_CK: Floats) -> Floats:
    """The positive class of a pair task; the macro average beyond."""
    return np.asarray(values_CK[:, ranked_classes(values_CK.shape[1])].mean(axis=1), dtype=np.float64)
