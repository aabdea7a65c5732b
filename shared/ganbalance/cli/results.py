"""Commands that take the results of a run: fetch-report, export, table."""

import argparse
import importlib.util
import shutil
from pathlib import Path

from ganbalance.cli.access import access, add_access, add_command, is_named
from ganbalance.errors import EXIT_DONE, ConfigError, DataError
from ganbalance.k8s.client import Cluster
from ganbalance.k8s.operations import latest
from ganbalance.pipeline import request, runs
from ganbalance.pipeline.export import export
from ganbalance.pipeline.model_export import export_model
from ganbalance.pipeline.state import State
from ganbalance.reporting import published, readme, tables
from ganbalance.reporting.summary import Summary
from ganbalance.store import open_store


def add_to(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add these commands."""
    fetcher = add_command(commands, fetch_report, "--run quick-1a2b3c4d")
    fetcher.add_argument("--run", help="a run (default, on a cluster: the one that was submitted last)")
    add_out(fetcher)

    examples = ("--run quick-1a2b3c4d --to pngs/", "--run quick-1a2b3c4d --model keep/")
    exporter = add_command(commands, export_run, *examples, name="export")
    exporter.add_argument("--run", required=True, help="a run, as 'ganbalance plan' names it")
    exporter.add_argument("--seed", type=int, help="only this seed's images, or the classifier of this seed")
    exporter.add_argument("--gan", help="only this GAN's images beside the real ones")
    exporter.add_argument(
        "--split",
        action="store_true",
        help="only the real ones, and a list with hashes: to train a generator elsewhere",
    )
    what = exporter.add_mutually_exclusive_group(required=True)
    what.add_argument("--to", type=Path, metavar="FOLDER", help="images: a folder that is empty or new")
    what.add_argument("--model", type=Path, metavar="DIR", help="a classifier: a folder that is empty or new")
    exporter.add_argument("--arm", help="whose classifier (default: of the arms that help the one that gains most)")
    exporter.add_argument(
        "--onnx", action="store_true", help="with --model: also model.onnx; needs the packages of ganbalance[onnx]"
    )

    for parser in (fetcher, exporter):
        request.add_store(parser)
        add_access(parser)

    printer = add_command(commands, table, "reports/quick/summary.json", "reports --into reports/README.md")
    printer.add_argument("what", type=Path, help="a summary.json that the report wrote, or a folder of reports")
    printer.add_argument("--into", type=Path, metavar="FILE", help="replace the table between its markers in FILE")


def add_out(parser: argparse.ArgumentParser) -> None:
    """Add the flag that says where reports are written."""
    parser.add_argument("--out", type=Path, default=Path("out"), help="where the report is written (default: out)")


def fetch_report(flags: argparse.Namespace) -> int:
    """Write a run's report to a folder and print its table."""
    store, run = open_store(flags.store), flags.run
    if run is None:
        if not is_named(flags):
            raise ConfigError("which run? name it with --run; 'ganbalance store ls' lists the runs")
        run = latest(Cluster(access(flags)))
    with runs.opened(store, run) as (_record, state):
        if not write_report(state, flags.out / run):
            raise DataError(f"run {run} has no report yet; its report program writes one")
    return EXIT_DONE


def export_run(flags: argparse.Namespace) -> int:
    """Write training images as PNG files, a folder per class, or a classifier as one folder."""
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
            return EXIT_DONE
        experiment = record.experiment
        model, why = export_model(state, experiment, arm=flags.arm, seed=flags.seed, to=flags.model, onnx=flags.onnx)
    print(f"{model.arm} at seed {model.seed}: {why}")
    print(model.caveat)
    if model.note:
        print(model.note)
    wrote = f"{flags.model} with model.onnx" if flags.onnx else flags.model
    print(f"wrote {wrote}; next: ganbalance predict {flags.model} IMAGES")
    return EXIT_DONE


def table(flags: argparse.Namespace) -> int:
    """Print a report's table in markdown, or of a folder of reports a line each; or put it into a markdown file."""
    is_folder = flags.what.is_dir()
    name, text = (published.NAME, published.table(flags.what)) if is_folder else _report(flags.what)
    if flags.into is None:
        print(text)
    else:
        flags.into.write_text(readme.replace_table(flags.into.read_text(), name, text))
        print(f"wrote the table of {name} into {flags.into}")
    return EXIT_DONE


def _report(path: Path) -> tuple[str, str]:
    """The name of a report, and its table. Raises ConfigError."""
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
