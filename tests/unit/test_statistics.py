"""Intervals against a simulated truth, verdicts against planted effects."""

import json
from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import t as student

from ganbalance.errors import DataError
from ganbalance.metrics.crossed import Estimate, estimate, holm, ratio
from ganbalance.metrics.decisions import plain, prior_corrected
from ganbalance.metrics.statistics import (
    HELPS,
    HURTS,
    MOVES,
    NO_EVIDENCE,
    RULE,
    TOO_FEW,
    Analysis,
    Cell,
    analyse,
    verdict_name,
)
from ganbalance.metrics.weighted import measure_weighted, stratified_draws

PRIOR = (0.9, 0.1)
T = 600
LABELS = np.arange(T) % 2


def margins(separation: float, seed: int, *, own_noise: float = 0.3) -> np.ndarray:
    """Scores of one classifier: the images' difficulty is everyone's, the noise is this seed's own."""
    difficulty = np.random.default_rng(99).normal(0, 1, T)
    own = np.random.default_rng(1000 + seed).normal(0, own_noise, T)
    return separation * (LABELS - 0.5) + difficulty + own


def cell(margin: np.ndarray, *, balanced: bool) -> Cell:
    """A classifier fitted under PRIOR (its logits lean to class 0) or under balanced classes."""
    offsets = plain(2) if balanced else prior_corrected(PRIOR)
    positive = 1 / (1 + np.exp(-1.5 * margin + (offsets[1] - offsets[0])))
    probabilities = np.stack([1 - positive, positive], axis=1)
    return Cell(probabilities, {"0.5": plain(2), "prior": offsets, "validation": offsets})


def arm(separation: float, *, balanced: bool = True, seeds: int = 5, luck: int = 0, own_noise: float = 0.3):
    """One arm over its seeds; another `luck` draws other noise."""
    noise = {s: margins(separation, s + 50 * luck, own_noise=own_noise) for s in range(seeds)}
    return {s: cell(margin, balanced=balanced) for s, margin in noise.items()}


def judge(arms: dict[str, dict[int, Cell]], **given) -> Analysis:
    return analyse(LABELS, arms, plain_rule="0.5", deployment_prior_K=PRIOR, replicates=200, **given)


@pytest.fixture(scope="module")
def planted() -> Analysis:
    """A run in which every verdict is known beforehand."""
    return judge(
        {
            "none": arm(2.0, balanced=False),
            "class-weight": arm(2.0, luck=2, own_noise=0.6),
            "better": arm(3.0, luck=1),
            "worse": arm(1.2, luck=1),
            "shift": arm(2.0),
            "noise": arm(2.0, luck=3, own_noise=0.5, balanced=False),
            "diverged": {s: c for s, c in arm(3.0, luck=1).items() if s != 2},
            "oracle": arm(4.0, luck=4),
        }
    )


@pytest.mark.parametrize(
    ("name", "verdict"),
    [("better", HELPS), ("worse", HURTS), ("shift", MOVES), ("noise", NO_EVIDENCE), ("diverged", TOO_FEW)],
)
def test_a_planted_effect_gets_its_verdict(planted, name, verdict):
    assert planted.arms[name].verdict.name == verdict, planted.arms[name].verdict.sentence


def test_the_baseline_has_neither_verdict_nor_difference(planted):
    assert planted.arms["none"].verdict is None
    assert all(summary.difference is None for summary in planted.arms["none"].metrics.values())


def test_an_arm_that_hurts_still_tells_its_gain_at_one_half(planted):
    worse = planted.arms["worse"]
    assert worse.metrics["balanced_accuracy@0.5"].difference.low > 0
    assert "although balanced accuracy at 0.5 +" in worse.verdict.sentence
    assert "although" not in planted.arms["better"].verdict.sentence


def test_no_evidence_names_an_effect_that_lies_outside_its_interval(planted):
    noise = planted.arms["noise"]
    effect = float(noise.verdict.sentence.split("true difference of ")[1].split()[0])
    difference = noise.metrics["auc"].difference
    assert effect > (difference.high - difference.low) / 2


