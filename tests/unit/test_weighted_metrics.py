"""Vectorised metrics against scikit-learn on the resampled test set itself."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from ganbalance.errors import DataError
from ganbalance.metrics import weighted
from ganbalance.metrics.classification import measure
from ganbalance.metrics.decisions import decide
from ganbalance.metrics.weighted import measure_weighted, stratified_draws


def cell(k: int, tied: bool) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray], np.ndarray]:
    """Labels, probabilities, rules and a deployment prior of a mediocre classifier on 240 images."""
    rng = np.random.default_rng(k)
    labels = rng.permutation(np.arange(240) % k)
    logit = rng.normal(0, 1, (240, k)) + np.eye(k)[labels]
    probabilities = np.exp(logit) / np.exp(logit).sum(axis=1, keepdims=True)
    if tied:
        probabilities = np.round(probabilities, 1)
    rules = {"plain": np.zeros(k), "prior": np.linspace(0, 1.5, k), "never": np.r_[9.0, np.zeros(k - 1)]}
    return labels, probabilities, rules, np.arange(k, 0, -1) / np.arange(k + 1).sum()


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("k", [2, 4])
def test_every_metric_equals_scikit_learn_on_the_repeated_images(k, tied):
    labels, probabilities, rules, prior = cell(k, tied)
    # free draws: class sizes differ from draw to draw, and many images are missing
    weights = np.random.default_rng(9).multinomial(240, np.full(240, 1 / 240), size=8)
    found = measure_weighted(labels, probabilities, rules, prior, weights)
    for b, drawn in enumerate(weights):
        images = np.repeat(np.arange(240), drawn)
        wanted = measure(labels[images], probabilities[images], rules, prior)
        assert set(found) == set(wanted)
        for name, value in wanted.items():
            assert found[name][b] == pytest.approx(value, abs=1e-12), (name, b)


@pytest.mark.parametrize("tied", [False, True])
def test_the_pair_metrics_equal_scikit_learn_with_sample_weight(tied):
    labels, probabilities, rules, prior = cell(2, tied)
    weights = stratified_draws(labels, 5, np.random.default_rng(1))
    found = measure_weighted(labels, probabilities, rules, prior, weights)
    decided = decide(probabilities, rules["prior"])
    for b, drawn in enumerate(weights):
        score = probabilities[:, 1]
        assert found["auc"][b] == pytest.approx(roc_auc_score(labels, score, sample_weight=drawn), abs=1e-12)
        deployed = drawn * np.where(labels == 1, prior[1], prior[0])
        wanted = average_precision_score(labels, score, sample_weight=deployed)
        assert found["deployed_average_precision"][b] == pytest.approx(wanted, abs=1e-12)
        wanted = f1_score(labels, decided, sample_weight=deployed)
        assert found["deployed_f1@prior"][b] == pytest.approx(wanted, abs=1e-12)


def test_a_weight_of_one_each_is_the_test_set_itself_and_draws_differ_from_it():
    labels, probabilities, rules, prior = cell(2, tied=True)
    weights = np.concatenate([np.ones((1, 240), dtype=np.int16), stratified_draws(labels, 3, np.random.default_rng(2))])
    found = measure_weighted(labels, probabilities, rules, prior, weights)
    assert found["auc"][0] == pytest.approx(roc_auc_score(labels, probabilities[:, 1]), abs=1e-12)
    assert len(set(found["auc"])) == 4


def test_the_block_size_changes_no_number(monkeypatch):
    labels, probabilities, rules, prior = cell(4, tied=True)
    weights = stratified_draws(labels, 7, np.random.default_rng(3))
    whole = measure_weighted(labels, probabilities, rules, prior, weights)
    monkeypatch.setattr(weighted, "_BLOCK_VALUES", 240 * 2)
    blocks = measure_weighted(labels, probabilities, rules, prior, weights)
    for name in whole:
        np.testing.assert_allclose(blocks[name], whole[name], atol=1e-12)


def test_all_scores_tied_is_an_auc_of_one_half():
    labels = np.repeat([0, 1], 50)
    weights = stratified_draws(labels, 4, np.random.default_rng(4))
    found = measure_weighted(labels, np.full((100, 2), 0.5), {}, [0.5, 0.5], weights)
    assert found["auc"].tolist() == [0.5] * 4
    assert found["average_precision"].tolist() == [0.5] * 4


def test_draws_keep_every_class_at_its_size_and_follow_the_generator():
    labels = np.random.default_rng(5).permutation(np.repeat([0, 1, 2], [70, 20, 10]))
    drawn = stratified_draws(labels, 300, np.random.default_rng(6))
    for c, size in enumerate((70, 20, 10)):
        assert (drawn[:, labels == c].sum(axis=1) == size).all()
    assert drawn.mean(axis=0) == pytest.approx(1.0, abs=0.3)
    assert drawn[:, labels == 0].var() == pytest.approx(1 - 1 / 70, abs=0.03)
    assert (drawn == stratified_draws(labels, 300, np.random.default_rng(6))).all()
    assert (drawn != stratified_draws(labels, 300, np.random.default_rng(7))).any()


def test_a_draw_without_a_class_is_refused():
    labels = np.repeat([0, 1], 5)
    weights = np.where(labels == 0, 1, 0)[None, :]
    with pytest.raises(DataError, match="lacks a class"):
        measure_weighted(labels, np.full((10, 2), 0.5), {}, [0.5, 0.5], weights)
