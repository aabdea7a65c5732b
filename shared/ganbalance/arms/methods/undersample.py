"""undersample: leave images of the larger classes out at random, until all classes are as small as the smallest.

Kubat & Matwin 1997, "Addressing the curse of imbalanced training sets: one-sided selection", ICML, drop examples of
the larger class that are redundant; here chance decides, as in Lemaitre, Nogueira & Aridas 2017, "Imbalanced-learn",
JMLR 18(17).
"""

import numpy as np

from ganbalance.arms.base import Examples, Method


class Undersample(Method):
    leaves_out = True

    def resample(self, examples: Examples, random_state: int) -> Examples:
        from imblearn.under_sampling import RandomUnderSampler

        sampler = RandomUnderSampler(random_state=random_state)
        rows, _ = sampler.fit_resample(np.arange(len(examples.labels))[:, None], examples.labels)
        return examples.rows(rows[:, 0])
