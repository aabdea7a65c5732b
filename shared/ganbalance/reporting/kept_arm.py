"""Which arm's classifier is worth keeping, and what has to be said beside it; from the summary and nothing else."""

from dataclasses import dataclass
from typing import Any

from ganbalance.metrics import verdicts
from ganbalance.metrics.scores import PAIR
from ganbalance.reporting.formats import arm_name, change, interval, known, listed, primary_name, verdict_label
from ganbalance.reporting.summary import Summary
from ganbalance.reporting.verdict_text import UNEXPECTED, shut

ON_OFFER = ("cheap", "generative")
"""Families that a user can train without the images that the imbalance removed."""


@dataclass(frozen=True)
class Chosen:
    """An arm, and why it was chosen."""

    arm: str
    why: str


def best(summary: Summary) -> Chosen:
    """Choose the arm that helps and gains most, else the baseline."""
    arms = summary.arms
    helping = [
        arm
        for arm, of_arm in arms.items()
        if of_arm.family in ON_OFFER and of_arm.verdict and of_arm.verdict.name == verdicts.HELPS
    ]
    if not helping:
        return Chosen(summary.baseline, "no arm is shown to help, so the baseline with the fair threshold")
    arm = max(helping, key=lambda arm: known(change(summary, arm)).mean)
    gain = f"{primary_name(summary)} {interval(change(summary, arm), signed=True)} against {summary.baseline}"
    most = "the largest gain of those that help" if len(helping) > 1 else "the only arm that helps"
    return Chosen(arm, f"{most}, {gain}{f'; {UNEXPECTED}' if shut(summary) else ''}")


def statements(summary: Summary, arm: str, seed: int) -> dict[str, Any]:
    """Collect what is said of an arm's classifier at one seed: the verdict on the arm, and what that does not say."""
    verdict = summary.arms[arm].verdict
    return {
        "verdict": verdict_label(summary, arm) if verdict else None,
        "evidence": verdict.sentence if verdict else None,
        "caveat": _caveat(summary, arm, seed),
        "note": " ".join(summary.note.split()),
        "seeds": tuple(summary.seeds),
    }


def _caveat(summary: Summary, arm: str, seed: int) -> str:
    name, seeds = arm_name(arm), [str(one) for one in summary.seeds]
    of_arm = summary.arms[arm]
    if of_arm.verdict:
        over = f"all seeds together, {listed(seeds)}" if len(seeds) > 1 else f"seed {seed} alone"
        said = [f"The verdict on {name}, “{verdict_label(summary, arm)}”, is about {over}."]
        if len(summary.dataset.classes) > PAIR:
            said.append("It rests on heads of two classes each; this is the head of all classes.")
    elif of_arm.family == "baseline":
        said = [f"{name} is what the other arms are compared with, so it has no verdict."]
    else:
        said = [f"{name} only moves a threshold, so it has no verdict."]
    said.append(f"This is the classifier of seed {seed}, one draw of the images.")
    if summary.dataset.folds:
        said.append(f"It learned from none of the images of one fold of {summary.dataset.folds}.")
    if of_arm.family == "control":
        said.append("It learned from images that the imbalance removed.")
    return " ".join(said)