def test_a_shift_too_uncertain_for_the_margin_is_no_evidence_instead():
    arms = {"none": arm(2.0, balanced=False), "shift": arm(2.0, luck=1)}
    assert judge(arms, margin=0.1).arms["shift"].verdict.name == MOVES
    assert judge(arms, margin=0.001).arms["shift"].verdict.name == NO_EVIDENCE


def test_a_gain_that_prior_correction_leaves_in_place_moves_more_than_the_threshold():
    uncorrected = {
        s: Cell(c.probabilities_TK, {**c.offsets, "prior": plain(2)}) for s, c in arm(2.0, balanced=False).items()
    }
    found = judge({"none": uncorrected, "shift": arm(2.0)}).arms["shift"]
    assert found.metrics["balanced_accuracy@0.5"].difference.low > 0
    assert found.verdict.name == NO_EVIDENCE


GAIN, LOSS, WIDE, ZERO = (
    Estimate(mean, se, 30.0) for mean, se in ((0.1, 0.01), (-0.1, 0.01), (0.0, 0.01), (0.0, 1e-6))
)
SLIGHT = Estimate(0.003, 0.0005, 30.0)


@pytest.mark.parametrize(
    ("auc", "p_holm", "at_plain", "corrected", "verdict"),
    [
        (GAIN, 0.04, ZERO, ZERO, HELPS),
        (GAIN, 0.06, ZERO, ZERO, NO_EVIDENCE),
        (LOSS, 0.04, GAIN, ZERO, HURTS),
        (LOSS, 0.06, GAIN, ZERO, NO_EVIDENCE),
        (ZERO, 1.0, GAIN, ZERO, MOVES),
        (ZERO, 1.0, LOSS, ZERO, NO_EVIDENCE),
        (ZERO, 1.0, WIDE, ZERO, NO_EVIDENCE),
        (WIDE, 1.0, GAIN, ZERO, NO_EVIDENCE),
        (ZERO, 1.0, GAIN, WIDE, NO_EVIDENCE),
        (SLIGHT, 0.04, GAIN, ZERO, HELPS),
        (SLIGHT, 0.06, GAIN, ZERO, MOVES),
    ],
)
def test_each_condition_of_the_rule_is_needed(auc, p_holm, at_plain, corrected, verdict):
    assert verdict_name(auc, p_holm, at_plain, corrected, 0.005) == verdict


def test_a_shift_that_gains_nothing_at_one_half_is_no_evidence():
    assert judge({"none": arm(2.0), "same": arm(2.0)}).arms["same"].verdict.name == NO_EVIDENCE


def test_four_seeds_are_too_few_and_five_are_enough():
    for seeds, verdict in ((4, TOO_FEW), (5, HELPS)):
        found = judge({"none": arm(2.0, seeds=5), "better": arm(3.0, seeds=seeds, luck=1)}).arms["better"]
        assert (found.n_seeds, found.n_paired, found.verdict.name) == (seeds, seeds, verdict)
        assert (found.metrics["auc"].difference.p_holm is None) == (verdict == TOO_FEW)


def test_a_missing_seed_is_left_out_of_the_pairs_and_counted(planted):
    found = planted.arms["diverged"]
    assert (found.n_seeds, found.metrics["auc"].n) == (4, 4)
    assert found.verdict.sentence.startswith("4 of 5 seeds")
    whole = planted.arms["better"].metrics["auc"]
    assert found.metrics["auc"].mean != whole.mean


def test_one_seed_has_a_mean_and_no_interval_and_an_arm_without_seeds_says_so():
    found = judge({"none": arm(2.0, seeds=1), "better": arm(3.0, seeds=1, luck=1), "failed": {}})
    summary = found.arms["better"].metrics["auc"]
    assert (summary.n, summary.low, summary.high, summary.difference.p) == (1, None, None, None)
    assert summary.difference.mean > 0
    assert (found.arms["failed"].metrics, found.arms["failed"].verdict.name) == ({}, TOO_FEW)


