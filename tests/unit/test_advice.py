"""The first paragraph of a report says what the verdicts carry, and no more."""

import html
import re
from typing import Any

import pytest

from ganbalance import arms
from ganbalance.metrics import verdicts
from ganbalance.models import gans
from ganbalance.reporting import tables
from ganbalance.reporting.advice import advice
from ganbalance.reporting.formats import WITHHELD, interval, known
from ganbalance.reporting.summary import Summary
from ganbalance.reporting.untried import COPIES, LOSS, NEW_VECTORS, RESAMPLING, untried
from tests.unit import known_reports
from tests.unit.known_reports import Outcome, hurting, shut
from tests.unit.report_run import changed, read_markdown

OPEN = known_reports.known  # the oracle gains; arms: class-weight (cheap), dcgan, vanilla, wgan-gp
OFFERED = ("class-weight", "dcgan", "vanilla", "wgan-gp")
EVERY = (
    verdicts.HELPS, verdicts.HURTS, verdicts.MOVES, verdicts.NO_DIFFERENCE, verdicts.NO_EVIDENCE, WITHHELD,
    verdicts.TOO_FEW_SEEDS, verdicts.TOO_FEW_IMAGES, verdicts.DID_NOT_TRAIN,
)  # fmt: skip


def judged(rest: str, made: Any = OPEN, direction: int = 0, **named: str) -> Summary:
    """A run in which the arms on offer have the verdict `rest`, but for those that are named."""
    summary = made().summary
    found = {arm: named.get(arm.replace("-", "_"), rest) for arm in OFFERED if arm in summary.arms}
    changes = {f"arms {arm} verdict": {"name": name, "direction": direction} for arm, name in found.items()}
    return changed(summary, changes)


def gain(summary: Summary, arm: str) -> str:
    return interval(summary.arms[arm].metrics["auc"].difference, signed=True)


# -- a verdict, and what it carries ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "direction", "said", "unsaid"),
    [
        (verdicts.HELPS, 1, "On this data: use WGAN-GP, which helps: AUC +", "do not"),
        (verdicts.HURTS, -1, "and choose the threshold, since nothing that was tried is shown to", "use WGAN-GP"),
        (
            verdicts.MOVES,
            1,
            "images as they are (none) and choose the threshold, which is all that class-weight",
            "since",
        ),
        (verdicts.MOVES, -1, "they only move the threshold, for worse", "which is all"),
        (verdicts.NO_DIFFERENCE, 0, "leave out class-weight, DCGAN, Vanilla GAN and WGAN-GP: no difference", "open"),
        (
            verdicts.NO_EVIDENCE,
            0,
            "Whether class-weight, DCGAN, Vanilla GAN or WGAN-GP helps or hurts is open",
            "leave",
        ),
        (
            verdicts.TOO_FEW_SEEDS,
            0,
            "Nothing is known of class-weight, DCGAN, Vanilla GAN or WGAN-GP yet: run",
            "choose",
        ),
        (verdicts.TOO_FEW_IMAGES, 0, "however many seeds are run: too few test images", "On this data"),
        (verdicts.DID_NOT_TRAIN, 0, "training diverges as set here. Change the settings", "On this data"),
        (WITHHELD, 0, "are missing: fix what failed, if anything did, and run the same command again", "On this data"),
    ],
)
def test_every_verdict_has_its_advice(name: str, direction: int, said: str, unsaid: str) -> None:
    words = advice(judged(name, direction=direction))
    assert said in words
    assert unsaid not in words.partition("Not tried")[0]


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("made", [OPEN, shut])
def test_an_arm_is_recommended_only_where_it_helps_and_the_gate_is_open(name: str, made: Any) -> None:
    recommends = "use WGAN-GP, which helps" in advice(judged(name, made))
    assert recommends == (name == verdicts.HELPS and made is OPEN)


@pytest.mark.parametrize("name", EVERY)
def test_nothing_is_said_of_a_gain_that_would_have_been_missed_where_nothing_was_judged_or_all_was_called(
    name: str,
) -> None:
    quiet = name in (verdicts.MOVES, verdicts.NO_DIFFERENCE, verdicts.NO_EVIDENCE)
    assert ("would have been missed" in advice(judged(name))) == quiet


# -- what helps, and what it takes -------------------------------------------------------------------------------------


def test_an_arm_that_helps_comes_with_its_gain_and_what_it_takes_on_top() -> None:
    summary = OPEN().summary
    assert f"use WGAN-GP, which helps: AUC {gain(summary, 'wgan-gp')}, for 3.0 s a seed on top of none" in advice(
        summary
    )
    prices = {"cpu_hour": 3600.0, "accelerator_hour": 0.0, "currency": "EUR"}
    paid = changed(summary, {"cost prices": prices, "cost arms wgan-gp on_top money": 12.0})
    assert "for 12 EUR a seed on top of none" in advice(paid)


