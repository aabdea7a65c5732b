"""Say in plain words what to do with this data: no more than the verdicts carry, and from the summary alone.

What is worth doing and what is not, what is open and what would settle it, what real images are worth, which gain would
have been missed, where a metric beside the verdict says something else, and what was not tried.
"""

from collections.abc import Sequence

from ganbalance.metrics import verdicts
from ganbalance.reporting import kept_arm
from ganbalance.reporting.formats import (
    WITHHELD,
    amount,
    arm_name,
    change,
    interval,
    known,
    listed,
    number,
    primary_name,
    seconds,
    sign_of,
    tested_units,
    variance_shares,
)
from ganbalance.reporting.summary import Summary
from ganbalance.reporting.untried import untried
from ganbalance.reporting.verdict_text import rare_by_nature, shut
from ganbalance.reporting.wording import would_shrink

LEAST_EFFECT = 0.00005  # what is written as 0: the scores of the arm are those of the baseline
TOP = "deployed_average_precision"
"""A metric that no threshold moves either, and that the top of the ranking decides."""
JUDGED = (verdicts.HELPS, verdicts.HURTS, verdicts.MOVES, verdicts.NO_DIFFERENCE, verdicts.NO_EVIDENCE)


def advice(summary: Summary) -> str:
    """Write the first paragraph of a report."""
    where = "On these images (whether on new ones is not known)" if rare_by_nature(summary) else "On this data"
    done = [*_do(summary), *_leave(summary)]
    said = [f"{where}: {'; '.join(done)}."] if done else []
    said += [*_unjudged(summary), *_open(summary), *_images(summary), *_missed(summary), *_beside(summary)]
    return " ".join([*said, f"Not tried: {'; '.join(untried(summary))}."])


def _with(summary: Summary, *names: str, direction: int | None = None) -> list[str]:
    """List the arms on offer, so no controls, that have one of these verdicts, in this direction if one is given."""
    return [
        arm
        for arm, found in summary.arms.items()
        if found.family in kept_arm.ON_OFFER
        and found.verdict
        and found.verdict.name in names
        and direction in (None, found.verdict.direction)
    ]


# -- what is worth doing, and what is not ------------------------------------------------------------------------------


def _do(summary: Summary) -> list[str]:
    """Say what is shown to be worth doing, else what is left; nothing where nothing was judged."""
    if not _with(summary, *JUDGED):
        return []
    helping, moving = _with(summary, verdicts.HELPS), _with(summary, verdicts.MOVES, direction=1)
    if helping and not shut(summary):
        return [_use(summary, helping)]
    done = f"train on the images as they are ({summary.baseline}) and choose the threshold"
    if moving:
        done += f", which is all that {_names(moving)} {_verb(moving, 'are', 'is')} shown to do"
    else:
        done += ", since nothing that was tried is shown to rank better"
    return [done, *([_confirm(summary, helping)] if helping else [])]


def _use(summary: Summary, helping: Sequence[str]) -> str:
    """Name the arm that gains most of those that help, what that takes, and what helps too."""
    arm = kept_arm.best(summary).arm
    others = [other for other in helping if other != arm]
    said = f"use {arm_name(arm)}, which helps: {_gains(summary, [arm])}{_price(summary, arm)}"
    if others:
        said += f"; {_names(others)} {_verb(others, 'help')} too"
    cheap = [other for other in others if summary.arms[other].family == "cheap"]
    if cheap and summary.arms[arm].family == "generative" and not summary.arms[arm].beats_reference:
        said += f", without a generative model, and {arm_name(arm)} is not shown to beat {arm_name(summary.reference)}"
    return said


def _price(summary: Summary, arm: str) -> str:
    """Say what the arm takes on top of the baseline, in money where there are prices; nothing of an older report."""
    if summary.cost is None:
        return ""
    found, prices = summary.cost.arms[arm].on_top, summary.cost.prices
    paid = f"{seconds(found.seconds)} s" if prices is None else f"{amount(known(found.money))} {prices.currency}"
    return f", for {paid} a seed on top of {summary.baseline}"


def _confirm(summary: Summary, helping: Sequence[str]) -> str:
    """Say what to do with arms that help where the removed images do not."""
    return (
        f"confirm {_names(helping)} with fresh seeds before using {_verb(helping, 'them', 'it')}: "
        f"{_gains(summary, helping)}, where the removed images themselves make no such gain"
    )


def _leave(summary: Summary) -> list[str]:
    """Say what is shown to do harm, or to make no difference worth having."""
    said = []
    for family, verb in (("generative", "train"), ("cheap", "use")):
        if hurting := [arm for arm in _with(summary, verdicts.HURTS) if summary.arms[arm].family == family]:
            claim = f"do not {verb} {_names(hurting, 'or')} as set here"
            said.append(f"{claim}: {_verb(hurting, 'they hurt', 'it hurts')}, {_gains(summary, hurting)}")
    if worse := _with(summary, verdicts.MOVES, direction=-1):
        said.append(
            f"leave out {_names(worse)}: {_verb(worse, 'they only move', 'it only moves')} the threshold, for worse"
        )
    if alike := _with(summary, verdicts.NO_DIFFERENCE):
        margin = number(known(summary.margins).ranking)
        said.append(f"leave out {_names(alike)}: no difference in ranking beyond ±{margin} {primary_name(summary)}")
    return said


