"""Verdicts of whole runs against planted effects."""

import itertools
import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from ganbalance.errors import DataError
from ganbalance.metrics import verdicts
from ganbalance.metrics.calibration import Rule
from ganbalance.metrics.classification import Settled, measure
from ganbalance.metrics.crossed import Sample, estimate
from ganbalance.metrics.results import Analysis, Run
from ganbalance.metrics.scores import Scores
from ganbalance.metrics.statistics import analyse
from ganbalance.metrics.tuning import Tuning
from ganbalance.metrics.verdicts import (
    DID_NOT_TRAIN,
    HELPS,
    HURTS,
    MOVES,
    NO_DIFFERENCE,
    NO_EVIDENCE,
    TOO_FEW_IMAGES,
    TOO_FEW_SEEDS,
)
from ganbalance.metrics.weighted import stratified_draws
from ganbalance.seeding import numpy_rng
from tests.unit.planted import PRIOR, of_margin, scores, settings, with_pairs

T, V = 600, 300
LABELS, HELD_OUT = np.arange(T) % 2, np.arange(V) % 2
LEAN = np.log(PRIOR)  # what an arm that was fitted under the imbalance adds to its logits
FAMILIES = {
    "none": "baseline",
    "threshold": "exempt",
    "class-weight": "cheap",
    "oracle": "control",
}


def margins(labels: np.ndarray, separation: float, rng: list[int], own_noise: float) -> np.ndarray:
    """Scores of one classifier: the images' difficulty is everyone's, the noise is this seed's own."""
    difficulty = np.random.default_rng(len(labels)).normal(0, 1, len(labels))
    return separation * (labels - 0.5) + difficulty + np.random.default_rng(rng).normal(0, own_noise, len(labels))


def cell(separation: float, seed: int, luck: int = 0, *, balanced: bool = True, own_noise: float = 0.3) -> Scores:
    """A classifier fitted under PRIOR (its logits lean to class 0) or under balanced classes."""
    lean = 0.0 if balanced else LEAN[1] - LEAN[0]
    test, held_out = (
        1.5 * margins(labels, separation, [part, seed, luck], own_noise) + lean
        for part, labels in ((0, LABELS), (1, HELD_OUT))
    )
    prior = np.full(2, 0.5) if balanced else PRIOR
    return scores(of_margin(test), LABELS, of_margin(held_out), HELD_OUT, prior=prior)


def arm(separation: float, *, seeds: int = 5, luck: int = 0, **given) -> dict[int, Scores]:
    """One arm over its seeds; another `luck` draws other noise."""
    return {seed: cell(separation, seed, luck, **given) for seed in range(seeds)}


def varied(separation: float, by: float, seeds: int = 5) -> dict[int, Scores]:
    """An arm that is as good as `separation` on average, better at some seeds and worse at others."""
    steps = np.linspace(-by, by, seeds)
    return {seed: cell(separation + step, seed, 3, balanced=False) for seed, step in enumerate(steps)}


def judge(arms, *, diverged=None, seeds: int = 5, **given) -> Analysis:
    run = Run(
        families={name: FAMILIES.get(name, "generative") for name in arms},
        seeds=tuple(range(seeds)),
        settings=given.pop("settings", settings()),
        **{"reference": "class-weight", "replicates": 200} | given,
    )
    return analyse(run, arms, diverged or {})


def names(found: Analysis) -> dict[str, str | None]:
    return {name: one.finding and one.finding.name for name, one in found.arms.items()}


NONE = arm(2.0, balanced=False)


@pytest.fixture(scope="module")
def planted() -> Analysis:
    """A run in which every verdict is known beforehand."""
    return judge(
        {
            "none": NONE,
            "threshold": {seed: one.rescored() for seed, one in NONE.items()},
            "class-weight": arm(2.0, luck=2, own_noise=0.6),
            "better": arm(3.0, luck=1),
            "worse": arm(1.2, luck=1),
            "shift": arm(2.0),
            "noise": varied(2.0, 0.4),
            "oracle": arm(4.0, luck=4),
        },
        margin=0.01,
    )


