"""Mean recall of the classes."""

import numpy as np

from ganbalance.metrics.calibration import Floats
from ganbalance.metrics.decisions.base import DecisionMetric
from ganbalance.metrics.weighted import Decided


class BalancedAccuracy(DecisionMetric):
    def of(self, decided: Decided) -> Floats:
        return np.asarray(decided.recall.mean(axis=1), dtype=np.float64)
