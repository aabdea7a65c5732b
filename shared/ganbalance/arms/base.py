"""What an arm is made of: how training examples are resampled, by which loss the head learns, which images are kept.

Each is a settings class with one thing that it does, one file each in `methods/`, `objectives/` and `filters/`: its
fields are what `{name: ..., setting: value}` in an experiment may say, and reach the key of the stage. Libraries are
imported where they are used, since a plan reads the settings alone.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from ganbalance.frozen import Frozen
from ganbalance.seeding import numpy_rng

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Examples:
    """What a classifier learns from: inputs (n, ...), classes int64 (n,) and weights float64 (n,).

    Inputs are float32 features (n, d) under a linear head, uint8 images (n, C, H, W) where a network is trained.
    """

    inputs: NDArray[Any]
    labels: NDArray[np.int64]
    weights: Floats

    def rows(self, rows: NDArray[Any]) -> "Examples":
        """Return these examples alone, in this order."""
        return Examples(self.inputs[rows], self.labels[rows], self.weights[rows])

    def extended(self, inputs: NDArray[Any], labels: NDArray[Any], weights: Floats | None = None) -> "Examples":
        """Return these examples and others after them, of weight 1 unless weights are given; types stay as they are."""
        return Examples(
            np.concatenate([self.inputs, inputs.astype(self.inputs.dtype)]),
            np.concatenate([self.labels, labels.astype(np.int64)]),
            np.concatenate([self.weights, np.ones(len(labels)) if weights is None else weights]),
        )

    def of_pair(self, pair: tuple[int, int]) -> "Examples":
        """Return the examples of two classes, which become 0 and 1."""
        chosen = self.rows(np.isin(self.labels, pair))
        return Examples(chosen.inputs, (chosen.labels == pair[1]).astype(np.int64), chosen.weights)

    @property
    def are_images(self) -> bool:
        """Whether a network learns from them."""
        return self.inputs.ndim > 2  # noqa: PLR2004 - vectors in rows

    @property
    def prior(self) -> Floats:
        """Each class's share of the weight, float64 (K,)."""
        shares: Floats = np.bincount(self.labels, self.weights) / self.weights.sum()
        return shares


@dataclass(frozen=True)
class Minibatch:
    """What a network learns from in one step.

    rows     which examples, int64 (B,)
    weights  how much the loss of each counts, float64 (B,), 1 on average over a training
    others   for each the place in the minibatch of what is mixed into it, int64 (B,); None: nothing is mixed
    share    how much of a mixture, and of its label, is of its own example, in [0, 1]
    """

    rows: Rows
    weights: Floats
    others: Rows | None = None
    share: float = 1.0


class Method(Frozen, ABC):
    """How the training examples are balanced. Every arm of a seed gets the same split and the same random state."""

    new_inputs: ClassVar[bool] = False  # whether it makes feature vectors, which a network cannot learn from
    in_minibatches: ClassVar[bool] = False  # whether it acts on a network's minibatches; its images stay as they are
    leaves_out: ClassVar[bool] = False  # whether examples of the larger classes are not learned from

    @abstractmethod
    def resample(self, examples: Examples, random_state: int) -> Examples:
        """Return other examples, or the same with other weights; imbalanced-learn's contract with weights beside it."""

    def minibatch(self, examples: Examples, step: int, size: int, seed: int) -> Minibatch:
        """Choose what a network learns from at a step, from 0: a pure function of it, so a training can be resumed.

        `examples` are what `resample` gave: every one once before any again, each loss by its weight.
        """
        rows = shuffled(len(examples.labels), places_of(step, size), seed, "order")
        return Minibatch(rows, examples.weights[rows] / examples.weights.mean())


def places_of(step: int, size: int) -> Rows:
    """Return the places of a minibatch in the row of all of them, int64 (size,)."""
    return np.arange(step * size, (step + 1) * size)


def shuffled(count: int, places: Rows, seed: int, *purpose: str | int) -> Rows:
    """Say which of `count` things, from 0, stands at each place of an endless row, int64 like `places`.

    Every one stands there once, in an order drawn anew, before any again.
    """
    rounds, within = np.divmod(places, count)
    orders = {
        number: numpy_rng(seed, "network", *purpose, int(number)).permutation(count) for number in np.unique(rounds)
    }
    return np.array([orders[number][place] for number, place in zip(rounds, within, strict=True)], np.int64)


class Objective(Frozen, ABC):
    """The loss of the linear head."""

    @abstractmethod
    def loss(self, logits_NK: Floats, labels_N: NDArray[np.int64]) -> tuple[Floats, Floats]:
        """Compute the loss of every example, float64 (N,), and its derivative by the logits, float64 (N, K)."""

    def shift(self, prior_K: Floats) -> Floats:
        """Return what is added to the logits in training alone, float64 (K,), given the class shares there."""
        return np.zeros_like(prior_K)

    def decides_for(self, prior_K: Floats) -> Floats:
        """Return the class shares that logits without the shift are of, float64 (K,), given those in training."""
        weights = prior_K * np.exp(-self.shift(prior_K))
        shares: Floats = weights / weights.sum()
        return shares


@dataclass(frozen=True)
class Candidates:
    """Synthetic images of one class to choose among, and what may be asked about them.

    images         uint8 (n, C, H, W)
    discriminator  () -> the logits of the discriminator that they were trained against, float64 (n,)
    classifier     () -> their log odds, the class against the rest, by the head of `none`, float64 (n,)
    """

    images: NDArray[np.uint8]
    discriminator: Callable[[], Floats]
    classifier: Callable[[], Floats]


class Filter(Frozen, ABC):
    """Which synthetic images are worth keeping."""

    reads: ClassVar[Literal["images", "gan", "features"]] = "images"
    """What it needs beside the images: the trained GAN, or features of real and synthetic images."""

    @abstractmethod
    def score(self, candidates: Candidates) -> Floats:
        """Score each image, the higher the better, float64 (n,)."""
