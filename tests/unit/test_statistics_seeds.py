"""Few seeds, and seeds that an arm or the baseline lacks."""

import pytest

from ganbalance.errors import DataError
from ganbalance.metrics import verdicts
from ganbalance.metrics.results import Run
from ganbalance.metrics.statistics import analyse
from tests.unit.planted import settings
from tests.unit.planted_run import NONE, arm, cell, judge


def test_four_seeds_are_too_few_and_five_are_enough():
    for seeds, verdict in ((4, verdicts.TOO_FEW_SEEDS), (5, verdicts.HELPS)):
        found = judge({"none": NONE, "better": arm(3.0, seeds=seeds, luck=1)}).arms["better"]
        assert (found.n_seeds, found.n_paired, found.finding.name) == (seeds, seeds, verdict)
        assert (found.metrics["auc"].difference.p_holm is None) == (verdict == verdicts.TOO_FEW_SEEDS)


def test_one_seed_has_a_mean_and_no_interval_and_an_arm_without_seeds_says_so():
    found = judge({"none": arm(2.0, seeds=1), "better": arm(3.0, seeds=1, luck=1), "failed": {}}, seeds=1)
    summary = found.arms["better"].metrics["auc"]
    assert (summary.n, summary.low, summary.high, summary.difference.p) == (1, None, None, None)
    assert summary.difference.mean > 0
    assert (found.arms["failed"].metrics, found.arms["failed"].finding.name) == ({}, verdicts.TOO_FEW_SEEDS)


def test_two_seeds_have_an_interval():
    found = judge({"none": arm(2.0, seeds=2), "better": arm(3.0, seeds=2, luck=1)}, seeds=2).arms["better"]
    assert found.metrics["auc"].low < found.metrics["auc"].mean < found.metrics["auc"].high
    assert found.metrics["auc"].difference.low is not None


def test_the_difference_at_one_seed_is_that_of_the_test_set_as_it_is():
    found = judge({"none": arm(2.0, seeds=1), "better": arm(3.0, seeds=1, luck=1)}, seeds=1)
    gain = found.points["better"][0]["auc"] - found.points["none"][0]["auc"]
    assert found.arms["better"].metrics["auc"].difference.mean == pytest.approx(gain, abs=1e-12)


def test_seeds_that_the_baseline_lacks_are_measured_and_not_compared():
    better = arm(3.0, luck=1, seeds=7)
    found = judge({"none": NONE, "better": better, "apart": {7: cell(2.0, 7)}}, seeds=8).arms
    assert (found["better"].n_seeds, found["better"].n_paired, found["better"].metrics["auc"].n) == (7, 5, 7)
    alone = judge({"none": NONE, "better": {s: better[s] for s in range(5)}}).arms["better"]
    difference = found["better"].metrics["auc"].difference.mean
    assert difference == pytest.approx(alone.metrics["auc"].difference.mean)
    assert (found["apart"].n_paired, found["apart"].metrics["auc"].difference, found["apart"].moved) == (0, None, None)


def test_an_arm_without_any_cell_is_an_arm_without_seeds():
    run = Run({"none": "baseline", "lost": "generative"}, tuple(range(5)), settings(), "class-weight", replicates=50)
    found = analyse(run, {"none": NONE}, {}).arms["lost"]
    assert (found.n_seeds, found.metrics, found.sensitivity) == (0, {}, None)


def test_a_run_without_a_score_is_refused():
    with pytest.raises(DataError, match="no cell"):
        judge({"none": {}, "better": {}})
