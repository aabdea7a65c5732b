"""Scaling scores back gives 0.5 one meaning at every strength of the penalty, and changes no order."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from ganbalance.training import calibration, head

RNG = np.random.default_rng(0)


def pair(margins: np.ndarray) -> np.ndarray:
    return np.stack([np.zeros_like(margins), margins], axis=1)


def test_shrunken_scores_are_scaled_back_to_the_probabilities_they_came_from() -> None:
    truth = RNG.normal(-1, 2, 40_000)
    labels = (RNG.random(40_000) < 1 / (1 + np.exp(-truth))).astype(np.int64)
    shrunk = pair(0.05 * truth + 0.3)
    found = calibration.fit(shrunk, labels, np.ones(40_000))
    assert found.scale == pytest.approx(20, rel=0.05)
    assert found(shrunk)[:, 1] == pytest.approx(1 / (1 + np.exp(-truth)), abs=0.02)


def test_many_classes_are_scaled_back_too() -> None:
    truth = RNG.normal(0, 2, (40_000, 3)) + np.array([0, 1, -1])
    chances = np.exp(truth) / np.exp(truth).sum(axis=1, keepdims=True)
    labels = (RNG.random((40_000, 1)) > chances.cumsum(axis=1)).sum(axis=1)
    shrunk = 0.1 * (truth - np.array([0, 1, -1]))
    assert calibration.fit(shrunk, labels, np.ones(40_000))(shrunk) == pytest.approx(chances, abs=0.03)


def test_the_order_of_two_classes_stays_and_so_does_auc() -> None:
    labels = RNG.integers(0, 2, 500)
    margins = RNG.normal(size=500) + labels
    found = calibration.fit(pair(margins), labels, np.ones(500))(pair(margins))
    assert np.array_equal(np.argsort(found[:, 1]), np.argsort(margins))
    assert roc_auc_score(labels, found[:, 1]) == roc_auc_score(labels, margins)


def test_the_mean_probability_is_the_share_of_the_class_in_the_weights() -> None:
    labels = (RNG.random(5000) < 0.1).astype(np.int64)
    margins = RNG.normal(size=5000) + 2 * labels
    weights = np.where(labels == 1, 9.0, 1.0)
    found = calibration.fit(pair(margins), labels, weights)(pair(margins))
    assert np.average(found[:, 1], weights=weights) == pytest.approx(np.average(labels, weights=weights), abs=2e-3)


def test_classes_told_apart_perfectly_keep_finite_probabilities() -> None:
    labels = np.repeat([0, 1], [95, 5])
    margins = np.where(labels == 1, 1.0, -1.0)
    found = calibration.fit(pair(margins), labels, np.ones(100))
    assert np.isfinite(found.scale)
    assert found(pair(margins))[labels == 1, 1] == pytest.approx(6 / 7, abs=0.01)  # Platt's (n + 1) / (n + 2)
    assert found(pair(margins))[labels == 0, 0] == pytest.approx(96 / 97, abs=0.01)


def test_half_means_the_same_at_every_strength_of_the_penalty() -> None:
    labels = (RNG.random(2000) < 0.2).astype(np.int64)
    features = (RNG.normal(size=(2000, 20)) + 0.7 * labels[:, None]).astype(np.float32)
    train = head.Examples(features[:1000], labels[:1000], np.ones(1000))

    def at_half(l2: float) -> float:
        solved = head.fit(
            train,
            features[1000:],
            labels[1000:],
            scaler=head.fit_scaler(train.features),
            grid=[l2],
            on_progress=lambda done, total: None,
        )
        return float(balanced_accuracy_score(labels[1000:], solved.predict(features[1000:]).argmax(axis=1)))

    assert at_half(30.0) == pytest.approx(at_half(0.01), abs=0.02)
    assert at_half(30.0) > 0.9  # without scaling back, every image would be of the larger class: 0.5
