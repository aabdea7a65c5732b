"""class-weight: every class weighs the same in the loss, n / (K n_k) per image, as scikit-learn's "balanced".

The weights of King & Zeng 2001, "Logistic regression in rare events data", section 4.2 (population over sample
share), with a population share of 1/K for every class.
"""

from ganbalance.arms.base import Examples, Method


class ClassWeight(Method):
    def resample(self, examples: Examples, random_state: int) -> Examples:
        from sklearn.utils.class_weight import compute_sample_weight

        return Examples(examples.inputs, examples.labels, compute_sample_weight("balanced", examples.labels))
