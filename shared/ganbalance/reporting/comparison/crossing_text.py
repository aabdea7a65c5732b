"""Say where arms cross along a comparison: a sentence and a row for each pair, and a mark in the figure."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ganbalance.metrics.crossings import Stretch
from ganbalance.reporting.comparison.crossings import Pair
from ganbalance.reporting.comparison.runs import Comparison
from ganbalance.reporting.formats import NOTHING, arm_name, capitalised, listed, primary_name
from ganbalance.reporting.layout import Entry, Group, Item, Section, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARK_SIZE = 6


def section(comparison: Comparison) -> Iterator[Section]:
    """Yield the table and a sentence for each pair; nothing where the axis has no numbers."""
    found = comparison.pairs
    if not found:
        return
    axis, metric = comparison.axis, primary_name(comparison.first)
    said = (
        f"Along rising {axis.title}. Between two runs the difference in {metric} is taken to be linear"
        f"{', in the logarithm of the value' if axis.is_log else ''}. An interval is every value at which the 95 % "
        "interval of the difference holds 0: over seeds and test images, in both of which the runs are paired, and "
        "over what is chosen from them. It is open where it reaches the first run or the last: the arms may cross "
        "beyond, or not at all. Nothing is adjusted for the number of pairs.",
    )
    lacking = any(pair.stretches is None for pair in found)
    yield Section(
        title="Where arms cross",
        text=said,
        warnings=(WITHOUT,) if lacking else (),
        tables=(table(comparison, found),),
        items=tuple(Item(f"{arm_name(pair.arm)} against {arm_name(pair.against)}", sentence(pair)) for pair in found),
    )


WITHOUT = (
    "Where there is no interval, the runs do not share their seeds and test images, have one seed, lack results, or "
    "have reports of an older version, which 'ganbalance run' makes anew."
)


def table(comparison: Comparison, found: Sequence[Pair]) -> Table:
    """Build a row per pair and stretch."""
    rows = [
        (Entry(arm_name(pair.arm)), Entry(arm_name(pair.against)), Entry(at), Entry(interval))
        for pair in found
        for at, interval in _cells(pair)
    ]
    head = ("arm", "against", f"crosses at {comparison.axis.title}", "95 % interval")
    return Table("Crossings", head, (Group("", tuple(rows)),))


def _cells(pair: Pair) -> list[tuple[str, str]]:
    if pair.stretches is None:
        return [(_values(pair.at), "not known")]
    found = [(_values(stretch.crossings), _interval(pair, stretch)) for stretch in pair.stretches]
    return found or [(NOTHING, NOTHING)]


def _values(values: Sequence[float]) -> str:
    return listed([f"{value:.3g}" for value in values]) or NOTHING


def _interval(pair: Pair, stretch: Stretch) -> str:
    """Format as '[0.022, 0.05]', '[below 0.01, 0.05]'."""
    low = f"below {pair.labels[0]}" if stretch.low is None else f"{stretch.low:.3g}"
    high = f"above {pair.labels[-1]}" if stretch.high is None else f"{stretch.high:.3g}"
    return f"[{low}, {high}]"


def sentence(pair: Pair) -> str:
    """Say where the two cross, with what is not known of it."""
    arm, against = capitalised(arm_name(pair.arm)), arm_name(pair.against)
    span = f"from {pair.labels[0]} to {pair.labels[-1]}"
    whole = f"{arm} is {'ahead of' if sum(pair.means) > 0 else 'behind'} {against} {span}"
    if pair.stretches is None:
        return f"{arm} crosses {against} at {_values(pair.at)}; no interval." if pair.at else f"{whole}; no interval."
    if not pair.stretches:
        return f"{whole}: no crossing."
    if pair.is_alike:
        return f"No value {span} shows a difference of {arm_name(pair.arm)} and {against}: no crossing can be placed."
    said = [_crossed(pair, stretch) if stretch.crossings else _possible(pair, stretch) for stretch in pair.stretches]
    if not pair.at:
        return f"{whole}; {'; '.join(said)}."
    return f"{arm} {'; '.join(said)}."


def _crossed(pair: Pair, stretch: Stretch) -> str:
    """Format as 'rises above none at 0.031 [0.022, 0.05]'."""
    number = pair.at.index(stretch.crossings[0])
    first = next(mean for mean in pair.means if mean)
    rises = (first < 0) == (number % 2 == 0)
    verb = "rises above" if rises else "falls below"
    if len(stretch.crossings) > 1:
        verb = "crosses"
    return f"{verb} {arm_name(pair.against)} at {_values(stretch.crossings)} {_interval(pair, stretch)}"


def _possible(pair: Pair, stretch: Stretch) -> str:
    return f"within {_interval(pair, stretch)} the difference may be 0, so that a crossing there is not excluded"


def legend(comparison: Comparison) -> str:
    """Say what the marks in the figure are, where there are any."""
    baseline = comparison.first.baseline
    marked = any(pair.change_places and pair.against == baseline for pair in comparison.pairs)
    return f" A cross marks where an arm crosses {baseline}, with its interval." if marked else ""


def mark(axes: "Axes", comparison: Comparison, colours: dict[str, str]) -> None:
    """Draw a cross on 0 where an arm crosses the baseline, with its interval as a bar; arrows where that is open."""
    for pair in comparison.pairs:
        if pair.against != comparison.first.baseline or pair.arm not in colours or not pair.change_places:
            continue
        style: dict[str, Any] = {"color": colours[pair.arm], "linestyle": "none", "zorder": 5}
        axes.plot(pair.at, [0.0] * len(pair.at), marker="X", markersize=MARK_SIZE, markeredgecolor="white", **style)
        for stretch in pair.stretches or ():
            if stretch.crossings:
                open_ends = zip((stretch.low, stretch.high), (pair.places[0], pair.places[-1]), strict=True)
                ends = [beyond if end is None else end for end, beyond in open_ends]
                axes.plot(ends, (0, 0), color=style["color"], linewidth=2.5, alpha=0.6, zorder=4)
                for end, value, arrow in zip(ends, (stretch.low, stretch.high), "<>", strict=True):
                    if value is None:
                        axes.plot(end, 0, marker=arrow, markersize=MARK_SIZE, **style)