def test_an_older_report_has_no_cost_to_speak_of() -> None:
    summary = OPEN().summary.model_copy(update={"cost": None})
    assert "on top of none" not in advice(summary)


def test_a_cheap_arm_that_helps_too_is_said_to_need_no_model_unless_it_is_beaten() -> None:
    summary = judged(verdicts.NO_EVIDENCE, wgan_gp=verdicts.HELPS, class_weight=verdicts.HELPS)
    beaten = advice(changed(summary, {"arms wgan-gp beats_reference": True}))
    assert "class-weight helps too;" in beaten.replace(". ", "; ")
    assert "not shown to beat" not in beaten
    tied = advice(changed(summary, {"arms wgan-gp beats_reference": False}))
    assert "class-weight helps too, without a generative model, and WGAN-GP is not shown to beat class-weight" in tied


def test_arms_that_help_where_the_removed_images_do_not_are_to_be_confirmed_first() -> None:
    words = advice(judged(verdicts.NO_DIFFERENCE, shut, wgan_gp=verdicts.HELPS))
    assert "confirm WGAN-GP with fresh seeds before using it" in words
    assert "where the removed images themselves make no such gain" in words


def test_what_hurts_is_named_with_its_loss_and_as_it_was_set() -> None:
    summary = hurting().summary
    words = advice(summary)
    assert words.startswith(
        "On this data: train on the images as they are (none) and choose the threshold, which is all that class-weight "
        "and oversample are shown to do;"
    )
    assert f"do not train DCGAN as set here: it hurts, AUC {gain(summary, 'dcgan')}" in words


# -- what is not known -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        ("test images", "bring more test images or a harder task"),
        ("seeds", "bring more seeds or a harder task"),
        ("both", "bring more seeds and test images or a harder task"),
    ],
)
def test_a_shut_gate_says_what_to_bring_to_ask_again(limit: str, said: str) -> None:
    words = advice(changed(shut().summary, {"gate limited_by": limit}))
    assert f"No gain could have been shown here: to ask again, {said}." in words
    assert "More real images help" not in words


def test_where_the_removed_images_gain_more_real_images_are_said_to_help() -> None:
    summary = OPEN().summary
    worth = interval(known(summary.gate).gain, signed=True)
    assert f"More real images help: the removed ones are worth AUC {worth}." in advice(summary)
    assert "More real images" not in advice(changed(summary, {"gate": None}))


@pytest.mark.parametrize(
    ("images", "said"),
    [(1.0, "more test images; more seeds buy little"), (0.0, "more seeds; more test images buy little")],
)
def test_what_is_open_comes_with_what_would_settle_it(images: float, said: str) -> None:
    parts = {"images": images, "seeds": 1 - images, "interaction": 0.0}
    summary = changed(judged(verdicts.NO_EVIDENCE), {"arms class-weight components": parts})
    assert f"is open: it would take {said}." in advice(summary)


def test_the_gains_that_would_have_been_missed_are_those_of_the_arms_without_a_call() -> None:
    summary = judged(verdicts.NO_EVIDENCE, wgan_gp=verdicts.HELPS)
    effects = {"class-weight": 0.01, "dcgan": 0.04, "vanilla": 0.02, "wgan-gp": 0.09}
    changes = {f"arms {arm} detectable": {"typical": effect} for arm, effect in effects.items()}
    missed = "A gain in AUC of 0.0100 (class-weight) to 0.0400 (DCGAN) would have been missed by one such run in five."
    assert missed in advice(changed(summary, changes))
    same = {f"arms {arm} detectable": {"typical": 0.0} for arm in effects} | {
        "arms dcgan detectable": {"typical": 0.04}
    }
    assert "A gain in AUC of 0.0400 (DCGAN) would have been missed" in advice(changed(summary, same))


def with_precision(name: str, **changes: tuple[float, float]) -> str:
    """What is advised where average precision at the deployment's shares differs by these intervals; else by none."""
    known_metric = {"n": 5, "mean": 0.5, "low": 0.4, "high": 0.6}
    none = {"mean": 0.0, "low": -0.1, "high": 0.1, "p": 1.0, "p_holm": None}
    found = {f"arms {arm} metrics deployed_average_precision": known_metric | {"difference": none} for arm in OFFERED}
    for arm, (low, high) in changes.items():
        metric = found[f"arms {arm.replace('_', '-')} metrics deployed_average_precision"]
        metric["difference"] = none | {"mean": (low + high) / 2, "low": low, "high": high}
    return advice(changed(judged(name), found))


