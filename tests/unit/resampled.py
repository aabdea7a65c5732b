"""Examples of given class sizes, and what a method makes of them."""

from typing import Any

import numpy as np

from ganbalance import arms
from ganbalance.arms import Examples

RARE = 1


def examples(*sizes: int, d: int = 4) -> Examples:
    """Classes of these sizes, shuffled."""
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.repeat(np.arange(len(sizes)), sizes)).astype(np.int64)
    return Examples(rng.normal(size=(len(labels), d)).astype(np.float32), labels, np.ones(len(labels)))


def resampled(choice: Any, given: Examples, state: int = 0) -> Examples:
    return arms.method(choice).resample(given, state)
