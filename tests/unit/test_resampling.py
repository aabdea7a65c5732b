"""Each method against what its source says: weights, repeats, what is left out, and vectors that are drawn."""

import numpy as np
import pytest

from ganbalance import arms
from ganbalance.arms import Examples
from ganbalance.errors import DataError
from tests.unit.resampled import RARE, examples, resampled


def test_none_leaves_everything_as_it_is() -> None:
    given = examples(30, 6)
    found = resampled("none", given)
    assert np.array_equal(found.inputs, given.inputs)
    assert np.array_equal(found.labels, given.labels)
    assert (found.weights == 1).all()


def test_class_weights_make_the_classes_weigh_the_same() -> None:
    given = examples(75, 15, 30)
    found = resampled("class-weight", given)
    assert np.bincount(found.labels, found.weights).tolist() == pytest.approx([40.0, 40.0, 40.0])
    assert np.array_equal(found.inputs, given.inputs)
    for label, size in enumerate((75, 15, 30)):  # n / (K n_k), by hand
        assert found.weights[given.labels == label] == pytest.approx(120 / (3 * size))


def test_oversampling_repeats_rare_examples_until_the_classes_are_equal() -> None:
    given = examples(75, 15, 30)
    found = resampled("oversample", given)
    assert np.bincount(found.labels).tolist() == [75, 75, 75]
    assert set(found.weights) == {1.0}
    assert np.array_equal(found.inputs[:120], given.inputs)  # those that were given come first
    common = found.inputs[found.labels == 0]
    assert len({row.tobytes() for row in common}) == 75  # of which none is repeated


def test_oversampling_repeats_other_examples_for_every_random_state() -> None:
    drawn = {resampled("oversample", examples(75, 15), state).inputs.tobytes() for state in range(80)}
    assert len(drawn) == 80


def test_undersampling_leaves_larger_classes_out_until_they_are_as_small_as_the_smallest() -> None:
    given = examples(75, 15, 30)
    found = resampled("undersample", given)
    assert np.bincount(found.labels).tolist() == [15, 15, 15]
    assert set(found.weights) == {1.0}
    label_of = {row.tobytes(): label for row, label in zip(given.inputs, given.labels, strict=True)}
    assert [label_of[row.tobytes()] for row in found.inputs] == found.labels.tolist()
    assert len({row.tobytes() for row in found.inputs}) == 45  # none is there twice
    assert {row.tobytes() for row in given.inputs[given.labels == RARE]} <= {row.tobytes() for row in found.inputs}


def test_undersampling_leaves_other_examples_out_for_every_random_state_and_each_as_often() -> None:
    given = examples(30, 10)
    drawn = [resampled("undersample", given, state).inputs for state in range(300)]
    assert len({inputs.tobytes() for inputs in drawn}) == 300
    counts = {row.tobytes(): 0 for row in given.inputs}
    for row in np.concatenate(drawn):
        counts[row.tobytes()] += 1
    common = np.array([counts[row.tobytes()] for row in given.inputs[given.labels == 0]])
    assert common == pytest.approx(100, abs=40)  # five standard errors


def ledoit_wolf(vectors: np.ndarray) -> np.ndarray:
    """The shrunk covariance, by the paper's formulas: m, d^2, b^2 and eq. 14."""
    n, d = vectors.shape
    centred = vectors - vectors.mean(axis=0)
    seen = centred.T @ centred / n
    m = np.trace(seen) / d
    d2 = ((seen - m * np.eye(d)) ** 2).sum() / d
    b2 = min(sum(((np.outer(x, x) - seen) ** 2).sum() / d for x in centred) / n**2, d2)
    return np.asarray(b2 / d2 * m * np.eye(d) + (1 - b2 / d2) * seen)


