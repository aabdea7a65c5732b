"""borderline-smote: SMOTE from those rare examples alone that stand among many of other classes.

Han, Wang & Mao 2005, "Borderline-SMOTE: A new over-sampling method in imbalanced data sets learning", ICIC, section 3,
Borderline-SMOTE1: in danger is an example of whose m neighbours half or more, but not all, are of other classes. Where
a class has none in danger, the paper adds nothing; here its new examples are those of `smote`, so that it is balanced
as in every other arm.
"""

from typing import Annotated

import numpy as np
from pydantic import Field

from ganbalance.arms.base import Examples, Method
from ganbalance.arms.methods.smote import Smote, neighbours


class BorderlineSmote(Method):
    new_inputs = True

    k_neighbors: Annotated[int, Field(ge=1)] = 5
    """Neighbours that a line may lead to; all others of the class where it has fewer."""
    m_neighbors: Annotated[int, Field(ge=1)] = 10
    """Neighbours of any class that say who is in danger; all others where there are fewer."""

    def resample(self, examples: Examples, random_state: int) -> Examples:
        from imblearn.over_sampling import BorderlineSMOTE

        given = len(examples.labels)
        sampler = BorderlineSMOTE(
            k_neighbors=neighbours("borderline-smote", self.k_neighbors, int(np.bincount(examples.labels).min())),
            m_neighbors=min(self.m_neighbors, given - 1),
            random_state=random_state,
        )
        inputs, labels = sampler.fit_resample(examples.inputs, examples.labels)
        found = examples.extended(inputs[given:], labels[given:])
        return Smote(k_neighbors=self.k_neighbors).resample(found, random_state)  # of classes that got nothing
