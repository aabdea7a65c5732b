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
    """Draw weights, int16 (draws, T), of `draws` resamples that keep each class at its size.

    The class sizes of the test set are a choice of the experiment and not a result, so they do not vary.
    """
    labels = np.asarray(labels_T, dtype=np.int64)
    weights_BT = np.zeros((draws, len(labels)), dtype=np.int16)
    for c in np.unique(labels):
        (members,) = np.nonzero(labels == c)
        for row in weights_BT:
            row[members] = np.bincount(rng.integers(0, len(members), len(members)), minlength=len(members))
    return weights_BT


def grouped_draws(labels_T: Ints, groups_T: Ints | None, draws: int, rng: np.random.Generator) -> NDArray[np.int16]:
    """Draw weights, int16 (draws, T), of resamples of whole groups of images; without groups as `stratified_draws`.

    The cluster bootstrap: Field & Welsh 2007, "Bootstrapping clustered data", J. R. Statist. Soc. B 69, 369-390. Of the
    groups in a stratum as many are drawn as there are; a group's stratum is the one of its classes that has the fewest
    groups. A draw that lacks a class is drawn again.
    """
    if groups_T is None:
        return stratified_draws(labels_T, draws, rng)
    groups_G, group_of_T = np.unique(groups_T, return_inverse=True)
    holds_GK = np.zeros((len(groups_G), labels_T.max() + 1), np.int64)
    holds_GK[group_of_T, labels_T] = 1
    rarest_G = np.where(holds_GK, holds_GK.sum(axis=0), len(groups_G) + 1).argmin(axis=1)
    weights_BG = stratified_draws(rarest_G, draws, rng)
    there = holds_GK.any(axis=0)
    while len(lacking := np.flatnonzero((weights_BG @ holds_GK == 0)[:, there].any(axis=1))):
        weights_BG[lacking] = stratified_draws(rarest_G, len(lacking), rng)
    return weights_BG[:, group_of_T]


def independent_counts(labels_T: Ints, groups_T: Ints | None, k: int) -> Ints:
    """Count the groups that each of k classes has images of, int64 (k,); without groups, the images."""
    if groups_T is not None:
        labels_T = np.unique(np.stack([labels_T, groups_T]), axis=1)[0]
    return np.bincount(labels_T, minlength=k)


@dataclass(frozen=True)
class Curve:
    """Weights along P distinct scores that a positive image has, highest first: float64 (P, C) each.

    gained              of the positives at the score
    positive, negative  of all at the score or above it
    tied                of the negatives at the score; None where no positive shares its score with a negative
    negatives           float64 (C,): of all negatives

    No metric here needs the scores between, which only negatives have: recall is the same there and precision lower.
    """

    gained: Floats
    positive: Floats
    negative: Floats
    tied: Floats | None
    negatives: Floats

    def auc(self) -> Floats:
        """Compute the area under the ROC curve by the trapezium rule, float64 (C,): a tied pair counts one half."""
        above = 2 * np.einsum("pc,pc->c", self.gained, self.negative)
        if self.tied is not None:
            above -= np.einsum("pc,pc->c", self.gained, self.tied)
        twice = 2 * self.positive[-1] * self.negatives
        return np.asarray((twice - above) / twice, dtype=np.float64)

    def average_precision(self) -> Floats:
        """Sum (recall gained) x (precision there) over distinct scores, float64 (C,), as scikit-learn defines it."""
        return np.asarray(np.einsum("pc,pc->c", self.gained, self._precision) / self.positive[-1], dtype=np.float64)

    def recall_at_precision(self, level: float) -> Floats:
        """Find the largest recall of a threshold whose precision is at least `level`, float64 (C,); 0 where none is."""
        reached = self._precision >= level - _ROUNDING
        return np.asarray((self.positive * reached).max(axis=0) / self.positive[-1], dtype=np.float64)

    def precision_at_recall(self, level: float) -> Floats:
        """Find the largest precision of a threshold whose recall is at least `level`, float64 (C,)."""
        reached = self.positive >= (level - _ROUNDING) * self.positive[-1]
        return np.asarray((self._precision * reached).max(axis=0), dtype=np.float64)

    def weighted(self, positive_C: Floats, negative_C: Floats) -> "Curve":
        """Weigh each positive and each negative image so much more, by draw, in the same order."""
        return Curve(
            self.gained * positive_C,
            self.positive * positive_C,
            self.negative * negative_C,
            None if self.tied is None else self.tied * negative_C,
            self.negatives * negative_C,
        )

    @cached_property
    def _precision(self) -> Floats:
        # above the first drawn image nothing is gained either, so 0/0 may be anything finite
        total = self.positive + self.negative
        np.maximum(total, np.finfo(np.float64).tiny, out=total)
        found: Floats = np.divide(self.positive, total, out=total)
        return found


