"""The result in plain sentences, generated from summary.json and from nothing else."""

from collections.abc import Iterable
from typing import Any

from ganbalance.metrics.crossed import ALPHA
from ganbalance.metrics.results import MIN_SEEDS_INTERVAL
from ganbalance.metrics.verdicts import (
    DID_NOT_TRAIN,
    HELPS,
    HURTS,
    MOVES,
    NO_DIFFERENCE,
    NO_EVIDENCE,
    TOO_FEW_IMAGES,
    TOO_FEW_SEEDS,
)
from ganbalance.reporting.evidence import WITHHELD
from ganbalance.reporting.formats import (
    above_or_below,
    arm_name,
    by_family,
    capitalised,
    change,
    interval,
    number,
    percent,
    plural,
    primary_name,
    size,
    verdict_label,
)
from ganbalance.reporting.summary import Summary

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
CONDITIONAL = "Conditional on these images."
UNEXPECTED = "unexpected: confirm with fresh seeds"


# -- what was asked ----------------------------------------------------------------------------------------------------


def asked(summary: Summary) -> str:
    """The question of the run in a few short sentences."""
    data = summary["dataset"]
    rare = ", ".join(
        f"“{one['class']}” keeps {100 * one['keep']:.3g} % of its images "
        f"({data['after'][one['class']]:,} of {data['before'][one['class']]:,})"
        for one in data["rare"]
    )
    return (
        f"{data['name']}, {len(data['classes'])} classes. Rare: {rare}. "
        f"Frozen {summary['backbone']}, {plural(len(summary['seeds']), 'seed')}, {data['test']:,} test images, "
        f"{PAPER if summary['protocol'] == 'paper' else 'honest protocol'}."
    )


def deviation(summary: Summary) -> str | None:
    """What keeps a run under the paper protocol from being the course report's, if anything."""
    if summary["protocol"] != "paper" or summary["backbone"] == PAPER_BACKBONE:
        return None
    return (
        f"Deviation: the course report used {PAPER_BACKBONE}; this run used {summary['backbone']}. "
        "The numbers are not comparable with the published ones."
    )


def flaws(summary: Summary) -> tuple[str, ...]:
    """What the paper protocol gets wrong, and how far this run repairs it; nothing under the honest protocol."""
    if summary["protocol"] != "paper":
        return ()
    seeds = len(summary["seeds"])
    if seeds < MIN_SEEDS_INTERVAL:
        here = "So does this run: with one seed there is no mean and no interval."
    else:
        here = f"This run has {seeds} seeds: its tables give means over seeds with their intervals."
    return (*PAPER_FLAWS, f"The course report ran once and gave one number per cell. {here}")


# -- one arm -----------------------------------------------------------------------------------------------------------


def rare_by_nature(summary: Summary) -> bool:
    """Whether nothing was removed of a rare class, so that all seeds split its images and say nothing of new ones."""
    return any(one["keep"] == 1 for one in summary["dataset"]["rare"])


def shut(summary: Summary) -> bool:
    """Whether not even the removed images given back made a gain, so that no arm could have shown one."""
    return summary["gate"] is not None and not summary["gate"]["open"]


def answer(summary: Summary, arm: str) -> str:
    """What the verdict on an arm means, in a few sentences."""
    found, name = summary["arms"][arm], arm_name(arm)
    verdict = found["verdict"]["name"]
    if verdict == WITHHELD:
        return f"No verdict on {name}: results that it needs are missing."
    if verdict in (TOO_FEW_SEEDS, TOO_FEW_IMAGES):
        return f"{capitalised(verdict)} for a verdict on {name}.{_so_far(summary, arm)}"
    if verdict == DID_NOT_TRAIN:
        return f"{name} did not train. {found['verdict']['sentence']}"
    said = {HELPS: _helps, HURTS: _hurts, MOVES: _moves, NO_DIFFERENCE: _no_difference, NO_EVIDENCE: _no_evidence}
    where = "Conditional on these images," if rare_by_nature(summary) else "On this data"
    return f"{where} {said[verdict](summary, arm)}{_against_reference(summary, found)}"


def _helps(summary: Summary, arm: str) -> str:
    doubt = f" That is {UNEXPECTED}, as the removed images themselves make no such gain." if shut(summary) else ""
    return (
        f"{arm_name(arm)} helps: it raises {primary_name(summary)} by {size(change(summary, arm))}, which no choice of "
        f"threshold can do.{doubt}"
    )


def _hurts(summary: Summary, arm: str) -> str:
    plain = change(summary, arm, "balanced_accuracy@as-trained")
    gains = plain and plain["low"] is not None and plain["low"] > 0
    moved = f" Balanced accuracy as trained still rises by {size(plain)}: a moved threshold." if gains else ""
    return f"{arm_name(arm)} hurts: it lowers {primary_name(summary)} by {size(change(summary, arm))}.{moved}"


def _moves(summary: Summary, arm: str) -> str:
    margins, plain = summary["margins"], change(summary, arm, "balanced_accuracy@as-trained")
    label = verdict_label(summary, arm)
    turn = "rises" if plain["mean"] > 0 else "falls"
    off = f", measurably {above_or_below(summary, arm)} 0" if summary["arms"][arm]["verdict"]["measurable"] else ""
    return (
        f"{arm_name(arm)} {label}: balanced accuracy as trained {turn} by {size(plain)}, while the difference in "
        f"{primary_name(summary)} lies within ±{number(margins['ranking'])}{off}, and with the fair threshold for both "
        f"that in balanced accuracy within ±{number(margins['threshold'])}. A threshold can be chosen without "
        f"{arm_name(arm)}."
    )


