"""Pictures. Figures are made by the object API, so that no state is shared and equal inputs give equal bytes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from sklearn.metrics import precision_recall_curve, roc_curve

from ganbalance.reporting.collect import Columns, Found, GanRun
from ganbalance.reporting.plotting import (
    BLUE,
    GREEN,
    GRID,
    INK,
    MUTED,
    ORANGE,
    VIOLET,
    blank,
    panels_of,
    seeds_and_mean,
    single,
    styled,
)
from ganbalance.reporting.summary import Summary
from ganbalance.reporting.tables import REPORTED, at_plain
from ganbalance.reporting.wording import arm_name, capitalised, metric_name

STRIP_IMAGES = 16
GRID_COLUMNS = 8
FEW_CLASSES = 4
PAIR = 2
CURVE_POINTS = 201
FIRST_RECALL = 0.02
"""Left of it precision is that of a handful of images."""


def class_counts(class_names: Sequence[str], before: Sequence[int], after: Sequence[int]) -> Figure:
    """Images per class before and after the imbalance (figure 1 of the course report)."""
    figure, axes = single(max(5.0, 1.1 * len(class_names)), 3.2)
    place = np.arange(len(class_names))
    for shift, counts, label, colour in ((-0.2, before, "before", MUTED), (0.2, after, "after", BLUE)):
        bars = axes.bar(place + shift, counts, 0.38, label=label, color=colour)
        axes.bar_label(bars, labels=[f"{count:,}" for count in counts], fontsize=7, color=INK, padding=2)
    axes.set_xticks(place, class_names, rotation=0 if len(class_names) <= FEW_CLASSES else 30, fontsize=8)
    axes.set_ylabel("training images", fontsize=8)
    axes.margins(y=0.12)
    axes.legend(frameon=False, fontsize=8, ncols=2, loc="lower right", bbox_to_anchor=(1, 1))
    return figure


def image_grid(images_uint8_NCHW: NDArray[np.uint8], columns: int = GRID_COLUMNS) -> Image.Image:
    """Images, uint8 (N, 1|3, H, W), in rows of `columns` with a thin white line between them."""
    return Image.fromarray(_grid(images_uint8_NCHW, columns))


def samples(shown: GanRun, real: NDArray[np.uint8]) -> Figure:
    """Generated images of one GAN at fixed noise over training, real ones below (figures 2 to 4)."""
    strips = {f"epoch {epoch}": images for epoch, images in shown.samples.items()}
    if len(real):
        strips["real"] = real
    figure = blank(8, 0.58 * len(strips) + 0.1)
    for axes, (label, images) in zip(np.atleast_1d(figure.subplots(len(strips), 1)), strips.items(), strict=True):
        axes.imshow(image_grid(images[:STRIP_IMAGES], STRIP_IMAGES), cmap="gray", aspect="equal")
        axes.set_ylabel(label, rotation=0, ha="right", va="center", fontsize=8, color=INK)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_visible(False)
    return figure


def losses(runs: Sequence[GanRun]) -> Figure | None:
    """Epoch against loss of discriminator and generator: every seed thin, their mean thick (figures 4 to 6)."""
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


def forest(summary: Summary) -> Figure:
    """The AUC difference of every arm to the baseline with its interval, on the band of the margin."""
    arms = {arm: found for arm, found in summary["arms"].items() if arm != summary["baseline"]}
    figure, axes = single(8, 0.42 * max(len(arms), 1) + 1.1)
    margin = summary["margin"]
    axes.axvspan(-margin, margin, color=GRID, zorder=0, label=f"margin ±{margin:g}")
    axes.axvline(0, color=MUTED, linewidth=1, zorder=1)
    for row, (arm, found) in enumerate(arms.items()):
        change = found["metrics"].get("auc", {}).get("difference")
        if change:
            colour = GREEN if arm == summary["oracle"] else VIOLET if found["gan"] else BLUE
            _whisker(axes, row, change, colour, "D" if arm == summary["oracle"] else "o")
        axes.annotate(
            found["verdict"]["name"],
            (1.02, row),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize=8,
            color=INK,
        )
    axes.set_yticks(range(len(arms)), [arm_name(arm, gan=found["gan"]) for arm, found in arms.items()], fontsize=9)
    axes.set_ylim(len(arms) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel(f"difference in AUC to {summary['baseline']}, 95 % interval", fontsize=8)
    axes.legend(frameon=False, fontsize=8, loc="lower right", bbox_to_anchor=(1, 1))
    return figure


def metric_bars(summary: Summary) -> Figure:
    """The course report's bar plot: its metrics for every arm, with the 95 % interval."""
    arms = summary["arms"]
    figure = blank(10, 0.34 * len(arms) + 1.0)
    panels = figure.subplots(1, len(REPORTED), sharey=True)
    for axes, metric in zip(panels, REPORTED, strict=True):
        name = at_plain(summary, metric)
        styled(axes)
        for row, found in enumerate(arms.values()):
            if value := found["metrics"].get(name):
                axes.barh(row, value["mean"], 0.66, color=VIOLET if found["gan"] else MUTED, alpha=0.75)
                low, high = _ends(value)
                axes.plot((low, high), (row, row), color=INK, linewidth=1.4)
                axes.text(0.03, row, f"{value['mean']:.3f}", va="center", fontsize=7.5, color="white", weight="bold")
        axes.set_title(capitalised(metric_name(name)), fontsize=9, color=INK)
        axes.set_xlim(0, 1.02)
        axes.set_xticks((0, 0.5, 1))
        axes.grid(axis="y", visible=False)
    panels[0].set_yticks(range(len(arms)), [arm_name(arm, gan=found["gan"]) for arm, found in arms.items()], fontsize=9)
    panels[0].invert_yaxis()
    return figure


