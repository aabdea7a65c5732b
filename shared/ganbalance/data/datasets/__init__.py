"""Datasets: where images come from, and what names their bytes; one file each, found by its name."""

import sys

from ganbalance import config, registry
from ganbalance.data.datasets.base import Dataset, Grouped, Images
from ganbalance.frozen import parse

__all__ = ["Dataset", "Grouped", "Images", "open_dataset"]


def open_dataset(settings: config.Dataset) -> Dataset:
    """Open the dataset that an experiment names; nothing is read yet. Raises ConfigError for one that there is not."""
    kind = registry.load(sys.modules[__name__], settings.name, Dataset)  # type: ignore[type-abstract]
    if isinstance(settings, config.OtherDataset):
        return kind(parse(kind.Settings, settings.model_extra or {}, where=f"dataset {settings.name}"))
    return kind(settings)
