"""What every method must do. A new file in `arms/methods/` is tested by being there."""

from typing import Any

import numpy as np
import pytest

from ganbalance import arms, registry
from ganbalance.arms import Examples, methods

NAMES = registry.names(methods)
EVERY_METHOD = pytest.mark.parametrize("name", NAMES)
SIZES = pytest.mark.parametrize("sizes", [(40, 7), (7, 40), (40, 7, 20), (12, 12)], ids=str)


def features(sizes: tuple[int, ...]) -> Examples:
    """Vectors of shuffled classes that differ from each other."""
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.repeat(np.arange(len(sizes)), sizes)).astype(np.int64)
    inputs = (rng.normal(size=(len(labels), 5)) + labels[:, None]).astype(np.float32)
    return Examples(inputs, labels, np.ones(len(labels)))


def images(sizes: tuple[int, ...]) -> Examples:
    given = features(sizes)
    pixels = np.random.default_rng(1).integers(0, 256, (len(given.labels), 1, 8, 8), np.uint8)
    return Examples(pixels, given.labels, given.weights)


LEARNS_IMAGES = [name for name in NAMES if arms.method(name).in_minibatches or not arms.method(name).new_inputs]
"""Methods that go with a network."""


def kinds(name: str) -> list[Any]:
    """What the method is given: vectors, and images too where a network can have it."""
    return [features, images] if name in LEARNS_IMAGES else [features]


GIVEN = pytest.mark.parametrize(("name", "kind"), [(name, kind) for name in NAMES for kind in kinds(name)])


def resampled(name: str, given: Examples, state: int = 0) -> Examples:
    return arms.method(name).resample(given, state)


def rows(given: Examples) -> list[bytes]:
    """Each input as something that can be compared."""
    return [row.tobytes() for row in given.inputs]


def share_of_the_smallest(given: Examples, of: Examples) -> float:
    """What the smallest class of `of` has of the weight of `given`."""
    return float(given.prior[np.bincount(of.labels).argmin()])


@GIVEN
@SIZES
def test_examples_have_the_types_of_the_ones_that_were_given(name: str, kind: Any, sizes: tuple[int, ...]) -> None:
    given = kind(sizes)
    found = resampled(name, given)
    assert found.inputs.dtype == given.inputs.dtype
    assert found.inputs.shape[1:] == given.inputs.shape[1:]
    assert (found.labels.dtype, found.weights.dtype) == (np.int64, np.float64)
    assert len(found.inputs) == len(found.labels) == len(found.weights)
    assert found.labels.ndim == found.weights.ndim == 1


@GIVEN
@SIZES
def test_weights_are_positive_numbers(name: str, kind: Any, sizes: tuple[int, ...]) -> None:
    weights = resampled(name, kind(sizes)).weights
    assert (weights > 0).all()
    assert np.isfinite(weights).all()


@GIVEN
@SIZES
def test_no_class_is_lost_and_none_comes_in(name: str, kind: Any, sizes: tuple[int, ...]) -> None:
    assert set(resampled(name, kind(sizes)).labels) == set(range(len(sizes)))


@GIVEN
@SIZES
def test_every_example_that_was_given_is_still_there_in_its_class_unless_the_method_says_that_it_leaves_some_out(
    name: str, kind: Any, sizes: tuple[int, ...]
) -> None:
    given = kind(sizes)
    found = resampled(name, given)
    label_of = dict(zip(rows(given), given.labels, strict=True))
    assert len(label_of) == len(given.labels)
    left_out = given.labels[[row not in set(rows(found)) for row in rows(given)]]
    assert bool(len(left_out)) == (arms.method(name).leaves_out and len(set(sizes)) > 1)
    assert np.argmin(sizes) not in left_out  # the smallest class is whole
    kept = [(row, label) for row, label in zip(rows(found), found.labels, strict=True) if row in label_of]
    assert all(label_of[row] == label for row, label in kept)


@GIVEN
@SIZES
def test_only_a_method_that_says_so_makes_inputs_of_its_own(name: str, kind: Any, sizes: tuple[int, ...]) -> None:
    given = kind(sizes)
    made = set(rows(resampled(name, given))) - set(rows(given))
    assert bool(made) == (arms.method(name).new_inputs and len(set(sizes)) > 1 and not given.are_images)


@GIVEN
@SIZES
def test_the_smallest_class_weighs_no_less_than_before(name: str, kind: Any, sizes: tuple[int, ...]) -> None:
    given = kind(sizes)
    assert share_of_the_smallest(resampled(name, given), given) >= share_of_the_smallest(given, given) - 1e-12


@GIVEN
def test_classes_of_equal_size_are_left_as_they_are(name: str, kind: Any) -> None:
    given = kind((12, 12))
    found = resampled(name, given)
    assert sorted(rows(found)) == sorted(rows(given))
    assert (found.weights == 1).all()


@GIVEN
@SIZES
def test_equal_random_states_give_equal_examples(name: str, kind: Any, sizes: tuple[int, ...]) -> None:
    one, other = (resampled(name, kind(sizes), 2**32 - 1) for _ in range(2))
    assert np.array_equal(one.inputs, other.inputs)
    assert np.array_equal(one.labels, other.labels)
    assert np.array_equal(one.weights, other.weights)


@GIVEN
def test_the_state_of_the_global_generator_has_no_say(name: str, kind: Any) -> None:
    np.random.seed(0)
    one = resampled(name, kind((40, 7)))
    np.random.seed(1)
    assert np.array_equal(one.inputs, resampled(name, kind((40, 7))).inputs)


@GIVEN
def test_what_was_given_is_not_changed(name: str, kind: Any) -> None:
    given, before = kind((40, 7)), kind((40, 7))
    for array in (given.inputs, given.labels, given.weights):
        array.flags.writeable = False
    found = resampled(name, given)
    for part in ("inputs", "labels", "weights"):
        assert np.array_equal(getattr(given, part), getattr(before, part))
    assert isinstance(found, Examples)
