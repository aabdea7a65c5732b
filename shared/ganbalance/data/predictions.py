"""What a classifier said of the test and validation images: enough to recompute any metric."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Predictions:
    """Probabilities float64 (T, K) and (V, K) with their columns int64, and the training prior float64 (K,).

    V is 0 where nothing was held out for validation.
    """

    test: Floats
    test_labels: NDArray[np.int64]
    validation: Floats
    validation_labels: NDArray[np.int64]
    prior: Floats

    def rescored(self, correct: Callable[[Floats], Floats]) -> Self:
        """The same after `correct` changed the probabilities so that they are as if learned under equal priors."""
        columns = len(self.prior)
        equal = np.full(columns, 1 / columns)
        return replace(self, test=correct(self.test), validation=correct(self.validation), prior=equal)

    def save(self, path: Path) -> None:
        """Write every field to an .npz file."""
        np.savez(path, **{item.name: getattr(self, item.name) for item in fields(self)})

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as arrays:
            return cls(**{item.name: arrays[item.name] for item in fields(cls)})
