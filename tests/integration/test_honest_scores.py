"""What thresholds, adjusted losses and heads of pairs make of the same images, up to the last bit."""

import csv

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from ganbalance.metrics.scores import Scores
from tests.integration.watched import (
    ADDED,
    GRID,
    SEEDS,
    Watched,
)


def assert_only_the_threshold_moved(none: Scores, threshold: Scores) -> None:
    for name in ("strengths", "test", "test_labels", "held_out", "held_out_labels", "validation", "scale"):
        assert np.array_equal(getattr(none, name), getattr(threshold, name)), name
    assert none.pairs.keys() == threshold.pairs.keys()
    for pair in none.pairs:
        assert np.array_equal(none.pairs[pair].test, threshold.pairs[pair].test)
        assert np.array_equal(none.pairs[pair].held_out, threshold.pairs[pair].held_out)
    shift = threshold.offsets - none.offsets + np.log(none.prior)
    assert shift == pytest.approx(np.broadcast_to(shift[:, :1], shift.shape), abs=1e-12)
    assert np.abs(threshold.offsets - none.offsets).max() > 0.1


@pytest.mark.parametrize("seed", SEEDS)
def test_threshold_has_the_logits_of_none_to_the_last_bit_and_a_shifted_rule(watched: Watched, seed: int) -> None:
    assert_only_the_threshold_moved(watched.scores("none", seed), watched.scores("threshold", seed))


def test_so_it_has_at_three_classes(watched_three: Watched) -> None:
    assert_only_the_threshold_moved(watched_three.scores("none", 0), watched_three.scores("threshold", 0))
    assert len(watched_three.scores("threshold", 0).pairs) == 2


def ruled(scores: Scores) -> np.ndarray:
    """Log probabilities of the test images under the rule as trained, float64 (G, n, K)."""
    return np.stack([scores.as_trained(g).log_probabilities(logits) for g, logits in enumerate(scores.test)])


def assert_one_decides_as_the_other(one: Scores, other: Scores) -> None:
    assert one.prior == pytest.approx(other.prior, abs=1e-12)
    assert ruled(one) == pytest.approx(ruled(other), abs=1e-2)
    assert one.pairs.keys() == other.pairs.keys()
    for pair, found in one.pairs.items():  # a constant apart, which no ranking sees
        shift = found.test - other.pairs[pair].test
        assert shift == pytest.approx(np.broadcast_to(shift[:, :1], shift.shape), abs=1e-2)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_head_that_learned_with_adjusted_logits_decides_as_threshold_does(watched: Watched, seed: int) -> None:
    none, threshold = watched.scores("none", seed), watched.scores("threshold", seed)
    adjusted = watched.scores("logit-adjustment", seed)
    assert_one_decides_as_the_other(adjusted, threshold)
    margins = adjusted.test - none.test
    assert margins[..., 1] - margins[..., 0] == pytest.approx(np.log(72 / 24), abs=1e-2)
    assert np.abs(ruled(adjusted) - ruled(none)).max() > 0.1


def test_so_it_does_at_three_classes(watched_three: Watched) -> None:
    adjusted, threshold = (watched_three.scores(arm, 0) for arm in ("logit-adjustment", "threshold"))
    assert_one_decides_as_the_other(adjusted, threshold)
    assert len(adjusted.pairs) == 2


@pytest.mark.parametrize("arm", ["none", "class-weight", "logit-adjustment", "focal", "dcgan", "oracle-matched"])
def test_every_pair_with_the_rare_class_has_a_head_of_its_images_alone(watched_three: Watched, arm: str) -> None:
    whole, *of_pairs = watched_three.heads[f"train-classifier/{arm}/seed-0"]
    scores, rows, held_out = watched_three.scores(arm, 0), watched_three.rows(0), watched_three.held_out(0)
    pairs = [(0, 1), (1, 2)]
    assert list(scores.pairs) == pairs
    for pair, fitted in zip(pairs, of_pairs, strict=True):
        of_it = np.isin(whole.train.labels, pair)
        assert np.array_equal(fitted.train.inputs, whole.train.inputs[of_it])
        assert np.array_equal(fitted.train.labels, (whole.train.labels[of_it] == pair[1]).astype(int))
        assert np.array_equal(fitted.train.weights, whole.train.weights[of_it])
        assert fitted.scaler is whole.scaler
        assert tuple(fitted.grid) == GRID
        for part, among in (("test", rows["test"]), ("held_out", held_out)):
            wanted = among[np.isin(watched_three.labels[among], pair)]
            logits = fitted.logits(watched_three.real[wanted])
            assert len(wanted)
            assert getattr(scores.pairs[pair], part) == pytest.approx(logits[..., 1] - logits[..., 0], abs=1e-9)


def test_the_log_odds_of_a_pair_rise_with_its_higher_class(watched_three: Watched) -> None:
    scores = watched_three.scores("none", 0)
    for (low, high), pair in scores.pairs.items():
        labels = scores.test_labels[np.isin(scores.test_labels, (low, high))]
        assert roc_auc_score(labels == high, pair.test[-1]) > 0.6


def test_synthetic_images_reach_the_heads_of_their_class(watched_three: Watched) -> None:
    none, dcgan = (watched_three.heads[f"train-classifier/{arm}/seed-0"] for arm in ("none", "dcgan"))
    assert [len(b.train.labels) - len(a.train.labels) for a, b in zip(none, dcgan, strict=True)] == [ADDED] * 3


def test_every_head_and_strength_is_in_the_table_of_the_solver(watched_three: Watched) -> None:
    table = watched_three.path("train-classifier/none/seed-0", "solver.csv")
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert [(row["pair"], float(row["l2"])) for row in rows] == [
        (pair, l2) for pair in ("", "0-1", "1-2") for l2 in GRID
    ]
    assert {row["converged"] for row in rows} == {"True"}