def test_gaussian_draws_from_a_classs_mean_and_shrunk_covariance() -> None:
    rng = np.random.default_rng(0)
    mixing = np.array([[2.0, 0, 0], [1.5, 0.5, 0], [0, 0, 0.1]])
    rare = (rng.normal(size=(9, 3)) @ mixing.T + [5, -3, 1]).astype(np.float32)
    common = rng.normal(size=(40_000, 3), scale=[1, 2, 0.5]).astype(np.float32)
    labels = np.repeat([0, RARE], [40_000, 9])
    given = Examples(np.concatenate([common, rare]), labels, np.ones(40_009))
    made = resampled("gaussian", given).inputs[40_009:].astype(np.float64)
    assert len(made) == 40_000 - 9
    assert made.mean(axis=0) == pytest.approx(rare.mean(axis=0), abs=0.05)
    unit = given.inputs.astype(np.float64).std(axis=0)
    expected = ledoit_wolf(rare / unit) * np.outer(unit, unit)
    found = np.cov(made.T)
    assert np.abs(found - expected).max() < 0.1
    for other in (np.cov(rare.T, bias=True), ledoit_wolf(rare.astype(np.float64))):  # not shrunk, or not in these units
        assert np.abs(other - expected).max() > 0.2
    assert np.abs((made - made.mean(axis=0)) ** 4).mean(axis=0) / found.diagonal() ** 2 == pytest.approx(3, abs=0.15)


def test_gaussian_draws_the_same_in_any_units_and_leaves_what_never_varies() -> None:
    given = examples(40, 12)
    units = np.array([1000, 1, 0.001, 0])
    other = Examples(given.inputs * units, given.labels, given.weights)
    made, of_units = (resampled("gaussian", one).inputs[52:] for one in (given, other))
    three = Examples(given.inputs[:, :3].astype(np.float64), given.labels, given.weights)
    assert of_units[:, 3].tolist() == [0] * 28
    assert of_units[:, :2].std(axis=0) / made[:, :2].std(axis=0) == pytest.approx([1000, 1], rel=0.5)
    scaled = Examples(three.inputs * units[:3], given.labels, given.weights)
    assert resampled("gaussian", scaled).inputs == pytest.approx(resampled("gaussian", three).inputs * units[:3])


def test_gaussian_balances_every_class_in_more_dimensions_than_it_has_examples() -> None:
    given = examples(30, 8, 14, d=50)
    found = resampled("gaussian", given)
    assert np.bincount(found.labels).tolist() == [30, 30, 30]
    assert np.array_equal(found.inputs[:52], given.inputs)
    assert np.linalg.matrix_rank(found.inputs[52:][found.labels[52:] == RARE]) == 22  # not in the span of eight
    assert len({resampled("gaussian", given, state).inputs.tobytes() for state in range(20)}) == 20


def test_gaussian_of_equal_examples_repeats_them_and_of_one_is_refused_in_one_line() -> None:
    labels = np.repeat([0, RARE], [6, 3])
    same = Examples(np.concatenate([examples(6).inputs, np.ones((3, 4), np.float32)]), labels, np.ones(9))
    assert (resampled("gaussian", same).inputs[9:] == 1).all()
    with pytest.raises(
        DataError, match=r"^gaussian fits the spread of a class, and one class has 1 image to train on$"
    ):
        resampled("gaussian", examples(20, 1))


def test_mixed_vectors_and_their_labels_are_mixed_by_one_share() -> None:
    given = examples(40, 12)
    found = resampled("mixup", given)
    mixed, labels, weights = found.inputs[52:].astype(np.float64), found.labels[52:], found.weights[52:]
    pairs = len(mixed) // 2
    assert pairs == 28
    assert np.array_equal(found.inputs[:52], given.inputs)
    assert np.array_equal(mixed[:pairs], mixed[pairs:])  # one vector with both labels
    assert weights[:pairs] + weights[pairs:] == pytest.approx(1)
    assert (labels[:pairs] == RARE).all()
    rare = given.inputs[given.labels == RARE].astype(np.float64)
    for vector, label, share in zip(mixed[:pairs], labels[pairs:], weights[:pairs], strict=True):
        others = given.inputs[given.labels == label].astype(np.float64)
        mixtures = share * rare[:, None] + (1 - share) * others[None]  # of all there could be, by brute force
        assert np.abs(mixtures - vector).max(axis=2).min() < 1e-5
    assert set(labels[pairs:]) == {0, 1}  # any other: rare ones too


