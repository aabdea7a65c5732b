"""What moves only the threshold differs from the baseline by nothing in ranking."""

from dataclasses import replace

import numpy as np
import pytest

from ganbalance.metrics import verdicts
from ganbalance.metrics.calibration import Rule
from ganbalance.metrics.results import Analysis
from ganbalance.metrics.scores import Scores
from tests.unit import planted_run
from tests.unit.planted import scores, settings, with_pairs
from tests.unit.planted_run import NONE, arm, judge, names


@pytest.fixture(scope="module")
def planted() -> Analysis:
    return planted_run.known()


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
    assert names(found)["scaled"] in (verdicts.NO_DIFFERENCE, verdicts.MOVES)
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
