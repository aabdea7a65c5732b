"""adasyn: SMOTE with the more new examples from a rare one, the more of its neighbours are of other classes.

He, Bai, Garcia & Li 2008, "ADASYN: Adaptive synthetic sampling approach for imbalanced learning", IJCNN, eq. 2 to 5
with beta = 1. The number from each is rounded (eq. 4), so that a class ends a little off the size of the largest.
Where no neighbour is of another class, or every number rounds to 0, the paper's numbers are not defined or nothing is
made; the new examples of that class are those of `smote`.
"""

from typing import Annotated, Any

import numpy as np
from pydantic import Field

from ganbalance.arms.base import Examples, Method
from ganbalance.arms.methods.smote import neighbours


class Adasyn(Method):
    new_inputs = True

    n_neighbors: Annotated[int, Field(ge=1)] = 5
    """Neighbours that are counted and that a line may lead to; all others of the class where it has fewer."""

    def resample(self, examples: Examples, random_state: int) -> Examples:
        from imblearn.over_sampling import ADASYN, SMOTE

        sizes, found = np.bincount(examples.labels), examples
        for smaller in np.flatnonzero(sizes < sizes.max()):
            k = neighbours("adasyn", self.n_neighbors, int(sizes[smaller]))
            aim: dict[str, Any] = {"sampling_strategy": {smaller: sizes.max()}, "random_state": random_state}
            try:
                inputs, labels = ADASYN(n_neighbors=k, **aim).fit_resample(examples.inputs, examples.labels)
            except (RuntimeError, ValueError):  # how it says that there is no such neighbour, or nothing to make
                inputs, labels = SMOTE(k_neighbors=k, **aim).fit_resample(examples.inputs, examples.labels)
            given = len(examples.labels)  # they come first
            found = found.extended(inputs[given:], labels[given:])
        return found
