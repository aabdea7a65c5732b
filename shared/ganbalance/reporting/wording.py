"""The result in plain sentences, generated from the verdicts and from nothing else."""

from typing import Any

from ganbalance.metrics.statistics import HELPS, HURTS, MIN_SEEDS_INTERVAL, MOVES, NO_EVIDENCE, TOO_FEW
from ganbalance.reporting.summary import WITHHELD, Summary

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

_METRICS = {
    "auc": "AUC",
    "average_precision": "average precision",
    "accuracy": "accuracy",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "balanced_accuracy": "balanced accuracy",
    "deployed_precision": "deployed precision",
    "deployed_f1": "deployed F1",
    "deployed_average_precision": "deployed AP",
}


def arm_name(arm: str, *, gan: bool) -> str:
    """How an arm is written: GANs as their papers do, the others as in the experiment file."""
    if arm == "vanilla":
        return "Vanilla GAN"
    return arm.upper() if gan else arm


def metric_name(metric: str) -> str:
    """'balanced_accuracy@0.5' as it is written in a sentence: 'balanced accuracy at 0.5'."""
    name, _, rule = metric.partition("@")
    return _METRICS.get(name, name) + (f" at {rule_name(rule)}" if rule else "")


def rule_name(rule: str) -> str:
    """A decision rule as it is written in a table."""
    return {"prior": "prior-corrected", "validation": "chosen on validation"}.get(rule, rule)


def capitalised(text: str) -> str:
    """The text with a capital first letter, the others as they are."""
    return text[:1].upper() + text[1:]


def asked(summary: Summary) -> str:
    """The question of the run in one sentence."""
    data = summary["dataset"]
    rare = ", ".join(
        f"“{one['class']}” keeps {100 * one['keep']:.3g} % of its images "
        f"({data['after'][one['class']]:,} of {data['before'][one['class']]:,})"
        for one in data["rare"]
    )
    seeds = summary["seeds"]
    return (
        f"{data['name']}, {len(data['classes'])} classes. Rare: {rare}. "
        f"Frozen {summary['backbone']}, {len(seeds)} seed{'s' * (len(seeds) != 1)}, {data['test']:,} test images, "
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


def evidence(summary: Summary) -> list[dict[str, str]]:
    """The numbers that every verdict rests on, by arm; "no evidence" names the effect that would have been seen."""
    return [
        {"name": arm_name(arm, gan=found["gan"]), "sentence": found["verdict"]["sentence"]}
        for arm, found in summary["arms"].items()
        if found["verdict"]
    ]


def answers(summary: Summary) -> list[dict[str, Any]]:
    """For every GAN, or for every arm where there is none: its verdict in a plain sentence, and the evidence."""
    judged = {arm: found for arm, found in summary["arms"].items() if found["verdict"]}
    gans = {arm: found for arm, found in judged.items() if found["gan"]}
    return [
        {
            "arm": arm,
            "name": arm_name(arm, gan=found["gan"]),
            "verdict": found["verdict"]["name"],
            "sentence": answer(summary, arm),
            "evidence": found["verdict"]["sentence"],
        }
        for arm, found in (gans or judged).items()
    ]


def answer(summary: Summary, arm: str) -> str:
    """What the verdict means, in one or two sentences."""
    found = summary["arms"][arm]
    name = arm_name(arm, gan=found["gan"])
    verdict = found["verdict"]["name"]
    if verdict == WITHHELD:
        return f"No verdict on {name}: results that it needs are missing."
    if verdict == TOO_FEW:
        return f"Too few seeds for a verdict on {name}." + _so_far(found)
    said = {HELPS: _helps, HURTS: _hurts, MOVES: _moves, NO_EVIDENCE: _no_evidence}[verdict]
    return f"On this data {said(summary, name, found)}{_against_reference(summary, found)}"


def _helps(summary: Summary, name: str, found: dict[str, Any]) -> str:
    # macro AUC over many classes compares scores across images, which a mere shift of the classes' weights changes too
    meaning = "" if summary["plain_rule"] == "argmax" else ", which no choice of threshold can do"
    return f"{name} helps: it raises AUC by {_by(found, 'auc')}{meaning}.{_inside_margin(summary, found)}"


def _hurts(summary: Summary, name: str, found: dict[str, Any]) -> str:
    at_plain = found["metrics"][f"balanced_accuracy@{summary['plain_rule']}"]["difference"]
    gain = f" Balanced accuracy at {summary['plain_rule']} still rises by {at_plain['mean']:.4f}: a moved threshold."
    lost = f"{name} hurts: it lowers AUC by {_by(found, 'auc')}.{_inside_margin(summary, found)}"
    return lost + (gain if at_plain["low"] > 0 else "")


def _inside_margin(summary: Summary, found: dict[str, Any]) -> str:
    """A remark where the whole interval is a difference too small to care for."""
    auc, margin = found["metrics"]["auc"]["difference"], summary["margin"]
    small = -margin < auc["low"] and auc["high"] < margin
    return f" That is less than the ±{margin:g} worth having." if small else ""


def _moves(summary: Summary, name: str, found: dict[str, Any]) -> str:
    plain = summary["plain_rule"]
    gain = found["metrics"][f"balanced_accuracy@{plain}"]["difference"]["mean"]
    return (
        f"{name} moves the threshold only: balanced accuracy at {plain} rises by {gain:.4f}, but AUC and "
        f"prior-corrected balanced accuracy stay within ±{summary['margin']:g}. With the threshold corrected for the "
        "class shares, which is free, nothing of the gain is left."
    )


def _no_evidence(summary: Summary, name: str, found: dict[str, Any]) -> str:
    auc = found["metrics"]["auc"]["difference"]
    return (
        f"there is no evidence that {name} helps or hurts: AUC changes by {auc['mean']:+.4f} "
        f"[{auc['low']:+.4f}, {auc['high']:+.4f}]."
    )


def _against_reference(summary: Summary, found: dict[str, Any]) -> str:
    if found["beats_reference"] is None:
        return ""
    verb = "beats" if found["beats_reference"] else "does not clearly beat"
    return f" It {verb} the cheap arm {summary['reference']} in AUC."


def _so_far(found: dict[str, Any]) -> str:
    auc = found["metrics"].get("auc", {}).get("difference")
    return f" So far AUC changes by {auc['mean']:+.4f} against none." if auc else ""


def _by(found: dict[str, Any], metric: str) -> str:
    change = found["metrics"][metric]["difference"]
    low, high = sorted((abs(change["low"]), abs(change["high"])))
    return f"{abs(change['mean']):.4f} [{low:.4f}, {high:.4f}]"
