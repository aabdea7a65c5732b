"""Cells whose training diverged count as the baseline, and too many of them as an arm that did not train."""

import pytest

from ganbalance.metrics import verdicts
from tests.unit.planted_run import NONE, arm, judge, varied, without


def test_a_diverged_cell_counts_as_the_baseline():
    better = arm(3.0, luck=1)
    whole = judge({"none": NONE, "better": better}).arms["better"]
    lost = without(better, 2)
    found = judge({"none": NONE, "better": lost}, diverged={"better": [2]}).arms["better"]
    assert (found.n_seeds, found.n_paired, found.imputed_seeds) == (4, 5, [2])
    # four fifths of the gain, and none at the seed that was lost; the others' stands beside it
    only = judge({"none": NONE, "better": lost}).arms["better"].metrics["auc"].difference
    assert found.metrics["auc"].difference.mean == pytest.approx(only.mean * 4 / 5)
    assert found.finished_difference.mean == pytest.approx(only.mean)
    assert whole.finished_difference is None
    difference = found.metrics["auc"].difference
    assert difference.high - difference.low > whole.metrics["auc"].difference.high - whole.metrics["auc"].difference.low


def test_a_diverged_cell_has_the_baselines_fair_rule_and_metrics():
    lost = without(arm(3.0, luck=1), 2)
    found = judge({"none": NONE, "better": lost}, diverged={"better": [2]})
    for metric in ("balanced_accuracy@fair", "balanced_accuracy@as-trained", "f1@fair"):
        gains = [found.points["better"][s][metric] - found.points["none"][s][metric] for s in (0, 1, 3, 4)]
        assert found.arms["better"].metrics[metric].difference.mean == pytest.approx(sum(gains) / 5), metric


def test_more_than_one_cell_in_five_diverged_is_an_arm_that_did_not_train():
    lost = without(arm(3.0, luck=1), 2, 3)
    found = judge({"none": NONE, "better": lost}, diverged={"better": [2, 3]}).arms["better"]
    assert found.finding.name == verdicts.DID_NOT_TRAIN
    assert found.metrics["auc"].difference.p_holm is None
    assert found.finished_difference.mean > 0
    assert (found.beats_reference, found.gap_recovered) == (None, None)


def test_divergence_counts_against_the_seeds_of_the_run_also_where_the_baseline_is_missing():
    lost = without(arm(3.0, luck=1, seeds=7), 2, 3)
    base = without(arm(2.0, seeds=7, balanced=False), 3)
    found = judge({"none": base, "better": lost}, diverged={"better": [2, 3]}, seeds=7).arms["better"]
    assert (found.diverged_seeds, found.imputed_seeds, found.finding.name) == ([2, 3], [], verdicts.DID_NOT_TRAIN)


def test_an_arm_that_did_not_train_is_not_shown_with_the_baselines_numbers():
    lost = without(arm(3.0, luck=1), 0, 1, 2, 3)
    found = judge({"none": NONE, "better": lost, "never": {}}, diverged={"better": [0, 1, 2, 3], "never": range(5)})
    only = found.arms["better"].metrics["auc"]
    assert (only.n, only.mean) == (1, found.points["better"][4]["auc"])
    assert only.difference.mean == found.arms["better"].finished_difference.mean
    assert (found.arms["never"].metrics, found.arms["never"].finding.name) == ({}, verdicts.DID_NOT_TRAIN)
    assert (found.arms["never"].moved, found.arms["never"].finished_difference) == (None, None)


def test_leaving_diverged_cells_out_would_reward_an_arm_that_fails_on_hard_draws():
    # as good as none on average; the seed at which it is worst diverges
    lost = without(varied(2.0, 0.8), 0)
    found = judge({"none": NONE, "same": lost}, diverged={"same": [0]}).arms["same"]
    assert found.finished_difference.mean > 0
    assert found.metrics["auc"].difference.mean == pytest.approx(found.finished_difference.mean * 4 / 5)
