"""Write the headline of a report: whether it could have shown a gain at all, and the answer in one sentence."""

from itertools import groupby

from ganbalance.metrics import verdicts
from ganbalance.reporting.formats import (
    SIGNS,
    by_family,
    capitalised,
    interval,
    known,
    percent,
    primary_name,
    tested_units,
    variance_shares,
    verdict_label,
)
from ganbalance.reporting.summary import Summary
from ganbalance.reporting.verdict_text import CONDITIONAL, clause, rare_by_nature, shut


def headline(summary: Summary) -> str:
    """Write the headline: whether the run could have shown a gain at all, and the answer."""
    condition = [f"{CONDITIONAL}."] if rare_by_nature(summary) and answered(summary) else []
    return " ".join([*gate(summary), *in_short(summary), *condition])


def gate(summary: Summary) -> list[str]:
    """Say what keeps this run from showing a gain, and what it needs; nothing where the gate is open."""
    if not shut(summary):
        return []
    gate = known(summary.gate)
    shares = variance_shares(gate.gain.components)
    share = f" ({percent(shares['images'])} of the variance)" if shares else ""
    tested = tested_units(summary)
    needs = {
        "test images": f"It needs more {tested} or a harder task: the {tested} are what limits it{share}, and "
        "more seeds buy little.",
        "seeds": "It needs more seeds or a harder task: the draw of the seeds is what limits it.",
        "both": f"It needs more seeds, more {tested} or a harder task.",
    }[gate.limited_by]
    return [
        f"This run could not have shown a gain: giving the removed images back changes {primary_name(summary)} by "
        f"{interval(gate.gain, signed=True)}.",
        needs,
    ]


def worth(summary: Summary) -> list[str]:
    """Say what the removed images are worth, where the gate is open."""
    if summary.gate is None or shut(summary):
        return []
    gain = interval(summary.gate.gain, signed=True)
    return [f"A gain could have been seen: giving the removed images back changes {primary_name(summary)} by {gain}."]


def in_short(summary: Summary) -> list[str]:
    """Write the verdicts on generative arms, and on cheap ones that help or are all there is, as one sentence."""
    arms = answered(summary)
    cheap = (arm for arm in by_family(summary).get("cheap", []) if arm not in arms)
    arms += [arm for arm in cheap if (verdict := summary.arms[arm].verdict) and verdict.name == verdicts.HELPS]
    if not arms:
        return ["This run holds no balancing method to judge."]

    def order(arm: str) -> tuple[int, str]:
        verdict = known(summary.arms[arm].verdict).name
        return list(SIGNS).index(verdict), verdict_label(summary, arm).partition(" (")[0]

    said = "; ".join(clause(summary, list(alike)) for _, alike in groupby(sorted(arms, key=order), order))
    alone = [] if "generative" in by_family(summary) else ["No generative arm was run; these are cheap ones."]
    return [f"{capitalised(said)}.", *alone]


def answered(summary: Summary) -> list[str]:
    """List the arms that the answer speaks of: the generative ones, or the cheap ones where there are none."""
    families = by_family(summary)
    arms = families.get("generative") or families.get("cheap") or []
    return [arm for arm in arms if summary.arms[arm].verdict]
