"""Metrics of decisions, one file each, found by its name: `balanced_accuracy.py` is balanced_accuracy@RULE."""

import sys

from ganbalance import registry
from ganbalance.metrics.decisions.base import DecisionMetric


def load() -> dict[str, DecisionMetric]:
    """Load all of them by name."""
    here = sys.modules[__name__]
    found = {name: registry.load(here, name, DecisionMetric) for name in registry.names(here)}  # type: ignore[type-abstract]
    return {name.replace("-", "_"): kind() for name, kind in found.items()}