def test_two_seeds_have_intervals_and_still_no_verdict():
    found = judge({"none": arm(2.0, seeds=2), "better": arm(3.0, seeds=2, luck=1)}).arms["better"]
    difference = found.metrics["auc"].difference
    assert difference.low < difference.mean < difference.high
    assert found.verdict.name == TOO_FEW


def test_beating_the_reference_is_a_flag_of_its_own(planted):
    beats = {name: found.beats_reference for name, found in planted.arms.items()}
    assert beats["better"] is True
    assert beats["worse"] is False
    assert beats["none"] is True  # class-weight carries more noise
    assert beats["class-weight"] is None
    assert beats["diverged"] is None
    assert judge({"none": arm(2.0), "better": arm(3.0, luck=1)}).arms["better"].beats_reference is None


def test_the_share_of_the_oracle_gap_is_the_ratio_of_the_gains(planted):
    auc = {name: found.metrics["auc"].mean for name, found in planted.arms.items()}
    share = planted.arms["better"].gap_recovered
    assert share.mean == pytest.approx((auc["better"] - auc["none"]) / (auc["oracle"] - auc["none"]))
    assert 0 < share.low < share.mean < share.high < 1
    assert planted.arms["worse"].gap_recovered.high < 0
    assert planted.arms["oracle"].gap_recovered is None


def test_the_share_is_left_out_when_the_oracle_gains_nothing_certain():
    arms = {"none": arm(2.0), "better": arm(3.0, luck=1), "oracle": arm(2.0, luck=4, own_noise=0.5)}
    assert judge(arms).arms["better"].gap_recovered is None
    del arms["oracle"]
    assert judge(arms).arms["better"].gap_recovered is None


def test_an_arm_with_the_baselines_own_scores_differs_by_nothing_at_p_one():
    same = arm(2.0, balanced=False)
    jittered = {s: Cell(np.asarray(c.probabilities_TK) * (1 + 1e-15), c.offsets) for s, c in same.items()}
    found = judge({"none": same, "same": jittered}).arms["same"]
    assert found.metrics["auc"].difference.p == pytest.approx(1.0, abs=1e-6)
    assert found.verdict.name == NO_EVIDENCE


def test_p_is_below_five_percent_exactly_when_the_interval_excludes_zero(planted):
    differences = [m.difference for a in planted.arms.values() for m in a.metrics.values() if m.difference]
    excluded = [d.low > 0 or d.high < 0 for d in differences]
    assert [d.p < 0.05 for d in differences] == excluded
    assert {True, False} == set(excluded)


def test_the_json_is_plain_and_the_same_for_the_same_seed():
    arms = {"none": arm(2.0, seeds=1), "better": arm(3.0, seeds=2, luck=1), "failed": {}}
    first, again, other = judge(arms, seed=3), judge(arms, seed=3), judge(arms, seed=4)
    text = json.dumps(first.to_json(), allow_nan=False)
    assert text == json.dumps(again.to_json(), allow_nan=False)
    assert first.arms["better"].metrics != other.arms["better"].metrics
    assert first.arms["none"].metrics["auc"].mean == other.arms["none"].metrics["auc"].mean
    assert json.loads(text)["arms"]["better"]["metrics"]["auc"]["difference"]["low"] is None
    assert json.loads(text)["rule"] == RULE


def test_another_arm_in_the_run_changes_no_interval_but_tightens_the_p(planted):
    alone = judge({"none": arm(2.0, balanced=False), "better": arm(3.0, luck=1)}).arms["better"]
    among = planted.arms["better"]
    assert alone.metrics["auc"].difference.low == among.metrics["auc"].difference.low
    assert alone.metrics["auc"].difference.p_holm < among.metrics["auc"].difference.p_holm