# -- what is not known -------------------------------------------------------------------------------------------------


def _unjudged(summary: Summary) -> list[str]:
    """Say why there is no verdict on an arm, and what to run for one."""
    few_seeds, few_images = (_with(summary, name) for name in (verdicts.TOO_FEW_SEEDS, verdicts.TOO_FEW_IMAGES))
    withheld, untrained = (_with(summary, name) for name in (WITHHELD, verdicts.DID_NOT_TRAIN))
    said = []
    if not any((few_seeds, few_images, withheld, untrained, _with(summary, *JUDGED))):
        said.append("There is nothing to advise: no balancing method was run.")
    if few_seeds:
        said.append(f"Nothing is known of {_names(few_seeds, 'or')} yet: run at least {verdicts.MIN_SEEDS} seeds.")
    if few_images:
        more = "" if summary.dataset.folds else ", or test on every image, with test: {folds: 5}"
        said.append(
            f"Nothing can be known of {_names(few_images, 'or')} here, however many seeds are run: too few "
            f"{tested_units(summary)}, or too few that {summary.baseline} ranks wrong. Bring more of them{more}, or a "
            "harder task."
        )
    if withheld:
        said.append(
            f"Results that {_names(withheld)} {_verb(withheld, 'need')} are missing: fix what failed, if anything did, "
            "and run the same command again."
        )
    if untrained:
        said.append(
            f"Nothing is known of {_names(untrained, 'or')}: training diverges as set here. Change the settings."
        )
    return said


def _open(summary: Summary) -> list[str]:
    """Say what the run was able to judge and could not decide, and what would decide it."""
    tested = tested_units(summary)
    bring = {"test images": f"more {tested}", "seeds": "more seeds", "both": f"more seeds and {tested}"}
    said = []
    if shut(summary):
        limit = known(summary.gate).limited_by
        said.append(f"No gain could have been shown here: to ask again, bring {bring[limit]} or a harder task.")
    if undecided := _with(summary, verdicts.NO_EVIDENCE):
        shares = variance_shares(summary.arms[undecided[0]].components)
        takes = "" if shut(summary) else f": it would take {would_shrink(shares, tested)}"
        said.append(f"Whether {_names(undecided, 'or')} helps or hurts is open{takes}.")
    return said


def _images(summary: Summary) -> list[str]:
    """Say what the removed images are worth, where that is above 0."""
    if summary.gate is None or shut(summary):
        return []
    gain = interval(summary.gate.gain, signed=True)
    return [f"More real images help: the removed ones are worth {primary_name(summary)} {gain}."]


def _missed(summary: Summary) -> list[str]:
    """Name the least and the largest gain that four in five such runs call, of the arms whose verdict names none."""
    effects = {arm: effect.typical for arm in _quiet(summary) if (effect := summary.arms[arm].detectable)}
    found = sorted((size, arm) for arm, size in effects.items() if size >= LEAST_EFFECT)
    if not found:
        return []
    ends = dict.fromkeys(f"{number(size)} ({arm_name(arm)})" for size, arm in (found[0], found[-1]))
    return [f"A gain in {primary_name(summary)} of {' to '.join(ends)} would have been missed by one such run in five."]


def _beside(summary: Summary) -> list[str]:
    """Name the arms without a call in ranking that differ in the other metric that no threshold moves."""
    changes = {arm: change(summary, arm, TOP) for arm in _quiet(summary)}
    said = []
    for word, sign in (("higher", 1), ("lower", -1)):
        sizes = {arm: abs(found.mean) for arm, found in changes.items() if found and sign_of(found) == sign}
        if sizes:
            ends = dict.fromkeys([number(min(sizes.values())), number(max(sizes.values()))])
            said.append(f"{word} with {_names([*sizes])} (by {' to '.join(ends)})")
    if not said:
        return []
    return [
        "Average precision at the class shares of deployment, which rests on the top of the ranking, is "
        f"{' and '.join(said)}; that is beside the verdict and not adjusted for the number of arms, so confirm it with "
        "fresh seeds where only the top counts."
    ]


def _quiet(summary: Summary) -> list[str]:
    """List the arms on offer that were judged and are called neither better nor worse."""
    return _with(summary, verdicts.MOVES, verdicts.NO_DIFFERENCE, verdicts.NO_EVIDENCE)


# -- words -------------------------------------------------------------------------------------------------------------


def _names(arms: Sequence[str], word: str = "and") -> str:
    return listed([*map(arm_name, arms)], word)


def _verb(arms: Sequence[str], several: str, one: str = "") -> str:
    """Choose the form that goes with so many arms."""
    return several if len(arms) > 1 else one or f"{several}s"


def _gains(summary: Summary, arms: Sequence[str]) -> str:
    return f"{primary_name(summary)} {listed([interval(change(summary, arm), signed=True) for arm in arms])}"
