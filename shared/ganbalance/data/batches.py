"""Which images make up minibatch number `step`: a pure function, so there is no sampler state to save."""

from dataclasses import dataclass

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
        """The images of minibatch `step` (from 0): int64 indices, 1 to batch_size of them."""
        epoch, batch = divmod(step, self.per_epoch)
        start = batch * self.batch_size
        order = numpy_rng(self.seed, self.stream, "epoch", epoch).permutation(self.n_images)
        return order[start : start + self.batch_size]

    def images_seen(self, steps: int) -> int:
        """How many images the first `steps` minibatches hold together."""
        epochs, batches = divmod(steps, self.per_epoch)
        return epochs * self.n_images + batches * self.batch_size
