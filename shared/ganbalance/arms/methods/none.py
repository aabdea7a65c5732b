"""none: train on the images as they are."""

from ganbalance.arms.base import Examples, Method


class Nothing(Method):
    def resample(self, examples: Examples, random_state: int) -> Examples:
        return examples
