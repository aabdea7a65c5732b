"""Which images make up minibatch number `step`: a pure function, so there is no sampler state to save."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ganbalance.seeding import numpy_rng


@dataclass(frozen=True, kw_only=True)
class BatchOrder:
    """Epochs of shuffled minibatches; the last, partial batch of an epoch is kept.

    Every epoch has its own permutation, drawn from (seed, stream, epoch) alone.
    """

    n_images: int
    batch_size: int
    seed: int
    stream: str

    @property
    def per_epoch(self) -> int:
        """Batches in one epoch."""
        return -(-self.n_images // self.batch_size)

    def at(self, step: int) -> NDArray[np.int64]:
        """List the images of minibatch `step` (from 0): int64 indices, 1 to batch_size of them."""
        epoch, batch = divmod(step, self.per_epoch)
        start = batch * self.batch_size
        return _shuffled(self.n_images, self.seed, self.stream, epoch)[start : start + self.batch_size]

    def images_seen(self, steps: int) -> int:
        """Count the images that the first `steps` minibatches hold together."""
        epochs, batches = divmod(steps, self.per_epoch)
        return epochs * self.n_images + batches * self.batch_size


@dataclass(frozen=True, kw_only=True)
class BalancedOrder(BatchOrder):
    """Minibatches that hold every class as often, whatever the sizes of the classes. An epoch has as many as without.

    `classes` are the images of each class. Class-balanced sampling: Kang et al. 2020, arXiv:1910.09217, section 3, here
    without replacement: each class is gone through in shuffled rounds of its own.
    """

    classes: tuple[NDArray[np.int64], ...]

    def at(self, step: int) -> NDArray[np.int64]:
        """List the images of minibatch `step` (from 0): int64 (batch_size,), class by class in turn."""
        places = np.arange(step * self.batch_size, (step + 1) * self.batch_size)
        return np.array([self._image(*divmod(int(place), len(self.classes))) for place in places])

    def _image(self, turn: int, c: int) -> int:
        """Find the image that class `c` shows in its turn, from 0."""
        images = self.classes[c]
        round_, place = divmod(turn, len(images))
        return int(images[_shuffled(len(images), self.seed, f"{self.stream}/{c}", round_)[place]])

    def images_seen(self, steps: int) -> int:
        """Count the images that the first `steps` minibatches hold together."""
        return steps * self.batch_size


@lru_cache(maxsize=512)
def _shuffled(n_images: int, seed: int, stream: str, epoch: int) -> NDArray[np.int64]:
    """Draw one epoch's order, kept since every step of it asks anew."""
    return numpy_rng(seed, stream, "epoch", epoch).permutation(n_images)
