"""Commands that take the results of a run: fetch-report, export, predict, table."""

import argparse
import csv
import importlib.util
import shutil
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ganbalance.called import typed
from ganbalance.cli.commands import access, add_access, command, flag, is_named, writable
from ganbalance.data import pictures
from ganbalance.data.listing import image_files
from ganbalance.errors import ConfigError, DataError
from ganbalance.k8s.client import Cluster
from ganbalance.k8s.operations import latest
from ganbalance.paths import expanded
from ganbalance.pipeline import request, runs
from ganbalance.pipeline.export import export, export_model
from ganbalance.pipeline.state import State
from ganbalance.printing import shortened
from ganbalance.progress import Progress
from ganbalance.reporting import published, readme, tables
from ganbalance.reporting.summary import Summary
from ganbalance.store import open_store

if TYPE_CHECKING:
    from ganbalance.training.model_folder import Classifier

OUT = flag("--out", type=writable, default="out", help="where the report is written (default: out)")
MOST_COUNTED, LONGEST_NAME = 12, 60  # of classes that a line on the terminal names
BATCH = 256  # as many as features are made of at a time


@command(
    "fetch-report", "--run quick-1a2b3c4d",
    flag("--run", help="a run (default, on a cluster: the one that was submitted last)"),
    OUT, request.add_store, add_access,
)  # fmt: skip
def fetch_report(flags: argparse.Namespace) -> None:
    """Write a run's report to a folder and print its table."""
    store, run = open_store(flags.store), flags.run
    if run is None:
        if not is_named(flags):
            raise ConfigError(f"which run? name it with --run; '{typed('store ls')}' lists the runs")
        run = latest(Cluster(access(flags)))
    with runs.opened(store, run) as (_record, state):
        if not write_report(state, flags.out / run):
            raise DataError(f"run {run} has no report yet; its report program writes one")


@command(
    "export", "--run quick-1a2b3c4d --to pngs/", "--run quick-1a2b3c4d --model keep/",
    flag("--run", required=True, help="a run, as 'ganbalance plan' names it"),
    flag("--to", type=writable, metavar="FOLDER", help="images: a folder that is empty or new"),
    flag("--model", type=writable, metavar="DIR", help="or a classifier: a folder that is empty or new"),
    flag("--seed", type=int, help="only this seed's images, or the classifier of this seed"),
    flag("--gan", help="only this GAN's images beside the real ones"),
    flag("--split", action="store_true",
         help="only the real ones, and a list with hashes: to train a generator elsewhere"),
    flag("--arm", help="whose classifier (default: of the arms that help the one that gains most)"),
    flag("--onnx", action="store_true",
         help="with --model: also model.onnx; needs the packages of ganbalance[onnx]"),
    request.add_store, add_access,
)  # fmt: skip
def export_run(flags: argparse.Namespace) -> None:
    """Write training images as PNG files, a folder per class, or a classifier as one folder."""
    if (flags.to is None) == (flags.model is None):
        raise ConfigError("export writes images or a classifier; name one folder, with --to or with --model")
    if flags.to and (flags.arm or flags.onnx):
        given = "--arm chooses" if flags.arm else "--onnx writes"
        raise ConfigError(f"{given} a classifier; name its folder with --model")
    if flags.model and (flags.gan or flags.split):
        raise ConfigError("--gan and --split choose images; name their folder with --to")
    if flags.onnx and importlib.util.find_spec("onnxscript") is None:
        raise ConfigError("--onnx: the package onnxscript is not installed here; install ganbalance[onnx]")
    with runs.opened(open_store(flags.store), flags.run) as (record, state):
        if flags.to:
            written = export(state, seed=flags.seed, gan=flags.gan, split=flags.split, to=flags.to)
            print(f"wrote {written:,} images to {flags.to}")
            return
        experiment = record.experiment
        model, why = export_model(state, experiment, arm=flags.arm, seed=flags.seed, to=flags.model, onnx=flags.onnx)
    print(f"{model.arm} at seed {model.seed}: {why}")
    print(model.caveat)
    if model.note:
        print(model.note)
    wrote = f"{flags.model} with model.onnx" if flags.onnx else flags.model
    print(f"wrote {wrote}; next: ganbalance predict {flags.model} IMAGES")


