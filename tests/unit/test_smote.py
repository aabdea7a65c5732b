"""Methods that draw lines between neighbours: where each point lies, by brute force, against what its source says."""

import numpy as np
import pytest

from ganbalance.arms import Examples
from ganbalance.errors import DataError
from tests.unit.resampled import RARE, examples, resampled


def starts(point: np.ndarray, ends: np.ndarray, neighbours: int) -> set[int]:
    """From which of `ends` a line to one of its nearest `neighbours` among them leads through a point."""
    distances = np.linalg.norm(ends[:, None] - ends[None], axis=2)
    found = set()
    for one, row in enumerate(distances):
        for other in np.argsort(row)[1 : neighbours + 1]:
            way = ends[other] - ends[one]
            share = np.clip((point - ends[one]) @ way / (way @ way), 0, 1)
            if np.allclose(point, ends[one] + share * way, atol=1e-5):
                found.add(one)
    return found


def between(point: np.ndarray, ends: np.ndarray, neighbours: int) -> bool:
    """Whether a point lies on a line from one of `ends` to one of its nearest `neighbours`."""
    return bool(starts(point, ends, neighbours))


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


def share_of_others(given: Examples, label: int, neighbours: int) -> np.ndarray:
    """For each of a class, which share of its nearest `neighbours` is of other classes, by brute force."""
    own = given.inputs[given.labels == label]
    distances = np.linalg.norm(own[:, None] - given.inputs[None], axis=2)
    nearest = np.argsort(distances, axis=1)[:, 1 : neighbours + 1]  # the first is itself
    return np.asarray((given.labels[nearest] != label).mean(axis=1))


def a_cluster_and_strays(strays: int = 4) -> Examples:
    """Common examples around 0; rare ones far away among themselves, and some in the edge of the common ones."""
    rng = np.random.default_rng(1)
    common, far = rng.normal(size=(60, 2)), rng.normal(scale=0.3, size=(14, 2)) + 12
    edge = rng.normal(scale=0.2, size=(strays, 2)) + 1.5
    labels = np.repeat([0, RARE], [60, 14 + strays])
    return Examples(np.concatenate([common, far, edge]).astype(np.float32), labels, np.ones(len(labels)))


def test_borderline_smote_starts_from_those_alone_who_stand_among_others_and_not_all_neighbours_are() -> None:
    given = a_cluster_and_strays()
    found = resampled({"name": "borderline-smote", "k_neighbors": 3, "m_neighbors": 6}, given)
    others = share_of_others(given, RARE, 6)
    in_danger = set(np.flatnonzero((others >= 0.5) & (others < 1)))
    assert in_danger == {14, 15, 16, 17}  # the four at the edge: of six neighbours three are rare
    rare = given.inputs[given.labels == RARE].astype(np.float64)
    made = found.inputs[len(given.labels) :].astype(np.float64)
    assert np.bincount(found.labels).tolist() == [60, 60]
    assert all(starts(point, rare, 3) & in_danger for point in made)
    plain = resampled({"name": "smote", "k_neighbors": 3}, given).inputs[len(given.labels) :].astype(np.float64)
    assert not all(starts(point, rare, 3) & in_danger for point in plain)


def test_who_is_in_danger_depends_on_how_many_neighbours_are_asked() -> None:
    given = a_cluster_and_strays()
    made = {
        resampled({"name": "borderline-smote", "m_neighbors": m}, given).inputs.tobytes() for m in (6, 40)
    }  # of 40, most are common for those in the cluster too
    assert len(made) == 2
    default = resampled({"name": "borderline-smote", "k_neighbors": 5, "m_neighbors": 10}, given)
    assert np.array_equal(resampled("borderline-smote", given).inputs, default.inputs)


@pytest.mark.parametrize("why", ["far away", "all alone"])
def test_where_none_is_in_danger_borderline_smote_makes_what_smote_makes(why: str) -> None:
    """Rare examples among themselves, or each among common ones alone, which the paper calls noise."""
    if why == "far away":
        given = a_cluster_and_strays(strays=0)
        assert share_of_others(given, RARE, 10).max() == 0
    else:
        rng = np.random.default_rng(0)
        places = np.array([[0, 0], [50, 0], [0, 50]])
        around = np.repeat(places, 15, axis=0) + rng.normal(size=(45, 2))
        labels = np.repeat([0, RARE], [45, 3])
        given = Examples(np.concatenate([around, places]).astype(np.float32), labels, np.ones(48))
        assert share_of_others(given, RARE, 10).min() == 1
    found = resampled("borderline-smote", given)
    assert np.array_equal(found.inputs, resampled("smote", given).inputs)
    assert len(set(np.bincount(found.labels))) == 1


