"""Show the classifier: its confusion matrices, and its losses where it was trained in epochs."""

from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ganbalance.metrics.classification import AS_TRAINED, FAIR
from ganbalance.metrics.scores import PAIR
from ganbalance.plurals import plural
from ganbalance.printing import printable
from ganbalance.reporting.figures import FEW_CLASSES, MANY_CLASSES, SHORT
from ganbalance.reporting.files import confusions
from ganbalance.reporting.formats import arm_name, rule_name
from ganbalance.reporting.layout import Entry, Group, Picture, Report, Section, Table
from ganbalance.reporting.lettering import lettering, turned
from ganbalance.reporting.plotting import BLUE, INK, MUTED, ORANGE, panels_of, picture, seeds_and_mean

LARGEST = 10
Matrices = dict[str, NDArray[np.float64]]
"""Arm -> counts, mean over seeds, float64 (K, K): row is the true class, column the predicted one."""


def sections(report: Report) -> Iterator[Section]:
    """Show confusion matrices under both rules, and the curves of figure 7 of the course report."""
    by_rule = mean_confusions(report)
    shown = [_confusion(report, rule, matrices) for rule, matrices in by_rule.items()]
    many = len(report.results.class_names) > MANY_CLASSES
    tables = tuple(_largest(report, rule, matrices) for rule, matrices in by_rule.items() if many)
    unsolved = {arm: found.unsolved for arm, found in report.summary.arms.items() if found.unsolved}
    said = [
        f"{arm_name(arm)}: {plural(count, 'solution')} of the head did not converge." for arm, count in unsolved.items()
    ]
    yield Section(title="Classifier", text=tuple(said), tables=tables, figures=(*_losses(report), *shown))


def mean_confusions(report: Report) -> dict[str, Matrices]:
    """Compute the mean confusion matrices of each rule."""
    counts: dict[str, dict[str, list[NDArray[np.int64]]]] = {}
    for arm, _, rule, matrix in confusions(report.results, report.analysis):
        if rule in (AS_TRAINED, FAIR):
            counts.setdefault(rule, {}).setdefault(arm, []).append(matrix)
    return {rule: {arm: np.mean(found, axis=0) for arm, found in arms.items()} for rule, arms in counts.items()}


def _confusion(report: Report, rule: str, matrices: Matrices) -> Picture:
    grouped = len(report.results.class_names) > MANY_CLASSES
    names, matrices = fewer(report.results.class_names, matrices, report.results.rare)
    counts = "; ".join(f"{arm_name(arm)} {np.round(matrix, 1).tolist()}" for arm, matrix in matrices.items())
    name, others = f"the rule “{rule_name(rule)}”", ""
    if grouped:
        others = (
            f" Of {len(report.results.class_names)} classes these are the {len(names) - 1} that are confused most, the "
            "rare ones first; the others are counted together. confusion.csv has all."
        )
    return picture(
        draw_confusions(names, matrices),
        f"confusion-{rule}.png",
        f"Confusion matrices under {name}, mean counts, rows true and columns predicted: {counts}.",
        f"Confusion matrices under {name}, mean counts over seeds: rows are the true class, columns the predicted "
        f"one.{others}{lettering(names).legend}",
        colours=16,
    )


def fewer(
    names: Sequence[str], matrices: Mapping[str, NDArray[np.float64]], rare: Collection[int]
) -> tuple[tuple[str, ...], Matrices]:
    """Keep at most `MANY_CLASSES` classes: those confused most, rare ones before others, and all the others as one."""
    if len(names) <= MANY_CLASSES:
        return tuple(names), dict(matrices)
    wrong_KK = sum(matrices.values(), np.zeros((len(names), len(names))))
    np.fill_diagonal(wrong_KK, 0)
    wrong_K = wrong_KK.sum(axis=0) + wrong_KK.sum(axis=1)
    first = sorted(range(len(names)), key=lambda c: (c not in rare, -wrong_K[c]))[: MANY_CLASSES - 1]
    shown = sorted(first)
    group_K = np.full(len(names), len(shown))
    group_K[shown] = np.arange(len(shown))
    sums = np.eye(len(shown) + 1)[group_K]  # row k says in which group class k is
    others = f"{len(names) - len(shown)} others"
    return (*(names[c] for c in shown), others), {arm: sums.T @ matrix @ sums for arm, matrix in matrices.items()}


