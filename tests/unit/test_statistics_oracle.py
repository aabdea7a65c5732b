"""What the oracle gains opens the gate, and is the whole of which an arm recovers a share."""

import pytest

from ganbalance.metrics import verdicts
from ganbalance.metrics.results import Analysis
from tests.unit import planted_run
from tests.unit.planted_run import NONE, arm, judge, names, without


@pytest.fixture(scope="module")
def planted() -> Analysis:
    return planted_run.known()


def test_the_share_of_the_oracle_gap_is_the_ratio_of_the_gains(planted):
    auc = {name: found.metrics["auc"].mean for name, found in planted.arms.items()}
    share = planted.arms["better"].gap_recovered
    assert share.mean == pytest.approx((auc["better"] - auc["none"]) / (auc["oracle"] - auc["none"]))
    assert 0 < share.low < share.mean < share.high < 1
    assert planted.arms["worse"].gap_recovered.high < 0
    assert planted.arms["oracle"].gap_recovered is None


def test_the_share_is_that_of_the_seeds_which_arm_baseline_and_oracle_have_in_common():
    base, better, oracle = arm(2.0, seeds=7, balanced=False), arm(3.0, luck=1, seeds=7), arm(4.0, luck=4, seeds=7)
    shared = [0, 2, 4, 5, 6]
    whole = judge({"none": base, "better": without(better, 1), "oracle": without(oracle, 3)}, seeds=7)
    alone = judge({name: {s: path[s] for s in shared} for name, path in
                   (("none", base), ("better", better), ("oracle", oracle))}, seeds=7)  # fmt: skip
    assert whole.arms["better"].gap_recovered.mean == pytest.approx(alone.arms["better"].gap_recovered.mean)


def test_the_share_is_left_out_when_the_oracle_gains_nothing_certain():
    arms = {"none": NONE, "better": arm(3.0, luck=1), "oracle": arm(2.0, luck=4, own_noise=0.5)}
    assert judge(arms).arms["better"].gap_recovered is None
    del arms["oracle"]
    assert judge(arms).arms["better"].gap_recovered is None


def test_the_gate_is_what_the_oracle_gains(planted):
    assert planted.gate.open
    shut = judge({"none": NONE, "better": arm(3.0, luck=1), "oracle": arm(2.0, luck=4, own_noise=0.5)})
    assert not shut.gate.open
    assert names(shut)["better"] == verdicts.HELPS  # which the report calls unexpected
    assert judge({"none": NONE, "better": arm(3.0, luck=1)}).gate is None


def test_a_gate_needs_the_oracle_at_every_seed_of_the_run():
    six, lost = arm(2.0, seeds=6, balanced=False), arm(4.0, seeds=6, luck=4)
    assert judge({"none": six, "oracle": dict(lost)}, seeds=6).gate.open
    del lost[3]
    assert judge({"none": six, "oracle": lost}, seeds=6).gate is None
