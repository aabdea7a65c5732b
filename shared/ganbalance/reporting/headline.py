"""The first words of a report: whether it could have shown a gain at all, and the answer in one sentence."""

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
    arm_name,
    by_family,
    capitalised,
    change,
    interval,
    listed,
    number,
    percent,
    primary_name,
    variance_shares,
    verdict_label,
)
from ganbalance.reporting.summary import Summary
from ganbalance.reporting.wording import CONDITIONAL, UNEXPECTED, rare_by_nature, shut

_SHOWN_FIRST = (
    HELPS,
    HURTS,
    MOVES,
    NO_DIFFERENCE,
    NO_EVIDENCE,
    DID_NOT_TRAIN,
    TOO_FEW_SEEDS,
    TOO_FEW_IMAGES,
    WITHHELD,
)


def headline(summary: Summary) -> str:
    """The first words of a report: whether it could have shown a gain at all, and the answer."""
    condition = [CONDITIONAL] if rare_by_nature(summary) and answered(summary) else []
    return " ".join([*gate(summary), *in_short(summary), *condition])


def gate(summary: Summary) -> list[str]:
    """What keeps this run from showing a gain, and what it needs; nothing where the gate is open."""
    if not shut(summary):
        return []
    gain, limit = summary["gate"]["gain"], summary["gate"]["limited_by"]
    shares = variance_shares(gain["components"])
    share = f" ({percent(shares['images'])} of the variance)" if shares else ""
    needs = {
        "test images": f"It needs more test images or a harder task: the test images are what limits it{share}, and "
        "more seeds buy little.",
        "seeds": "It needs more seeds or a harder task: the draw of the seeds is what limits it.",
        "both": "It needs more seeds, more test images or a harder task.",
    }[limit]
    return [
        f"This run could not have shown a gain: giving the removed images back changes {primary_name(summary)} by "
        f"{interval(gain, signed=True)}.",
        needs,
    ]


def worth(summary: Summary) -> list[str]:
    """What the removed images are worth, where the gate is open."""
    if summary["gate"] is None or shut(summary):
        return []
    gain = interval(summary["gate"]["gain"], signed=True)
    return [f"A gain could have been seen: giving the removed images back changes {primary_name(summary)} by {gain}."]


def in_short(summary: Summary) -> list[str]:
    """The verdicts on the generative arms, or on the cheap ones where there are none, as one sentence."""
    arms = answered(summary)
    if not arms:
        return ["This run holds no balancing method to judge."]
    grouped: dict[tuple[int, str], list[str]] = {}
    for arm in arms:
        order = _SHOWN_FIRST.index(summary["arms"][arm]["verdict"]["name"])
        grouped.setdefault((order, verdict_label(summary, arm).partition(" (")[0]), []).append(arm)
    said = "; ".join(_clause(summary, label, of_label) for (_, label), of_label in sorted(grouped.items()))
    alone = [] if "generative" in by_family(summary) else ["No generative arm was run; these are cheap ones."]
    return [f"{capitalised(said)}.", *alone]


def answered(summary: Summary) -> list[str]:
    """The arms that the answer speaks of: the generative ones, or the cheap ones where there are none."""
    families = by_family(summary)
    arms = families.get("generative") or families.get("cheap") or []
    return [arm for arm in arms if summary["arms"][arm]["verdict"]]


def _clause(summary: Summary, label: str, arms: list[str]) -> str:
    """One verdict and the arms that share it, without a full stop."""
    names, s = listed([arm_name(arm) for arm in arms]), "s" if len(arms) == 1 else ""
    numbers = listed([interval(change(summary, arm), signed=True) for arm in arms])
    metric, closed, margins = primary_name(summary), shut(summary), summary["margins"]
    verdict = summary["arms"][arms[0]]["verdict"]["name"]
    detail = label.removeprefix(verdict)  # the direction, with its comma
    inside = f"{metric} {numbers}, inside the margin of {number(margins['ranking'])}" if margins else ""
    said = {
        HELPS: f"{names} help{s}: {metric} {numbers} against {summary['baseline']}"
        + (f", {UNEXPECTED}" if closed else ""),
        HURTS: f"{names} hurt{s}: {metric} {numbers} against {summary['baseline']}",
        MOVES: f"{names} move{s} the threshold only{detail}"
        + (": so does the arm threshold, without training anything" if detail == ", for better" else ""),
        NO_DIFFERENCE: f"{names} make{s} no difference in ranking{detail}"
        + f"{', nor do the removed images make one' if closed else ''} ({inside})",
        NO_EVIDENCE: f"there is no evidence that {listed([arm_name(arm) for arm in arms], 'or')} helps or hurts "
        f"({metric} {numbers})",
        DID_NOT_TRAIN: f"{names} did not train",
        WITHHELD: f"there is no verdict on {names}: results are missing",
    }
    return said.get(verdict, f"there is no verdict on {names}: {verdict}")
