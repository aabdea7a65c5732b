"""Write the result in plain sentences, from summary.json and from nothing else."""

from collections.abc import Iterable

from ganbalance.metrics.results import MIN_SEEDS_INTERVAL
from ganbalance.plurals import plural
from ganbalance.reporting.formats import (
    BALANCED_AS_TRAINED,
    BALANCED_FAIR,
    arm_name,
    by_family,
    capitalised,
    change,
    dose_name,
    interval,
    known,
    listed,
    number,
    percent,
    primary_name,
    quoted,
    some,
)
from ganbalance.reporting.summary import Summary
from ganbalance.reporting.verdict_text import CONDITIONAL, rare_by_nature

PAPER = "paper protocol"
PAPER_BACKBONE = "resnet18"

PAPER_FLAWS = (
    "Every GAN of the course report drew its own 20 % of the rare class, so it saw real images that the baseline "
    "lacked. Repaired even here: one draw per seed, read by every arm.",
    "Validation images are split off after the synthetic ones were mixed in, so they say little about real images.",
    "The “frozen” network runs in train mode: its BatchNorm statistics move with every batch.",
    "Every arm trains for the same number of epochs, so an arm with more images gets more gradient steps.",
    "The GANs learn images enlarged from 28 to 32 pixels, whose drawings are then cropped back to 28: synthetic "
    "garments are 14 % larger than real ones.",
)

MOST = 0.5
"""Share of a variance from which on one source limits an interval."""


# -- what was asked ----------------------------------------------------------------------------------------------------


def asked(summary: Summary) -> str:
    """Write the question of the run in a few short sentences."""
    data = summary.dataset
    rare = ", ".join(
        some(
            [
                f"{quoted(one.class_name)} keeps {100 * one.keep:.3g} % of its images "
                f"({data.after[one.class_name]:,} of {data.before[one.class_name]:,})"
                for one in data.rare
            ]
        )
    )
    return (
        f"{data.name}, {len(data.classes)} classes. Rare: {rare}. "
        f"{capitalised(classifier(summary))}, {plural(len(summary.seeds), 'seed')}, {data.test:,} test images"
        f"{f' in {data.folds} folds' if data.folds else ''}."
    )


def classifier(summary: Summary) -> str:
    """Say what was trained."""
    found = summary.classifier
    trained = {
        "scratch": "{} trained from scratch",
        "last-block": "last block of {} trained",
        "all": "all of {} trained",
        None: "{} under the " + PAPER if is_paper(summary) else "frozen {}",
    }
    return trained[found.train].format(found.backbone)


def is_paper(summary: Summary) -> bool:
    """Tell whether it was trained as the course report did."""
    return bool(summary.classifier.kind == "paper")


def label(summary: Summary) -> str:
    """Write what follows a title whose numbers come from the paper protocol."""
    return f" ({PAPER})" if is_paper(summary) else ""


def deviation(summary: Summary) -> str | None:
    """Say what keeps a run under the paper protocol from being the course report's, if anything."""
    backbone = summary.classifier.backbone
    if not is_paper(summary) or backbone == PAPER_BACKBONE:
        return None
    return (
        f"Deviation: the course report used {PAPER_BACKBONE}; this run used {backbone}. "
        "The numbers are not comparable with the published ones."
    )


def flaws(summary: Summary) -> tuple[str, ...]:
    """Say what the paper protocol gets wrong, and how far this run repairs it; nothing of another classifier."""
    if not is_paper(summary):
        return ()
    seeds = len(summary.seeds)
    if seeds < MIN_SEEDS_INTERVAL:
        here = "So does this run: with one seed there is no mean and no interval."
    else:
        here = f"This run has {seeds} seeds: its tables give means over seeds with their intervals."
    return (*PAPER_FLAWS, f"The course report ran once and gave one number per cell. {here}")


# -- evidence ----------------------------------------------------------------------------------------------------------


def evidence(summary: Summary, arm: str) -> str:
    """Write the numbers that the verdict on an arm rests on, and where its penalty makes them less sure."""
    verdict = summary.arms[arm].verdict
    condition = [f"{CONDITIONAL}."] if verdict and rare_by_nature(summary) else []
    return " ".join([*([verdict.sentence] if verdict else []), *condition, *at_end(summary, [arm])])


