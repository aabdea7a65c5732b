"""Write a verdict for the headline, the card of its arm and the evidence, from the summary and nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass

from ganbalance.metrics import verdicts
from ganbalance.metrics.crossed import ALPHA, POWER
from ganbalance.reporting.formats import (
    BALANCED_AS_TRAINED,
    BALANCED_FAIR,
    WITHHELD,
    arm_name,
    capitalised,
    change,
    interval,
    known,
    listed,
    measurably,
    number,
    p_value,
    percent,
    primary_name,
    sign_of,
    size,
    tested_units,
    verdict_label,
)
from ganbalance.reporting.summary import Summary

CONDITIONAL = "Conditional on these images"
UNEXPECTED = "unexpected: confirm with fresh seeds"
MOST_NUMBERS = 3
"""Arms of one verdict whose numbers the headline has one by one; the table has them all."""


@dataclass(frozen=True)
class Words:
    """The claim on arms that share a verdict; what the headline adds of all, card and evidence of the first."""

    claim: str
    headline: str = ""
    card: str = ""
    evidence: str = ""


def clause(summary: Summary, arms: Sequence[str]) -> str:
    """Write the verdict that these arms share with their differences, without a full stop."""
    words = _words(summary, arms)
    return words.claim + words.headline


def answer(summary: Summary, arm: str) -> str:
    """Say what the verdict on an arm means, in a few sentences."""
    verdict, words = known(summary.arms[arm].verdict), _words(summary, [arm])
    if verdict.name == WITHHELD:
        return f"No verdict on {arm_name(arm)}: results that it needs are missing."
    if verdict.name in (verdicts.TOO_FEW_SEEDS, verdicts.TOO_FEW_IMAGES):
        found, so_far = change(summary, arm), ""
        if found:
            by = f"{number(found.mean, signed=True)} against {summary.baseline}"
            so_far = f" So far {primary_name(summary)} changes by {by}."
        return f"{capitalised(verdict.name)} for a verdict on {arm_name(arm)}.{so_far}"
    if verdict.name == verdicts.DID_NOT_TRAIN:
        return f"{words.claim}. {verdict.sentence}"
    where = f"{CONDITIONAL}," if rare_by_nature(summary) else "On this data"
    return f"{where} {words.claim}{words.card}{_against_reference(summary, arm)}"


def sentence(summary: Summary, arm: str, missing: Sequence[str]) -> str:
    """Write the numbers that the verdict on an arm rests on; `missing` are the results that it lacks."""
    if missing:
        return f"Missing: {', '.join(missing)}. The verdict needs them all."
    found, seeds, baseline = summary.arms[arm], len(summary.seeds), summary.baseline
    metric, finished = capitalised(primary_name(summary)), found.finished_difference
    over_others = interval(finished, signed=True)
    match known(found.verdict).name:
        case verdicts.TOO_FEW_SEEDS:
            common = f"{found.n_paired} of {seeds} seeds in common with {baseline}"
            return f"{common}; a verdict needs {verdicts.MIN_SEEDS}."
        case verdicts.TOO_FEW_IMAGES:
            smallest, least = summary.smallest_class, verdicts.MIN_TEST_IMAGES
            needed = f"a verdict needs {least}, and one that {baseline} ranks wrong"
            return f"The smallest class has {smallest} {tested_units(summary)}; {needed}."
        case verdicts.DID_NOT_TRAIN:
            others = f" {metric} {over_others} against {baseline} over the others." if finished else ""
            diverged = f"Training diverged at {len(found.diverged_seeds)} of {seeds} seeds"
            return f"{diverged}; at most one in five may.{others}"
    difference = f"{metric} {_difference(summary, arm)} against {baseline} over {found.n_paired} of {seeds} seeds"
    imputed = ", ".join(map(str, found.imputed_seeds))
    note = f" Diverged at seed {imputed}, counted as no difference; over the others {over_others}." if imputed else ""
    return f"{difference}{_words(summary, [arm]).evidence}.{note}"


def rare_by_nature(summary: Summary) -> bool:
    """Tell whether nothing was removed of a rare class, so that all seeds split its images and say nothing of new ones.

    Not with folds: each seed is tested on images that it does not learn from.
    """
    return not summary.dataset.folds and any(one.keep == 1 for one in summary.dataset.rare)


def shut(summary: Summary) -> bool:
    """Tell whether not even the removed images given back made a gain, so that no arm could have shown one."""
    return summary.gate is not None and not summary.gate.open


# -- each verdict ------------------------------------------------------------------------------------------------------


def _words(summary: Summary, arms: Sequence[str]) -> Words:
    verdict = known(summary.arms[arms[0]].verdict).name
    judged = {
        verdicts.HELPS: _helps,
        verdicts.HURTS: _hurts,
        verdicts.MOVES: _moves,
        verdicts.NO_DIFFERENCE: _no_difference,
        verdicts.NO_EVIDENCE: _no_evidence,
    }
    if verdict in judged:
        return judged[verdict](summary, arms)
    names = listed([arm_name(arm) for arm in arms])
    if verdict == verdicts.DID_NOT_TRAIN:
        return Words(f"{names} {verdict}")
    return Words(f"there is no verdict on {names}: {'results are missing' if verdict == WITHHELD else verdict}")


def _helps(summary: Summary, arms: Sequence[str]) -> Words:
    headline = f": {_numbers(summary, arms)} against {summary.baseline}"
    by = size(known(change(summary, arms[0])))
    card = f": it raises {primary_name(summary)} by {by}, which no choice of threshold can do."
    if shut(summary):
        headline += f", {UNEXPECTED}"
        card += f" That is {UNEXPECTED}, as the removed images themselves make no such gain."
    return Words(_claim(arms, "help"), headline, card, evidence=f", {_p(summary, arms[0])}")


def _hurts(summary: Summary, arms: Sequence[str]) -> Words:
    headline = f": {_numbers(summary, arms)} against {summary.baseline}"
    plain, by = known(change(summary, arms[0], BALANCED_AS_TRAINED)), size(known(change(summary, arms[0])))
    card, evidence = f": it lowers {primary_name(summary)} by {by}.", f", {_p(summary, arms[0])}"
    if sign_of(plain) > 0:
        card += f" Balanced accuracy as trained still rises by {size(plain)}: a moved threshold."
        evidence += f", although balanced accuracy as trained {interval(plain, signed=True)}: a moved threshold"
    return Words(_claim(arms, "hurt"), headline, card, evidence)


def _moves(summary: Summary, arms: Sequence[str]) -> Words:
    arm, margins = arms[0], known(summary.margins)
    plain, fair = known(change(summary, arm, BALANCED_AS_TRAINED)), change(summary, arm, BALANCED_FAIR)
    ranking, threshold = number(margins.ranking), number(known(margins.threshold))
    better = known(summary.arms[arm].verdict).direction > 0
    return Words(
        claim=_claim(arms, "move") + verdict_label(summary, arm).removeprefix("moves"),
        headline=": so does the arm threshold, without training anything" if better else "",
        card=f": balanced accuracy as trained {'rises' if plain.mean > 0 else 'falls'} by {size(plain)}, while the "
        f"difference in {primary_name(summary)} lies within ±{ranking}{measurably(summary, arm)}, and with the fair "
        f"threshold for both that in balanced accuracy within ±{threshold}. A threshold can be chosen without "
        f"{arm_name(arm)}.",
        evidence=f"{_inside(summary, arm)}; balanced accuracy as trained {interval(plain, signed=True)}, at the fair "
        f"threshold {interval(fair, signed=True)} (margin {threshold})",
    )


def _no_difference(summary: Summary, arms: Sequence[str]) -> Words:
    arm, margin = arms[0], number(known(summary.margins).ranking)
    neither = ", nor do the removed images make one" if shut(summary) else ""
    return Words(
        claim=f"{_claim(arms, 'make')} {verdicts.NO_DIFFERENCE}",
        headline=f"{measurably(summary, arm)}{neither} ({_numbers(summary, arms)}, inside the margin of {margin})",
        card=f"{neither}: the whole interval of the difference in {primary_name(summary)}, "
        f"{_difference(summary, arm)}, lies inside the margin of ±{margin}{measurably(summary, arm, 'though it is ')}.",
        evidence=_inside(summary, arm),
    )


def _no_evidence(summary: Summary, arms: Sequence[str]) -> Words:
    arm, found = arms[0], summary.arms[arms[0]]
    effect = known(found.detectable)
    low, high = number(effect.low), number(effect.high)
    card = f": {primary_name(summary)} changes by {_difference(summary, arm)}."
    evidence = f", {_p(summary, arm)}; a true difference of {low} to {high} would have been called in "
    evidence += f"{percent(POWER)} of such runs"
    if found.vetoed:
        own = interval(known(found.sensitivity).per_seed_difference, signed=True)
        tuned = "setting" if summary.classifier.settings else "penalty"
        tuned += " and dose" if found.dose else ""
        card += f" Which way depends on how the {tuned} {'are' if found.dose else 'is'} chosen."
        evidence += f"; with each seed’s own {tuned} the difference is {own}, on the other side of 0"
    if sign_of(found.moved):
        moved = f"balanced accuracy as trained minus fair {interval(found.moved, signed=True)}"
        card += f" It moved the threshold: {moved}."
        evidence += f"; the threshold moved: {moved}"
    names = listed([arm_name(arm) for arm in arms], "or")
    claim = f"there is {verdicts.NO_EVIDENCE} that {names} helps or hurts"
    return Words(claim, f" ({_numbers(summary, arms)})", card, evidence)


# -- what they share ---------------------------------------------------------------------------------------------------


def _claim(arms: Sequence[str], verb: str) -> str:
    return f"{listed([arm_name(arm) for arm in arms])} {verb}{'s' if len(arms) == 1 else ''}"


def _difference(summary: Summary, arm: str) -> str:
    return interval(change(summary, arm), signed=True)


def _numbers(summary: Summary, arms: Sequence[str]) -> str:
    """Write the difference of each arm; of many how far they and their intervals reach."""
    if len(arms) <= MOST_NUMBERS:
        return f"{primary_name(summary)} {listed([_difference(summary, arm) for arm in arms])}"
    found = [known(change(summary, arm)) for arm in arms]
    means = [number(end(one.mean for one in found), signed=True) for end in (min, max)]
    low, high = min(known(one.low) for one in found), max(known(one.high) for one in found)
    ends = f"[{number(low, signed=True)}, {number(high, signed=True)}]"
    return f"{primary_name(summary)} {means[0]} to {means[1]}, every interval within {ends}"


def _p(summary: Summary, arm: str) -> str:
    """Write the adjusted p of an arm in a family, the plain one of a control."""
    found = known(change(summary, arm))
    p = f"p {p_value(found.p)}" if found.p_holm is None else f"Holm p {p_value(found.p_holm)}"
    return p.replace("<", "< ")


def _inside(summary: Summary, arm: str) -> str:
    off = measurably(summary, arm, "though ")
    p = f" ({_p(summary, arm)})" if off else ""
    return f", inside the margin of {number(known(summary.margins).ranking)}{off}{p}"


def _against_reference(summary: Summary, arm: str) -> str:
    found = summary.arms[arm]
    against = found.reference_difference
    if against is None:
        return ""
    worse = against.mean < 0 and known(against.p_holm) < ALPHA
    verb = "beats" if found.beats_reference else "ranks worse than" if worse else "does not clearly beat"
    return f" It {verb} {arm_name(summary.reference)} ({interval(against, signed=True)})."
