"""Verdicts of whole runs against planted effects."""

import numpy as np
import pytest

from ganbalance.metrics import verdicts
from ganbalance.metrics.results import Analysis
from ganbalance.metrics.scores import Scores
from tests.unit import planted_run
from tests.unit.planted import scores, settings, with_pairs
from tests.unit.planted_run import FAMILIES, LABELS, NONE, T, arm, judge, names


@pytest.fixture(scope="module")
def planted() -> Analysis:
    return planted_run.known()


@pytest.mark.parametrize(
    ("name", "verdict"),
    [
        ("better", verdicts.HELPS),
        ("worse", verdicts.HURTS),
        ("shift", verdicts.MOVES),
        ("noise", verdicts.NO_EVIDENCE),
        ("oracle", verdicts.HELPS),
    ],
)
def test_a_planted_effect_gets_its_verdict(planted, name, verdict):
    assert names(planted)[name] == verdict


def test_the_baseline_has_neither_verdict_nor_difference(planted):
    assert planted.arms["none"].finding is None
    assert all(summary.difference is None for summary in planted.arms["none"].metrics.values())


def test_what_is_said_of_an_arm_is_said_of_its_family_seeds_and_images(planted):
    assert {name: one.family for name, one in planted.arms.items()} == {
        name: FAMILIES.get(name, "generative") for name in planted.arms
    }
    assert {name: one.n_paired for name, one in planted.arms.items() if one.n_paired != 5} == {"none": 0}
    assert planted.arms["better"].components.image_count == planted.smallest_class == T // 2
    assert (planted.arms["threshold"].detectable, planted.arms["threshold"].components) == (None, None)


def test_an_arm_that_hurts_may_gain_as_trained(planted):
    worse = planted.arms["worse"]
    assert worse.metrics["balanced_accuracy@as-trained"].difference.low > 0
    assert worse.metrics["balanced_accuracy@fair"].difference.high < 0
    assert worse.moved.low > 0


def test_many_classes_are_judged_by_the_same_rule():
    labels = np.arange(300) % 3
    rng = np.random.default_rng(5)

    def one(signal: float) -> Scores:
        test, held_out = (signal * np.eye(3)[labels] + rng.normal(0, 1, (300, 3)) for _ in range(2))
        return with_pairs(scores(test, labels, held_out, labels), (2,))

    arms = {"none": {s: one(0.8) for s in range(5)}, "better": {s: one(1.8) for s in range(5)}}
    found = judge(arms, settings=settings(3))
    assert found.primary == "pairwise_auc"
    assert names(found)["better"] == verdicts.HELPS
    rows = set(found.arms["better"].metrics)
    assert {"recall/2@fair", "precision/2@as-trained", "f1/2@fair", "auc/2", "pairwise_auc/2"} <= rows
    assert "recall/1@fair" not in rows


def test_without_held_out_images_rankings_are_judged_and_thresholds_are_not():
    def bare(path: dict[int, Scores]) -> dict[int, Scores]:
        return {s: scores(one.test, LABELS, prior=one.prior) for s, one in path.items()}

    found = judge({"none": bare(NONE), "better": bare(arm(3.0, luck=1)), "same": bare(arm(2.0))})
    assert names(found) == {"none": None, "better": verdicts.HELPS, "same": verdicts.NO_DIFFERENCE}
    assert found.margins.threshold is None
    assert found.arms["better"].moved is None


def test_p_is_below_five_percent_exactly_when_the_interval_excludes_zero(planted):
    differences = [m.difference for a in planted.arms.values() for m in a.metrics.values() if m.difference]
    excluded = [d.low > 0 or d.high < 0 for d in differences]
    assert [d.p < 0.05 for d in differences] == excluded
    assert {True, False} == set(excluded)