def test_of_two_rare_classes_only_the_one_without_any_in_danger_gets_what_smote_makes() -> None:
    near, far = a_cluster_and_strays(), np.random.default_rng(2).normal(scale=0.3, size=(20, 2)) - 40
    labels = np.concatenate([near.labels, np.full(20, 2)])
    given = Examples(np.concatenate([near.inputs, far.astype(np.float32)]), labels, np.ones(len(labels)))
    found = resampled({"name": "borderline-smote", "k_neighbors": 3, "m_neighbors": 6}, given)
    assert np.bincount(found.labels).tolist() == [60, 60, 60]
    rare = given.inputs[given.labels == RARE].astype(np.float64)
    added = slice(len(labels), None)
    of_near = found.inputs[added][found.labels[added] == RARE].astype(np.float64)
    of_far = found.inputs[added][found.labels[added] == 2].astype(np.float64)
    assert all(starts(point, rare, 3) & {14, 15, 16, 17} for point in of_near)
    assert all(between(point, far, 3) for point in of_far)


def test_adasyn_makes_as_many_from_each_as_its_share_of_neighbours_of_other_classes_says() -> None:
    given = a_cluster_and_strays()
    found = resampled({"name": "adasyn", "n_neighbors": 5}, given)
    others = share_of_others(given, RARE, 5)
    numbers = np.rint(others / others.sum() * (60 - 18)).astype(int)  # eq. 2 to 4, by hand
    assert set(np.flatnonzero(numbers)) == {14, 15, 16, 17}
    made = found.inputs[len(given.labels) :].astype(np.float64)
    assert len(made) == numbers.sum()
    rare = given.inputs[given.labels == RARE].astype(np.float64)
    froms = np.repeat(np.arange(18), numbers)
    assert all(one in starts(point, rare, 5) for one, point in zip(froms, made, strict=True))


def test_adasyn_has_five_neighbours_unless_another_is_given() -> None:
    given = examples(40, 12)
    assert np.array_equal(
        resampled("adasyn", given).inputs, resampled({"name": "adasyn", "n_neighbors": 5}, given).inputs
    )
    assert not np.array_equal(
        resampled("adasyn", given).inputs, resampled({"name": "adasyn", "n_neighbors": 4}, given).inputs
    )


def test_adasyn_is_the_same_as_its_library_for_one_rare_class_and_ends_near_balance_for_several() -> None:
    from imblearn.over_sampling import ADASYN

    given = examples(40, 12)
    inputs, labels = ADASYN(random_state=3).fit_resample(given.inputs, given.labels)
    found = resampled("adasyn", given, 3)
    assert np.array_equal(found.inputs, inputs)
    assert np.array_equal(found.labels, labels)
    assert np.bincount(resampled("adasyn", examples(60, 9, 20)).labels) == pytest.approx(60, abs=8)


@pytest.mark.parametrize("given", [a_cluster_and_strays(strays=0), examples(40, 39)], ids=["apart", "one is wanted"])
def test_where_adasyn_would_make_none_its_examples_are_those_of_smote(given: Examples) -> None:
    found = resampled("adasyn", given)
    assert np.array_equal(found.inputs, resampled("smote", given).inputs)
    assert len(set(np.bincount(found.labels))) == 1


@pytest.mark.parametrize("method", ["borderline-smote", "adasyn"])
def test_methods_that_draw_lines_take_what_neighbours_there_are_and_need_two_examples(method: str) -> None:
    with pytest.raises(DataError, match=rf"^{method} draws lines between images of a class, and one class has 1 to tr"):
        resampled(method, examples(20, 1))
    for size in (2, 3, 5):
        found = resampled(method, examples(20, size))
        rare = found.inputs[: 20 + size][found.labels[: 20 + size] == RARE].astype(np.float64)
        assert len(found.labels) > 20 + size
        assert all(between(point.astype(np.float64), rare, size - 1) for point in found.inputs[20 + size :])
    assert len(resampled(method, examples(3, 2)).labels) > 5  # fewer neighbours of any class than are asked for
