"""Decision rules against hand calculations and exhaustive search."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from ganbalance.errors import DataError
from ganbalance.metrics import decisions


def pair(rng: np.random.Generator, counts: tuple[int, int], shift: float) -> tuple[np.ndarray, np.ndarray]:
    """Labels and probabilities of a pair task whose logits are shifted; one decimal, so that scores tie."""
    labels = np.repeat([0, 1], counts)
    logit = np.round(rng.normal(2 * labels - 1, 1.5), 1) + shift
    positive = 1 / (1 + np.exp(-logit))
    return labels, np.stack([1 - positive, positive], axis=1)


def test_the_plain_rule_is_one_half_in_a_pair_and_argmax_beyond():
    assert decisions.decide([[0.51, 0.49], [0.49, 0.51]], decisions.plain(2)).tolist() == [0, 1]
    assert decisions.decide([[0.2, 0.3, 0.5], [0.4, 0.35, 0.25]], decisions.plain(3)).tolist() == [2, 0]
    assert (decisions.plain_name(2), decisions.plain_name(3)) == ("0.5", "argmax")


def test_a_tie_goes_to_the_first_class_and_zero_probabilities_are_no_accident():
    with np.errstate(all="raise"):
        decided = decisions.decide(np.array([[0.5, 0.5], [0.0, 1.0], [1.0, 0.0], [0.0, 0.0]]), [0.0, 3.0])
        tied = decisions.decide([[0.5, 0.5]], decisions.plain(2))
    assert decided.tolist() == [1, 1, 0, 1]
    assert tied.tolist() == [0]
    assert decided.dtype == np.int64


def test_prior_correction_moves_the_threshold_of_a_pair_to_the_rare_prior():
    offsets = decisions.prior_corrected([0.9, 0.1])
    assert decisions.decide([[0.89, 0.11], [0.91, 0.09]], offsets).tolist() == [1, 0]


def test_prior_shifted_is_bayes_rule_worked_by_hand():
    shifted = decisions.prior_shifted([[0.8, 0.2]], [0.9, 0.1])
    np.testing.assert_allclose(shifted, [[(0.8 / 0.9) / (0.8 / 0.9 + 2.0), 2.0 / (0.8 / 0.9 + 2.0)]])
    targeted = decisions.prior_shifted([[0.5, 0.3, 0.2]], [0.5, 0.25, 0.25], [0.2, 0.2, 0.6])
    np.testing.assert_allclose(targeted, np.array([[0.2, 0.24, 0.48]]) / 0.92)


def test_shifting_there_and_back_changes_nothing():
    _, probabilities = pair(np.random.default_rng(0), (50, 50), -2.0)
    there = decisions.prior_shifted(probabilities, [0.9, 0.1])
    np.testing.assert_allclose(decisions.prior_shifted(there, [0.5, 0.5], [0.9, 0.1]), probabilities, rtol=1e-9)


def test_shifted_probabilities_decide_as_the_prior_corrected_rule_and_keep_the_auc():
    labels, probabilities = pair(np.random.default_rng(1), (300, 300), -2.0)
    shifted = decisions.prior_shifted(probabilities, [0.9, 0.1])
    corrected = decisions.decide(probabilities, decisions.prior_corrected([0.9, 0.1]))
    assert (decisions.decide(shifted, decisions.plain(2)) == corrected).all()
    assert (corrected != decisions.decide(probabilities, decisions.plain(2))).any()
    assert roc_auc_score(labels, shifted[:, 1]) == pytest.approx(roc_auc_score(labels, probabilities[:, 1]), abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_the_tuned_threshold_is_as_good_as_any_threshold(seed):
    labels, probabilities = pair(np.random.default_rng(seed), (200, 30), -2.5)
    offsets = decisions.tuned(probabilities, labels, [0.87, 0.13])
    reached = balanced_accuracy_score(labels, decisions.decide(probabilities, offsets))
    positive = probabilities[:, 1] > np.linspace(0, 1, 5001)[:, None]
    every = (positive[:, labels == 1].mean(axis=1) + 1 - positive[:, labels == 0].mean(axis=1)) / 2
    assert reached >= max(every) - 1e-12
    assert reached > balanced_accuracy_score(labels, decisions.decide(probabilities, decisions.plain(2)))


@pytest.mark.parametrize(("prior", "expected"), [([0.5, 0.5], 0.0), ([0.999, 0.001], -3.0), ([0.001, 0.999], 3.0)])
def test_among_equally_good_thresholds_the_one_nearest_to_prior_correction_wins(prior, expected):
    logit = np.repeat([-4.0, -2.0, 2.0, 4.0], [20, 20, 20, 20])
    labels = np.repeat([0, 1, 0, 1], [20, 20, 20, 20])  # cuts at -3 and 3 reach .75, the cut at 0 only .5
    if expected == 0.0:
        labels = np.repeat([0, 0, 1, 1], [20, 20, 20, 20])
    positive = 1 / (1 + np.exp(-logit))
    offsets = decisions.tuned(np.stack([1 - positive, positive], axis=1), labels, prior)
    assert offsets[0] - offsets[1] == pytest.approx(expected, abs=1e-9)


def test_with_nineteen_rare_validation_images_the_rule_is_prior_corrected_and_with_twenty_it_is_tuned():
    rng = np.random.default_rng(3)
    for rare, tunable in ((19, False), (20, True)):
        labels, probabilities = pair(rng, (400, rare), 1.0)
        offsets = decisions.tuned(probabilities, labels, [0.95, 0.05])
        assert decisions.can_tune(labels) is tunable
        assert (offsets.tolist() == decisions.prior_corrected([0.95, 0.05]).tolist()) is not tunable


def test_a_class_without_validation_images_cannot_be_tuned():
    assert not decisions.can_tune(np.zeros(100, dtype=int))
    assert not decisions.can_tune(np.repeat([0, 1], 50), k=3)
    assert decisions.can_tune(np.repeat([0, 1, 2], 20), k=3)


def test_many_classes_tune_one_exponent_and_fall_back_to_prior_correction_on_ties():
    prior = np.array([0.7, 0.2, 0.1])
    labels = np.repeat([0, 1, 2], 40)
    rng = np.random.default_rng(4)
    evidence = rng.normal(0, 1, (120, 3)) + 1.5 * np.eye(3)[labels]
    for planted in (0.0, 1.6):
        logit = evidence + planted * np.log(prior)
        probabilities = np.exp(logit) / np.exp(logit).sum(axis=1, keepdims=True)
        tau = (decisions.tuned(probabilities, labels, prior) / -np.log(prior))[0]
        assert tau == pytest.approx(planted, abs=0.45)
    certain = np.eye(3)[labels]
    np.testing.assert_array_equal(decisions.tuned(certain, labels, prior), -np.log(prior))


def test_a_prior_without_a_class_is_refused():
    with pytest.raises(DataError, match="positive share"):
        decisions.prior_corrected([1.0, 0.0])
    with pytest.raises(DataError, match="positive share"):
        decisions.prior_shifted([[0.5, 0.5]], [0.5, 0.6])
