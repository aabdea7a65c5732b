"""oracle-matched: as many removed images given back as a GAN adds synthetic ones, or all where there are fewer."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ganbalance.arms.base import Arm, TrainingSet, evenly
from ganbalance.data.split import Split
from ganbalance.seeding import numpy_rng


class OracleMatched(Arm):
    needs_removed = True
    matches_synthetic = True

    def training_set(
        self, split: Split, labels_N: NDArray[np.int64], *, seed: int, added: Mapping[int, int]
    ) -> TrainingSet:
        rng = numpy_rng(seed, "training-set")
        given = [rng.permutation(split.removed[labels_N[split.removed] == c])[:count] for c, count in added.items()]
        return evenly(np.sort(np.concatenate([split.train, *given])))
