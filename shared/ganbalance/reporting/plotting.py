"""What the figures share: a plain style, panels, rows of arms by family, a line style per arm, and the way to a PNG."""

import io
from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from ganbalance.reporting.formats import FAMILIES, Number, arm_name, by_family
from ganbalance.reporting.layout import Picture
from ganbalance.reporting.summary import Summary

DPI = 130
INK, MUTED, GRID = "#1f2933", "#7b8794", "#e4e7eb"
BLUE, ORANGE, GREEN, VIOLET = "#2f6fb3", "#d9822b", "#2e8b57", "#7d5ba6"

COLOURS = {"generative": VIOLET, "cheap": BLUE, "control": GREEN, "exempt": MUTED, "baseline": INK}
MARKERS = {"generative": "o", "cheap": "s", "control": "D", "exempt": "o", "baseline": "o"}
MORE_MARKERS = "^vPh"
LINES = {"generative": "-", "cheap": "--", "control": ":", "exempt": "-.", "baseline": "-"}
"""Families differ by shape as well as by colour."""
_SHADES = {
    "generative": (VIOLET, ORANGE, "#c2417c", "#8a6d3b", "#b05050", "#5c6bc0"),
    "cheap": (BLUE, "#3aa6a0", "#6aa5e0", "#1d4776"),
    "exempt": (MUTED,),
    "control": (GREEN, "#94b447"),
    "baseline": (INK,),
}


def picture(figure: Figure, file: str, alt: str, caption: str, *, colours: int | None = 64) -> Picture:
    """Draw the figure as a PNG of so many colours, of all where None, that is the same for the same figure.

    64 are all that eyes find in a chart, at a quarter of the bytes; in shades of one colour a part of them.
    """
    drawn, kept = io.BytesIO(), io.BytesIO()
    # read again at once, so not worth compressing
    figure.savefig(drawn, format="png", dpi=DPI, metadata={"Software": None}, pil_kwargs={"compress_level": 0})
    image = Image.open(drawn).convert("RGB")
    (image.quantize(colours) if colours else image).save(kept, format="png", optimize=True)
    return Picture(file, kept.getvalue(), alt, caption)


def single(width: float, height: float) -> tuple[Figure, Axes]:
    """Make a figure of one panel, in inches."""
    figure = blank(width, height)
    return figure, styled(figure.subplots())


def blank(width: float, height: float) -> Figure:
    """Make an empty white figure, in inches."""
    return Figure(figsize=(width, height), layout="constrained", facecolor="white")


def panels_of(
    count: int, columns: int, width: float, height: float, *, share: bool = False
) -> tuple[Figure, list[Axes]]:
    """Make a figure of `count` panels in rows of `columns`; places left over stay empty."""
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
    """Give axes a quiet frame and grid; return the same axes."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(MUTED)
    axes.tick_params(colors=INK, labelsize=8, length=3)
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    return axes


def seeds_and_mean(axes: Axes, lines: Sequence[tuple[list[float], list[float]]], label: str, colour: str) -> None:
    """Draw lines (x, y), one a seed, thin; thick the mean of those that went to the end."""
    for x, y in lines:
        axes.plot(x, y, color=colour, linewidth=0.7, alpha=0.35)
    end = max(len(x) for x, _ in lines)  # a GAN that diverged stopped early
    whole = [(x, y) for x, y in lines if len(x) == end]
    axes.plot(whole[0][0], np.mean([y for _, y in whole], axis=0), color=colour, linewidth=1.5, label=label)


def arm_rows(summary: Summary, *, baseline: bool) -> list[tuple[str, str | None]]:
    """List the rows of a dot plot from top to bottom: (label, arm), and (heading, None) above each family."""
    rows: list[tuple[str, str | None]] = []
    for family, arms in by_family(summary).items():
        if family != "baseline" or baseline:
            rows += [(FAMILIES[family], None), *((arm_name(arm), arm) for arm in arms)]
    return rows


def label_rows(axes: Axes, rows: Sequence[tuple[str, str | None]]) -> None:
    """Name the rows on the y axis; headings of families bold and grey."""
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_yticks(range(len(rows)), [label for label, _ in rows], fontsize=9)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)
    for tick, (_, arm) in zip(axes.get_yticklabels(), rows, strict=True):
        if arm is None:
            tick.set(color=MUTED, fontsize=8, fontweight="bold")


def whisker(axes: Axes, row: float, value: Number, family: str) -> None:
    """Draw a mean with its interval, in the colour and shape of a family."""
    low, high = (value.mean if end is None else end for end in (value.low, value.high))
    axes.plot((low, high), (row, row), color=COLOURS[family], linewidth=2, solid_capstyle="butt", zorder=2)
    axes.plot(value.mean, row, MARKERS[family], color=COLOURS[family], markersize=6, zorder=4)


def line_styles(families: Mapping[str, Sequence[str]]) -> dict[str, dict[str, Any]]:
    """Choose what tells the line of each arm from the others: its family by the dashes, itself by the colour."""
    styles: dict[str, dict[str, Any]] = {}
    for family, arms in families.items():
        for arm, colour in zip(arms, cycle(_SHADES[family]), strict=False):
            styles[arm] = {"color": colour, "linestyle": LINES[family], "linewidth": 1.5, "label": arm_name(arm)}
    return styles


def markers(families: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Choose the marker of each arm: its family's, and another each time that the colours of the family begin again."""
    return {
        arm: (MARKERS[family], *MORE_MARKERS)[place // len(_SHADES[family]) % (1 + len(MORE_MARKERS))]
        for family, arms in families.items()
        for place, arm in enumerate(arms)
    }


def legend_below(figure: Figure, axes: Axes) -> None:
    """Draw one legend for all panels, below them."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 6), frameon=False, fontsize=8)