def test_many_classes_are_judged_by_the_same_rule():
    labels = np.arange(300) % 3
    rng = np.random.default_rng(5)

    def scores(signal: float) -> Cell:
        logit = signal * np.eye(3)[labels] + rng.normal(0, 1, (300, 3))
        probabilities = np.exp(logit) / np.exp(logit).sum(axis=1, keepdims=True)
        return Cell(probabilities, {"argmax": plain(3), "prior": plain(3)})

    arms = {"none": {s: scores(0.8) for s in range(5)}, "better": {s: scores(1.8) for s in range(5)}}
    found = analyse(labels, arms, plain_rule="argmax", deployment_prior_K=[0.6, 0.3, 0.1], replicates=100)
    assert found.arms["better"].verdict.name == HELPS


def test_cells_that_name_other_rules_are_refused():
    odd = {s: Cell(c.probabilities_TK, {"0.5": plain(2)}) for s, c in arm(2.0).items()}
    for arms in ({"none": arm(2.0), "odd": odd}, {"none": odd}):
        with pytest.raises(DataError, match="same decision rules"):
            judge(arms)


def test_holm_equals_a_hand_calculation():
    adjusted = holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005})
    assert adjusted == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02})
    assert holm({"a": 0.6, "b": 0.7}) == {"a": 1.0, "b": 1.0}
    assert holm({}) == {}


def test_the_closed_form_of_drawing_seeds_is_what_drawing_them_gives():
    rng = np.random.default_rng(0)
    point = rng.normal(0, 1, 6)
    drawn = rng.multinomial(6, np.full(6, 1 / 6), size=100_000) / 6 @ point
    closed = estimate(np.repeat(point[:, None], 3, axis=1)).se ** 2
    assert drawn.var() * 6 / 5 == pytest.approx(closed, rel=0.02)


def test_the_squared_standard_error_is_the_true_variance_and_counts_no_source_twice():
    rng = np.random.default_rng(3)
    seeds, between, images, interaction = 5, 1.0, 0.3, 0.7  # variances
    found = []
    for _ in range(2000):
        point = rng.normal(0, between**0.5, (seeds, 1)) + rng.normal(0, images**0.5)
        point = point + rng.normal(0, interaction**0.5, (seeds, 1))
        drawn = rng.normal(0, images**0.5, 200) + rng.normal(0, interaction**0.5, (seeds, 200))
        found.append(estimate(np.concatenate([point, point + drawn], axis=1)).se ** 2)
    assert np.mean(found) == pytest.approx((between + interaction) / seeds + images, rel=0.05)


def test_the_ratio_agrees_with_fieller_and_needs_a_whole_above_zero():
    rng = np.random.default_rng(1)
    part, whole = rng.normal(0.5, 0.1, 8), rng.normal(1.0, 0.1, 8)
    share = ratio(np.repeat(part[:, None], 3, axis=1), np.repeat(whole[:, None], 3, axis=1))
    # only seeds vary: Fieller's quadratic with the plain covariance and t on 7 degrees of freedom
    (vpp, vpw), (_, vww) = np.cov(part, whole) / 8
    q = student.ppf(0.975, 7) ** 2
    roots = np.roots(
        [whole.mean() ** 2 - q * vww, 2 * (q * vpw - part.mean() * whole.mean()), part.mean() ** 2 - q * vpp]
    )
    assert [share.low, share.high] == pytest.approx(sorted(roots), abs=1e-4)
    assert ratio(np.ones((8, 3)), np.repeat((whole - 1.0)[:, None], 3, axis=1)) is None


def test_the_detectable_effect_is_seen_four_times_in_five():
    rng = np.random.default_rng(2)
    seeds, images, spread = 10, 0.5, 1.0

    def run(effect: float):
        values = effect + rng.normal(0, images) + rng.normal(0, spread, seeds)
        return estimate(values[:, None] + np.r_[0.0, rng.normal(0, images, 200)])

    effect = np.mean([run(0.0).detectable(1) for _ in range(200)])
    assert np.mean([run(effect).low > 0 for _ in range(1500)]) == pytest.approx(0.8, abs=0.06)
    assert run(0.0).detectable(8) > 1.15 * effect * 0.8