_ROUNDING = 1e-9
"""A level is met by what rounding alone keeps below it."""


@dataclass(frozen=True)
class Order:
    """Images by falling score: those of each kind, where the positives' tied groups start, and what lies above them.

    positives, negatives  int64 (n,): images
    starts                int64 (P,): the first positive of each distinct score; None where each has its own
    above, upto           int64 (P,): how many negatives score higher, and at least as high
    """

    positives: Ints
    negatives: Ints
    starts: Ints | None
    above: Ints
    upto: Ints

    @classmethod
    def of(cls, truth_T: NDArray[np.bool_], score_T: Floats, images_T: Ints | None = None) -> "Order":
        """Sort once. `images_T` says which images these are of those that have weights; default: all, in order."""
        order = np.argsort(-score_T, kind="stable")
        ahead, behind = order[truth_T[order]], order[~truth_T[order]]
        falling, others = -score_T[ahead], -score_T[behind]
        starts = np.nonzero(np.append(True, falling[1:] != falling[:-1]))[0]
        above = np.searchsorted(others, falling[starts], side="left")
        upto = np.searchsorted(others, falling[starts], side="right")
        images = np.arange(len(order)) if images_T is None else images_T
        return cls(images[ahead], images[behind], None if len(starts) == len(ahead) else starts, above, upto)

    def curve(self, weights_TC: Floats) -> Curve:
        """Compute the curve of every draw."""
        gained_PC = weights_TC[self.positives]
        if self.starts is not None:
            gained_PC = np.add.reduceat(gained_PC, self.starts, axis=0)
        # the row in front: no negative, no weight
        negative_NC = np.empty((len(self.negatives) + 1, weights_TC.shape[1]))
        negative_NC[0] = 0.0
        np.cumsum(weights_TC[self.negatives], axis=0, out=negative_NC[1:])
        upto_PC = negative_NC[self.upto]
        tied_PC = None if np.array_equal(self.above, self.upto) else upto_PC - negative_NC[self.above]
        return Curve(gained_PC, np.cumsum(gained_PC, axis=0), upto_PC, tied_PC, negative_NC[-1])


def deployment_factors(labels_T: Ints, weights_TC: Floats, prior_K: Floats) -> Floats:
    """Compute what an image of class k weighs in draw c so that the draw has the deployment prior, float64 (K, C)."""
    counts_KC = np.stack([weights_TC[labels_T == c].sum(axis=0) for c in range(len(prior_K))])
    if not counts_KC.all():
        raise DataError("a draw of the test set lacks a class: its metrics do not exist")
    return np.asarray(prior_K[:, None] * counts_KC.sum(axis=0) / counts_KC, dtype=np.float64)


def confusions(labels_T: Ints, predicted_T: Ints, weights_TC: Floats, k: int) -> Floats:
    """Count by weight, float64 (C, K, K): row is the true class, column the predicted one."""
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
    """Divide part by whole, with 0 where nothing was there to share (scikit-learn's zero_division=0)."""
    return np.asarray(part / np.where(whole > 0, whole, 1.0), dtype=np.float64)