def at_end(summary: Summary, arms: Iterable[str]) -> list[str]:
    """Write a sentence for each arm whose penalty lies on an end of the grid."""
    said = []
    for arm in arms:
        found = summary.arms[arm].sensitivity
        if found and found.at_end and summary.arms[arm].family != "exempt":
            direction = "stronger" if found.at_end == "strongest" else "weaker"
            said.append(
                f"The penalty of {arm_name(arm)}, {found.chosen:g}, is the {found.at_end} of the grid: a "
                f"{direction} one might do better."
            )
        said += _dose_at_end(summary, arm)
    return said


def _dose_at_end(summary: Summary, arm: str) -> list[str]:
    """Write a sentence where no dose that was tried has more images, or fewer, or another weight on that side."""
    chosen, doses = summary.arms[arm].dose, summary.arms[arm].doses
    if chosen is None:
        return []
    ends = []
    for name, what in (("images", "number of images"), ("weight", "weight")):
        value, tried = getattr(chosen, name), {getattr(one, name) for one in doses}
        if len(tried) > 1 and value in (min(tried), max(tried)):
            ends.append(f"the {'smallest' if value == min(tried) else 'largest'} {what}")
    if not ends:
        return []
    return [
        f"The dose of {arm_name(arm)}, {dose_name(chosen)}, has {listed(ends)} of those tried: one beyond might do "
        "better."
    ]


def threshold_alone(summary: Summary) -> list[str]:
    """Say what moving the threshold of the baseline alone gives, and why it has no verdict."""
    said = []
    for arm in by_family(summary).get("exempt", []):
        found = summary.arms[arm].metrics.get(BALANCED_AS_TRAINED)
        gain = change(summary, arm, BALANCED_AS_TRAINED)
        if found and gain:
            said.append(
                f"{arm_name(arm)} keeps the scores of {summary.baseline} and moves its threshold: its difference in "
                f"ranking is 0 by construction, so it gets no verdict. Balanced accuracy as trained becomes "
                f"{number(found.mean)}, {interval(gain, signed=True)} against {summary.baseline}."
                + (f" {CONDITIONAL}." if rare_by_nature(summary) else "")
            )
    return said


def margins(summary: Summary) -> list[str]:
    """State both margins, in the unit of what they bound, and how they come about."""
    found, share = summary.margins, summary.margin_share
    if found is None:
        return []
    baseline = summary.arms[summary.baseline].metrics
    metric = primary_name(summary)
    auc = baseline[summary.primary].mean
    if share is None:
        return [f"Margin: ±{number(found.ranking)}, in {metric} and in balanced accuracy, as the experiment sets it."]
    error = f"{percent(share)} of what {summary.baseline} still gets wrong, 1 − {number(auc)}"
    if found.capped:
        gain = number(known(summary.gate).gain.mean)
        error = f"capped by half of the oracle’s gain of {gain}; {error}, would be {number(share * (1 - auc))}"
    said = [f"Margin for ranking: ±{number(found.ranking)} {metric} ({error})."]
    if found.threshold is not None:
        fair = number(baseline[BALANCED_FAIR].mean)
        said.append(
            f"Margin for thresholds: ±{number(found.threshold)} balanced accuracy ({percent(share)} of 1 − {fair}, "
            "at the fair threshold)."
        )
    return said


def error_rates(summary: Summary) -> list[str]:
    """Say what Holm's method controls, and in which families."""
    families = [family for family in ("generative", "cheap") if family in by_family(summary)]
    said = []
    if len(families) > 1:
        said.append(
            "Holm’s method holds false calls at 5 % among the generative arms and at 5 % among the cheap ones, so up "
            "to 10 % of runs may hold one."
        )
    elif families:
        said.append(f"Holm’s method holds false calls at 5 % among the {families[0]} arms.")
    if "control" in by_family(summary):
        said.append("The p values of controls are unadjusted.")
    return said


def would_shrink(shares: dict[str, float], tested: str = "test images") -> str:
    """Say what would narrow an interval whose variance has these shares, over seeds and what is `tested`."""
    if not shares:
        return "nothing: the difference has no variance"
    if shares["images"] > MOST:
        return f"more {tested}; more seeds buy little"
    if shares["seeds"] > MOST:
        return f"more seeds; more {tested} buy little"
    return f"more seeds, and more {tested}"
