"""classifier: keep what a classifier that learned from the real training images takes for the class most surely."""

from ganbalance.arms.base import Candidates, Filter, Floats


class Classifier(Filter):
    reads = "features"

    def score(self, candidates: Candidates) -> Floats:
        return candidates.classifier()
