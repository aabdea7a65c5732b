"""mixup: mixtures of a rare example with any other in the space of the features, their labels mixed alike.

Zhang, Cisse, Dauphin & Lopez-Paz 2018, "mixup: Beyond empirical risk minimization", arXiv:1710.09412, section 2. The
mixed label is both labels of one vector, with weights lambda and 1 - lambda: cross-entropy is linear in the label, so
that the loss is the same. Deviations from the paper: mixtures are drawn once and not for every minibatch; they come
beside the real examples; and one of the two is of a smaller class, so many times that the mixtures would balance the
classes if all of their weight were its own: the classes' weights come closer and do not become equal.
"""

from typing import Annotated

import numpy as np
from pydantic import Field

from ganbalance.arms.base import Examples, Method


class Mixup(Method):
    new_inputs = True

    alpha: Annotated[float, Field(gt=0)] = 1.0
    """Both parameters of the Beta distribution of lambda; 1, the paper's on CIFAR, is an even one."""

    def resample(self, examples: Examples, random_state: int) -> Examples:
        sizes, rng = np.bincount(examples.labels), np.random.default_rng(random_state)
        rare = np.concatenate(
            [
                rng.choice(np.flatnonzero(examples.labels == label), sizes.max() - size)
                for label, size in enumerate(sizes)
            ]
        )
        other = rng.integers(len(examples.labels), size=len(rare))
        share = rng.beta(self.alpha, self.alpha, len(rare))
        mixed = share[:, None] * examples.inputs[rare] + (1 - share[:, None]) * examples.inputs[other]
        weights = np.concatenate([share, 1 - share])
        weighs = weights > 0  # a share may round to 0 or 1
        labels = np.concatenate([examples.labels[rare], examples.labels[other]])
        return examples.extended(np.concatenate([mixed, mixed])[weighs], labels[weighs], weights[weighs])