def confusions(summary: Summary, matrices: Mapping[str, NDArray[np.float64]]) -> Figure:
    """One panel per arm: counts under the plain rule, mean over seeds; row true, column predicted."""
    names = summary["dataset"]["classes"]
    few = len(names) <= FEW_CLASSES
    figure, panels = panels_of(len(matrices), 4 if few else 2, 2.4 if few else 4.6, 2.3 if few else 4.4)
    for axes, (arm, matrix) in zip(panels, matrices.items(), strict=False):
        axes.imshow(matrix / matrix.sum(axis=1, keepdims=True), cmap="Blues", vmin=0, vmax=1)
        for (true, predicted), count in np.ndenumerate(matrix):
            dark = count > matrix[true].sum() / 2
            axes.text(
                predicted,
                true,
                f"{count:.1f}" if few else f"{count:.0f}",
                ha="center",
                va="center",
                fontsize=8 if few else 6,
                color="white" if dark else INK,
            )
        axes.set_title(arm_name(arm, gan=summary["arms"][arm]["gan"]), fontsize=9, color=INK)
        axes.set_xticks(range(len(names)), names, fontsize=7, rotation=0 if few else 60)
        axes.set_yticks(range(len(names)), names, fontsize=7)
        axes.set_xlabel("predicted", fontsize=7, color=MUTED)
        axes.set_ylabel("true", fontsize=7, color=MUTED)
        axes.grid(visible=False)
    return figure


def ranking(summary: Summary, found: Found) -> Figure | None:
    """ROC and precision-recall curves of a pair task, one line per arm: the mean over seeds at each x."""
    if len(found.class_names) > PAIR:
        return None
    figure = blank(9, 4)
    roc, precision = (styled(axes) for axes in figure.subplots(1, 2))
    x = np.linspace(0, 1, CURVE_POINTS)
    recall = x[x >= FIRST_RECALL]
    for number, (arm, cells) in enumerate((arm, cells) for arm, cells in found.cells.items() if cells):
        name = arm_name(arm, gan=summary["arms"][arm]["gan"])
        style: dict[str, Any] = {"color": f"C{number % 10}", "linewidth": 1.3, "label": name}
        scores = [cell.predictions.test[:, 1] for cell in cells.values()]
        rocs = [roc_curve(found.labels, score) for score in scores]
        roc.plot(x, np.mean([np.interp(x, fpr, tpr) for fpr, tpr, _ in rocs], axis=0), **style)
        recalls = [precision_recall_curve(found.labels, score) for score in scores]
        precision.plot(recall, np.mean([np.interp(recall, r[::-1], p[::-1]) for p, r, _ in recalls], axis=0), **style)
    roc.set_xlabel("false positive rate", fontsize=8)
    roc.set_ylabel("recall", fontsize=8)
    precision.set_xlabel("recall", fontsize=8)
    precision.set_ylabel("precision", fontsize=8)
    roc.legend(frameon=False, fontsize=7, loc="lower right")
    return figure


