"""Each method against what its source says: weights, repeats, and points between neighbours."""

from typing import Any

import numpy as np
import pytest

from ganbalance import arms
from ganbalance.arms import Examples
from ganbalance.errors import DataError

RARE = 1


def examples(*sizes: int, d: int = 4) -> Examples:
    """Classes of these sizes, shuffled."""
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.repeat(np.arange(len(sizes)), sizes)).astype(np.int64)
    return Examples(rng.normal(size=(len(labels), d)).astype(np.float32), labels, np.ones(len(labels)))


def resampled(choice: Any, given: Examples, state: int = 0) -> Examples:
    return arms.method(choice).resample(given, state)


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


def between(point: np.ndarray, ends: np.ndarray, neighbours: int) -> bool:
    """Whether a point lies on a segment from one of `ends` to one of its nearest `neighbours`, by brute force."""
    distances = np.linalg.norm(ends[:, None] - ends[None], axis=2)
    for one, row in enumerate(distances):
        for other in np.argsort(row)[1 : neighbours + 1]:
            way = ends[other] - ends[one]
            share = (point - ends[one]) @ way / (way @ way)
            if -1e-6 <= share <= 1 + 1e-6 and np.allclose(point, ends[one] + share * way, atol=1e-5):
                return True
    return False


@pytest.mark.parametrize("neighbours", [1, 2, 5])
def test_smote_makes_points_between_rare_neighbours(neighbours: int) -> None:
    given = examples(40, 12)
    found = resampled({"name": "smote", "k_neighbors": neighbours}, given)
    rare = given.inputs[given.labels == RARE].astype(np.float64)
    made = found.inputs[len(given.labels) :].astype(np.float64)
    assert len(made) == 28
    assert all(between(point, rare, neighbours) for point in made)
    if neighbours > 1:  # and not between the nearest alone
        assert not all(between(point, rare, neighbours - 1) for point in made)


def test_smote_balances_every_class_with_examples_of_its_own_that_come_last_and_weigh_1() -> None:
    given = examples(30, 8, 14)
    found = resampled("smote", given)
    assert np.bincount(found.labels).tolist() == [30, 30, 30]
    assert np.array_equal(found.inputs[:52], given.inputs)
    assert np.array_equal(found.labels[:52], given.labels)
    assert np.bincount(found.labels[52:]).tolist() == [0, 22, 16]
    assert (found.weights == 1).all()
    assert found.weights.shape == (90,)
    for label in (1, 2):
        ends = given.inputs[given.labels == label].astype(np.float64)
        made = found.inputs[52:][found.labels[52:] == label].astype(np.float64)
        assert all(between(point, ends, 5) for point in made)


def test_smote_has_five_neighbours_unless_another_is_given() -> None:
    given = examples(40, 12)
    given_five = resampled({"name": "smote", "k_neighbors": 5}, given)
    assert np.array_equal(resampled("smote", given).inputs, given_five.inputs)
    assert not np.array_equal(resampled({"name": "smote", "k_neighbors": 4}, given).inputs, given_five.inputs)


@pytest.mark.parametrize("size", [2, 3, 5])
def test_where_a_class_has_fewer_neighbours_smote_takes_all_of_them(size: int) -> None:
    given = examples(20, size)
    found = resampled("smote", given)
    assert np.array_equal(found.inputs, resampled({"name": "smote", "k_neighbors": size - 1}, given).inputs)
    rare = given.inputs[given.labels == RARE].astype(np.float64)
    assert all(between(point.astype(np.float64), rare, size - 1) for point in found.inputs[20 + size :])
    assert np.bincount(found.labels).tolist() == [20, 20]


def test_smote_makes_other_points_for_every_random_state() -> None:
    made = {resampled("smote", examples(40, 12), state).inputs.tobytes() for state in range(20)}
    assert len(made) == 20


def test_smote_needs_two_examples_of_a_class() -> None:
    with pytest.raises(DataError, match=r"^smote draws lines between images of a class, and one class has 1 to train"):
        resampled("smote", examples(20, 1))
    assert np.bincount(resampled("smote", examples(20, 2)).labels).tolist() == [20, 20]


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
