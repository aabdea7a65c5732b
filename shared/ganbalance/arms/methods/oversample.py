"""oversample: repeat images of the smaller classes, drawn at random, until all classes are as large as the largest.

Lemaitre, Nogueira & Aridas 2017, "Imbalanced-learn", JMLR 18(17).
"""

import numpy as np

from ganbalance.arms.base import Examples, Method


class Oversample(Method):
    def resample(self, examples: Examples, random_state: int) -> Examples:
        from imblearn.over_sampling import RandomOverSampler

        sampler = RandomOverSampler(random_state=random_state)
        rows, _ = sampler.fit_resample(np.arange(len(examples.labels))[:, None], examples.labels)
        return examples.rows(rows[:, 0])
