"""What groups of images mean for a plan: how many of them each part of each seed gets, counted before work starts."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ganbalance.config import Experiment
from ganbalance.data.datasets import Dataset, Grouped
from ganbalance.data.datasets.base import Counts
from ganbalance.data.images import of_classes
from ganbalance.data.split import PARTS, Split, class_counts, draw
from ganbalance.errors import ConfigError
from ganbalance.metrics.weighted import independent_counts
from ganbalance.pipeline import stages
from ganbalance.seeding import derive


def of_task(source: Dataset, chosen: stages.Dataset) -> Grouped | None:
    """Return the images of the task, their labels being class indices, where images are grouped."""
    whole = source.grouped()
    if whole is None:
        return None
    rows, labels = of_classes(whole.labels, chosen.classes)
    return Grouped(labels, whole.groups[rows], int((rows < whole.n_train).sum()))


def images(source: Dataset, chosen: stages.Dataset) -> Counts:
    """Count the images that each class of the task has in the dataset's own parts."""
    return Counts(*([sum(part[label] for label in labels) for labels in chosen.classes] for part in source.counts()))


def units(source: Dataset, chosen: stages.Dataset) -> tuple[Counts, str]:
    """Count as `images` does what a split counts, and name that: groups where images are grouped."""
    grouped = of_task(source, chosen)
    if grouped is None:
        return images(source, chosen), "images"
    parts = slice(grouped.n_train), slice(grouped.n_train, None)
    return Counts(*(counts(grouped, part, chosen) for part in parts)), "groups"


def counts(grouped: Grouped, rows: slice | NDArray[np.int64], chosen: stages.Dataset) -> list[int]:
    """Count the groups that each class of the task has among these images."""
    counts: list[int] = independent_counts(grouped.labels[rows], grouped.groups[rows], len(chosen.classes)).tolist()
    return counts


def notes(experiment: Experiment, source: Dataset, chosen: stages.Dataset, kept: dict[int, float]) -> tuple[str, ...]:
    """Say how many images and groups each part gets, over seeds, where whole groups are split: shares are not exact.

    Raises ConfigError where a class has no group left for one side.
    """
    grouped = of_task(source, chosen)
    if grouped is None:
        return ()
    if not experiment.classifier.holds_out:
        raise ConfigError(
            f"dataset.groups: classifier.kind = {experiment.classifier.kind} splits validation images off one by one, "
            "whatever their group; leave groups out, or choose another kind"
        )
    splits = [
        draw(
            grouped.labels,
            grouped.n_train,
            keep=kept,
            validation=experiment.imbalance.validation,
            seed=derive(seed, "split"),
            groups_N=grouped.groups,
            fold=experiment.fold(seed),
        )
        for seed in experiment.seeds
    ]
    for split in splits:
        check_sides(grouped.labels, split, chosen.class_names)
    said: list[list[str]] = [[] for _ in chosen.classes]
    for part in PARTS:
        rows = [getattr(split, part) for split in splits]
        images = np.array([class_counts(grouped.labels[of_part], len(said)) for of_part in rows])
        groups = np.array([counts(grouped, of_part, chosen) for of_part in rows])
        for c in np.flatnonzero(images.any(axis=0)):
            said[c].append(f"{part} {_range(images[:, c])} ({_range(groups[:, c])})")
    return tuple(
        f"class {name!r} is split by group; images (groups): {', '.join(of_class)}"
        for name, of_class in zip(chosen.class_names, said, strict=True)
    )


def check_sides(labels: NDArray[np.int64], split: Split, class_names: Sequence[str]) -> None:
    """Raise ConfigError where a class has no image to train on or to validate with."""
    for use, rows in (("train on", split.train), ("validate with", split.validation)):
        if missing := sorted(set(range(len(class_names))) - set(labels[rows].tolist())):
            raise ConfigError(
                f"class {class_names[missing[0]]!r} has no images to {use} at a seed: all its groups, which hold other "
                "classes as well, are on the other side; give more groups, or another imbalance.validation"
            )


def _range(numbers: NDArray[np.int64]) -> str:
    """Format numbers, one for each seed, as '3 to 5', or as '3' where all are the same."""
    low, high = numbers.min(), numbers.max()
    return f"{low}" if low == high else f"{low} to {high}"