def tuning(summary: Summary, found: Found) -> Figure | None:
    """Validation AUC against the strength of the penalty, each arm its panel, the chosen strengths marked."""
    return _panel_per_arm(summary, found, "tuning", _draw_tuning, ("strength of the L2 penalty", "validation AUC"))


def curves(summary: Summary, found: Found) -> Figure | None:
    """Epoch against training and validation loss of the classifier, each arm its panel (figure 7: the baseline's)."""
    figure = _panel_per_arm(summary, found, "curve", _draw_curves, ("epoch", "loss"))
    if figure:
        figure.axes[0].legend(frameon=False, fontsize=7)
    return figure


def _panel_per_arm(
    summary: Summary,
    found: Found,
    table: str,
    draw: Callable[[Axes, list[Columns]], None],
    labels: tuple[str, str],
) -> Figure | None:
    """Each arm its panel, drawn from the tables of its cells; `labels` are x and y. None where no cell has one."""
    arms = {
        arm: [getattr(cell, table) for _, cell in sorted(cells.items()) if getattr(cell, table)]
        for arm, cells in found.cells.items()
    }
    arms = {arm: tables for arm, tables in arms.items() if tables}
    if not arms:
        return None
    figure, panels = panels_of(len(arms), 4, 2.5, 1.9, share=True)
    for axes, (arm, tables) in zip(panels, arms.items(), strict=False):
        draw(axes, tables)
        axes.set_title(arm_name(arm, gan=summary["arms"][arm]["gan"]), fontsize=9, color=INK)
    figure.supxlabel(labels[0], fontsize=8, color=INK)
    figure.supylabel(labels[1], fontsize=8, color=INK)
    return figure


def _draw_tuning(axes: Axes, tables: list[Columns]) -> None:
    lines = [(table["l2"], table["validation_auc"]) for table in tables]
    seeds_and_mean(axes, lines, "", BLUE)
    for l2, auc in lines:
        best = int(np.argmax(auc))  # the strongest of equally good ones: the grid runs from strong to weak
        axes.plot(l2[best], auc[best], "o", color=ORANGE, markersize=4, zorder=3)
    axes.set_xscale("log")


def _draw_curves(axes: Axes, tables: list[Columns]) -> None:
    for column, label, colour in (("train_loss", "training", BLUE), ("validation_loss", "validation", ORANGE)):
        seeds_and_mean(axes, [(table["epoch"], table[column]) for table in tables], label, colour)


def _grid(images_NCHW: NDArray[np.uint8], columns: int) -> NDArray[np.uint8]:
    n, channels, height, width = images_NCHW.shape
    columns = max(1, min(columns, n))
    rows = max(1, -(-n // columns))
    canvas = np.full((rows * (height + 1) + 1, columns * (width + 1) + 1, channels), 255, np.uint8)
    for i, image in enumerate(images_NCHW):
        top, left = i // columns * (height + 1) + 1, i % columns * (width + 1) + 1
        canvas[top : top + height, left : left + width] = image.transpose(1, 2, 0)
    return canvas[..., 0] if channels == 1 else canvas


def _total(columns: Columns, prefix: str) -> list[float]:
    terms = [values for name, values in columns.items() if name.startswith(prefix)]
    return [sum(values) for values in zip(*terms, strict=True)]


def _whisker(axes: Axes, row: int, change: Mapping[str, Any], colour: str, marker: str) -> None:
    axes.plot(_ends(change), (row, row), color=colour, linewidth=2, solid_capstyle="butt", zorder=2)
    axes.plot(change["mean"], row, marker, color=colour, markersize=6, zorder=3)


def _ends(value: Mapping[str, Any]) -> tuple[float, float]:
    """The interval, or the mean twice where one seed allows none."""
    if value["low"] is None:
        return value["mean"], value["mean"]
    return value["low"], value["high"]
