"""What a metric of decisions is."""

from abc import ABC, abstractmethod

from ganbalance.metrics.calibration import Floats
from ganbalance.metrics.weighted import Decided


class DecisionMetric(ABC):
    """A number for each decision rule, computed as it is trained and with the fair threshold."""

    @abstractmethod
    def of(self, decided: Decided) -> Floats:
        """Compute it from confusion matrices of C draws of the test images, float64 (C,); a class may have no hits."""
