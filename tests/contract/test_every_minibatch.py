"""What every method must do in the minibatches of a network. A new file in `arms/methods/` is tested by being there."""

import numpy as np
import pytest

from ganbalance import arms
from ganbalance.arms import Examples
from ganbalance.arms.base import Minibatch
from tests.contract.test_methods import LEARNS_IMAGES, images

SIZE, STEPS = 16, 60
EVERY_METHOD = pytest.mark.parametrize("name", LEARNS_IMAGES)


def given(name: str) -> Examples:
    return arms.method(name).resample(images((40, 7, 20)), 0)


def batches(name: str, seed: int = 0, steps: int = STEPS) -> list[Minibatch]:
    examples = given(name)
    return [arms.method(name).minibatch(examples, step, SIZE, seed) for step in range(steps)]


def alike(one: Minibatch, other: Minibatch) -> bool:
    parts = [(one.rows, other.rows), (one.weights, other.weights), (one.share, other.share)]
    return all(map(np.array_equal, *zip(*parts, strict=True))) and np.array_equal(one.others, other.others)  # type: ignore[arg-type]


@EVERY_METHOD
def test_a_minibatch_holds_as_many_examples_as_asked_for_of_those_that_were_given(name: str) -> None:
    count = len(given(name).labels)
    for batch in batches(name):
        assert batch.rows.shape == batch.weights.shape == (SIZE,)
        assert (batch.rows.dtype, batch.weights.dtype) == (np.int64, np.float64)
        assert ((batch.rows >= 0) & (batch.rows < count)).all()


@EVERY_METHOD
def test_what_is_mixed_in_is_of_the_same_minibatch(name: str) -> None:
    for batch in batches(name):
        assert 0 <= batch.share <= 1
        if batch.others is None:
            assert batch.share == 1
        else:
            assert ((batch.others >= 0) & (batch.others < SIZE)).all()


@EVERY_METHOD
def test_a_minibatch_is_a_function_of_the_step_and_the_seed_alone(name: str) -> None:
    first, examples = batches(name, steps=5), given(name)
    np.random.seed(0)
    for step in (4, 0, 2):
        assert alike(arms.method(name).minibatch(examples, step, SIZE, 0), first[step])
    assert not any(map(alike, first, first[1:]))
    assert not any(map(alike, first, batches(name, seed=1, steps=5)))


@EVERY_METHOD
def test_over_a_training_every_class_has_the_share_that_its_examples_weigh(name: str) -> None:
    """What logits are corrected by afterwards is the mix that the network saw."""
    examples, found = given(name), batches(name)
    weights = np.concatenate([batch.weights for batch in found])
    labels = examples.labels[np.concatenate([batch.rows for batch in found])]
    shares = np.bincount(labels, weights) / weights.sum()
    assert shares == pytest.approx(examples.prior, abs=0.02)
    assert weights.mean() == pytest.approx(1, abs=0.03)


@EVERY_METHOD
def test_every_example_is_learned_from_in_the_end(name: str) -> None:
    examples = given(name)
    rows = np.concatenate([batch.rows for batch in batches(name, steps=200)])
    assert set(rows) == set(range(len(examples.labels)))
