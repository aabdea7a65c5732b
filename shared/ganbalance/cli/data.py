"""Commands for the images of an experiment: data get, data card."""

import argparse

from ganbalance.cli import experiments, sweeps
from ganbalance.cli.access import add_command
from ganbalance.cli.text import table
from ganbalance.data.datasets import open_dataset
from ganbalance.errors import EXIT_DONE
from ganbalance.models import backbones
from ganbalance.pipeline import resolution
from ganbalance.printing import shortened

MOST_NAMED, LONGEST_NAME = 40, 60


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add these commands."""
    data = commands.add_parser("data", help="get the images of an experiment, or say what is in them")
    group = data.add_subparsers(required=True, metavar="COMMAND")
    for command in (get, card):
        experiments.add_request(add_command(group, command, "jobs/experiments/quick.yaml"))


def get(flags: argparse.Namespace) -> int:
    """Get the images and the backbone's weights that an experiment needs, unless they are here, and check them."""
    for experiment, _values in sweeps.requested(flags):
        source = open_dataset(experiment.dataset)
        source.ensure()
        images = source.load()
        n_test = len(images.labels) - images.n_train
        print(f"{experiment.dataset.name} is here and whole: {images.n_train:,} training and {n_test:,} test images")
        settings = experiment.classifier
        if resolution.weights_sha256(settings):
            weights = backbones.find(settings.backbone).weights_file(settings.weights)
            print(f"the weights of {settings.backbone} are here: {weights}")
    return EXIT_DONE


def card(flags: argparse.Namespace) -> int:
    """Say what is in an experiment's images: classes, sizes, what is done to them, left out, and there twice."""
    experiment = experiments.requested(flags)
    source = open_dataset(experiment.dataset)
    source.ensure()
    classes, _ = resolution.classes_of(experiment, source)
    asked = [label for labels in classes for label in labels]
    found, known = source.of(asked).card(), source.classes()
    if found is None:
        counts = source.counts()
        counted = [(known[label], counts.train[label], counts.test[label]) for label in sorted(asked)]
    else:
        counted = [(one.name, one.train, one.test) for one in found.classes]
    head = ["images"] if experiment.folds else ["to train on", "to test on"]
    rows = [
        [shortened(name, LONGEST_NAME), *(f"{n:,}" for n in ([sum(sides)] if experiment.folds else sides))]
        for name, *sides in counted
    ]
    print(table(["class", *head], rows, right=head))
    if others := [name for label, name in enumerate(known) if label not in asked]:
        more = f" and {len(others) - MOST_NAMED} more" if len(others) > MOST_NAMED else ""
        print(f"\nnot in the task: {', '.join(shortened(name, LONGEST_NAME) for name in others[:MOST_NAMED])}{more}")
    if found is not None:
        said = [[f"{term}:", text] for term, text in found.divided(experiment.folds).rows()]
        print("\n" + table(["", ""], said).lstrip("\n"))
    return EXIT_DONE
