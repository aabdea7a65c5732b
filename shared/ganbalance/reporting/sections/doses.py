"""Show how much depends on the dose of synthetic images, for the arms that chose it as the penalty is chosen."""

from collections import Counter
from collections.abc import Iterator

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ganbalance.plurals import plural
from ganbalance.reporting.formats import NOTHING, arm_name, capitalised, dose_name, known, number, primary_name
from ganbalance.reporting.layout import Entry, Group, Picture, Report, Section, Table
from ganbalance.reporting.plotting import INK, MUTED, line_styles, panels_of, picture
from ganbalance.reporting.summary import Summary


def sections(report: Report) -> Iterator[Section]:
    """Yield one section; none where no arm tunes its dose."""
    summary = report.summary
    arms = [arm for arm, found in summary.arms.items() if found.dose]
    if not arms:
        return
    unit = "setting" if summary.classifier.settings else "strength of the penalty"
    yield Section(
        title="Dose of synthetic images",
        text=(
            "How many synthetic images are added, and what each counts in the loss against a real one. These arms "
            f"choose it together with the {unit}, on the same held-out images and by the same rule; standard errors "
            f"choose it again. The best of several doses is luckier than {summary.baseline}, which has none to choose "
            "from: a gain at one dose alone deserves a run with fresh seeds.",
        ),
        tables=tuple(_table(summary, arm) for arm in arms),
        figures=(_picture(summary, arms),),
    )


def _table(summary: Summary, arm: str) -> Table:
    """Build a row per dose, at the strength that suits it best."""
    found, metric = summary.arms[arm], capitalised(primary_name(summary))
    tuned = known(found.sensitivity)
    alone = Counter(tuned.per_seed_dose.values())
    rows = tuple(
        (
            Entry(dose.n + (" •" if place == tuned.dose else "")),
            Entry(f"{dose.images:,}"),
            Entry(f"{dose.weight:g}"),
            Entry(f"{of_dose.strength:g}"),
            Entry(number(of_dose.tuning)),
            Entry(number(of_dose.test)),
            Entry(NOTHING if of_dose.difference is None else number(of_dose.difference, signed=True)),
            Entry(plural(alone[place], "seed") if alone[place] else NOTHING),
        )
        for place, (dose, of_dose) in enumerate(zip(found.doses, tuned.doses, strict=True), start=1)
    )
    head = (
        "n", "images", "weight", "setting" if summary.classifier.settings else "strength", f"{metric}, tuning images",
        f"{metric}, test images", f"Δ to {summary.baseline}", "chosen alone by",
    )  # fmt: skip
    notes = (
        f"Means over seeds, each dose at what suits it best on the images that tuning uses; Δ is on test images, to "
        f"{summary.baseline} at its own choice. • marks the dose chosen for the run.",
    )
    return Table(f"Doses of {arm_name(arm)}", head, (Group("", rows),), notes)


def _picture(summary: Summary, arms: list[str]) -> Picture:
    metric = capitalised(primary_name(summary))
    chosen = "; ".join(f"{arm_name(arm)} {dose_name(known(summary.arms[arm].dose))}" for arm in arms)
    return picture(
        along_doses(summary, arms),
        "doses.png",
        f"{metric} of each dose on held-out and on test images; chosen: {chosen}.",
        f"{metric} of each dose, at what suits it best, mean over seeds: on the images that tuning uses (dashed) and "
        f"on test images. The grey line is {summary.baseline} on test images, the dot the dose chosen for the run.",
    )


def along_doses(summary: Summary, arms: list[str]) -> Figure:
    """Draw a panel per arm: images along the axis, a colour per weight."""
    figure, places = panels_of(len(arms), 3, 3.6, 3.2)
    for axes, arm in zip(places, arms, strict=True):
        doses, tuned = summary.arms[arm].doses, known(summary.arms[arm].sensitivity)
        weights = [f"weight {weight:g}" for weight in sorted({dose.weight for dose in doses})]
        styles = line_styles({"generative": weights})
        axes.set_title(arm_name(arm), fontsize=9, color=INK)
        axes.set_xlabel("synthetic images", fontsize=8)
        numbers = sorted({dose.images for dose in doses})
        axes.set_xscale("log" if numbers[0] else "linear")
        axes.set_xticks(numbers, [f"{n:,}" for n in numbers])
        axes.minorticks_off()
        for weight, style in styles.items():
            points = sorted(
                (dose.images, of_dose.tuning, of_dose.test)
                for dose, of_dose in zip(doses, tuned.doses, strict=True)
                if f"weight {dose.weight:g}" == weight
            )
            images, tuning, test = zip(*points, strict=True)
            axes.plot(images, tuning, **style | {"linestyle": "--", "label": None}, marker=".")
            axes.plot(images, test, **style | {"label": weight}, marker=".")
        _mark(axes, summary, arm)
        axes.legend(frameon=False, fontsize=7)
    return figure


def _mark(axes: Axes, summary: Summary, arm: str) -> None:
    """Mark the dose chosen for the run, and where the baseline is."""
    found = summary.arms[arm]
    axes.plot(known(found.dose).images, found.metrics[summary.primary].mean, "o", color=INK, markersize=5)
    if base := summary.arms[summary.baseline].metrics.get(summary.primary):
        axes.axhline(base.mean, color=MUTED, linewidth=1, zorder=1)
