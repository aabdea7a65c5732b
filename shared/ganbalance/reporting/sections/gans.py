"""Show each generative arm: its metrics beside the baseline's, images over training, and its losses."""

from collections.abc import Iterator, Sequence

import numpy as np
from matplotlib.figure import Figure

from ganbalance.plurals import plural
from ganbalance.reporting import figures
from ganbalance.reporting.collect import Columns, GanRun
from ganbalance.reporting.formats import NOTHING, arm_name, by_family, capitalised, listed, metric_name, number, quoted
from ganbalance.reporting.layout import Entry, Group, Picture, Report, Section, Table
from ganbalance.reporting.plotting import BLUE, ORANGE, picture, seeds_and_mean, single
from ganbalance.reporting.sections.metrics import REPORTED

MOST_SHOWN = 8
"""Classes of a GAN with pictures on the page."""


def sections(report: Report) -> Iterator[Section]:
    """Yield a section per arm, in the order of the experiment."""
    for arm in by_family(report.summary).get("generative", []):
        runs = [run for run in report.results.gans if run.gan == arm]
        labels, left_out = _rarest(report, runs)
        lost = [f"seed {run.seed}" for run in runs if run.diverged]
        table = against_baseline(report, arm)
        yield Section(
            title=arm_name(arm),
            warnings=(f"Training diverged at {listed(lost)}.",) if lost else (),
            text=(left_out,) if left_out else (),
            tables=(table,) if table else (),
            figures=tuple(
                drawn
                for label in labels
                for drawn in _pictures(report, arm, [run for run in runs if run.label == label])
            ),
        )


def _rarest(report: Report, runs: Sequence[GanRun]) -> tuple[list[str], str]:
    """Choose the classes whose pictures are shown, and what a page says where they are not all."""
    left = dict(zip(report.question.labels, report.results.counts["after"], strict=True))
    labels = sorted({run.label for run in runs}, key=lambda label: (left.get(label, 0), label))
    if len(labels) <= MOST_SHOWN:
        return sorted(labels), ""
    return labels[:MOST_SHOWN], f"Pictures of the {MOST_SHOWN} rarest of {len(labels)} classes."


def against_baseline(report: Report, arm: str) -> Table | None:
    """Set one arm beside the baseline as the course report shows it, over the seeds that both finished."""
    points, baseline = report.analysis.points, report.summary.baseline
    base, other = points.get(baseline, {}), points.get(arm, {})
    seeds = sorted(set(base) & set(other))
    if not seeds:
        return None
    rows = []
    for metric in REPORTED:
        before = float(np.mean([base[seed][metric] for seed in seeds]))
        after = float(np.mean([other[seed][metric] for seed in seeds]))
        shift = f"{(after - before) / before:+z.2%}" if before else NOTHING
        texts = (number(before), number(after), number(after - before, signed=True), shift)
        rows.append((Entry(capitalised(metric_name(metric))), *map(Entry, texts)))
    return Table(
        f"{arm_name(arm)} against the baseline",
        ("Metric", "Baseline", f"{arm_name(arm)} balanced", "Absolute difference", "Performance shift"),
        (Group("", tuple(rows)),),
        (f"Means over {plural(len(seeds), 'shared seed')}; the shift is relative to the baseline.",),
    )


def _pictures(report: Report, arm: str, runs: list[GanRun]) -> Iterator[Picture]:
    """Draw the pictures of one GAN on one class."""
    name, label, real = arm_name(arm), runs[0].label, report.results.real
    of_class = "every class in turn"
    if label in report.question.labels:
        of_class = f"class {quoted(report.results.class_names[report.question.labels.index(label)])}"
    if shown := next((run for run in runs if run.samples), None):
        strips = {f"epoch {epoch}": images for epoch, images in shown.samples.items()}
        strips |= {"real": real[label]} if len(real.get(label, ())) else {}
        channels = {images.shape[1] for images in strips.values()}
        yield picture(
            figures.strips(strips),
            f"samples-{arm}-class-{label}.png",
            f"Rows of images of {of_class} that {name} makes from the same noise at epochs "
            f"{', '.join(map(str, shown.samples))}{'; the last row holds real images' if 'real' in strips else ''}.",
            f"{name}, {of_class}, seed {shown.seed}: the same noise over training"
            f"{', real images below' if 'real' in strips else ''}.",
            colours=32 if channels == {1} else None,
        )
    if figure := losses(runs):
        last = max(run.losses["epoch"][-1] for run in runs if run.losses)
        yield picture(
            figure,
            f"losses-{arm}-class-{label}.png",
            f"Discriminator and generator loss of {name} against epochs 1 to {last:.0f}, a line per seed.",
            f"{name}, {of_class}: epochs against loss, every seed thin and the mean thick.",
        )


def losses(runs: Sequence[GanRun]) -> Figure | None:
    """Draw epoch against loss of discriminator and generator: every seed thin, their mean thick (figures 4 to 6)."""
    if not any(run.losses for run in runs):
        return None
    figure, axes = single(7, 3.2)
    for prefix, label, colour in (("d_", "discriminator", BLUE), ("g_", "generator", ORANGE)):
        totals = [(run.losses["epoch"], _total(run.losses, prefix)) for run in runs if run.losses]
        seeds_and_mean(axes, totals, label, colour)
    axes.set_xlabel("epoch", fontsize=8)
    axes.set_ylabel("loss", fontsize=8)
    axes.legend(frameon=False, fontsize=8)
    return figure


def _total(columns: Columns, prefix: str) -> list[float]:
    terms = [values for name, values in columns.items() if name.startswith(prefix)]
    return [sum(values) for values in zip(*terms, strict=True)]
