"""ganbalance: should you train a GAN to balance your image data, and which one?

ganbalance run  jobs/experiments/quick.yaml              run what is not done yet, then the report
ganbalance plan jobs/experiments/honest.yaml             what would run, and what is done already
ganbalance run  jobs/experiments/quick.yaml --gan "vanilla dcgan" --seeds 0..9 --set gans.dcgan.epochs=50
ganbalance export --run quick-1a2b3c4d --to pngs/        real and synthetic training images as PNG folders
ganbalance data                                          get FashionMNIST
ganbalance table reports/quick/summary.json              a report's table in markdown
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from ganbalance.config import Experiment, FashionMnist
from ganbalance.data.datasets import open_dataset
from ganbalance.errors import EXIT_DONE, ConfigError, GanbalanceError, Stopped, UnavailableError
from ganbalance.models import backbones
from ganbalance.pipeline import request, runs
from ganbalance.pipeline.export import export
from ganbalance.pipeline.local import Failure, LocalRunner
from ganbalance.pipeline.plan import make_plan
from ganbalance.pipeline.state import State
from ganbalance.reporting import readme, tables
from ganbalance.store import open_store
from ganbalance.store.artifacts import Artifacts
from ganbalance.training import device


def main(argv: Sequence[str] | None = None) -> int:
    """The console command; returns the exit code."""
    try:
        flags = _parser().parse_args(argv)
        code: int = flags.command(flags)
        return code
    except GanbalanceError as error:
        print(f"ganbalance: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"ganbalance: {error}; mend that and run the same command again", file=sys.stderr)
        return UnavailableError.exit_code
    except KeyboardInterrupt:
        print("ganbalance: stopped before any work", file=sys.stderr)
        return Stopped.exit_code


def run(flags: argparse.Namespace) -> int:
    """Run what is not done, lay the report out, print its table."""
    started = time.monotonic()
    experiment = _experiment(flags)
    plan = make_plan(experiment)
    store = open_store(flags.store)
    with tempfile.TemporaryDirectory(prefix="ganbalance-") as scratch:
        state = State(plan, Artifacts(store, Path(scratch)))
        to_do = [node for node in plan.nodes if not state.is_settled(node.name)]
        _preflight(experiment, state)
        runs.submit(store, runs.Record(experiment=experiment, plan=plan))
        print(
            f"run {plan.run}: {len(plan.nodes)} stages, {len(plan.nodes) - len(to_do)} done already, store {store.url}"
        )
        for line in plan.notes:
            print(f"  {line}")
        failures = _run_stages(flags, state) if to_do else []
        _show(state, flags.out / plan.run)
    took = time.monotonic() - started
    if failures:
        return _tell(failures)
    print(f"everything was done already ({took:.1f} s)" if not to_do else f"finished in {took:.0f} s")
    return EXIT_DONE


def plan(flags: argparse.Namespace) -> int:
    """Print the stages of an experiment and which are done; run nothing."""
    planned = make_plan(_experiment(flags))
    with tempfile.TemporaryDirectory(prefix="ganbalance-") as scratch:
        state = State(planned, Artifacts(open_store(flags.store), Path(scratch)))
        done = {node.name for node in planned.nodes if state.is_settled(node.name)}
    print(f"run {planned.run}")
    for node in planned.nodes:
        print(f"  {'done ' if node.name in done else 'to do'}  {node.key[:12]}  {node.name}")
    to_do = Counter(node.stage for node in planned.nodes if node.name not in done)
    print(f"{len(done)} done, {sum(to_do.values())} to do" + "".join(f", {n} {stage}" for stage, n in to_do.items()))
    for line in planned.notes:
        print(f"note: {line}")
    return EXIT_DONE


def get_data(flags: argparse.Namespace) -> int:
    """Get FashionMNIST unless it is here, and check it."""
    source = open_dataset(FashionMnist(name="fashion-mnist"))
    source.ensure()
    images = source.load()
    n_test = len(images.labels) - images.n_train
    print(f"FashionMNIST is here and whole: {images.n_train:,} training and {n_test:,} test images")
    return EXIT_DONE


def export_images(flags: argparse.Namespace) -> int:
    """Write training images as PNG files, a folder per class."""
    store = open_store(flags.store)
    record = runs.load(store, flags.run)
    with tempfile.TemporaryDirectory(prefix="ganbalance-") as scratch:
        state = State(record.plan, Artifacts(store, Path(scratch)))
        written = export(state, seed=flags.seed, gan=flags.gan, to=flags.to)
    print(f"wrote {written:,} images to {flags.to}")
    return EXIT_DONE


def table(flags: argparse.Namespace) -> int:
    """Print a report's table, or put it between the markers of a markdown file."""
    try:
        text = tables.readme(json.loads(flags.summary.read_text()))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{flags.summary} is not a summary.json that the report wrote ({error!r})") from error
    if flags.into is None:
        print(text)
    else:
        flags.into.write_text(readme.replace_table(flags.into.read_text(), text))
        print(f"wrote the table into {flags.into}")
    return EXIT_DONE


