"""The report shows how good synthetic images are, and says with care whether better ones help more."""

import re
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ganbalance.metrics.quality import benefit
from ganbalance.metrics.quality.benefit import Correlation, Point
from ganbalance.reporting import image_quality
from ganbalance.reporting.sections import quality
from tests.unit import known_reports
from tests.unit.known_reports import row
from tests.unit.report_run import SEEDS, Outcome, SyntheticRun

TITLE = "Quality of synthetic images"
ARMS = ("none", "class-weight", "dcgan", "vanilla", "oracle")


def made(name: str, **given: Any) -> Outcome:
    kid = {"dcgan": lambda seed: 0.02 + 0.001 * seed, "vanilla": lambda seed: 0.05, None: lambda seed: 0.01}
    return Outcome(SyntheticRun(known_reports._folder(name), **{"arms": ARMS, "kid": kid} | given))


@cache
def two() -> Outcome:
    """Two GANs: the one with the better KID does nothing, the other hurts."""
    return made("quality-two")


# -- tables ------------------------------------------------------------------------------------------------------------


def test_a_row_of_each_arm_has_means_over_seeds_with_their_deviation():
    like, use = two().section(TITLE).tables
    found = row(like, "DCGAN")
    assert found["images"] == "DCGAN 2,048 images, 5 seeds"
    assert found["KID"] == "0.0220 ± 0.0016"
    assert found["density"] == "0.270 ± 0.016"
    assert found["distinguished"] == "27 % ± 2 %"
    assert found["recall"] == "–"
    assert "that no generator saw and no arm but a control learns from" in two().section(TITLE).text[0]
    assert row(use, "Vanilla GAN")["AUC, trained on synthetic"] == "0.270 ± 0.016"


def test_the_control_has_a_row_of_its_own_and_is_at_its_end():
    found = row(two().section(TITLE).tables[1], quality.CONTROL)
    shares = ("near duplicates of training images", "as near as 5 % of new ones", "nearer than new ones")
    assert [found[share] for share in shares] == ["100 % ± 0 %"] * 3
    assert [entry.text for group in two().section(TITLE).tables[0].groups for entry, *_ in group.rows] == [
        "DCGAN", "Vanilla GAN", quality.CONTROL,
    ]  # fmt: skip


@pytest.mark.parametrize(("fewest", "flag"), [(2048, ""), (2047, " biased: n = 2,047")])
def test_fid_is_named_with_its_extractor_and_n_and_flagged_with_few_images(fewest, flag):
    found = row(made(f"quality-{fewest}", fewest=fewest, seeds=(0,)).section(TITLE).tables[0], "DCGAN")
    assert found[f"FID (efficientnet-lite0, n = {fewest:,})"] == f"0.25{flag}"


def test_each_of_several_rare_classes_has_rows_of_its_own_and_the_rarest_stand_first():
    found = made("quality-four", k=4, rare=(2, 3), seeds=(0, 1))
    groups = found.section(TITLE).tables[0].groups
    assert [group.title for group in groups] == ["class 2", "class 3"]
    assert [len(group.rows) for group in groups] == [3, 3]
    assert "2,048 of “class 2” and 2,048 of “class 3”" in found.section(TITLE).text[0]
    assert len(found.summary.quality.points) == 4  # two arms, two seeds: the mean over classes
    assert found.summary.quality.points[0].kid_se == pytest.approx(0.001 / np.sqrt(2))


# -- quality against benefit -------------------------------------------------------------------------------------------


def test_the_figure_has_a_point_for_each_arm_and_seed_with_its_kid_and_its_gain():
    found = two()
    values = {
        (one["arm"], int(one["seed"])): float(one["value"])
        for one in found.rows("results.csv")
        if one["metric"] == "auc"
    }
    figure = quality.scatter(found.summary, found.summary.quality)
    (axes,) = figure.axes
    drawn = {box.get_label(): box.lines[0].get_xydata() for box in axes.containers}
    assert set(drawn) == {"DCGAN", "Vanilla GAN"}
    for seed, (kid, gain) in zip(SEEDS, drawn["DCGAN"], strict=True):
        assert kid == pytest.approx(0.02 + 0.001 * seed)
        assert gain == pytest.approx(values["dcgan", seed] - values["none", seed])
    assert len({box.lines[0].get_marker() for box in axes.containers}) == 2


def test_where_gains_go_with_better_images_the_report_says_so_of_these_arms_alone():
    text = two().section(TITLE).text[1]
    assert text.startswith("Does a better KID go with a greater gain in AUC? Over all of these arms yes; within an arm")
    assert "Over 10 points, 2 arms at 5 seeds, " in text
    assert text.endswith("Mere copies of the training images have a KID of 0.0100.")
    assert re.search(r"rank correlation is -0\.\d\d \[-\d\.\d\d, -0\.\d\d\]", text)
    assert "a correlation is no cause" in text


BETTER, WORSE = Correlation(-0.5, -0.9, -0.1), Correlation(0.5, 0.1, 0.9)
NEITHER, UNKNOWN = Correlation(-0.5, -0.9, 0.1), Correlation(-0.5, None, None)


