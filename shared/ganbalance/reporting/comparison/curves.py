"""Draw a line and an interval band per arm along a comparison, or whiskers where the axis has no numbers."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from ganbalance.reporting.comparison import crossing_text
from ganbalance.reporting.comparison.axis import LONGEST_LABEL, Axis
from ganbalance.reporting.comparison.runs import Comparison
from ganbalance.reporting.formats import (
    BALANCED_FAIR,
    Number,
    capitalised,
    did_not_train,
    listed,
    metric_name,
    primary_name,
    shown_change,
)
from ganbalance.reporting.layout import Picture
from ganbalance.reporting.lettering import as_it_is, lettering, line
from ganbalance.reporting.plotting import GRID, INK, MUTED, legend_below, line_styles, markers, panels_of, picture
from ganbalance.reporting.summary import Summary

Value = Callable[[Summary, str], Number | None]
MOST_TICKS = 9
CROWDED_CHARS = 60
BAND, EDGE = 0.1, 0.6
"""Opacity of an interval band, and of its ends."""
SPREAD = 0.5
"""Of the room between two runs, what the arms of one take beside each other."""


def ranking(comparison: Comparison) -> Picture:
    """Draw the primary metric, and its difference to the baseline on the band of the margin."""
    metric, baseline = primary_name(comparison.first), comparison.first.baseline

    def value(summary: Summary, arm: str) -> Number | None:
        return summary.arms[arm].metrics.get(summary.primary)

    def difference(summary: Summary, arm: str) -> Number | None:
        return None if did_not_train(summary, arm) else shown_change(summary, arm)

    figure = drawn(
        comparison, {capitalised(metric): value, f"Difference in {metric} to {baseline}": difference}, columns=2
    )
    _margins(figure.axes[1], comparison)
    crossing_text.mark(figure.axes[1], comparison, {arm: style["color"] for arm, style in _styles(comparison).items()})
    return picture(
        figure, "along.png",
        f"{capitalised(metric)} of every arm, and its difference to {baseline}, along {comparison.axis.title}; the "
        "table of both holds the same numbers.",
        f"{capitalised(metric)} along {comparison.axis.title}, and the difference to {baseline} of the same run: means "
        f"with 95 % intervals{_scale(comparison.axis)}. The grey band is the margin of each run: an interval inside it "
        f"is no difference worth having.{crossing_text.legend(comparison)}"
        f"{lettering(comparison.axis.labels, LONGEST_LABEL).legend}",
    )  # fmt: skip


def other_metrics(comparison: Comparison) -> Picture | None:
    """Draw recall at each fixed precision that all runs have, and balanced accuracy at the fair threshold."""
    levels = [
        level for level in comparison.first.levels.precision
        if all(level in one.levels.precision for one in comparison.summaries)
    ]  # fmt: skip
    names = [*(f"recall_at_precision_{level:g}" for level in levels), BALANCED_FAIR]
    measured = {name for one in comparison.summaries for found in one.arms.values() for name in found.metrics}
    panels = {capitalised(metric_name(name)): _metric(name) for name in names if name in measured}
    if not panels:
        return None
    shown = listed(list(panels))
    return picture(
        drawn(comparison, panels, columns=3), "along-others.png",
        f"{shown} of every arm along {comparison.axis.title}; compare.csv holds the numbers.",
        f"{shown} along {comparison.axis.title}: means with 95 % intervals{_scale(comparison.axis)}. Precision is that "
        "at the class shares of each run’s own data: where these differ, a curve may move for that alone."
        f"{lettering(comparison.axis.labels, LONGEST_LABEL).legend}",
    )  # fmt: skip


def _metric(name: str) -> Value:
    def value(summary: Summary, arm: str) -> Number | None:
        return summary.arms[arm].metrics.get(name)

    return value


def drawn(comparison: Comparison, panels: Mapping[str, Value], *, columns: int) -> Figure:
    """Draw a panel per value; arms that keep the scores of the baseline have its curve and are left out."""
    figure, places = panels_of(len(panels), columns, 10 / min(columns, len(panels)), 4.0)
    styles = _styles(comparison)
    of_arms = markers(comparison.arms)
    shifts = dict(zip(styles, _beside(comparison.axis, len(styles)), strict=True))
    for axes, (title, value) in zip(places, panels.items(), strict=True):
        axes.set_title(title, fontsize=9, color=INK)
        for arm, style in styles.items():
            points = [
                (place + shifts[arm], found)
                for place, summary in zip(_places(comparison.axis), comparison.summaries, strict=True)
                if arm in summary.arms and (found := value(summary, arm))
            ]
            _line(axes, points, style | {"marker": of_arms[arm]}, joined=comparison.axis.places is not None)
        _scaled(axes, comparison.axis)
    legend_below(figure, places[0])
    return figure


def _styles(comparison: Comparison) -> dict[str, dict[str, Any]]:
    return line_styles({family: arms for family, arms in comparison.arms.items() if family != "exempt"})


def _line(axes: Axes, points: Sequence[tuple[float, Number]], style: dict[str, Any], *, joined: bool) -> None:
    """Draw means and their intervals; not joined where nothing lies between two runs."""
    if not points:
        return
    x, found = zip(*points, strict=True)
    mean = [one.mean for one in found]
    low = [one.mean if one.low is None else one.low for one in found]
    high = [one.mean if one.high is None else one.high for one in found]
    if joined:
        axes.plot(x, mean, markersize=4, **style)
        axes.fill_between(x, low, high, color=style["color"], alpha=BAND, linewidth=0)
        for edge in (low, high):  # where bands lie on each other, their ends still tell them apart
            axes.plot(x, edge, color=style["color"], linestyle=style["linestyle"], linewidth=0.6, alpha=EDGE)
    if not joined or len(points) == 1:
        lengths = (np.subtract(mean, low), np.subtract(high, mean))
        plain = style | {"linestyle": "none"}
        axes.errorbar(
            x, mean, yerr=lengths, markersize=4, elinewidth=1.5, **(plain if not joined else plain | {"label": None})
        )


def _margins(axes: Axes, comparison: Comparison) -> None:
    """Draw the margin of each run, as a band behind the differences."""
    axes.axhline(0, color=MUTED, linewidth=1, zorder=1)
    known = [
        (place, one.margins.ranking)
        for place, one in zip(_places(comparison.axis), comparison.summaries, strict=True)
        if one.margins
    ]
    if not known:
        return
    x, margin = (np.array(values) for values in zip(*known, strict=True))
    if comparison.axis.places is not None and len(known) > 1:
        axes.fill_between(x, -margin, margin, color=GRID, zorder=0, linewidth=0)
    elif comparison.axis.places is None:
        axes.bar(x, 2 * margin, 0.8, bottom=-margin, color=GRID, zorder=0)


def _places(axis: Axis) -> Sequence[float]:
    return range(len(axis.labels)) if axis.places is None else axis.places


def _beside(axis: Axis, count: int) -> Sequence[float]:
    """Compute how far each arm stands from the place of its run."""
    if axis.places is not None or count == 1:
        return [0.0] * count
    return [float(shift) for shift in np.linspace(-SPREAD / 2, SPREAD / 2, count)]


def _scaled(axes: Axes, axis: Axis) -> None:
    title = line(axis.title)
    axes.set_xlabel(title, fontsize=8, **as_it_is(title))
    if axis.is_log:
        axes.set_xscale("log")
    if axis.places is None:
        axes.set_xlim(-0.6, len(axis.labels) - 0.4)
        axes.grid(axis="x", visible=False)
    if axis.places is None or len(axis.labels) <= MOST_TICKS:
        axes.xaxis.set_major_locator(FixedLocator(list(_places(axis))))
        axes.xaxis.set_minor_locator(NullLocator())
        names = lettering(axis.labels, LONGEST_LABEL)
        crowded = sum(map(len, names.texts)) > CROWDED_CHARS
        axes.set_xticklabels(
            names.texts, rotation=20 if crowded else 0, ha="right" if crowded else "center", **names.style
        )


def _scale(axis: Axis) -> str:
    return "; the axis is logarithmic" if axis.is_log else ""
