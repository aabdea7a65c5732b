"""smote: new rare examples on the lines between rare ones and their neighbours, in the space of the features.

Chawla, Bowyer, Hall & Kegelmeyer 2002, "SMOTE: Synthetic minority over-sampling technique", JAIR 16, section 4.2.
"""

from typing import Annotated

import numpy as np
from pydantic import Field

from ganbalance.arms.base import Examples, Method
from ganbalance.errors import DataError


class Smote(Method):
    new_inputs = True

    k_neighbors: Annotated[int, Field(ge=1)] = 5
    """Neighbours that a line may lead to; all others of the class where it has fewer."""

    def resample(self, examples: Examples, random_state: int) -> Examples:
        from imblearn.over_sampling import SMOTE

        fewest = int(np.bincount(examples.labels).min())
        if fewest < 2:  # noqa: PLR2004 - a line has two ends
            raise DataError(f"smote draws lines between images of a class, and one class has {fewest} to train on")
        sampler = SMOTE(k_neighbors=min(self.k_neighbors, fewest - 1), random_state=random_state)
        inputs, labels = sampler.fit_resample(examples.inputs, examples.labels)
        added = len(labels) - len(examples.labels)  # they come after the given ones
        return Examples(inputs, labels.astype(np.int64), np.concatenate([examples.weights, np.ones(added)]))