def _no_difference(summary: Summary, arm: str) -> str:
    found = summary["arms"][arm]["verdict"]
    neither = ", nor do the removed images make one" if shut(summary) else ""
    off = f", though it is measurably {above_or_below(summary, arm)} 0" if found["measurable"] else ""
    return (
        f"{arm_name(arm)} makes no difference in ranking{neither}: the whole interval of the difference in "
        f"{primary_name(summary)}, {interval(change(summary, arm), signed=True)}, lies inside the margin of "
        f"±{number(summary['margins']['ranking'])}{off}."
    )


def _no_evidence(summary: Summary, arm: str) -> str:
    found = summary["arms"][arm]
    said = (
        f"there is no evidence that {arm_name(arm)} helps or hurts: {primary_name(summary)} changes by "
        f"{interval(change(summary, arm), signed=True)}."
    )
    if found["vetoed"]:
        said += " Which way depends on how the penalty is chosen."
    if _off_zero(found["moved"]):
        said += (
            f" It moved the threshold: balanced accuracy as trained minus fair {interval(found['moved'], signed=True)}."
        )
    return said


def _against_reference(summary: Summary, found: dict[str, Any]) -> str:
    against = found["reference_difference"]
    if against is None:
        return ""
    worse = against["mean"] < 0 and against["p_holm"] < ALPHA
    verb = "beats" if found["beats_reference"] else "ranks worse than" if worse else "does not clearly beat"
    return f" It {verb} {arm_name(summary['reference'])} ({interval(against, signed=True)})."


def _so_far(summary: Summary, arm: str) -> str:
    found = change(summary, arm)
    if not found:
        return ""
    return f" So far {primary_name(summary)} changes by {number(found['mean'], signed=True)} against none."


def _off_zero(found: dict[str, Any] | None) -> bool:
    return bool(found and found["low"] is not None and (found["low"] > 0 or found["high"] < 0))


# -- evidence ----------------------------------------------------------------------------------------------------------


def evidence(summary: Summary, arm: str) -> str:
    """The numbers that the verdict on an arm rests on, and where its penalty makes them less sure."""
    verdict = summary["arms"][arm]["verdict"]
    condition = [CONDITIONAL] if verdict and rare_by_nature(summary) else []
    return " ".join([*([verdict["sentence"]] if verdict else []), *condition, *at_end(summary, [arm])])


def at_end(summary: Summary, arms: Iterable[str]) -> list[str]:
    """A sentence for each arm whose penalty lies on an end of the grid."""
    said = []
    for arm in arms:
        found = summary["arms"][arm]["sensitivity"]
        if found and found["at_end"] and summary["arms"][arm]["family"] != "exempt":
            direction = "stronger" if found["at_end"] == "strongest" else "weaker"
            said.append(
                f"The penalty of {arm_name(arm)}, {found['chosen']:g}, is the {found['at_end']} of the grid: a "
                f"{direction} one might do better."
            )
    return said


def threshold_alone(summary: Summary) -> list[str]:
    """What moving the threshold of the baseline alone gives, and why it has no verdict."""
    said = []
    for arm in by_family(summary).get("exempt", []):
        name = "balanced_accuracy@as-trained"
        found = summary["arms"][arm]["metrics"].get(name)
        gain = change(summary, arm, name)
        if found and gain:
            said.append(
                f"{arm_name(arm)} keeps the scores of {summary['baseline']} and moves its threshold: its difference in "
                f"ranking is 0 by construction, so it gets no verdict. Balanced accuracy as trained becomes "
                f"{number(found['mean'])}, {interval(gain, signed=True)} against {summary['baseline']}."
                + (f" {CONDITIONAL}" if rare_by_nature(summary) else "")
            )
    return said


def margins(summary: Summary) -> list[str]:
    """Both margins, in the unit of what they bound, and how they come about."""
    found, share = summary["margins"], summary["margin_share"]
    if found is None:
        return []
    baseline = summary["arms"][summary["baseline"]]["metrics"]
    metric = primary_name(summary)
    auc = baseline[summary["primary"]]["mean"]
    if share is None:
        return [
            f"Margin: ±{number(found['ranking'])}, in {metric} and in balanced accuracy, as the experiment sets it."
        ]
    error = f"{percent(share)} of what {summary['baseline']} still gets wrong, 1 − {number(auc)}"
    if found["capped"]:
        gain = number(summary["gate"]["gain"]["mean"])
        error = f"capped by half of the oracle’s gain of {gain}; {error}, would be {number(share * (1 - auc))}"
    said = [f"Margin for ranking: ±{number(found['ranking'])} {metric} ({error})."]
    if found["threshold"] is not None:
        fair = number(baseline["balanced_accuracy@fair"]["mean"])
        said.append(
            f"Margin for thresholds: ±{number(found['threshold'])} balanced accuracy ({percent(share)} of 1 − {fair}, "
            "at the fair threshold)."
        )
    return said


def error_rates(summary: Summary) -> list[str]:
    """What Holm's method controls, and in which families."""
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


def would_shrink(shares: dict[str, float]) -> str:
    """What would narrow an interval whose variance has these shares."""
    if not shares:
        return "nothing: the difference has no variance"
    if shares["images"] > MOST:
        return "more test images; more seeds buy little"
    if shares["seeds"] > MOST:
        return "more seeds; more test images buy little"
    return "more seeds, and more test images"