def _largest(report: Report, rule: str, matrices: Matrices) -> Table:
    """Tabulate the confusions that are largest in any arm."""
    names, most = report.results.class_names, np.max(list(matrices.values()), axis=0)
    np.fill_diagonal(most, 0)
    places = [np.unravel_index(place, most.shape) for place in np.argsort(-most, axis=None, kind="stable")]
    rows = tuple(
        (
            Entry(printable(names[true])),
            Entry(printable(names[predicted])),
            *(Entry(f"{matrix[true, predicted]:.1f}") for matrix in matrices.values()),
        )
        for true, predicted in places[:LARGEST]
        if most[true, predicted]
    )
    head = ("true class", "predicted", *map(arm_name, matrices))
    return Table(f"Largest confusions, {rule_name(rule)}: mean counts over seeds", head, (Group("", rows),))


def draw_confusions(names: tuple[str, ...], matrices: Mapping[str, NDArray[np.float64]]) -> Figure:
    """Draw one panel per arm; colour is the share of the true class."""
    drawn = lettering(names)
    columns, width, height = (4, 2.4, 2.3) if len(names) == PAIR else (3, 3.3, 3.3) if few(names) else (2, 4.8, 4.6)
    figure, panels = panels_of(len(matrices), columns, width, height)
    slope = turned(0 if len(names) == PAIR and max(map(len, drawn.texts)) <= SHORT else 60)
    for axes, (arm, matrix) in zip(panels, matrices.items(), strict=True):
        axes.imshow(matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1), cmap="Blues", vmin=0, vmax=1)
        for (true, predicted), count in np.ndenumerate(matrix):
            axes.text(
                predicted,
                true,
                f"{count:.1f}" if len(names) == PAIR else f"{count:.0f}",
                ha="center",
                va="center",
                fontsize=8 if few(names) else 6,
                color="white" if count > matrix[true].sum() / 2 else INK,
            )
        axes.set_title(arm_name(arm), fontsize=9, color=INK)
        axes.set_xticks(range(len(names)), drawn.texts, fontsize=7, **slope, **drawn.style)
        axes.set_yticks(range(len(names)), drawn.texts, fontsize=7, **drawn.style)
        axes.set_xlabel("predicted", fontsize=7, color=MUTED)
        axes.set_ylabel("true", fontsize=7, color=MUTED)
        axes.grid(visible=False)
    return figure


def few(names: tuple[str, ...]) -> bool:
    """Tell whether a matrix of these classes is legible in a third of the page."""
    return len(names) <= FEW_CLASSES


def _losses(report: Report) -> Iterator[Picture]:
    """Draw epoch against the classifier's training and validation loss (figure 7); nothing where the head is solved."""
    curves = {
        arm: [cell.curve for _, cell in sorted(cells.items()) if cell.curve]
        for arm, cells in report.results.cells.items()
    }
    curves = {arm: of_arm for arm, of_arm in curves.items() if of_arm}
    if not curves:
        return
    figure, panels = panels_of(len(curves), 4, 2.5, 1.9, share=True)
    for axes, (arm, of_arm) in zip(panels, curves.items(), strict=True):
        for column, label, colour in (("train_loss", "training", BLUE), ("validation_loss", "validation", ORANGE)):
            seeds_and_mean(axes, [(curve["epoch"], curve[column]) for curve in of_arm], label, colour)
        axes.set_title(arm_name(arm), fontsize=9, color=INK)
    panels[0].legend(frameon=False, fontsize=7)
    figure.supxlabel("epoch", fontsize=8, color=INK)
    figure.supylabel("loss", fontsize=8, color=INK)
    yield picture(
        figure,
        "classifier-losses.png",
        "Training and validation loss of the classifier against epochs, a panel per arm; baseline: none.",
        f"Classifier: epochs against loss; the baseline is “{report.summary.baseline}”.",
    )
