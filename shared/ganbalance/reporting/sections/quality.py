"""Show how good the synthetic images are, and whether the classifier gains more from better ones."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import cycle
from statistics import fmean

import numpy as np
from matplotlib.figure import Figure

from ganbalance.metrics.quality import neighbours
from ganbalance.metrics.quality.benefit import Correlation, Point
from ganbalance.metrics.quality.distances import ENOUGH_FOR_FID
from ganbalance.plurals import plural
from ganbalance.reporting.formats import NOTHING, arm_name, by_family, listed, number, percent, primary_name, quoted
from ganbalance.reporting.layout import Entry, Group, Picture, Report, Section, Table
from ganbalance.reporting.plotting import GRID, MUTED, legend_below, line_styles, picture, single
from ganbalance.reporting.summary import ImageQuality, Summary, SyntheticImages

Sets = Sequence[SyntheticImages]

MOST_CLASSES = 8
CONTROL = "training images drawn again"
MARKERS = "os^DvP*X"


def sections(report: Report) -> Iterator[Section]:
    """Show tables and a figure; one line where images were added and no frozen features exist to measure them in."""
    summary = report.summary
    if not (found := summary.quality):
        if "generative" in by_family(summary) and summary.classifier.kind != "linear-head":
            text = "Not measured: it needs features of a frozen network, and here a network is trained on the images."
            yield Section(title="Quality of synthetic images", text=(text,))
        return
    yield Section(
        title="Quality of synthetic images",
        text=(*_compared(summary, found), *(_benefit(summary, found) if found.points else ())),
        tables=_tables(found),
        figures=(_picture(summary, found),) if found.points else (),
    )


# -- tables ------------------------------------------------------------------------------------------------------------


def _tables(found: ImageQuality) -> tuple[Table, ...]:
    notes = (
        f"Means over seeds, ± their standard deviation. KID and FID: 0 for the same distribution, in features of "
        f"{found.extractor}, so not comparable with numbers in Inception’s. KID is unbiased and may be below 0; FID is "
        f"biased, the more the fewer images there are: from {ENOUGH_FOR_FID:,} on, and with equally many, it compares. "
        f"Precision, recall, density and coverage: {neighbours.K} nearest neighbours. Distinguished: how often a "
        "linear classifier is right about which images are synthetic; 50 % is a coin.",
    )
    memory = (
        "Near duplicates are found on the images themselves. “New ones” are the real images that nothing trained on. "
        f"As near as: the share at most as far from a training image as the nearest {percent(neighbours.NOMINAL)} of "
        f"new ones, so {percent(neighbours.NOMINAL)} is what new ones have. Nearer: the probability of being nearer to "
        "a training image than a new one; 50 % is what new ones have, less is far from all real ones. Copies have "
        "100 % in both, as the control shows. Trained on: AUC, on the real images above, of a linear head that learned "
        "the class from the synthetic images alone, or from its training images.",
    )
    columns: list[tuple[str, Callable[[Sets], Entry]]] = [
        ("KID", lambda sets: _cell(sets, "kid")),
        (fid_name(found), _fid),
        *((name, _of(name)) for name in ("precision", "recall", "density", "coverage")),
        ("distinguished", _of("two_sample", percent)),
    ]
    teaching: list[tuple[str, Callable[[Sets], Entry]]] = [
        ("near duplicates of each other", _of("twins", percent)),
        ("near duplicates of training images", _of("copies", percent)),
        (f"as near as {percent(neighbours.NOMINAL)} of new ones", _of("memorised", percent)),
        ("nearer than new ones", _of("nearer", percent)),
        ("AUC, trained on synthetic", _of("synthetic_auc")),
        ("AUC, trained on real", _of("real_auc")),
    ]
    return (
        _table("Like real images?", found, columns, notes),
        _table("New, and of use?", found, teaching, memory),
    )


def _table(
    caption: str, found: ImageQuality, columns: Sequence[tuple[str, Callable[[Sets], Entry]]], notes: tuple[str, ...]
) -> Table:
    """Build a row per arm and one for the control, a group per class; of many classes those with the fewest images."""
    classes = _classes(found)
    groups = []
    for name in classes[:MOST_CLASSES]:
        arms: dict[str | None, list[SyntheticImages]] = {}
        for one in found.sets:
            if one.class_name == name:
                arms.setdefault(one.arm, []).append(one)
        order = sorted(arms, key=lambda arm: arm is None)
        rows = tuple((_named(arm, arms[arm]), *(entry(arms[arm]) for _, entry in columns)) for arm in order)
        groups.append(Group(name if len(classes) > 1 else "", rows))
    left_out = len(classes) - MOST_CLASSES
    more = (f"The {MOST_CLASSES} rarest of {len(classes)} classes; summary.json has all.",) if left_out > 0 else ()
    return Table(caption, ("images", *(head for head, _ in columns)), tuple(groups), (*notes, *more))


def _classes(found: ImageQuality) -> list[str]:
    training = {one.class_name: one.quality.training for one in found.sets}
    return sorted(training, key=lambda name: training[name])


def _named(arm: str | None, sets: Sets) -> Entry:
    n = [one.quality.synthetic for one in sets]
    return Entry(arm_name(arm) if arm else CONTROL, f"{_range(n)} images, {plural(len(sets), 'seed')}")


def fid_name(found: ImageQuality) -> str:
    """Format as 'FID (efficientnet-lite0, n = 4,752)': it depends on both."""
    return f"FID ({found.extractor}, n = {_range([_fid_n(one) for one in found.sets])})"


def _fid_n(one: SyntheticImages) -> int:
    return min(one.quality.synthetic, one.quality.reference)


def _fid(sets: Sets) -> Entry:
    """Format FID, with a flag where there are too few images."""
    entry, n = _cell(sets, "fid", lambda value: f"{value:.3g}"), min(map(_fid_n, sets))
    return Entry(entry.text, f"{entry.detail}{f' biased: n = {n:,}' if n < ENOUGH_FOR_FID else ''}".strip())


def _of(name: str, shown: Callable[[float], str] = lambda value: f"{value:.3f}") -> Callable[[Sets], Entry]:
    return lambda sets: _cell(sets, name, shown)


def _cell(sets: Sets, name: str, shown: Callable[[float], str] = number) -> Entry:
    """Format the mean over seeds with its standard deviation, over those that have the number."""
    values = [value for one in sets if (value := getattr(one.quality, name)) is not None]
    if not values:
        return Entry(NOTHING)
    return Entry(shown(float(np.mean(values))), f"± {shown(float(np.std(values, ddof=1)))}" if len(values) > 1 else "")


def _range(numbers: Iterable[int]) -> str:
    low, high = min(numbers := list(numbers)), max(numbers)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


# -- text --------------------------------------------------------------------------------------------------------------


def _compared(summary: Summary, found: ImageQuality) -> Iterator[str]:
    """Say what the synthetic images are compared with."""
    each = [
        f"{_range([one.quality.reference for one in found.sets if one.class_name == name])} of {quoted(name)}"
        for name in _classes(found)[:MOST_CLASSES]
    ]
    kept = {one.class_name: one.keep for one in summary.dataset.rare}
    whole = all(kept[name] == 1 for name in _classes(found))
    origin = "validation images, since nothing was removed" if whole else "removed and held-out ones"
    yield (
        f"Compared with real images that no generator saw and no arm but a control learns from: "
        f"{listed(each)} ({origin}), and never a test image. No verdict rests on these numbers."
    )
    lost = [one for one in summary.missing_results if one.what.startswith("quality/")]
    if lost:
        yield f"Without {plural(len(lost), 'set')} of images that failed or whose GAN diverged."


def _benefit(summary: Summary, found: ImageQuality) -> list[str]:
    """Say whether better images go with a greater gain, with what that rests on."""
    arms, seeds = ({getattr(point, name) for point in found.points} for name in ("arm", "seed"))
    metric = primary_name(summary)
    of = f"{plural(len(found.points), 'point')}, {plural(len(arms), 'arm')} at {plural(len(seeds), 'seed')}"
    if found.over_all is None:
        return [f"Whether a better KID goes with a greater gain in {metric} cannot be said of {of}."]
    said = f"Does a better KID go with a greater gain in {metric}? {_answer(found, several=len(arms) > 1)} Over {of}, "
    said += f"Spearman’s rank correlation is {_shown(found.over_all)}"
    if found.within_arms and len(arms) > 1:
        said += f"; within arms, over seeds alone, it is {_shown(found.within_arms)} on average"
    return [
        f"{said}. Negative means that images nearer to real ones come with more. The interval is over seeds, for these "
        f"arms: what sets a few apart may be anything else about them, and a correlation is no cause.{_copies(found)}"
    ]


def _copies(found: ImageQuality) -> str:
    """Say what the KID of the control is."""
    kids = [one.quality.kid for one in found.sets if one.arm is None and one.quality.kid is not None]
    return f" Mere copies of the training images have a KID of {number(fmean(kids))}." if kids else ""


def _answer(found: ImageQuality, *, several: bool) -> str:
    if not several or _direction(found.over_all) in (None, _direction(found.within_arms)):
        return _ANSWERS[_direction(found.over_all)]
    between, within = (_BOTH[_direction(one)] for one in (found.over_all, found.within_arms))
    return f"Over all of these arms {between}; within an arm, from seed to seed, {within}."


_ANSWERS = {
    None: "Too few points for an interval, so that this run cannot say.",
    0: "Not measurably here.",
    -1: "Yes, here.",
    1: "No: here a worse one does.",
}
_BOTH = {None: "it cannot be said", 0: "not measurably", -1: "yes", 1: "no: worse ones do"}


def _direction(found: Correlation | None) -> int | None:
    """Return the sign of a correlation, 0 where its interval holds 0, None where it has none."""
    if found is None or found.low is None or found.high is None:
        return None
    return 0 if found.low <= 0 <= found.high else int(np.sign(found.rho))


def _shown(found: Correlation) -> str:
    if found.low is None or found.high is None:
        return f"{found.rho:+.2f}"
    return f"{found.rho:+.2f} [{found.low:+.2f}, {found.high:+.2f}]"


# -- figure ------------------------------------------------------------------------------------------------------------


def _picture(summary: Summary, found: ImageQuality) -> Picture:
    metric = primary_name(summary)
    means = "; ".join(
        f"{arm_name(arm)} {number(fmean(one.kid for one in of_arm))} and "
        f"{number(fmean(one.gain for one in of_arm), signed=True)}"
        for arm, of_arm in _by_arm(found).items()
    )
    return picture(
        scatter(summary, found),
        "quality.png",
        f"KID of synthetic images against the difference in {metric} to {summary.baseline}, a point per seed. Means: "
        f"{means}.",
        f"KID to real images (better to the left) against the difference in {metric} to {summary.baseline}: a point "
        "per arm and seed, its bar the standard error of KID. The grey band is the margin.",
    )


def scatter(summary: Summary, found: ImageQuality) -> Figure:
    """Draw quality against benefit: a marker per arm, a point per seed."""
    figure, axes = single(7, 4)
    if summary.margins:
        axes.axhspan(-summary.margins.ranking, summary.margins.ranking, color=GRID, zorder=0)
    axes.axhline(0, color=MUTED, linewidth=1, zorder=1)
    styles = line_styles(by_family(summary))
    for (arm, of_arm), marker in zip(_by_arm(found).items(), cycle(MARKERS), strict=False):
        axes.errorbar(
            [one.kid for one in of_arm], [one.gain for one in of_arm], xerr=[one.kid_se for one in of_arm],
            fmt=marker, color=styles[arm]["color"], label=arm_name(arm), markersize=5, elinewidth=0.8,
        )  # fmt: skip
    axes.set_xlabel(f"KID to real images, in features of {found.extractor}; better to the left", fontsize=8)
    axes.set_ylabel(f"difference in {primary_name(summary)} to {summary.baseline}", fontsize=8)
    legend_below(figure, axes)
    return figure


def _by_arm(found: ImageQuality) -> dict[str, list[Point]]:
    points: dict[str, list[Point]] = {}
    for point in found.points:
        points.setdefault(point.arm, []).append(point)
    return points
