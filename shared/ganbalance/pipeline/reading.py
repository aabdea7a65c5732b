"""Read the artifacts that several programs share."""

from ganbalance.data.images import TaskImages
from ganbalance.data.split import Split
from ganbalance.store.artifacts import Artifact


def task_images(dataset: Artifact) -> TaskImages:
    """The images of a `dataset` artifact, verified."""
    return TaskImages.load(dataset.path("images.npy"), dataset.path("labels.npy"), dataset.path("classes.json"))


def split(imbalance: Artifact) -> Split:
    """The split of an `imbalance` artifact, verified. Raises DataError when its parts overlap."""
    return Split.load(imbalance.path("split.npz"))
