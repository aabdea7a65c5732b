"""Datasets: where images come from, and what names their bytes."""

from ganbalance import config
from ganbalance.data.datasets.base import Dataset, Grouped, Images
from ganbalance.data.datasets.fashion_mnist import FashionMnist
from ganbalance.data.datasets.own_images import FolderImages, NpzImages

__all__ = ["Dataset", "Grouped", "Images", "open_dataset"]


def open_dataset(settings: config.FashionMnist | config.OwnImages) -> Dataset:
    """The dataset that an experiment names; nothing is read yet."""
    if isinstance(settings, config.FashionMnist):
        return FashionMnist(settings)
    return FolderImages(settings) if settings.name == "folder" else NpzImages(settings)
