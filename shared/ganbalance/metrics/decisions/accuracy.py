"""Share of images predicted right."""

from ganbalance.metrics.calibration import Floats
from ganbalance.metrics.decisions.base import DecisionMetric
from ganbalance.metrics.weighted import Decided


class Accuracy(DecisionMetric):
    def of(self, decided: Decided) -> Floats:
        return decided.accuracy
