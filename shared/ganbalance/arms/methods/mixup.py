"""mixup: mixtures of two examples, their labels mixed alike; of images in each minibatch, or of features.

Zhang, Cisse, Dauphin & Lopez-Paz 2018, "mixup: Beyond empirical risk minimization", arXiv:1710.09412, section 2: under
a network as there. One lambda is drawn for a minibatch, which is mixed with itself in another order after its images
were changed; each label's share of the loss is its share of the mixture. No class gets more of them than it has.

Of the features under a linear head a mixed label is both labels of one vector, with weights lambda and 1 - lambda:
cross-entropy is linear in the label, so that the loss is the same. Deviations from the paper there: mixtures are drawn
once and not for every minibatch; they come beside the real examples; and one of the two is of a smaller class, so many
times that the mixtures would balance the classes if all of their weight were its own: the classes' weights come closer
and do not become equal.
"""

from typing import Annotated

import numpy as np
from pydantic import Field

from ganbalance.arms.base import Examples, Method, Minibatch
from ganbalance.seeding import numpy_rng


class Mixup(Method):
    new_inputs = True
    in_minibatches = True

    alpha: Annotated[float, Field(gt=0)] = 1.0
    """Both parameters of the Beta distribution of lambda; 1, the paper's on CIFAR, is an even one."""

    def resample(self, examples: Examples, random_state: int) -> Examples:
        if examples.are_images:
            return examples
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

    def minibatch(self, examples: Examples, step: int, size: int, seed: int) -> Minibatch:
        plain, rng = super().minibatch(examples, step, size, seed), numpy_rng(seed, "network", "mixup", step)
        share = float(rng.beta(self.alpha, self.alpha))
        return Minibatch(plain.rows, plain.weights, others=rng.permutation(size), share=share)