def _experiment(flags: argparse.Namespace) -> Experiment:
    return request.experiment(
        flags.experiment, sets=flags.set, seeds=flags.seeds, only_gans=None if flags.gan is None else flags.gan.split()
    )


def _preflight(experiment: Experiment, state: State) -> None:
    """Say what cannot be had before any work is done."""
    device.resolve(experiment.resources.device)
    if state.commit("dataset") is None:
        open_dataset(experiment.dataset).ensure()
    if state.commit("backbone") is None:
        backbones.find(experiment.classifier.backbone).weights_file(experiment.classifier.weights)


def _run_stages(flags: argparse.Namespace, state: State) -> list[Failure]:
    store, run = state.artifacts.store, state.plan.run
    runner = LocalRunner(state, logs=flags.out / run / "logs", workers=flags.workers)
    runs.note(store, run, "started", workers=flags.workers)
    failures = runner.run()
    runs.note(store, run, "ended", failed=[failure.stage for failure in failures])
    return failures


def _show(state: State, folder: Path) -> None:
    """Copy the report's files to `folder` and print its table."""
    commit = state.commit("report")
    if commit is None:
        return
    report = state.artifacts.open(commit)
    for name in report.names:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(report.path(name), target)
    print(f"\n{tables.terminal(json.loads((folder / 'summary.json').read_text()))}\n")
    print(f"report: {folder / 'report.html'}")


def _tell(failures: list[Failure]) -> int:
    """One line per failed stage; returns the exit code of the first."""
    failed = [failure for failure in failures if failure.code != EXIT_DONE]
    for failure in failed:
        print(
            f"failed: {failure.stage} (exit {failure.code}): {failure.cause}\n        log: {failure.log}",
            file=sys.stderr,
        )
    held_back = len(failures) - len(failed)
    print(
        f"{len(failed)} failed, {held_back} held back by them; mend that and run the same command again",
        file=sys.stderr,
    )
    # killed by a signal: memory or the node, so trying again may help
    return failed[0].code if failed[0].code > 0 else UnavailableError.exit_code


def _parser() -> argparse.ArgumentParser:
    parser = request.Parser(
        prog="ganbalance", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=request.Parser)

    runner = commands.add_parser("run", help="run what is not done yet, then the report")
    _add_experiment(runner)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    runner.add_argument("--workers", type=_positive, default=cores, help=f"stages at a time (default: {cores})")
    runner.add_argument("--out", type=Path, default=Path("out"), help="where the report is laid out (default: out)")
    runner.set_defaults(command=run)

    planner = commands.add_parser("plan", help="what would run, and what is done already")
    _add_experiment(planner)
    planner.set_defaults(command=plan)

    data = commands.add_parser("data", help="get FashionMNIST")
    data.set_defaults(command=get_data)

    exporter = commands.add_parser("export", help="real and synthetic training images as PNG folders")
    exporter.add_argument("--run", required=True, help="a run, as 'ganbalance plan' names it")
    exporter.add_argument("--seed", type=int, help="only this seed's images")
    exporter.add_argument("--gan", help="only this GAN's images beside the real ones")
    exporter.add_argument("--to", type=Path, required=True, metavar="FOLDER", help="a folder that is empty or new")
    _add_store(exporter)
    exporter.set_defaults(command=export_images)

    printer = commands.add_parser("table", help="a report's table in markdown")
    printer.add_argument("summary", type=Path, help="a summary.json that the report wrote")
    printer.add_argument("--into", type=Path, metavar="FILE", help="replace the table between this file's markers")
    printer.set_defaults(command=table)
    return parser


def _add_experiment(parser: argparse.ArgumentParser) -> None:
    default = request.DEFAULT_EXPERIMENT
    parser.add_argument("experiment", type=Path, nargs="?", default=default, help=f"an experiment (default: {default})")
    parser.add_argument("--gan", metavar="NAMES", help='these GANs instead of the experiment\'s, e.g. "dcgan wgan-gp"')
    request.add_overrides(parser)
    _add_store(parser)


def _add_store(parser: argparse.ArgumentParser) -> None:
    default = os.environ.get("GANBALANCE_STORE", ".store")
    parser.add_argument(
        "--store", default=default, metavar="URL", help=f"where artifacts are kept (default: {default})"
    )


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: give a whole number of at least 1")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
