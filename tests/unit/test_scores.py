"""Scores say what a classifier said, whole, and refuse to be anything else."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import softmax

from ganbalance.errors import DataError
from ganbalance.metrics.scores import PairScores, Scores, of_pair

STRENGTHS = np.array([10.0, 1.0, 0.1])


def scores(classes: int = 2, seed: int = 0) -> Scores:
    """Four test images and three held-out ones of every class, in an order of no meaning."""
    rng = np.random.default_rng(seed)
    test_labels, held_out_labels = (rng.permutation(np.repeat(np.arange(classes), n)) for n in (4, 3))
    pairs = {
        pair: PairScores(rng.normal(size=(3, 8)), rng.normal(size=(3, 6)))
        for pair in [(0, 1), (1, 2), (1, 10)]
        if classes > 2 and max(pair) < classes
    }
    return Scores(
        strengths=STRENGTHS,
        test=rng.normal(size=(3, 4 * classes, classes)),
        test_labels=test_labels,
        held_out=rng.normal(size=(3, 3 * classes, classes)),
        held_out_labels=held_out_labels,
        validation=rng.random(3 * classes) < 0.5,
        scale=rng.uniform(0.5, 3, 3),
        offsets=rng.normal(size=(3, classes)),
        prior=np.arange(1, classes + 1) / np.arange(1, classes + 1).sum(),
        pairs=pairs,
    )


def assert_equal(one: Scores, other: Scores) -> None:
    assert one.pairs.keys() == other.pairs.keys()
    for name, value in vars(one).items():
        if name != "pairs":
            assert np.array_equal(value, getattr(other, name), equal_nan=name == "strengths"), name
            assert np.asarray(value).dtype == np.asarray(getattr(other, name)).dtype, name
    for pair, log_odds in one.pairs.items():
        assert np.array_equal(log_odds.test, other.pairs[pair].test)
        assert np.array_equal(log_odds.held_out, other.pairs[pair].held_out)


@pytest.mark.parametrize("classes", [2, 3, 11])
def test_scores_are_read_back_as_they_were_written(tmp_path: Path, classes: int) -> None:
    written = scores(classes)
    assert len(written.pairs) == {2: 0, 3: 2, 11: 3}[classes]
    written.save(tmp_path / "scores.npz")
    assert_equal(Scores.load(tmp_path / "scores.npz"), written)


def test_groups_are_read_back_where_there_are_any(tmp_path: Path) -> None:
    given = scores(3)
    given.save(tmp_path / "alone.npz")
    with np.load(tmp_path / "alone.npz") as arrays:
        assert not [name for name in arrays if "groups" in name]
    written = replace(given, test_groups=np.arange(12) // 2, held_out_groups=np.arange(9) // 3)
    written.save(tmp_path / "scores.npz")
    assert_equal(Scores.load(tmp_path / "scores.npz"), written)
    assert_equal(Scores.load(tmp_path / "alone.npz"), given)


@pytest.mark.parametrize(
    "groups",
    [
        {"test_groups": np.zeros(8, int)},
        {"held_out_groups": np.zeros(6, int)},
        {"test_groups": np.zeros(7, int), "held_out_groups": np.zeros(6, int)},
        {"test_groups": np.zeros(8, int), "held_out_groups": np.zeros(7, int)},
    ],
)
def test_groups_of_other_images_or_of_some_are_refused(groups: dict[str, np.ndarray]) -> None:
    with pytest.raises(DataError, match="do not fit"):
        replace(scores(), **groups)


def test_test_images_are_the_same_if_labels_and_groups_are() -> None:
    given = scores()
    one, two = (replace(given, test_groups=np.arange(8) // n, held_out_groups=np.arange(6)) for n in (2, 4))
    assert given.same_test_images(scores())
    assert one.same_test_images(replace(one, test_groups=np.arange(8) // 2))
    assert not one.same_test_images(two)
    assert not one.same_test_images(given)
    assert not given.same_test_images(replace(given, test_labels=given.test_labels[::-1]))


def test_scores_without_a_penalty_and_without_held_out_images_are_read_back_too(tmp_path: Path) -> None:
    given = scores()
    paper = replace(
        given,
        strengths=np.array([np.nan]),
        test=given.test[:1],
        held_out=given.held_out[:1, :0],
        held_out_labels=given.held_out_labels[:0],
        validation=given.validation[:0],
        scale=np.ones(1),
        offsets=np.zeros((1, 2)),
    )
    paper.save(tmp_path / "scores.npz")
    assert_equal(Scores.load(tmp_path / "scores.npz"), paper)


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    scores().save(tmp_path / "scores.npz")
    with np.load(tmp_path / "scores.npz") as arrays:
        np.savez(tmp_path / "other.npz", **{**arrays, "prior": np.array([{}, {}], dtype=object)})
    with pytest.raises(ValueError, match="allow_pickle"):
        Scores.load(tmp_path / "other.npz")


def test_nothing_written_needs_unpickling(tmp_path: Path) -> None:
    scores(3).save(tmp_path / "scores.npz")
    with np.load(tmp_path / "scores.npz", allow_pickle=False) as arrays:
        assert {f"pair/{pair}/{part}" for pair in ("0/1", "1/2") for part in ("test", "held_out")} < set(arrays)
        assert all(arrays[name].dtype != object for name in arrays)


@pytest.mark.parametrize(
    "change",
    [
        {"strengths": STRENGTHS[:2]},
        {"test": np.zeros((2, 12, 3))},
        {"test": np.zeros((3, 11, 3))},
        {"held_out": np.zeros((3, 8, 3))},
        {"held_out": np.zeros((3, 9, 2))},
        {"held_out_labels": np.zeros(8, int)},
        {"validation": np.zeros(12, bool)},
        {"scale": np.ones(1)},
        {"offsets": np.zeros((3, 2))},
        {"offsets": np.zeros((1, 3))},
        {"prior": np.full(2, 0.5)},
        {"pairs": {(0, 1): PairScores(np.zeros((3, 12)), np.zeros((3, 6)))}},
        {"pairs": {(0, 1): PairScores(np.zeros((3, 8)), np.zeros((3, 9)))}},
        {"pairs": {(0, 1): PairScores(np.zeros((1, 8)), np.zeros((1, 6)))}},
    ],
)
def test_arrays_that_do_not_fit_together_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="do not fit"):
        replace(scores(3), **change)


@pytest.mark.parametrize("number", [np.nan, np.inf])
@pytest.mark.parametrize("array", ["test", "held_out", "scale", "offsets"])
def test_a_logit_or_a_rule_that_is_not_finite_is_refused(array: str, number: float) -> None:
    given = scores()
    broken = getattr(given, array).copy()
    broken.flat[-1] = number
    with pytest.raises(DataError, match="must be finite"):
        replace(given, **{array: broken})


@pytest.mark.parametrize("part", ["test", "held_out"])
def test_log_odds_of_a_pair_that_are_not_finite_are_refused(part: str) -> None:
    given = scores(3)
    broken = getattr(given.pairs[0, 1], part).copy()
    broken[1, 0] = np.nan
    with pytest.raises(DataError, match="must be finite"):
        replace(given, pairs=given.pairs | {(0, 1): replace(given.pairs[0, 1], **{part: broken})})


def test_a_class_without_test_images_is_refused() -> None:
    with pytest.raises(DataError, match=r"every class 0\.\.2 needs test images"):
        replace(scores(3), test_labels=np.repeat([0, 1], 6), pairs={})


def test_the_ranking_of_two_classes_is_that_of_their_log_odds() -> None:
    given = scores()
    assert given.classes == 2
    (pair,) = given.ranked_pairs().items()
    assert pair[0] == (0, 1)
    assert np.array_equal(pair[1].test, given.test[:, :, 1] - given.test[:, :, 0])
    assert np.array_equal(pair[1].held_out, given.held_out[:, :, 1] - given.held_out[:, :, 0])


def test_of_more_classes_the_pairs_with_a_head_of_their_own_are_ranked() -> None:
    given = scores(3)
    assert given.classes == 3
    assert given.ranked_pairs() == given.pairs
    assert set(given.pairs) == {(0, 1), (1, 2)}


def test_the_rule_as_trained_is_that_of_the_strength() -> None:
    given = scores(3)
    for g in range(3):
        assert given.as_trained(g).scale == given.scale[g]
        assert np.array_equal(given.as_trained(g).offsets, given.offsets[g])


@pytest.mark.parametrize("classes", [2, 3, 11])
def test_rescoring_moves_the_rule_by_minus_the_log_prior_and_no_logit(classes: int) -> None:
    given = scores(classes)
    rescored = given.rescored()
    changed = {"offsets": rescored.offsets, "prior": rescored.prior}
    assert_equal(replace(given, **changed), rescored)
    assert rescored.prior == pytest.approx(np.full(classes, 1 / classes))
    shift = rescored.offsets - given.offsets + np.log(given.prior)
    assert shift == pytest.approx(np.broadcast_to(shift[:, :1], shift.shape))  # equal for all classes: of no effect


@pytest.mark.parametrize("classes", [2, 3])
def test_rescored_probabilities_are_divided_by_the_training_prior(classes: int) -> None:
    given = scores(classes)
    for g in range(3):
        odds = softmax(given.scale[g] * given.test[g] + given.offsets[g], axis=1) / given.prior
        expected = odds / odds.sum(axis=1, keepdims=True)
        found = given.rescored().as_trained(g).log_probabilities(given.test[g])
        assert np.exp(found) == pytest.approx(expected, rel=1e-12)


def test_the_images_of_a_pair_are_those_of_its_two_classes() -> None:
    labels = np.array([0, 1, 2, 1, 3, 2])
    assert of_pair(labels, (1, 3)).tolist() == [False, True, False, True, True, False]