# --- coverage -----------------------------------------------------------------------------------------------

SPREADS = {"seeds": (1.0, 2.0, 2.0), "images": (0.05, 14.0, 4.0), "both": (0.6, 7.0, 7.0)}
"""Which source of chance dominates: sd between seeds, between images, and of one seed on one image (200 images)."""


def crossed_values(rng: np.random.Generator, seeds: int, spread: tuple[float, float, float]) -> np.ndarray:
    """A linear metric of true value 0 over crossed seeds and images: (S, 1 + B)."""
    labels = np.arange(200) % 2
    contribution = rng.normal(0, spread[0], (seeds, 1)) + rng.normal(0, spread[1], 200)
    contribution = contribution + rng.normal(0, spread[2], (seeds, 200))
    weights = np.concatenate([np.ones((1, 200)), stratified_draws(labels, 150, rng)])
    return contribution @ weights.T / 200


def crossed(values: np.ndarray, rng: np.random.Generator) -> bool:
    found = estimate(values)
    return found.low <= 0 <= found.high


def seeds_only(values: np.ndarray, rng: np.random.Generator) -> bool:
    point = values[:, 0]
    return abs(point.mean()) <= student.ppf(0.975, len(point) - 1) * point.std(ddof=1) / len(point) ** 0.5


def images_only(values: np.ndarray, rng: np.random.Generator) -> bool:
    return abs(values[:, 0].mean()) <= 1.96 * values[:, 1:].mean(axis=0).std()


def nested(values: np.ndarray, rng: np.random.Generator) -> bool:
    seeds = rng.integers(0, len(values), (300, len(values)))
    drawn = values[seeds, rng.integers(1, values.shape[1], seeds.shape)].mean(axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return low <= 0 <= high


def coverage(interval: Callable[..., bool], seeds: int, source: str) -> float:
    rng = np.random.default_rng([seeds, len(source)])
    return float(np.mean([interval(crossed_values(rng, seeds, SPREADS[source]), rng) for _ in range(400)]))


@pytest.mark.parametrize("source", SPREADS)
@pytest.mark.parametrize("seeds", [5, 10])
def test_the_crossed_interval_covers_the_truth_whatever_dominates(seeds, source):
    assert 0.92 <= coverage(crossed, seeds, source) <= 0.98


@pytest.mark.parametrize("seeds", [5, 10])
def test_simpler_intervals_miss_the_truth_where_they_ignore_what_dominates(seeds):
    assert coverage(seeds_only, seeds, "images") < 0.6
    assert coverage(nested, seeds, "images") < 0.85
    assert coverage(images_only, seeds, "seeds") < 0.75


@pytest.mark.parametrize("seeds", [5, 10])
def test_the_crossed_interval_of_the_paired_auc_difference_covers_zero_for_equal_arms(seeds):
    rng = np.random.default_rng(seeds)
    labels = np.arange(100) % 2
    hits = []
    for _ in range(150):
        weights = np.concatenate([np.ones((1, 100), dtype=np.int16), stratified_draws(labels, 80, rng)])
        difficulty = rng.normal(0, 0.7, 100)
        auc = []
        for _arm in range(2):
            # what the arm makes of an image, what a seed makes of the task, and what is left
            taste, skill = rng.normal(0, 0.5, 100), rng.normal(1.5, 0.3, (seeds, 1))
            score = skill * labels + difficulty + taste + rng.normal(0, 0.5, (seeds, 100))
            positive = 1 / (1 + np.exp(-score))
            measured = [
                measure_weighted(labels, np.stack([1 - p, p], axis=1), {}, [0.5, 0.5], weights)["auc"] for p in positive
            ]
            auc.append(np.stack(measured))
        hits.append(crossed(auc[0] - auc[1], rng))
    assert 0.88 <= np.mean(hits) <= 0.99
