"""Show how much depends on what was tuned, a penalty or a network's settings: the grid, and each seed's own choice."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from matplotlib.figure import Figure

from ganbalance.metrics.results import Sensitivity
from ganbalance.metrics.scores import PAIR
from ganbalance.plurals import plural
from ganbalance.reporting.formats import (
    NOTHING,
    arm_name,
    by_family,
    capitalised,
    cell,
    change,
    dose_name,
    number,
    primary_name,
)
from ganbalance.reporting.layout import Entry, Group, Item, Picture, Report, Section, Table
from ganbalance.reporting.plotting import INK, MUTED, blank, legend_below, line_styles, picture, styled
from ganbalance.reporting.summary import Dose, Summary
from ganbalance.reporting.tables import of_arms
from ganbalance.reporting.wording import at_end


def sections(report: Report) -> Iterator[Section]:
    """Yield one section; none where no classifier had a grid, as the course report's has none."""
    summary = report.summary
    arms = {
        arm: tuned for arm, found in summary.arms.items() if (tuned := found.sensitivity) and len(tuned.strengths) > 1
    }
    if not arms:
        return
    yield Section(
        title="Learning rate and weight decay" if _settings(summary) else "Penalty strength",
        text=(
            f"Every arm is {_tried(summary)} of the same grid, and gets the one that {_how(summary)}. The table "
            "shows beside it what each seed alone would choose on its validation images: helps and hurts are vetoed "
            "where the interval under those choices lies wholly on the other side of 0.",
            *at_end(summary, arms),
        ),
        items=tuple(Item(f"Setting {place}", text) for place, text in enumerate(_settings(summary), start=1)),
        tables=(_table(summary, arms), _along(summary, arms)),
        figures=(_picture(summary, arms),),
    )


def _settings(summary: Summary) -> list[str]:
    """List the settings of a network, whose numbers from 1 take the place of strengths; none of a head."""
    return list(summary.classifier.settings)


def _tried(summary: Summary) -> str:
    return "trained at every setting" if _settings(summary) else "solved at every strength"


def _grid(summary: Summary) -> str:
    return "setting" if _settings(summary) else "strength"


def _how(summary: Summary) -> str:
    if all(one.keep == 1 for one in summary.dataset.rare):
        return "most bootstraps of the validation images rank first over all seeds of the run"
    return "is best on held-out images over all seeds of the run"


def _table(summary: Summary, arms: dict[str, Sensitivity]) -> Table:
    difference = f"Δ{primary_name(summary)} to {summary.baseline}"
    many = len(summary.dataset.classes) > PAIR

    def row(arm: str) -> tuple[Entry, ...] | None:
        if arm not in arms or summary.arms[arm].family == "exempt":
            return None
        tuned, judged = arms[arm], summary.arms[arm].components is not None
        vetoed = "vetoed" if summary.arms[arm].vetoed else "no"
        return (
            _strength(tuned.chosen, tuned.at_end, summary.arms[arm].dose),
            *([_strength(tuned.all_classes, tuned.all_classes_at_end)] if many else []),
            Entry(_counted(tuned.per_seed)),
            cell(change(summary, arm), signed=True),
            cell(tuned.per_seed_difference, signed=True),
            Entry(vetoed if judged else NOTHING),
        )

    whole = ("for all classes",) if many else ()
    head = ("arm", "chosen for the run", *whole, "chosen by each seed alone", difference)
    return of_arms(
        summary, f"Chosen {_grid(summary)}s", (*head, f"{difference}, each seed’s own", "verdict vetoed?"), row
    )


def _strength(value: float, at_end: str | None, dose: Dose | None = None) -> Entry:
    details = ([f"the {at_end} of the grid"] if at_end else []) + ([dose_name(dose)] if dose else [])
    return Entry(f"{value:g}", "; ".join(details))


def _along(summary: Summary, arms: dict[str, Sensitivity]) -> Table:
    """Build a row per strength: each arm's metric on test images, on tuning images, its difference to the baseline."""
    shown = [arm for arm in arms if summary.arms[arm].family != "exempt"]
    grid = arms[shown[0]].strengths

    def entry(tuned: Sensitivity, place: int) -> Entry:
        text = number(tuned.test[place]) + (" •" if tuned.strengths[place] == tuned.chosen else "")
        change = f", Δ {number(tuned.difference[place], signed=True)}" if tuned.difference else ""
        return Entry(text, f"tuning {number(tuned.tuning[place])}{change}")

    rows = [
        (Entry(f"{strength:g}"), *(entry(arms[arm], place) for arm in shown)) for place, strength in enumerate(grid)
    ]
    notes = (
        f"Means over seeds. Large: on test images; small: on the images that tuning uses, and the difference to "
        f"{summary.baseline} on test images at the same {_grid(summary)}. • marks the one chosen for the run.",
    )
    head = (_grid(summary), *map(arm_name, shown))
    return Table(f"{capitalised(primary_name(summary))} along the grid", head, (Group("", tuple(rows)),), notes)


def _counted(per_seed: dict[Any, float]) -> str:
    """Format as '3 (1 seed), 0.1 (4 seeds)': strongest first."""
    counts = sorted(Counter(per_seed.values()).items(), reverse=True)
    return ", ".join(f"{strength:g} ({plural(count, 'seed')})" for strength, count in counts) or NOTHING


def _picture(summary: Summary, arms: dict[str, Sensitivity]) -> Picture:
    metric = primary_name(summary)
    strengths = "; ".join(f"{arm_name(arm)} {tuned.chosen:g}" for arm, tuned in arms.items())
    return picture(
        along_grid(summary, arms),
        "penalty.png",
        f"{capitalised(metric)} of every arm against the {_axis(summary)} on held-out images and on test "
        f"images, and its difference to {summary.baseline}; chosen: {strengths}.",
        f"{capitalised(metric)} along the grid, mean over seeds: on the images that tuning uses, on the test images, "
        f"and on these the difference to {summary.baseline} at the same {_grid(summary)}. A dot marks the one "
        "chosen for the run.",
    )


def _axis(summary: Summary) -> str:
    return "setting of the network" if _settings(summary) else "strength of the L2 penalty"


def along_grid(summary: Summary, arms: dict[str, Sensitivity]) -> Figure:
    """Draw three panels over one axis of strengths, a line per arm."""
    styles, metric = line_styles(by_family(summary)), primary_name(summary)
    figure = blank(10, 4.2)
    tuning, test, difference = figure.subplots(1, 3, sharex=True)
    test.sharey(tuning)
    titles = (f"{metric}, tuning images", f"{metric}, test images", f"difference to {summary.baseline}, test images")
    for axes, part, title in zip((tuning, test, difference), ("tuning", "test", "difference"), titles, strict=True):
        styled(axes)
        axes.set_title(title, fontsize=9, color=INK)
        axes.set_xscale("linear" if _settings(summary) else "log")
        if _settings(summary):
            axes.set_xticks(range(1, len(_settings(summary)) + 1))
        for arm, tuned in arms.items():
            if getattr(tuned, part) is None or summary.arms[arm].family == "exempt":
                continue
            axes.plot(tuned.strengths, getattr(tuned, part), **styles[arm])
            place = tuned.strengths.index(tuned.chosen)
            axes.plot(tuned.chosen, getattr(tuned, part)[place], "o", color=styles[arm]["color"], markersize=5)
    difference.axhline(0, color=MUTED, linewidth=1, zorder=1)
    test.set_xlabel(_axis(summary), fontsize=8)
    legend_below(figure, tuning)
    return figure
