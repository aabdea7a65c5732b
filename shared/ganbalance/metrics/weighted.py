"""Metrics of a ranking or of a decision on many bootstrap draws of the test set at once.

A draw is a row of whole weights: how often each test image was drawn. Nothing is sorted again per draw: one
order of the scores, then cumulative sums of the weights along it. Weights come as (T, C), a column per draw.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ganbalance.errors import DataError
from ganbalance.metrics.calibration import Floats, Ints


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


@dataclass(frozen=True)
class Curve:
    """Weight of the positives, and of all images, at or above each distinct score, highest first: float64 (G, C)."""

    positive: Floats
    all: Floats

    def auc(self) -> Floats:
        """Area under the ROC curve by the trapezium rule, float64 (C,): a tied pair counts one half."""
        total_positive, total = self.positive[-1], self.all[-1]
        # the area is the mean over positives of the negatives below them: twice, with the tied group once
        steps = _steps(self.all - self.positive)
        twice = 2 * np.einsum("gc,gc->c", steps, self.positive)
        tied = np.einsum("gc,gc->c", steps, self._gained)
        return np.asarray((twice - tied) / (2 * total_positive * (total - total_positive)), dtype=np.float64)

    def average_precision(self) -> Floats:
        """Sum over distinct scores of (recall gained) x (precision there), float64 (C,), as scikit-learn defines it."""
        return np.asarray(np.einsum("gc,gc->c", self._gained, self._precision) / self.positive[-1], dtype=np.float64)

    def recall_at_precision(self, level: float) -> Floats:
        """The largest recall of a threshold whose precision is at least `level`, float64 (C,); 0 where none is."""
        reached = (self._precision >= level - _ROUNDING) & (self.all > 0)
        return np.asarray((self.positive * reached).max(axis=0) / self.positive[-1], dtype=np.float64)

    def precision_at_recall(self, level: float) -> Floats:
        """The largest precision of a threshold whose recall is at least `level`, float64 (C,)."""
        reached = self.positive >= (level - _ROUNDING) * self.positive[-1]
        return np.asarray((self._precision * reached).max(axis=0), dtype=np.float64)

    def weighted(self, positive_C: Floats, negative_C: Floats) -> "Curve":
        """The same order where each positive and each negative image weighs so much more, by draw."""
        positive = self.positive * positive_C
        return Curve(positive, positive + (self.all - self.positive) * negative_C)

    @cached_property
    def _gained(self) -> Floats:
        return _steps(self.positive)

    @cached_property
    def _precision(self) -> Floats:
        # above the first drawn image nothing is gained either, so 0/0 may be anything finite
        found: Floats = self.positive / np.where(self.all > 0, self.all, 1.0)
        return found


def _steps(sums_GC: Floats) -> Floats:
    """What each row adds to the one before: np.diff with a row of zeros in front, in half the time."""
    steps = sums_GC.copy()
    steps[1:] -= sums_GC[:-1]
    return steps


_ROUNDING = 1e-9
"""A level is met by what rounding alone keeps below it."""


@dataclass(frozen=True)
class Order:
    """Images by falling score: the order, who is positive, where tied groups end (None: no ties)."""

    images: Ints
    positive: NDArray[np.bool_]
    ends: Ints | None

    @classmethod
    def of(cls, truth_T: NDArray[np.bool_], score_T: Floats) -> "Order":
        """Sort once."""
        images = np.argsort(-score_T, kind="stable")
        ends = np.append(np.nonzero(np.diff(score_T[images]))[0], len(images) - 1)
        return cls(images, truth_T[images, None], None if len(ends) == len(images) else ends)

    def curve(self, weights_TC: Floats) -> Curve:
        """The curve of every draw."""
        sorted_TC = weights_TC[self.images]
        all_GC = np.cumsum(sorted_TC, axis=0)
        sorted_TC *= self.positive
        positive_GC = np.cumsum(sorted_TC, axis=0, out=sorted_TC)
        if self.ends is None:
            return Curve(positive_GC, all_GC)
        return Curve(positive_GC[self.ends], all_GC[self.ends])


def deployment_factors(labels_T: Ints, weights_TC: Floats, prior_K: Floats) -> Floats:
    """What an image of class k weighs in draw c so that the draw has the deployment prior, float64 (K, C)."""
    counts_KC = np.stack([weights_TC[labels_T == c].sum(axis=0) for c in range(len(prior_K))])
    if not counts_KC.all():
        raise DataError("a draw of the test set lacks a class: its metrics do not exist")
    return np.asarray(prior_K[:, None] * counts_KC.sum(axis=0) / counts_KC, dtype=np.float64)


def confusions(labels_T: Ints, predicted_T: Ints, weights_TC: Floats, k: int) -> Floats:
    """Weighted counts, float64 (C, K, K): row is the true class, column the predicted one."""
    cells = (labels_T * k + predicted_T == np.arange(k * k)[:, None]).astype(np.float64)
    return np.asarray((cells @ weights_TC).T.reshape(weights_TC.shape[1], k, k), dtype=np.float64)


@dataclass(frozen=True)
class Decided:
    """A decision rule on many draws: weighted counts float64 (C, K, K), row the true class, column the predicted."""

    counts: Floats

    @property
    def accuracy(self) -> Floats:
        """Share of images predicted right, float64 (C,)."""
        return np.asarray(self._hits.sum(axis=1) / self.counts.sum(axis=(1, 2)), dtype=np.float64)

    @property
    def recall(self) -> Floats:
        """Of each class, float64 (C, K)."""
        return _share(self._hits, self.counts.sum(axis=2))

    @property
    def precision(self) -> Floats:
        """Of each class, float64 (C, K); 0 where nothing was predicted to be of it."""
        return _share(self._hits, self.counts.sum(axis=1))

    @property
    def f1(self) -> Floats:
        """2 TP / (predicted + true) of each class, float64 (C, K)."""
        return _share(2 * self._hits, self.counts.sum(axis=1) + self.counts.sum(axis=2))

    @property
    def _hits(self) -> Floats:
        return np.diagonal(self.counts, axis1=1, axis2=2)


def _share(part: Floats, whole: Floats) -> Floats:
    """part / whole, and 0 where nothing was there to share (scikit-learn's zero_division=0)."""
    return np.asarray(part / np.where(whole > 0, whole, 1.0), dtype=np.float64)
