"""What folds of the images mean for a plan: what each seed is tested on, and how many images that leaves."""

import numpy as np

from ganbalance.config import Experiment
from ganbalance.data.datasets import Dataset
from ganbalance.data.datasets.base import Counts
from ganbalance.data.split import in_fold
from ganbalance.errors import ConfigError
from ganbalance.pipeline import grouping, stages
from ganbalance.plurals import plural

FEWEST_TESTED = 4
"""Images of each class, or groups, in a fold: with fewer, many draws with replacement leave a fold without a class."""


def counts(experiment: Experiment, own: Counts) -> Counts:
    """Count, of each class, how many a seed may train on at least, and how many are tested by some seed.

    `own` are those of the dataset's own parts, which folds put together.
    """
    if experiment.folds is None:
        return own
    folds, used = experiment.folds, min(experiment.folds, len(experiment.seeds))
    whole = [sum(of_class) for of_class in zip(*own, strict=True)]
    return Counts([count * (folds - 1) // folds for count in whole], [count * used // folds for count in whole])


def notes(experiment: Experiment, source: Dataset, chosen: stages.Dataset) -> tuple[str, ...]:
    """Say which seed is tested on which fold.

    Raises ConfigError for data with a test part of its own, and for a fold with too few images of a class.
    """
    if experiment.folds is None:
        return ()
    folds, seeds = experiment.folds, experiment.seeds
    if source.brings_test_part:
        raise ConfigError(
            f"test.folds = {folds}: the dataset brings a test part of its own, which nothing may learn from; leave "
            "'test' out, or put all images into one part"
        )
    for count, name in zip(_fewest_tested(experiment, folds, source, chosen), chosen.class_names, strict=True):
        if count < FEWEST_TESTED:
            units = grouping.units(source, chosen)[1]
            raise ConfigError(
                f"test.folds = {folds}: a fold has {count} {units} of class {name!r} and needs {FEWEST_TESTED}; take "
                f"fewer folds, or give more {units}"
            )
    rounds = [seeds[start : start + folds] for start in range(0, len(seeds), folds)]
    tested = [", ".join(f"{seed} on {number}" for number, seed in enumerate(of_round, start=1)) for of_round in rounds]
    said = [
        f"tested by {folds} folds of all images, so dataset.test_fraction holds nothing back; seed on fold: "
        + "; of another division ".join(tested)
    ]
    if len(seeds) < folds:
        said.append(f"{plural(len(seeds), 'seed')} of {folds} folds: the images of the other folds are not tested")
    elif len(seeds) % folds:
        said.append(f"{len(seeds)} seeds are no multiple of {folds} folds: some images are tested more often")
    return tuple(said)


def _fewest_tested(experiment: Experiment, folds: int, source: Dataset, chosen: stages.Dataset) -> list[int]:
    """Count the images of each class, or groups, in the fold that has fewest."""
    grouped = grouping.of_task(source, chosen)
    if grouped is None:
        return [count // folds for count in map(sum, zip(*grouping.images(source, chosen), strict=True))]
    tested: list[list[int]] = []
    for seed in experiment.seeds:
        if fold := experiment.fold(seed):
            rows = np.flatnonzero(in_fold(grouped.labels, grouped.groups, fold))
            tested.append(grouping.counts(grouped, rows, chosen))
    return [min(of_class) for of_class in zip(*tested, strict=True)]