@command(
    "table", "reports/quick/summary.json", "reports --into reports/README.md",
    flag("what", type=expanded, help="a summary.json that the report wrote, or a folder of reports"),
    flag("--into", type=expanded, metavar="FILE", help="replace the table between its markers in FILE"),
)  # fmt: skip
def table(flags: argparse.Namespace) -> None:
    """Print a report's table in markdown, or of a folder of reports a line each; or put it into a markdown file."""
    is_folder = flags.what.is_dir()
    name, text = (published.NAME, published.table(flags.what)) if is_folder else _report(flags.what)
    if flags.into is None:
        print(text)
    else:
        flags.into.write_text(readme.replace_table(flags.into.read_text("utf-8"), name, text), "utf-8")
        print(f"wrote the table of {name} into {flags.into}")


def _report(path: Path) -> tuple[str, str]:
    """Read the name of a report, and its table. Raises ConfigError."""
    try:
        summary = Summary.read(path)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} is not a summary.json that the report wrote ({error!r})") from error
    return summary.experiment, tables.readme(summary)


def write_report(state: State, folder: Path) -> bool:
    """Write the report's files to `folder` and print its table; False while there is no report."""
    report = state.artifact("report")
    if report is None:
        return False
    for name, path in report.paths().items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    print(f"\n{tables.terminal(Summary.read(folder / 'summary.json'))}\n")
    print(f"report: {folder / 'report.html'}")
    return True


@command(
    "predict", "keep/ images/ --to predictions.csv",
    flag("model", type=expanded, metavar="DIR", help="a folder that 'ganbalance export --model' wrote"),
    flag("images", type=expanded, nargs="+", metavar="IMAGES", help="image files, or folders of them"),
    flag("--to", type=expanded, metavar="FILE", help="a CSV file (default: standard output)"),
    flag("--rule", choices=("fair", "as-trained", "deployment"), default="fair",
         help="the class shares it decides for: equal ones (fair, the default), those in training, those in the data"),
)  # fmt: skip
def predict(flags: argparse.Namespace) -> None:
    """Write what an exported classifier says of image files, the class and its probabilities, as CSV."""
    from ganbalance.training.model_folder import open_model

    if flags.to is not None and not flags.to.parent.is_dir():
        raise ConfigError(f"--to {flags.to}: there is no folder {flags.to.parent}")
    files = _files(flags.images)
    classifier = open_model(flags.model)
    rows = _predicted(classifier, flags.rule, files, tell=flags.to is not None)
    head = ("file", "class", *(f"P({name})" for name in classifier.model.classes))
    as_named = {"newline": "", "encoding": "utf-8", "errors": "surrogateescape"}  # a file's name may be no text
    with nullcontext(sys.stdout) if flags.to is None else flags.to.open("w", **as_named) as file:
        csv.writer(file, lineterminator="\n").writerows([head, *rows])
    if flags.to is not None:
        counts, names = Counter(row[1] for row in rows), classifier.model.classes
        most = names if len(names) <= MOST_COUNTED else [name for name, _ in counts.most_common(MOST_COUNTED)]
        found = [f"{counts[name]:,} {shortened(name, LONGEST_NAME)}" for name in most]
        if more := len(counts.keys() - {*most}):
            found.append(f"{more} more classes")
        print(f"wrote {flags.to}, by the rule {flags.rule}: {', '.join(found)}")


def _predicted(classifier: "Classifier", rule_name: str, files: Sequence[Path], *, tell: bool) -> list[list[Any]]:
    """Make a row for each file: its name, the class, and the probability of every class."""
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
    """List the files, and in place of each folder the images in it. Raises DataError for what holds none."""
    found: list[Path] = []
    for path in given:
        if not path.exists():
            raise DataError(f"{path}: there is no such file or folder")
        inside = image_files(path) if path.is_dir() else [path]
        if not inside:
            raise DataError(f"{path} holds no images ({', '.join(sorted(pictures.SUFFIXES))})")
        found += inside
    return found
