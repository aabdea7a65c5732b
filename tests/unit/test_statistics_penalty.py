"""The strength of the penalty is chosen from the seeds, and the choice is part of what is uncertain."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from ganbalance.metrics import verdicts
from ganbalance.metrics.classification import Settled, measure
from ganbalance.metrics.crossed import Sample, estimate
from ganbalance.metrics.results import Analysis
from ganbalance.metrics.scores import Scores
from ganbalance.metrics.tuning import Tuning
from ganbalance.metrics.weighted import stratified_draws
from ganbalance.seeding import numpy_rng
from tests.unit import planted_run
from tests.unit.planted import of_margin, scores, settings, with_pairs
from tests.unit.planted_run import HELD_OUT, LABELS, T, V, arm, cell, judge, margins, without


@pytest.fixture(scope="module")
def planted() -> Analysis:
    return planted_run.known()


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


def test_the_choice_of_each_seed_is_compared_over_the_seeds_that_the_arm_has():
    validation = np.arange(V) < 60
    base = stacked(arm(1.5), arm(2.0), validation=validation)
    other = without(stacked(arm(2.5, luck=1), arm(1.4, luck=1), validation=validation), 2)
    lacking = judge({"none": base, "gan": other}).arms["gan"].sensitivity
    both = judge({"none": without(base, 2), "gan": other}).arms["gan"].sensitivity
    assert lacking.per_seed_difference == both.per_seed_difference


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
    assert found.finding.name == verdicts.NO_EVIDENCE


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