@pytest.mark.parametrize("name", [verdicts.MOVES, verdicts.NO_DIFFERENCE, verdicts.NO_EVIDENCE])
def test_a_difference_at_the_top_of_the_ranking_is_named_beside_a_verdict_that_does_not_see_it(name: str) -> None:
    said = with_precision(name, class_weight=(0.02, 0.04), dcgan=(0.05, 0.09), vanilla=(-0.03, -0.01))
    assert "is higher with class-weight and DCGAN (by 0.0300 to 0.0700) and lower with Vanilla GAN (by 0.0200)" in said
    assert "not adjusted for the number of arms, so confirm it with fresh seeds" in said


@pytest.mark.parametrize("interval", [(-0.01, 0.04), (0.0, 0.04), (-0.04, 0.01)])
def test_a_difference_at_the_top_that_may_be_none_is_not_named(interval: tuple[float, float]) -> None:
    assert "deployment" not in with_precision(verdicts.NO_EVIDENCE, dcgan=interval)


@pytest.mark.parametrize("name", [verdicts.HELPS, verdicts.HURTS, verdicts.TOO_FEW_SEEDS])
def test_nothing_is_said_of_the_top_of_the_ranking_where_the_verdict_says_it_or_there_is_none(name: str) -> None:
    assert "deployment" not in with_precision(name, dcgan=(0.05, 0.09))


def test_images_that_are_rare_by_nature_bound_what_is_said() -> None:
    summary = OPEN().summary
    rare = [{"class": summary.dataset.rare[0].class_name, "keep": 1.0}]
    assert advice(changed(summary, {"dataset rare": rare})).startswith(
        "On these images (whether on new ones is not known):"
    )
    assert advice(changed(summary, {"dataset rare": rare, "dataset folds": 5})).startswith("On this data:")


def test_too_few_test_images_are_not_offered_folds_that_are_there_already() -> None:
    summary = judged(verdicts.TOO_FEW_IMAGES)
    assert "with test: {folds: 5}" in advice(summary)
    assert "with test: {folds: 5}" not in advice(changed(summary, {"dataset folds": 5}))


def test_a_run_of_the_baseline_alone_has_nothing_to_advise() -> None:
    summary = OPEN().summary
    alone = summary.model_copy(update={"arms": {"none": summary.arms["none"], "oracle": summary.arms["oracle"]}})
    assert advice(alone).startswith("There is nothing to advise: no balancing method was run.")


# -- what was not tried ------------------------------------------------------------------------------------------------


def with_arms(*given: Any, **other: Any) -> list[str]:
    return untried(changed(OPEN().summary, {"provenance experiment": {"arms": ["none", *given], **other}}))


def test_what_was_not_tried_is_named_by_its_kind() -> None:
    assert with_arms() == [
        "any GAN", RESAMPLING, NEW_VECTORS, LOSS, COPIES,
        "the removed images given back", "a network trained on the images",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arm", "kind"),
    [
        ("undersample", RESAMPLING),
        ("smote", NEW_VECTORS),
        ("focal", LOSS),
        ("augment", COPIES),
        ("oracle-matched", "the removed images given back"),
        ({"name": "half", "synthetic": {"gan": "dcgan"}, "method": "oversample"}, RESAMPLING),
        ({"name": "near", "method": {"name": "smote", "k_neighbors": 3}}, NEW_VECTORS),
    ],
)
def test_one_arm_of_a_kind_is_enough(arm: Any, kind: str) -> None:
    assert kind in with_arms()
    assert kind not in with_arms(arm)


def test_gans_are_left_until_all_were_tried() -> None:
    assert "GANs other than DCGAN and WGAN-GP" in with_arms("wgan-gp", "dcgan")
    assert not any("GAN" in kind for kind in with_arms(*gans.names()))


def test_every_arm_that_there_is_belongs_to_a_kind() -> None:
    """Else a new part would never be missed."""
    everything = [name for name in arms.names() if name not in ("none", "threshold")]
    assert with_arms(*everything) == ["a network trained on the images"]


def test_a_network_is_not_asked_for_what_it_cannot_have() -> None:
    kinds = with_arms(classifier={"kind": "network"})
    assert NEW_VECTORS not in kinds
    assert kinds[-1] == "a frozen backbone"


# -- where it stands ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("made", [OPEN, shut, hurting])
def test_it_is_the_first_paragraph_of_both_pages_and_ends_what_the_terminal_shows(made: Any) -> None:
    found: Outcome = made()
    said = found.summary.advice
    assert said == advice(found.summary)
    first = html.unescape(re.search(r"<p[^>]*>(.*?)</p>", found.html)[1])
    assert first.replace("\N{NO-BREAK SPACE}", " ") == said
    assert read_markdown(found.md.splitlines()[2]) == said
    assert " ".join(tables.terminal(found.summary).splitlines()).endswith(said)


@pytest.mark.parametrize("name", EVERY)
def test_it_advises_and_does_not_say_should(name: str) -> None:
    assert "should" not in advice(judged(name))
