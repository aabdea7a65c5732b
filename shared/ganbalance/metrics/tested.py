"""The test images of a run: those that all cells share, or with folds those of every seed, each image once."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ganbalance.errors import DataError
from ganbalance.metrics.calibration import Ints
from ganbalance.metrics.scores import Scores
from ganbalance.metrics.weighted import grouped_draws, independent_counts


@dataclass(frozen=True)
class PooledTest:
    """`labels` int64 (T,), and `groups` int64 (T,) or None, of all images that any seed is tested on.

    `places` are where those of each seed are among them, int64, by seed; None where all seeds share all.
    """

    labels: Ints
    groups: Ints | None
    places: Mapping[int, Ints] | None

    @classmethod
    def of(cls, cells: Mapping[str, Mapping[int, Scores]]) -> "PooledTest":
        """Pool the test images of cells by arm and seed. Raises DataError where cells that should share them do not."""
        first: dict[int | None, Scores] = {}
        for arm, of_arm in cells.items():
            for seed, scores in of_arm.items():
                shared_by = None if scores.test_rows is None else seed
                if not scores.same_test_images(first.setdefault(shared_by, scores)):
                    raise DataError(
                        f"{arm} at seed {seed} was tested on other images than the rest, so nothing here is "
                        "comparable; delete its train-classifier artifact and run again"
                    )
        if not first:
            raise DataError("no cell of the run has a score")
        if None in first:
            return cls(first[None].test_labels, first[None].test_groups, None)
        rows = {seed: one.test_rows for seed, one in first.items() if seed is not None and one.test_rows is not None}
        whole, where = np.unique(np.concatenate([*rows.values()]), return_index=True)
        labels = np.concatenate([one.test_labels for one in first.values()])[where]
        grouped = [one.test_groups for one in first.values() if one.test_groups is not None]
        groups = np.concatenate(grouped)[where] if grouped else None
        return cls(labels, groups, {seed: np.searchsorted(whole, of_seed) for seed, of_seed in rows.items()})

    def counts(self, classes: int) -> Ints:
        """Count the images of each class, or groups of them: int64 (classes,)."""
        return independent_counts(self.labels, self.groups, classes)

    def draws(self, count: int, rng: np.random.Generator) -> NDArray[np.int16]:
        """Draw weights, int16 (count, T), of resamples of all images at once, in which every seed tests every class."""
        weights_BT = grouped_draws(self.labels, self.groups, count, rng)
        while len(lacking := np.flatnonzero(self._lacks_a_class(weights_BT))):
            weights_BT[lacking] = grouped_draws(self.labels, self.groups, len(lacking), rng)
        return weights_BT

    def of_seed(self, seed: int, weights_BT: NDArray[np.int16]) -> NDArray[np.int16]:
        """Select the weights of the test images of one seed, in the order of its scores."""
        return weights_BT if self.places is None else weights_BT[:, self.places[seed]]

    def _lacks_a_class(self, weights_BT: NDArray[np.int16]) -> NDArray[np.bool_]:
        """Tell which draws leave a seed without an image of some class, bool (B,)."""
        lacks_B = np.zeros(len(weights_BT), bool)
        for places in (self.places or {}).values():
            for label in np.unique(self.labels):
                lacks_B |= ~weights_BT[:, places[self.labels[places] == label]].any(axis=1)
        return lacks_B
