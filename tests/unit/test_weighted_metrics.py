"""Vectorised metrics against scikit-learn on the resampled test set itself."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from ganbalance.errors import DataError
from ganbalance.metrics import classification
from ganbalance.metrics.calibration import Rule
from ganbalance.metrics.classification import Settled, held_out_macro, held_out_ranking, measure, ranking
from ganbalance.metrics.weighted import Order, grouped_draws, independent_counts, stratified_draws
from tests.unit.planted import scores, settings, with_pairs
from tests.unit.reference_metrics import reference


def cell(k: int, *, tied: bool):
    """A mediocre classifier of 240 images at two strengths, the second a little better, and what was settled on."""
    rng = np.random.default_rng(k)
    labels = rng.permutation(np.arange(240) % k)
    logits = rng.normal(0, 1, (2, 240, k)) + np.eye(k)[labels] * np.array([0.8, 1.0])[:, None, None]
    if tied:
        logits[:, 120:] = logits[:, :120]  # pairs of images that no classifier tells apart
    made = scores(logits, labels, logits, labels, scale=np.array([0.7, 1.3]), offsets=rng.normal(0, 0.4, (2, k)))
    return with_pairs(made, (0, k - 1)) if k > 2 else made, Settled(1, 0, Rule(1.7, np.linspace(0, 0.8, k)))


def asked(k: int):
    return settings(k, rare=(1,) if k == 2 else (0, k - 1), precision_levels=(0.4, 0.6), recall_levels=(0.5, 0.9))


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("k", [2, 4])
def test_every_metric_equals_scikit_learn_on_the_repeated_images(k, tied):
    made, settled = cell(k, tied=tied)
    # free draws: class sizes differ from draw to draw, and many images are missing
    weights = np.random.default_rng(9).multinomial(240, np.full(240, 1 / 240), size=8)
    found = measure(made, settled, asked(k), weights)
    for b, drawn in enumerate(weights):
        wanted = reference(made, settled, asked(k), np.repeat(np.arange(240), drawn))
        assert set(found) == set(wanted)
        for name, value in wanted.items():
            assert found[name][b] == pytest.approx(value, abs=1e-9), (name, b)


@pytest.mark.parametrize("k", [2, 4])
def test_a_weight_of_one_each_is_the_test_set_itself_and_draws_differ_from_it(k):
    made, settled = cell(k, tied=True)
    weights = np.concatenate(
        [np.ones((1, 240), np.int16), stratified_draws(made.test_labels, 3, np.random.default_rng(2))]
    )
    drawn, alone = measure(made, settled, asked(k), weights), measure(made, settled, asked(k))
    for name, value in alone.items():
        assert drawn[name][0] == pytest.approx(value[0], abs=1e-12), name
    assert len(set(drawn["auc"])) == 4


def test_the_block_size_changes_no_number(monkeypatch):
    made, settled = cell(4, tied=True)
    weights = stratified_draws(made.test_labels, 7, np.random.default_rng(3))
    whole = measure(made, settled, asked(4), weights)
    monkeypatch.setattr(classification, "_BLOCK_VALUES", 240 * 2)
    blocks = measure(made, settled, asked(4), weights)
    for name in whole:
        np.testing.assert_allclose(blocks[name], whole[name], atol=1e-12)


@pytest.mark.parametrize("k", [2, 4])
def test_the_primary_metric_alone_is_the_one_among_all(k):
    made, settled = cell(k, tied=False)
    weights = stratified_draws(made.test_labels, 4, np.random.default_rng(1))
    alone = ranking(made, settled.strength if k == 2 else settled.pair_strength, asked(k), weights)
    assert alone == pytest.approx(measure(made, settled, asked(k), weights)[classification.primary(k)], abs=1e-12)


@pytest.mark.parametrize("k", [2, 4])
def test_held_out_images_are_ranked_as_test_images_are(k):
    # the cell holds the same images on both sides
    made, _ = cell(k, tied=False)
    weights = stratified_draws(made.test_labels, 3, np.random.default_rng(1))
    wanted = [ranking(made, strength, asked(k), weights) for strength in (0, 1)]
    assert held_out_ranking(made, asked(k), weights) == pytest.approx(np.stack(wanted, axis=1), abs=1e-12)


def test_the_macro_metric_of_held_out_images_is_one_against_the_rest_under_equal_shares():
    made, _ = cell(4, tied=False)
    prior = np.array([0.4, 0.3, 0.2, 0.1])
    made = replace(made, prior=prior)
    found = held_out_macro(made, np.ones((1, 240), np.int16))
    for strength in (0, 1):
        share = np.exp(made.as_trained(strength).log_probabilities(made.held_out[strength])) / prior
        equal = share / share.sum(axis=1, keepdims=True)
        wanted = roc_auc_score(made.held_out_labels, equal, multi_class="ovr", average="macro")
        assert found[0, strength] == pytest.approx(wanted, abs=1e-12)


def test_all_scores_tied_is_an_auc_of_one_half():
    labels = np.repeat([0, 1], 50)
    weights = stratified_draws(labels, 4, np.random.default_rng(4))
    found = measure(scores(np.zeros((100, 2)), labels), Settled(0, 0, None), settings(), weights)
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


GROUPS = {
    "pure": ([0] * 12 + [1] * 9, [0, 0, 0, 1, 1, 2, 2, 2, 2, 3, 3, 4, 5, 5, 6, 7, 7, 7, 8, 8, 8]),
    "of both": ([0, 1] * 10, np.arange(20) // 4),
    "some of both": ([0] * 8 + [1, 0] * 6, np.r_[0, 0, 1, 1, 2, 2, 3, 3, np.arange(12) // 3 + 4]),
    "a class in two groups": ([0, 1, 2] + [0] * 6 + [1] * 6 + [2], np.r_[0, 0, 0, np.arange(12) // 2 + 1, 9]),
}


@pytest.mark.parametrize("case", GROUPS)
def test_groups_are_drawn_whole_and_no_draw_lacks_a_class(case: str):
    labels, groups = map(np.array, GROUPS[case])
    drawn = grouped_draws(labels, groups, 400, np.random.default_rng(1))
    for group in np.unique(groups):
        assert (np.ptp(drawn[:, groups == group], axis=1) == 0).all()
    once = drawn[:, np.unique(groups, return_index=True)[1]]
    assert (once.sum(axis=1) == len(np.unique(groups))).all()
    assert once.mean(axis=0) == pytest.approx(1.0, abs=0.35)
    assert all((drawn[:, labels == c].sum(axis=1) > 0).all() for c in np.unique(labels))
    assert (drawn == grouped_draws(labels, groups, 400, np.random.default_rng(1))).all()


def test_a_class_that_rarer_ones_share_all_groups_of_is_in_every_draw():
    holds = {0: (0, 1, 2, 3), 1: (0, 1, 4), 2: (2, 3, 5)}  # one draw in 729 would have none of the first
    labels, groups = np.transpose([(c, group) for c, of_class in holds.items() for group in of_class])
    drawn = grouped_draws(labels, groups, 20_000, np.random.default_rng(1))
    assert all((drawn[:, labels == c].sum(axis=1) > 0).all() for c in holds)


def test_groups_of_one_class_are_drawn_among_those_of_that_class():
    labels, groups = map(np.array, GROUPS["pure"])
    drawn = grouped_draws(labels, groups, 100, np.random.default_rng(1))[:, np.unique(groups, return_index=True)[1]]
    assert (drawn[:, :5].sum(axis=1) == 5).all()  # groups 0 to 4 are of class 0, 5 to 8 of class 1
    assert (drawn[:, 5:].sum(axis=1) == 4).all()


def test_a_group_of_several_classes_is_drawn_among_those_of_its_class_with_the_fewest_groups():
    labels, groups = map(np.array, GROUPS["some of both"])
    drawn = grouped_draws(labels, groups, 100, np.random.default_rng(1))[:, np.unique(groups, return_index=True)[1]]
    assert (drawn[:, :4].sum(axis=1) == 4).all()


@pytest.mark.parametrize("groups", [None, np.arange(100)])
def test_images_that_stand_for_themselves_are_drawn_as_ever(groups: np.ndarray | None):
    labels = np.random.default_rng(5).permutation(np.repeat([0, 1, 2], [70, 20, 10]))
    drawn = grouped_draws(labels, groups, 30, np.random.default_rng(6))
    assert (drawn == stratified_draws(labels, 30, np.random.default_rng(6))).all()


def test_what_is_independent_is_counted_by_class():
    labels, groups = map(np.array, GROUPS["some of both"])
    assert independent_counts(labels, None, 3).tolist() == [14, 6, 0]
    assert independent_counts(labels, groups, 3).tolist() == [8, 4, 0]


def test_a_draw_without_a_class_is_refused():
    labels = np.repeat([0, 1], 5)
    weights = np.where(labels == 0, 1, 0)[None, :]
    with pytest.raises(DataError, match="lacks a class"):
        measure(scores(np.zeros((10, 2)), labels), Settled(0, 0, None), settings(), weights)


@pytest.mark.parametrize("decimals", [1, 12])
def test_auc_does_not_depend_on_what_a_class_weighs(decimals: int) -> None:
    rng = np.random.default_rng(5)
    truth = rng.random(60) < 0.4
    scores = np.round(rng.normal(truth, 1.0), decimals)  # with ties, and without
    curve = Order.of(truth, scores).curve(rng.integers(0, 3, (60, 4)).astype(float))
    weighed = curve.weighted(np.array([0.1, 1.0, 3.0, 50.0]), np.array([9.0, 1.0, 0.2, 0.01]))
    assert weighed.auc() == pytest.approx(curve.auc(), rel=1e-12)
    assert weighed.average_precision() != pytest.approx(curve.average_precision(), rel=1e-3)