@pytest.mark.parametrize(
    ("name", "verdict"),
    [("better", HELPS), ("worse", HURTS), ("shift", MOVES), ("noise", NO_EVIDENCE), ("oracle", HELPS)],
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


# -- the threshold ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1.0, 1e6])
@pytest.mark.parametrize("k", [2, 3, 10])
def test_threshold_and_whatever_shifts_or_scales_scores_differ_by_exactly_zero(k, scale):
    rng = np.random.default_rng(k)
    labels = np.arange(40 * k) % k
    test, held_out = (rng.normal(size=(5, 40 * k, k)) + np.eye(k)[labels] for _ in range(2))

    def of(seed: int, **changed) -> Scores:
        factor, shift = changed.pop("factor", 1.0), changed.pop("shift", np.zeros(k))
        made = scores(factor * test[seed] + shift, labels, factor * held_out[seed] + shift, labels, **changed)
        return with_pairs(made, (k - 1,)) if k > 2 else made

    prior = rng.dirichlet(np.ones(k))
    plain = {seed: of(seed, prior=prior) for seed in range(5)}
    spread = scale * test.std()
    arms = {
        "none": plain,
        "threshold": {seed: one.rescored() for seed, one in plain.items()},
        "shifted": {seed: of(seed, shift=rng.normal(0, spread, k)) for seed in range(5)},
        "scaled": {seed: of(seed, factor=scale) for seed in range(5)},
    }
    if k > 2 or scale > 1:
        # shifts of a million spreads cost the last digits of a margin, not of its order
        arms["shifted"] = {seed: of(seed, shift=np.round(rng.normal(0, spread, k), 3)) for seed in range(5)}
    found = judge(arms, settings=settings(k))
    assert found.arms["threshold"].finding is None
    fair = found.arms["threshold"].metrics["balanced_accuracy@fair"]
    assert fair.mean == found.arms["none"].metrics["balanced_accuracy@fair"].mean
    assert names(found)["scaled"] in (NO_DIFFERENCE, MOVES)
    for name in ("threshold", "scaled"):
        difference = found.arms[name].metrics[found.primary].difference
        assert difference.mean == 0.0, name
        assert difference.p == 1.0, name
    assert found.arms["shifted"].metrics[found.primary].difference.mean == pytest.approx(0.0, abs=1e-6)


def test_threshold_is_tuned_as_the_baseline_is_also_where_the_training_mix_moves_one_against_the_rest():
    rng = np.random.default_rng(1)
    labels = np.arange(300) % 3
    base = rng.normal(size=(6, 300, 3)) + np.array([0.8, 0.9, 1.0, 1.0, 0.9, 0.8])[:, None, None] * np.eye(3)[labels]
    prior = np.array([0.9, 0.09, 0.01])
    plain = {}
    for seed in range(5):
        noise = rng.normal(0, 0.3, (2, 6, 300, 3))
        made = scores(base + noise[0] + np.log(prior), labels, base + noise[1] + np.log(prior), labels, prior=prior)
        plain[seed] = with_pairs(made, (2,))
    rescored = {seed: one.rescored() for seed, one in plain.items()}
    found = judge({"none": plain, "threshold": rescored}, settings=settings(3))
    assert found.settled["threshold"].strength == found.settled["none"].strength
    assert found.arms["threshold"].metrics["balanced_accuracy@fair"].difference.mean == 0.0


def test_threshold_moves_balanced_accuracy_as_trained_and_not_the_fair_one(planted):
    threshold = planted.arms["threshold"]
    assert threshold.metrics["balanced_accuracy@as-trained"].difference.low > 0.05
    assert threshold.metrics["balanced_accuracy@fair"].difference.mean == 0.0
    assert threshold.moved.low > 0
    assert threshold.gap_recovered is None


def test_the_threshold_of_a_gan_is_what_its_real_held_out_images_say_whatever_its_synthetic_ones_are():
    # the rule as trained is fitted on the synthetic images too; here they say nonsense
    mad = {seed: replace_rule(one, Rule(40.0, np.array([0.0, -9999.0]))) for seed, one in arm(2.0).items()}
    sane = judge({"none": NONE, "gan": arm(2.0)}).arms["gan"].metrics
    found = judge({"none": NONE, "gan": mad}).arms["gan"].metrics
    assert found["balanced_accuracy@fair"] == sane["balanced_accuracy@fair"]
    assert found["deployed_f1@deployment"] == sane["deployed_f1@deployment"]
    assert found["balanced_accuracy@as-trained"].mean == 0.5


def replace_rule(one: Scores, rule: Rule) -> Scores:
    return replace(one, scale=np.array([rule.scale]), offsets=rule.offsets[None])


# -- seeds, holes and divergence -------------------------------------------------------------------------------------


def test_four_seeds_are_too_few_and_five_are_enough():
    for seeds, verdict in ((4, TOO_FEW_SEEDS), (5, HELPS)):
        found = judge({"none": NONE, "better": arm(3.0, seeds=seeds, luck=1)}).arms["better"]
        assert (found.n_seeds, found.n_paired, found.finding.name) == (seeds, seeds, verdict)
        assert (found.metrics["auc"].difference.p_holm is None) == (verdict == TOO_FEW_SEEDS)


def test_one_seed_has_a_mean_and_no_interval_and_an_arm_without_seeds_says_so():
    found = judge({"none": arm(2.0, seeds=1), "better": arm(3.0, seeds=1, luck=1), "failed": {}}, seeds=1)
    summary = found.arms["better"].metrics["auc"]
    assert (summary.n, summary.low, summary.high, summary.difference.p) == (1, None, None, None)
    assert summary.difference.mean > 0
    assert (found.arms["failed"].metrics, found.arms["failed"].finding.name) == ({}, TOO_FEW_SEEDS)


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


def test_an_interval_ends_where_its_metric_does_and_a_log_loss_may_be_above_one():
    few = np.r_[np.flatnonzero(LABELS == 0)[:30], np.flatnonzero(LABELS == 1)[:30]]

    def of(separation: float) -> dict[int, Scores]:
        made = arm(separation, own_noise=1.0)
        return {s: replace(one, test=one.test[:, few], test_labels=LABELS[few]) for s, one in made.items()}

    best, worst = (judge({"none": of(separation)}).arms["none"].metrics for separation in (9.0, -9.0))
    assert best["accuracy@as-trained"].high == 1.0
    assert worst["accuracy@as-trained"].low == 0.0
    assert worst["log_loss@as-trained"].high > worst["log_loss@as-trained"].mean > 1
    assert 0 < worst["brier@as-trained"].low < worst["brier@as-trained"].mean < worst["brier@as-trained"].high <= 1


def test_a_diverged_cell_counts_as_the_baseline():
    better = arm(3.0, luck=1)
    whole = judge({"none": NONE, "better": better}).arms["better"]
    lost = {seed: one for seed, one in better.items() if seed != 2}
    found = judge({"none": NONE, "better": lost}, diverged={"better": [2]}).arms["better"]
    assert (found.n_seeds, found.n_paired, found.imputed_seeds) == (4, 5, [2])
    # four fifths of the gain, and none at the seed that was lost; the others' is told beside it
    only = judge({"none": NONE, "better": lost}).arms["better"].metrics["auc"].difference
    assert found.metrics["auc"].difference.mean == pytest.approx(only.mean * 4 / 5)
    assert found.finished_difference.mean == pytest.approx(only.mean)
    assert whole.finished_difference is None
    difference = found.metrics["auc"].difference
    assert difference.high - difference.low > whole.metrics["auc"].difference.high - whole.metrics["auc"].difference.low


def test_a_diverged_cell_has_the_baselines_fair_rule_and_metrics():
    lost = {seed: one for seed, one in arm(3.0, luck=1).items() if seed != 2}
    found = judge({"none": NONE, "better": lost}, diverged={"better": [2]})
    for metric in ("balanced_accuracy@fair", "balanced_accuracy@as-trained", "f1@fair"):
        gains = [found.points["better"][s][metric] - found.points["none"][s][metric] for s in (0, 1, 3, 4)]
        assert found.arms["better"].metrics[metric].difference.mean == pytest.approx(sum(gains) / 5), metric


def test_more_than_one_cell_in_five_diverged_is_an_arm_that_did_not_train():
    lost = {seed: one for seed, one in arm(3.0, luck=1).items() if seed not in (2, 3)}
    found = judge({"none": NONE, "better": lost}, diverged={"better": [2, 3]}).arms["better"]
    assert found.finding.name == DID_NOT_TRAIN
    assert found.metrics["auc"].difference.p_holm is None
    assert found.finished_difference.mean > 0
    assert (found.beats_reference, found.gap_recovered) == (None, None)


def test_divergence_counts_against_the_seeds_of_the_run_also_where_the_baseline_is_missing():
    lost = {seed: one for seed, one in arm(3.0, luck=1, seeds=7).items() if seed not in (2, 3)}
    base = {seed: one for seed, one in arm(2.0, seeds=7, balanced=False).items() if seed != 3}
    found = judge({"none": base, "better": lost}, diverged={"better": [2, 3]}, seeds=7).arms["better"]
    assert (found.diverged_seeds, found.imputed_seeds, found.finding.name) == ([2, 3], [], DID_NOT_TRAIN)


def test_an_arm_that_did_not_train_is_not_shown_with_the_baselines_numbers():
    lost = {seed: one for seed, one in arm(3.0, luck=1).items() if seed == 4}
    found = judge({"none": NONE, "better": lost, "never": {}}, diverged={"better": [0, 1, 2, 3], "never": range(5)})
    only = found.arms["better"].metrics["auc"]
    assert (only.n, only.mean) == (1, found.points["better"][4]["auc"])
    assert only.difference.mean == found.arms["better"].finished_difference.mean
    assert (found.arms["never"].metrics, found.arms["never"].finding.name) == ({}, DID_NOT_TRAIN)
    assert (found.arms["never"].moved, found.arms["never"].finished_difference) == (None, None)


def test_leaving_diverged_cells_out_would_reward_an_arm_that_fails_on_hard_draws():
    # as good as none on average; the seed at which it is worst diverges
    lost = {seed: one for seed, one in varied(2.0, 0.8).items() if seed != 0}
    found = judge({"none": NONE, "same": lost}, diverged={"same": [0]}).arms["same"]
    assert found.finished_difference.mean > 0
    assert found.metrics["auc"].difference.mean == pytest.approx(found.finished_difference.mean * 4 / 5)


# -- families, reference, oracle -------------------------------------------------------------------------------------


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
    assert names(judge(arms, margin=0.0005))["weak"] == HELPS
    among = judge(arms | {f"noise-{by}": varied(2.1, by) for by in (0.3, 0.4, 0.5)}, margin=0.0005)
    difference = among.arms["weak"].metrics["auc"].difference
    assert difference.p < 0.05 < difference.p_holm
    assert names(among)["weak"] == NO_EVIDENCE
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
    helped = 0
    for luck in range(20):
        reference = arm(2.1, luck=3 * luck, own_noise=0.5)
        copies = arm(2.1, luck=3 * luck + 1, own_noise=0.5)
        found = judge({"none": NONE, "class-weight": reference, "copies": copies}, replicates=100)
        helped += bool(found.arms["copies"].beats_reference)
    assert helped <= 1


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


def without(path: dict[int, Scores], lost: int) -> dict[int, Scores]:
    return {seed: one for seed, one in path.items() if seed != lost}


def test_the_share_is_left_out_when_the_oracle_gains_nothing_certain():
    arms = {"none": NONE, "better": arm(3.0, luck=1), "oracle": arm(2.0, luck=4, own_noise=0.5)}
    assert judge(arms).arms["better"].gap_recovered is None
    del arms["oracle"]
    assert judge(arms).arms["better"].gap_recovered is None


def test_the_gate_is_what_the_oracle_gains(planted):
    assert planted.gate.open
    shut = judge({"none": NONE, "better": arm(3.0, luck=1), "oracle": arm(2.0, luck=4, own_noise=0.5)})
    assert not shut.gate.open
    assert names(shut)["better"] == HELPS  # which the report calls unexpected
    assert judge({"none": NONE, "better": arm(3.0, luck=1)}).gate is None


# -- margins ---------------------------------------------------------------------------------------------------------


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


def test_a_run_whose_intervals_are_wider_than_the_margin_says_that_equality_is_out_of_reach(planted):
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


# -- the penalty -----------------------------------------------------------------------------------------------------


def stacked(*paths: dict[int, Scores], validation: np.ndarray) -> dict[int, Scores]:
    """One arm whose grid is the strengths of several."""
    made = {}
    for seed in paths[0]:
        parts = [path[seed] for path in paths]
        made[seed] = scores(
            np.concatenate([one.test for one in parts]),
            LABELS,
            np.concatenate([one.held_out for one in parts]),
            HELD_OUT,
            validation=validation,
        )
    return made


def test_sensitivity_shows_every_strength_and_what_each_seed_alone_would_choose():
    validation = np.arange(V) < 60
    base = stacked(arm(1.5), arm(2.0), arm(1.0), validation=validation)
    other = stacked(arm(2.5, luck=1), arm(1.4, luck=1), arm(1.2, luck=1), validation=validation)
    found = judge({"none": base, "gan": other}).arms
    shown = found["gan"].sensitivity
    assert shown.strengths == [1.0, 0.1, 0.01]
    assert (shown.chosen, shown.at_end) == (1.0, "strongest")
    assert (found["none"].sensitivity.chosen, found["none"].sensitivity.at_end) == (0.1, None)
    assert shown.test[0] == pytest.approx(found["gan"].metrics["auc"].mean)
    assert np.sign(shown.difference) == pytest.approx([1, -1, 1])
    tuned = [[roc_auc_score(HELD_OUT, one.held_out[g, :, 1]) for one in other.values()] for g in range(3)]
    assert shown.tuning == pytest.approx(np.mean(tuned, axis=1))
    assert np.argmax(shown.tuning) == 0
    assert set(shown.per_seed) == set(range(5))
    assert found["none"].sensitivity.difference is None


def test_without_validation_images_of_a_seed_nothing_is_said_of_the_choice_of_each_seed():
    validation = np.arange(V) < 60
    base = stacked(arm(1.5), arm(2.0), validation=validation)
    other = stacked(arm(2.5, luck=1), arm(1.4, luck=1), validation=validation)
    assert judge({"none": base, "gan": other}).arms["gan"].sensitivity.per_seed_difference is not None
    assert judge({"none": base, "gan": other}).arms["none"].sensitivity.per_seed_difference is None
    for changed in (base, other):
        changed[3] = replace(changed[3], validation=np.zeros(V, bool))
        found = judge({"none": base, "gan": other}).arms["gan"].sensitivity
        assert found.per_seed_difference is None
    assert set(found.per_seed) == {0, 1, 2, 4}


def test_the_weakest_penalty_is_an_end_of_the_grid_too():
    base = stacked(arm(1.5), arm(2.0), validation=np.zeros(V, bool))
    found = judge({"none": base}).arms["none"].sensitivity
    assert (found.at_end, found.all_classes, found.all_classes_at_end) == ("weakest", found.chosen, "weakest")


def test_a_single_strength_is_no_end(planted):
    assert {one.sensitivity.at_end for one in planted.arms.values()} == {None}
    assert {one.sensitivity.all_classes_at_end for one in planted.arms.values()} == {None}


def test_the_head_of_all_classes_and_the_heads_of_pairs_may_end_at_different_strengths():
    labels = np.arange(90) % 3
    noise = np.random.default_rng(0).normal(size=(90, 3))
    logits = np.stack([0.2 * np.eye(3)[labels] + noise, 2.0 * np.eye(3)[labels] + noise])
    pairs = with_pairs(scores(logits[::-1], labels, logits[::-1], labels), (2,)).pairs
    one = replace(scores(logits, labels, logits, labels), pairs=pairs)
    found = judge({"none": {0: one}}, seeds=1, settings=settings(3)).arms["none"].sensitivity
    assert (found.chosen, found.at_end) == (1.0, "strongest")
    assert (found.all_classes, found.all_classes_at_end) == (0.1, "weakest")


def test_the_choice_of_each_seed_is_compared_over_the_seeds_that_the_baseline_has():
    validation = np.arange(V) < 60
    base, other = (stacked(arm(1.5, luck=luck), arm(2.0, luck=luck), validation=validation) for luck in (0, 1))
    found = judge({"none": without(base, 4), "gan": other}).arms["gan"].sensitivity
    assert found.per_seed_difference is not None
    assert set(found.per_seed) == set(range(5))


def test_a_difference_that_turns_round_with_each_seeds_own_penalty_is_no_evidence():
    # on the kept validation images, the first 60, the strength that is best for the whole run looks worst
    validation = np.arange(V) < 60

    def turned(strong: float, weak: float, luck: int = 0) -> dict[int, Scores]:
        made = stacked(arm(strong, luck=luck), arm(weak, luck=luck), validation=validation)
        for one in made.values():
            one.held_out[0][validation] *= -1
        return made

    arms = {"none": stacked(arm(2.0), arm(2.0), validation=validation), "gan": turned(3.0, 1.0, luck=1)}
    found = judge(arms).arms["gan"]
    assert found.metrics["auc"].difference.low > 0
    assert found.sensitivity.per_seed_difference.high < 0
    assert found.vetoed
    assert found.finding.name == NO_EVIDENCE


def again(cells: dict[int, Scores], metric: str, replicates: int = 200) -> Sample:
    """By hand: a metric of every seed on every draw of the test images, and its means chosen on three seeds of five."""
    drawn = stratified_draws(LABELS, replicates, numpy_rng(0, "test-image-bootstrap"))
    tuning, weights = Tuning.of(cells, settings()), np.concatenate([np.ones((1, T), np.int16), drawn])

    def of(seed: int, settled: Settled, weights: np.ndarray | None = None) -> np.ndarray:
        return measure(cells[seed], settled, settings(), weights)[metric]

    values = [of(seed, tuning.settle(cells), weights) for seed in cells]
    halves = [np.mean([of(seed, tuning.settle(kept)) for seed in kept]) for kept in itertools.combinations(cells, 3)]
    return Sample(np.stack(values), np.array(halves), T // 2)


@pytest.mark.parametrize("metric", ["auc", "balanced_accuracy@fair"])
def test_choosing_again_on_half_of_the_seeds_is_in_the_standard_error(metric):
    # the first strength is a little better on the held-out images of most seeds, the second much better at one
    validation = np.zeros(V, bool)
    paths = [
        {seed: cell(separation, seed, luck, own_noise=0.6) for seed, separation in enumerate(path)}
        for luck, path in ((1, (2.3, 2.3, 2.3, 2.3, 1.9)), (2, (2.2, 2.2, 2.2, 2.2, 2.4)))
    ]
    close = stacked(*paths, validation=validation)
    for one in close.values():
        one.test[1] = of_margin(margins(LABELS, 3.0, [7, len(one.test)], 0.3))  # what is chosen matters
    base = stacked(arm(2.0), arm(1.0), validation=validation)
    tuning = Tuning.of(close, settings())
    assert {tuning.settle(kept).strength for kept in itertools.combinations(range(5), 3)} == {0, 1}
    found = judge({"none": base, "gan": close}).arms["gan"]
    mine, theirs = again(close, metric), again(base, metric)
    wanted, difference = (mine - theirs).estimate, found.metrics[metric].difference
    assert (difference.mean, difference.low, difference.high, difference.p) == pytest.approx(
        (wanted.mean, wanted.low, wanted.high, wanted.p), rel=1e-9
    )
    summary = found.metrics[metric]
    assert (summary.n, summary.mean, summary.low) == pytest.approx((5, mine.estimate.mean, mine.estimate.low))
    if metric == "auc":
        assert found.components == wanted.components
        assert wanted.se > 1.5 * estimate((mine - theirs).values).se


# -- test images -----------------------------------------------------------------------------------------------------


def test_one_rare_test_image_gives_no_verdict_however_small_its_p():
    assert verdicts.MIN_TEST_IMAGES == 20

    def rare(path: dict[int, Scores], keep: int) -> dict[int, Scores]:
        rows = np.r_[np.flatnonzero(LABELS == 0), np.flatnonzero(LABELS == 1)[:keep]]
        return {s: replace(one, test=one.test[:, rows], test_labels=LABELS[rows]) for s, one in path.items()}

    for keep, enough in ((1, False), (19, False), (20, True)):
        found = judge({"none": rare(arm(1.0), keep), "better": rare(arm(3.5, luck=1), keep)})
        assert (found.smallest_class, found.enough_images, found.few_images) == (keep, enough, True)
        assert (names(found)["better"] == TOO_FEW_IMAGES) is not enough


def test_with_too_few_test_images_there_is_no_gate_and_still_plain_json():
    rows = np.r_[np.flatnonzero(LABELS == 0), np.flatnonzero(LABELS == 1)[:1]]

    def rare(path: dict[int, Scores]) -> dict[int, Scores]:
        return {s: replace(one, test=one.test[:, rows], test_labels=LABELS[rows]) for s, one in path.items()}

    found = judge({"none": rare(arm(1.0)), "oracle": rare(arm(3.5, luck=1)), "gan": rare(arm(3.0, luck=2))})
    assert found.gate is None
    assert not found.margins.capped
    json.dumps(found.to_json(), allow_nan=False)


def test_a_gate_needs_the_oracle_at_every_seed_of_the_run():
    six, lost = arm(2.0, seeds=6, balanced=False), arm(4.0, seeds=6, luck=4)
    assert judge({"none": six, "oracle": dict(lost)}, seeds=6).gate.open
    del lost[3]
    assert judge({"none": six, "oracle": lost}, seeds=6).gate is None


def test_a_test_set_that_the_baseline_ranks_perfectly_gives_no_verdict():
    found = judge({"none": arm(14.0), "better": arm(15.0, luck=1)})
    assert found.arms["none"].metrics["auc"].mean > 0.999
    assert names(found)["better"] == TOO_FEW_IMAGES


# -- many classes ----------------------------------------------------------------------------------------------------


def test_many_classes_are_judged_by_the_same_rule():
    labels = np.arange(300) % 3
    rng = np.random.default_rng(5)

    def one(signal: float) -> Scores:
        test, held_out = (signal * np.eye(3)[labels] + rng.normal(0, 1, (300, 3)) for _ in range(2))
        return with_pairs(scores(test, labels, held_out, labels), (2,))

    arms = {"none": {s: one(0.8) for s in range(5)}, "better": {s: one(1.8) for s in range(5)}}
    found = judge(arms, settings=settings(3))
    assert found.primary == "pairwise_auc"
    assert names(found)["better"] == HELPS
    rows = set(found.arms["better"].metrics)
    assert {"recall/2@fair", "precision/2@as-trained", "f1/2@fair", "auc/2", "pairwise_auc/2"} <= rows
    assert "recall/1@fair" not in rows


# -- what comes out --------------------------------------------------------------------------------------------------


def test_p_is_below_five_percent_exactly_when_the_interval_excludes_zero(planted):
    differences = [m.difference for a in planted.arms.values() for m in a.metrics.values() if m.difference]
    excluded = [d.low > 0 or d.high < 0 for d in differences]
    assert [d.p < 0.05 for d in differences] == excluded
    assert {True, False} == set(excluded)


def test_the_json_is_plain_and_the_same_for_the_same_run():
    arms = {"none": arm(2.0, seeds=2), "better": arm(3.0, seeds=2, luck=1), "failed": {}}
    text, again = (json.dumps(judge(arms).to_json(), allow_nan=False) for _ in range(2))
    assert text == again
    shown = json.loads(text)
    assert shown["arms"]["better"]["metrics"]["auc"]["difference"]["p_holm"] is None
    assert not {"settled", "points"} & set(shown)


def test_an_estimate_has_its_interval_and_its_p_in_the_json(planted):
    shown, gain = planted.to_json()["gate"]["gain"], planted.gate.gain
    assert {name: shown[name] for name in ("mean", "se", "df", "low", "high", "p")} == {
        name: getattr(gain, name) for name in ("mean", "se", "df", "low", "high", "p")
    }


def test_cells_with_other_test_images_are_refused():
    with pytest.raises(DataError, match="same test images"):
        judge({"none": NONE, "odd": {s: replace(one, test_labels=1 - LABELS) for s, one in NONE.items()}})


def test_a_run_without_a_score_is_refused():
    with pytest.raises(DataError, match="no cell"):
        judge({"none": {}, "better": {}})


def test_without_held_out_images_rankings_are_judged_and_thresholds_are_not():
    def bare(path: dict[int, Scores]) -> dict[int, Scores]:
        return {s: scores(one.test, LABELS, prior=one.prior) for s, one in path.items()}

    found = judge({"none": bare(NONE), "better": bare(arm(3.0, luck=1)), "same": bare(arm(2.0))})
    assert names(found) == {"none": None, "better": HELPS, "same": NO_DIFFERENCE}
    assert found.margins.threshold is None
    assert found.arms["better"].moved is None
