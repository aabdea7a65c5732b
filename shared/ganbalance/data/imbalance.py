"""Cut classes of a dataset, on the fly and with imbalanced-learn's words."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganbalance.errors import ConfigError


class Imbalancer:
    """Keep only some images of chosen classes.

    Parameters
    ----------
    sampling_strategy : mapping of class label to int or float
        What stays of each class named: an int is the number of samples after resampling, as in imbalanced-learn;
        a float in (0, 1] is the share of the class, the "keep ratio". Classes not named stay whole.
    random_state : int
        Equal states keep equal samples.

    Attributes
    ----------
    sample_indices_ : int64 (n_kept,)
        Rows that stay, in rising order; set by `fit_resample`.
    sampling_strategy_ : dict of class label to int
        The number of samples of every class afterwards.

    Examples
    --------
    >>> X, y = np.zeros((100, 28, 28)), np.repeat([0, 1], 50)
    >>> X_kept, y_kept = Imbalancer(sampling_strategy={1: 0.2}, random_state=0).fit_resample(X, y)
    >>> np.bincount(y_kept).tolist()
    [50, 10]
    """

    sample_indices_: NDArray[np.int64]
    sampling_strategy_: dict[int, int]

    def __init__(self, *, sampling_strategy: Mapping[int, int | float], random_state: int) -> None:
        self.sampling_strategy = dict(sampling_strategy)
        self.random_state = random_state

    def fit_resample(self, X: NDArray[Any], y: NDArray[np.int64]) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """`X` (N, ...) and `y` (N,) without the rows that were cut. Raises ConfigError for an impossible number."""
        from imblearn.under_sampling import RandomUnderSampler

        counts = Counter(y.tolist())
        wanted = {label: self._number(label, counts) for label in self.sampling_strategy}
        self.sampling_strategy_ = dict(sorted({**counts, **wanted}.items()))
        sampler = RandomUnderSampler(sampling_strategy=self.sampling_strategy_, random_state=self.random_state % 2**32)
        sampler.fit_resample(np.arange(len(y))[:, None], y)
        self.sample_indices_ = np.sort(sampler.sample_indices_).astype(np.int64)
        return X[self.sample_indices_], y[self.sample_indices_]

    def _number(self, label: int, counts: Mapping[int, int]) -> int:
        given = self.sampling_strategy[label]
        if label not in counts:
            raise ConfigError(f"sampling_strategy names class {label}, the data has {sorted(counts)}")
        number = round(given * counts[label]) if isinstance(given, float) else given
        too_much = isinstance(given, float) and given > 1
        if too_much or not 1 <= number <= counts[label]:
            raise ConfigError(
                f"sampling_strategy of class {label} is {given}: of its {counts[label]} samples that would keep "
                f"{number}; give a share in (0, 1] or a number from 1 to {counts[label]}"
            )
        return number
