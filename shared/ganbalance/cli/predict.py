"""The command that asks the classifier that a run left: predict."""

import argparse
import csv
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ganbalance.cli.access import add_command
from ganbalance.data import pictures
from ganbalance.data.listing import image_files
from ganbalance.errors import EXIT_DONE, ConfigError, DataError
from ganbalance.printing import shortened
from ganbalance.progress import Progress

if TYPE_CHECKING:
    from ganbalance.training.model_folder import Classifier

MOST_COUNTED, LONGEST_NAME = 12, 60  # of classes that a line on the terminal names
BATCH = 256  # as many as features are made of at a time


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add this command."""
    predictor = add_command(commands, predict, "keep/ images/ --to predictions.csv")
    predictor.add_argument("model", type=Path, metavar="DIR", help="a folder that 'ganbalance export --model' wrote")
    predictor.add_argument("images", type=Path, nargs="+", metavar="IMAGES", help="image files, or folders of them")
    predictor.add_argument("--to", type=Path, metavar="FILE", help="a CSV file (default: standard output)")
    predictor.add_argument(
        "--rule",
        choices=("fair", "as-trained", "deployment"),
        default="fair",
        help="the class shares it decides for: equal ones (fair, the default), those in training, those in the data",
    )


def predict(flags: argparse.Namespace) -> int:
    """Write what an exported classifier says of image files, the class and its probabilities, as CSV."""
    from ganbalance.training.model_folder import open_model

    if flags.to is not None and not flags.to.parent.is_dir():
        raise ConfigError(f"--to {flags.to}: there is no folder {flags.to.parent}")
    files = _files(flags.images)
    classifier = open_model(flags.model)
    rows = _predicted(classifier, flags.rule, files, tell=flags.to is not None)
    head = ("file", "class", *(f"P({name})" for name in classifier.model.classes))
    _write(flags.to, head, rows)
    if flags.to is not None:
        counts, names = Counter(row[1] for row in rows), classifier.model.classes
        most = names if len(names) <= MOST_COUNTED else [name for name, _ in counts.most_common(MOST_COUNTED)]
        found = [f"{counts[name]:,} {shortened(name, LONGEST_NAME)}" for name in most]
        if more := len(counts.keys() - {*most}):
            found.append(f"{more} more classes")
        print(f"wrote {flags.to}, by the rule {flags.rule}: {', '.join(found)}")
    return EXIT_DONE


def _predicted(classifier: "Classifier", rule_name: str, files: Sequence[Path], *, tell: bool) -> list[list[Any]]:
    """A row for each file: its name, the class, and the probability of every class."""
    model, rule = classifier.model, classifier.model.rule(rule_name)
    progress, rows = Progress("predict"), []
    for start in range(0, len(files), BATCH):
        chosen = files[start : start + BATCH]
        images = np.stack(
            [pictures.read(path, model.image.side_px, model.image.channels, model.image.fit) for path in chosen]
        )
        logits = classifier.logits(images)
        shares = np.exp(rule.log_probabilities(logits)).tolist()
        for path, c, of_classes in zip(chosen, rule.decide(logits), shares, strict=True):
            rows.append([path, model.classes[c], *of_classes])
        if tell:  # else standard output is for the table
            progress(len(rows), len(files))
    progress.close()
    return rows


def _files(given: Sequence[Path]) -> list[Path]:
    """The files, and in place of each folder the images in it. Raises DataError for what holds none."""
    found: list[Path] = []
    for path in given:
        if not path.exists():
            raise DataError(f"{path}: there is no such file or folder")
        inside = image_files(path) if path.is_dir() else [path]
        if not inside:
            raise DataError(f"{path} holds no images ({', '.join(sorted(pictures.SUFFIXES))})")
        found += inside
    return found


def _write(path: Path | None, head: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    with nullcontext(sys.stdout) if path is None else path.open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(head)
        table.writerows(rows)