def test_two_weighted_labels_have_the_loss_of_the_mixed_label() -> None:
    given = examples(40, 12, 20)
    found = resampled("mixup", given)
    logits = np.random.default_rng(1).normal(size=(4, 3))
    scores = found.inputs.astype(np.float64) @ logits
    loss, _ = arms.objective("cross-entropy").loss(scores, found.labels)
    pairs = (len(found.labels) - 72) // 2
    assert pairs == 28 + 20
    one_hot, share = np.eye(3)[found.labels[72:]], found.weights[72:, None]
    soft = share[:pairs] * one_hot[:pairs] + share[pairs:] * one_hot[pairs:]
    log_p = scores[72 : 72 + pairs] - np.log(np.exp(scores[72 : 72 + pairs]).sum(axis=1, keepdims=True))
    assert (found.weights * loss)[72:].sum() == pytest.approx(-(soft * log_p).sum())


@pytest.mark.parametrize("alpha", [0.05, 0.4, 1.0, 5.0])
def test_shares_are_of_the_beta_distribution_and_none_of_weight_0_is_left(alpha: float) -> None:
    found = resampled({"name": "mixup", "alpha": alpha}, examples(6000, 6))
    share = found.weights[6006:][:3000]
    assert (found.weights > 0).all()
    assert share.mean() == pytest.approx(0.5, abs=0.05)
    if alpha > 0.1:  # below it, many shares are 0 or 1
        assert share.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.1)


def test_mixup_has_an_even_share_unless_another_is_given_and_other_pairs_for_every_random_state() -> None:
    given = examples(40, 12)
    even = resampled({"name": "mixup", "alpha": 1.0}, given)
    assert np.array_equal(resampled("mixup", given).inputs, even.inputs)
    assert len({resampled("mixup", given, state).inputs.tobytes() for state in range(20)}) == 20


def test_examples_are_extended_by_others_of_weight_1_or_of_the_one_given() -> None:
    given = Examples(np.zeros((2, 1), np.float32), np.array([0, 1]), np.array([2.0, 3.0]))
    found = given.extended(np.ones((1, 1)), np.array([1]))
    assert (found.inputs.dtype, found.inputs.ravel().tolist()) == (np.float32, [0, 0, 1])
    assert found.labels.tolist() == [0, 1, 1]
    assert found.weights.tolist() == [2, 3, 1]
    assert given.extended(np.ones((1, 1)), np.array([1]), np.array([0.5])).weights.tolist() == [2, 3, 0.5]


def test_examples_of_a_pair_are_numbered_0_and_1_and_keep_their_weights() -> None:
    given = Examples(np.arange(6.0)[:, None], np.array([2, 0, 1, 2, 1, 0]), np.arange(6.0))
    pair = given.of_pair((0, 2))
    assert pair.inputs[:, 0].tolist() == [0, 1, 3, 5]
    assert pair.labels.tolist() == [1, 0, 1, 0]
    assert pair.labels.dtype == np.int64
    assert pair.weights.tolist() == [0, 1, 3, 5]
    assert given.rows(np.array([4, 4, 0])).labels.tolist() == [1, 1, 2]


def test_the_prior_of_examples_is_each_classs_share_of_the_weight() -> None:
    given = Examples(np.zeros((4, 1)), np.array([0, 1, 1, 2]), np.array([1.0, 2.0, 2.0, 3.0]))
    assert given.prior == pytest.approx([1 / 8, 4 / 8, 3 / 8])
