"""How large a difference has to be to count."""

import pytest

from tests.unit.planted_run import NONE, arm, judge, varied


def test_the_margins_are_a_tenth_of_what_the_baseline_gets_wrong():
    found = judge({"none": NONE, "better": arm(3.0, luck=1), "oracle": arm(4.0, luck=4)})
    base = found.arms["none"].metrics
    assert found.margins.ranking == pytest.approx(0.1 * (1 - base["auc"].mean))
    assert found.margins.threshold == pytest.approx(0.1 * (1 - base["balanced_accuracy@fair"].mean))
    assert not found.margins.capped
    half = judge({"none": NONE, "better": arm(3.0, luck=1)}, margin_share=0.05).margins
    assert half.ranking == pytest.approx(found.margins.ranking / 2)


def test_half_of_the_oracles_gain_bounds_the_margin_of_ranking_where_the_gate_is_open():
    arms = {"none": NONE, "oracle": arm(2.06, balanced=False)}
    found = judge(arms)
    assert found.gate.open
    assert found.margins.capped
    assert found.margins.ranking == pytest.approx(found.gate.gain.mean / 2)
    arms["oracle"] = arm(1.0, luck=1)  # an oracle that hurts bounds nothing
    assert not judge(arms).margins.capped


def test_a_margin_given_as_a_number_is_both_margins():
    found = judge({"none": NONE, "better": arm(3.0, luck=1)}, margin=0.03)
    assert (found.margins.ranking, found.margins.threshold, found.margins.capped) == (0.03, 0.03, False)


def test_a_run_whose_intervals_are_wider_than_the_margin_says_that_equality_is_out_of_reach():
    arms = {"none": NONE, "noise": varied(2.0, 0.1)}
    assert judge(arms, margin=0.05).equality_within_reach is True
    assert judge(arms, margin=0.001).equality_within_reach is False
    assert judge({"none": NONE}).equality_within_reach is None
    difference = judge(arms).arms["noise"].metrics["auc"].difference
    half = (difference.high - difference.low) / 2
    assert [judge(arms, margin=half * share).equality_within_reach for share in (0.999, 1.0)] == [False, True]
    # neither a control nor what differs by nothing at all says what the others can show
    sure = {"threshold": {seed: one.rescored() for seed, one in NONE.items()}, "oracle": NONE}
    assert judge(arms | sure, margin=half / 2).equality_within_reach is False
