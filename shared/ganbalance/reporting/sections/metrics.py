"""Show the metrics of the course report for every arm."""

import re
from collections.abc import Iterator

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from sklearn.metrics import precision_recall_curve, roc_curve

from ganbalance.metrics.classification import DECIDED, DEPLOYED
from ganbalance.metrics.scores import PAIR
from ganbalance.reporting.formats import by_family, capitalised, metric_name
from ganbalance.reporting.layout import Picture, Report, Section
from ganbalance.reporting.plotting import (
    INK,
    MUTED,
    arm_rows,
    blank,
    label_rows,
    legend_below,
    line_styles,
    picture,
    styled,
    whisker,
)
from ganbalance.reporting.summary import Summary
from ganbalance.reporting.tables import of_metrics

REPORTED = ("accuracy@as-trained", "precision@as-trained", "recall@as-trained", "f1@as-trained", "auc")
"""The metrics of the course report's tables and plots, in its order."""
CURVE_POINTS = 201
FIRST_RECALL = 0.02
"""Left of it precision is that of a handful of images."""


def sections(report: Report) -> Iterator[Section]:
    """Yield one section; curves for a pair of classes only."""
    summary = report.summary
    ranked = ("average_precision", *([summary.primary] if summary.primary != "auc" else []))
    columns = [(capitalised(metric_name(name)), name) for name in (*REPORTED, *ranked)]
    notes = () if summary.primary == "auc" else ("Macro averages; AUC and average precision are one-vs-rest.",)
    table = of_metrics(summary, "All arms, the reported metrics", columns, notes=notes)
    more = of_metrics(
        summary, "Other metrics of the decisions", [(capitalised(metric_name(one)), one) for one in _others(summary)]
    )
    figures = [_dots(summary), *([_curves(report)] if len(report.results.class_names) == PAIR else [])]
    yield Section(
        title="The reported metrics", tables=tuple(one for one in (table, more) if one), figures=tuple(figures)
    )


def _others(summary: Summary) -> list[str]:
    """List the metrics of a decision rule that no other table has."""
    measured = dict.fromkeys(name for found in summary.arms.values() for name in found.metrics)
    return [name for name in measured if "@" in name and re.split("[/@]", name)[0] not in (*DECIDED, *DEPLOYED)]


def _dots(summary: Summary) -> Picture:
    names = ", ".join(metric_name(metric) for metric in REPORTED)
    return picture(
        dots(summary),
        "metrics.png",
        f"{capitalised(names)} of every arm with 95 % intervals; the table of all arms holds the same numbers.",
        "The reported metrics with 95 % intervals. Each axis fits its metric; the vertical line is the baseline, "
        f"{summary.baseline}.",
    )


def dots(summary: Summary) -> Figure:
    """Draw a panel per metric, a row per arm, the baseline as a vertical line."""
    rows = arm_rows(summary, baseline=True)
    figure = blank(10, 0.3 * len(rows) + 0.9)
    panels = figure.subplots(1, len(REPORTED), sharey=True)
    for axes, metric in zip(panels, REPORTED, strict=True):
        styled(axes).grid(axis="y", visible=False)
        axes.tick_params(axis="y", length=0)
        for row, (_, arm) in enumerate(rows):
            if arm is not None and (value := summary.arms[arm].metrics.get(metric)):
                whisker(axes, row, value, summary.arms[arm].family)
        if base := summary.arms[summary.baseline].metrics.get(metric):
            axes.axvline(base.mean, color=MUTED, linewidth=1, zorder=1)
        axes.set_title(capitalised(metric_name(metric)), fontsize=9, color=INK)
        axes.xaxis.set_major_locator(MaxNLocator(3))
    label_rows(panels[0], rows)
    return figure


def _curves(report: Report) -> Picture:
    alt = "ROC curve and precision-recall curve of every arm; AUC and average precision in the table sum them up."
    caption = (
        "ROC and precision-recall curves on the test images, from the log odds of the two classes, mean over seeds."
    )
    return picture(curves(report), "curves.png", alt, caption)


def curves(report: Report) -> Figure:
    """Draw ROC and precision-recall curves of a pair task, one line per arm: the mean over seeds at each x."""
    styles = line_styles(by_family(report.summary))
    figure = blank(9, 4.6)
    roc, precision = (styled(axes) for axes in figure.subplots(1, 2))
    x = np.linspace(0, 1, CURVE_POINTS)
    recall = x[x >= FIRST_RECALL]
    for arm, cells in report.results.cells.items():
        # what only moves the threshold has the curve of the baseline
        if not cells or report.summary.arms[arm].family == "exempt":
            continue
        every = [cell.scores for cell in cells.values()]
        logits = [scores.test[report.analysis.settled[arm].strength] for scores in every]
        ranked = [(one.test_labels, found[:, 1] - found[:, 0]) for one, found in zip(every, logits, strict=True)]
        rocs = [roc_curve(labels, log_odds) for labels, log_odds in ranked]
        roc.plot(x, np.mean([np.interp(x, fpr, tpr) for fpr, tpr, _ in rocs], axis=0), **styles[arm])
        recalls = [precision_recall_curve(labels, log_odds) for labels, log_odds in ranked]
        found = np.mean([np.interp(recall, r[::-1], p[::-1]) for p, r, _ in recalls], axis=0)
        precision.plot(recall, found, **styles[arm])
    for axes, labels in ((roc, ("false positive rate", "recall")), (precision, ("recall", "precision"))):
        axes.set_xlabel(labels[0], fontsize=8)
        axes.set_ylabel(labels[1], fontsize=8)
    legend_below(figure, roc)
    return figure
