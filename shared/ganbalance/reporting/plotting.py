"""What the figures share: a plain style, panels, and a line per seed under their mean."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK, MUTED, GRID = "#1f2933", "#7b8794", "#e4e7eb"
BLUE, ORANGE, GREEN, VIOLET = "#2f6fb3", "#d9822b", "#2e8b57", "#7d5ba6"


def single(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure of one panel, in inches."""
    figure = blank(width, height)
    return figure, styled(figure.subplots())


def blank(width: float, height: float) -> Figure:
    """An empty white figure, in inches."""
    return Figure(figsize=(width, height), layout="constrained", facecolor="white")


def panels_of(
    count: int, columns: int, width: float, height: float, *, share: bool = False
) -> tuple[Figure, list[Axes]]:
    """A figure of `count` panels in rows of `columns`; places left over stay empty."""
    columns = min(columns, count)
    rows = -(-count // columns)
    figure = blank(width * columns, height * rows + 0.3)
    places = list(figure.subplots(rows, columns, squeeze=False, sharex=share, sharey=share).flat)
    for axes in places[count:]:
        axes.set_visible(False)
    for axes in places[max(0, count - columns) : count]:
        axes.tick_params(labelbottom=True)  # shared axes label the last row only, which may not be full
    return figure, [styled(axes) for axes in places[:count]]


def styled(axes: Axes) -> Axes:
    """The same axes with a quiet frame and grid."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(MUTED)
    axes.tick_params(colors=INK, labelsize=8, length=3)
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    return axes


def seeds_and_mean(axes: Axes, lines: Sequence[tuple[list[float], list[float]]], label: str, colour: str) -> None:
    """Lines (x, y), one a seed, thin; thick the mean of those that went to the end."""
    for x, y in lines:
        axes.plot(x, y, color=colour, linewidth=0.7, alpha=0.35)
    end = max(len(x) for x, _ in lines)  # a GAN that diverged stopped early
    whole = [(x, y) for x, y in lines if len(x) == end]
    axes.plot(whole[0][0], np.mean([y for _, y in whole], axis=0), color=colour, linewidth=1.5, label=label)
