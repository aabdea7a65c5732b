"""class-weight: every class weighs the same in the loss, n / (K n_k) per image, as scikit-learn's "balanced".

Where images weigh something already, n and n_k are sums of their weights, which the images of a class keep in
proportion.

The weights of King & Zeng 2001, "Logistic regression in rare events data", section 4.2 (population over sample
share), with a population share of 1/K for every class.
"""

import numpy as np

from ganbalance.arms.base import Examples, Method


class ClassWeight(Method):
    def resample(self, examples: Examples, random_state: int) -> Examples:
        of_class_K = np.bincount(examples.labels, examples.weights)
        factor_K = examples.weights.sum() / (len(of_class_K) * of_class_K)
        return Examples(examples.inputs, examples.labels, examples.weights * factor_K[examples.labels])
