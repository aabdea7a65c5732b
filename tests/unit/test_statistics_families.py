"""P values are adjusted within families of arms; the reference is what a generative arm has to beat."""

import pytest

from ganbalance.metrics import verdicts
from ganbalance.metrics.results import Analysis, Run
from ganbalance.metrics.statistics import analyse
from tests.unit import planted_run
from tests.unit.planted import settings
from tests.unit.planted_run import NONE, arm, judge, names, varied


@pytest.fixture(scope="module")
def planted() -> Analysis:
    return planted_run.known()


def test_each_family_is_adjusted_by_itself_and_controls_are_not():
    arms = {
        "none": NONE,
        "class-weight": arm(2.05, luck=2, own_noise=0.6),
        "one": arm(2.1, luck=3, own_noise=0.6),
        "two": arm(2.2, luck=4, own_noise=0.6),
        "oracle": arm(2.1, luck=5, own_noise=0.6),
        "threshold": {seed: one.rescored() for seed, one in NONE.items()},
    }
    found = {name: one.metrics["auc"].difference for name, one in judge(arms).arms.items()}
    p = {name: found[name].p for name in ("one", "two")}
    small, large = sorted(p.values())
    assert sorted(found[name].p_holm for name in p) == pytest.approx([min(1, 2 * small), max(min(1, 2 * small), large)])
    assert found["class-weight"].p_holm == found["class-weight"].p
    assert found["oracle"].p_holm is None
    assert found["threshold"].p_holm is None


def test_a_verdict_rests_on_the_adjusted_p():
    arms = {"none": NONE, "weak": varied(2.4, 0.3)}
    assert names(judge(arms, margin=0.0005))["weak"] == verdicts.HELPS
    among = judge(arms | {f"noise-{by}": varied(2.1, by) for by in (0.3, 0.4, 0.5)}, margin=0.0005)
    difference = among.arms["weak"].metrics["auc"].difference
    assert difference.p < 0.05 < difference.p_holm
    assert names(among)["weak"] == verdicts.NO_EVIDENCE
    assert among.arms["weak"].metrics["balanced_accuracy@fair"].difference.p_holm is None


def test_another_arm_in_the_run_changes_no_interval_but_the_p_of_its_family(planted):
    alone = judge({"none": NONE, "better": arm(3.0, luck=1)}, margin=0.01).arms["better"]
    among = planted.arms["better"]
    assert alone.metrics["auc"].difference.low == among.metrics["auc"].difference.low
    assert alone.metrics["auc"].difference.p_holm < among.metrics["auc"].difference.p_holm


def test_the_detectable_effect_grows_with_the_arms_of_the_family(planted):
    alone = judge({"none": NONE, "better": arm(3.0, luck=1)}).arms["better"].detectable
    assert planted.arms["better"].detectable.typical > 1.1 * alone.typical


def test_a_control_is_one_test_of_its_own_and_its_detectable_effect_too():
    arms = {"none": NONE, "oracle": arm(3.0, luck=4), "oracle-matched": arm(2.8, luck=5)}
    run = {"none": "baseline", "oracle": "control", "oracle-matched": "control"}
    found = analyse(Run(run, tuple(range(5)), settings(), "class-weight", replicates=100), arms, {}).arms["oracle"]
    alone = judge({"none": NONE, "oracle": arms["oracle"]}, replicates=100).arms["oracle"]
    assert found.detectable == alone.detectable


def test_a_generative_reference_is_no_test_against_itself():
    arms = {"none": NONE, "one": arm(2.6, luck=2, own_noise=0.6), "two": arm(2.5, luck=3, own_noise=0.6)}
    found = judge(arms, reference="one").arms
    assert found["one"].reference_difference is None
    assert found["two"].reference_difference.p_holm == found["two"].reference_difference.p


def test_beating_the_reference_is_adjusted_within_the_generative_family(planted):
    assert planted.arms["better"].beats_reference is True
    assert planted.arms["worse"].beats_reference is False
    assert planted.arms["class-weight"].beats_reference is None
    assert planted.arms["none"].beats_reference is None
    better = planted.arms["better"].reference_difference
    assert better.p < better.p_holm <= 4 * better.p + 1e-12
    assert judge({"none": NONE, "better": arm(3.0, luck=1)}).arms["better"].beats_reference is None


def test_the_difference_to_the_reference_is_that_of_the_two_arms_over_five_seeds_at_least(planted):
    auc = {name: planted.arms[name].metrics["auc"].mean for name in ("better", "class-weight", "none")}
    assert planted.arms["better"].reference_difference.mean == pytest.approx(auc["better"] - auc["class-weight"])
    assert auc["class-weight"] != auc["none"]
    four = judge({"none": NONE, "class-weight": arm(2.0, luck=2, seeds=4), "better": arm(3.0, luck=1)})
    assert four.arms["better"].reference_difference is None


def test_a_gan_that_memorises_never_helps_against_oversampling():
    # copies of the rare class are oversampling with other copies: the same ranking but for noise that favours nobody
    helped = []
    for luck in range(20):
        reference = arm(2.1, luck=3 * luck, own_noise=0.5)
        copies = arm(2.1, luck=3 * luck + 1, own_noise=0.5)
        found = judge({"none": NONE, "class-weight": reference, "copies": copies}, replicates=100)
        helped.append(found.arms["copies"].beats_reference)
    assert None not in helped  # each was compared
    assert sum(helped) <= 1
