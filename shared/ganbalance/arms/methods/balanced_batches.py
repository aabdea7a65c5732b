"""balanced-batches: every minibatch of a network holds as many images of each class; no class is drawn more often.

Shen, Lin & Huang 2016, "Relay backpropagation for effective learning of deep convolutional neural networks",
arXiv:1512.05830, class-aware sampling: a list of classes and, of each class, one of its images, each gone
through to its end and shuffled before it begins again. What Kang et al. 2020, arXiv:1910.09217, section 3, call
class-balanced sampling draws with the same chances (equation 1 with q = 0), each by itself. Where images weigh
something already, as synthetic ones of a dose do, the loss of each counts by its weight among those of its class.
"""

import numpy as np

from ganbalance.arms.base import Examples, Method, Minibatch, places_of, shuffled
from ganbalance.arms.methods.class_weight import ClassWeight


class BalancedBatches(Method):
    in_minibatches = True

    def resample(self, examples: Examples, random_state: int) -> Examples:
        return ClassWeight().resample(examples, random_state)  # weights say how often an image is drawn

    def minibatch(self, examples: Examples, step: int, size: int, seed: int) -> Minibatch:
        labels = np.unique(examples.labels)
        places, rows = places_of(step, size), np.empty(size, np.int64)
        drawn = labels[shuffled(len(labels), places, seed, "classes")]
        for label in labels:
            of_class, here = np.flatnonzero(examples.labels == label), drawn == label
            rows[here] = of_class[shuffled(len(of_class), places[here] // len(labels), seed, "class", int(label))]
        sizes_K, sums_K = np.bincount(examples.labels), np.bincount(examples.labels, examples.weights)
        return Minibatch(rows, examples.weights[rows] * sizes_K[drawn] / sums_K[drawn])