@pytest.mark.parametrize(
    ("over_all", "within", "said"),
    [
        (BETTER, BETTER, "Yes, here."),
        (WORSE, WORSE, "No: here a worse one does."),
        (NEITHER, NEITHER, "Not measurably here."),
        (UNKNOWN, None, "Too few points for an interval, so that this run cannot say."),
        (BETTER, NEITHER, "Over all of these arms yes; within an arm, from seed to seed, not measurably."),
        (NEITHER, WORSE, "Over all of these arms not measurably; within an arm, from seed to seed, no: worse ones do."),
        (BETTER, UNKNOWN, "Over all of these arms yes; within an arm, from seed to seed, it cannot be said."),
    ],
)
def test_the_answer_follows_the_intervals_over_all_and_within_arms(over_all, within, said):
    measured = two().summary.quality.model_copy(update={"over_all": over_all, "within_arms": within})
    assert quality._answer(measured, several=True) == said
    if within is over_all:
        assert quality._answer(measured, several=False) == said


def test_an_arm_that_only_rescores_another_adds_no_points():
    """One GAN at five seeds would else look like ten points, enough for an interval."""
    found = SimpleNamespace(qualities=[
        SimpleNamespace(arm=arm, seed=seed, found=SimpleNamespace(kid=0.1 * seed, kid_se=0.01))
        for arm in ("dcgan", "rescored", "other") for seed in range(5)
    ])  # fmt: skip
    gains = {"none": 0.0, "dcgan": 0.1, "rescored": 0.1, "other": 0.2}
    analysis = SimpleNamespace(
        primary="auc", points={arm: {seed: {"auc": gain} for seed in range(5)} for arm, gain in gains.items()}
    )
    assert [point.arm for point in image_quality._points(found, analysis)] == ["dcgan"] * 5 + ["other"] * 5


def test_one_gan_at_few_seeds_has_no_interval():
    found = made("quality-one", arms=("none", "dcgan"), kid={"dcgan": lambda seed: 0.1 * seed})
    text = found.section(TITLE).text[1]
    assert "Too few points for an interval" in text
    assert "within arms" not in text


def test_a_kid_that_does_not_vary_has_no_correlation():
    found = made("quality-flat", arms=("none", "dcgan"), kid={"dcgan": lambda seed: 0.1})
    assert "cannot be said of 5 points, 1 arm at 5 seeds" in found.section(TITLE).text[1]


# -- what is missing ---------------------------------------------------------------------------------------------------


def test_what_diverged_or_failed_is_no_point_and_is_said():
    lost = {
        "diverged": ("gan/dcgan/class-1/seed-3", "cell/dcgan/3", "quality/dcgan/1/3"),
        "skip": ("quality/vanilla/1/2",),
    }
    found = made("quality-lost", **lost)
    assert len(found.summary.quality.points) == 8
    assert "Without 2 sets of images that failed or whose GAN diverged." in found.section(TITLE).text
    assert row(found.section(TITLE).tables[0], "DCGAN")["images"].endswith("4 seeds")


def test_a_run_in_which_nothing_was_measured_has_no_section():
    titles = [section.title for section in known_reports.known().sections]
    assert TITLE not in titles
    assert known_reports.known().summary.quality is None


def test_without_frozen_features_the_report_says_that_quality_is_not_measured():
    found = Outcome(SyntheticRun(known_reports._folder("quality-paper"), protocol="paper", arms=("none", "dcgan")))
    assert found.section(TITLE).text[0].startswith("Not measured: it needs features of a frozen network")


def test_too_few_images_for_kid_leave_the_tables_and_no_figure():
    found = made("quality-few", seeds=(0, 1), kid={"dcgan": lambda seed: None})
    assert found.section(TITLE).figures == ()
    assert row(found.section(TITLE).tables[0], "DCGAN")["KID"] == "–"


# -- the correlation ---------------------------------------------------------------------------------------------------


def points(gain: Any, *, arms: int = 2, seeds: int = 10, apart: float = 0.0) -> list[Point]:
    """Arms at seeds whose KID is chance; `apart` sets arms apart in KID and, the other way, in gain."""
    rng = np.random.default_rng(0)
    kid = rng.normal(size=(arms, seeds)) + apart * np.arange(arms)[:, None]
    return [
        Point(str(arm), seed, kid[arm, seed], 0.1, gain(kid[arm, seed], rng.normal()) - apart * arm)
        for arm in range(arms)
        for seed in range(seeds)
    ]


def test_a_perfect_order_is_a_correlation_of_minus_one_and_chance_is_about_0():
    assert benefit.correlation(points(lambda kid, _: -(kid**3)), benefit.spearman) == Correlation(-1, -1, -1)
    chance = benefit.correlation(points(lambda _, noise: noise), benefit.spearman)
    assert chance.low < 0 < chance.high


def test_what_sets_arms_apart_is_no_part_of_the_correlation_within_arms():
    apart = points(lambda _, noise: noise, apart=20)
    assert benefit.spearman(apart) < -0.7
    assert abs(benefit.within_arms(apart)) < 0.4


def test_intervals_hold_the_true_correlation_as_often_as_they_say():
    rng, held = np.random.default_rng(0), 0
    for _ in range(300):
        of_seed = rng.normal(size=(2, 6))  # arms of one seed share its luck, in KID and in gain
        drawn = [
            Point(str(arm), seed, of_seed[0, seed] + rng.normal(), 0.1, of_seed[1, seed] + rng.normal())
            for arm in range(2)
            for seed in range(6)
        ]
        found = benefit.correlation(drawn, benefit.spearman)
        held += found.low <= 0 <= found.high
    assert 0.9 < held / 300 <= 0.99
