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

        k = neighbours("smote", self.k_neighbors, int(np.bincount(examples.labels).min()))
        inputs, labels = SMOTE(k_neighbors=k, random_state=random_state).fit_resample(examples.inputs, examples.labels)
        given = len(examples.labels)  # they come first
        return examples.extended(inputs[given:], labels[given:])


def neighbours(method: str, wanted: int, size: int) -> int:
    """Count the neighbours that lines lead to in a class of `size` examples: at most all others.

    Raises DataError where there is no other.
    """
    if size < 2:  # noqa: PLR2004 - a line has two ends
        raise DataError(f"{method} draws lines between images of a class, and one class has {size} to train on")
    return min(wanted, size - 1)
