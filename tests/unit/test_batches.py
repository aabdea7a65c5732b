"""Minibatches as a pure function of (seed, stream, step)."""

import numpy as np
import pytest

from ganbalance.data.batches import BalancedOrder, BatchOrder


def order(n_images: int = 10, batch_size: int = 4, seed: int = 0, stream: str = "gan") -> BatchOrder:
    return BatchOrder(n_images=n_images, batch_size=batch_size, seed=seed, stream=stream)


@pytest.mark.parametrize(
    ("n_images", "batch_size", "per_epoch"), [(1200, 128, 10), (1200, 64, 19), (8, 4, 2), (3, 4, 1)]
)
def test_an_epoch_counts_its_partial_batch(n_images: int, batch_size: int, per_epoch: int) -> None:
    assert order(n_images, batch_size).per_epoch == per_epoch


def test_every_epoch_shows_every_image_once_and_keeps_the_last_partial_batch() -> None:
    for epoch in range(3):
        batches = [order().at(3 * epoch + batch) for batch in range(3)]
        assert [len(batch) for batch in batches] == [4, 4, 2]
        assert sorted(np.concatenate(batches)) == list(range(10))
        assert batches[0].dtype == np.int64


def test_a_step_has_the_same_images_whatever_was_asked_before() -> None:
    in_turn = [order().at(step).tolist() for step in range(12)]
    assert [order().at(step).tolist() for step in reversed(range(12))] == in_turn[::-1]


@pytest.mark.parametrize("other", [order(100, seed=1), order(100, stream="other")])
def test_another_seed_or_stream_has_another_order(other: BatchOrder) -> None:
    assert other.at(0).tolist() != order(100).at(0).tolist()


def test_epochs_differ() -> None:
    shuffled = order(100, 100)
    assert shuffled.at(0).tolist() != shuffled.at(1).tolist() != list(range(100))


def test_images_seen_counts_whole_and_partial_batches() -> None:
    lengths = [len(order().at(step)) for step in range(9)]
    assert [order().images_seen(steps) for steps in range(10)] == [0, *np.cumsum(lengths)]


def balanced(batch_size: int = 6) -> BalancedOrder:
    classes = (np.arange(10, 50), np.arange(3))
    return BalancedOrder(n_images=43, batch_size=batch_size, seed=0, stream="gan", classes=classes)


def test_balanced_minibatches_hold_every_class_as_often_however_few_images_it_has() -> None:
    for step in range(30):
        batch = balanced().at(step)
        assert ((batch < 3).sum(), (batch >= 10).sum()) == (3, 3)
    assert balanced().per_epoch == 8


def test_balanced_minibatches_go_through_each_class_in_rounds() -> None:
    shown = np.concatenate([balanced().at(step) for step in range(40)])
    few, many = shown[shown < 3], shown[shown >= 10]
    assert all(sorted(few[start : start + 3]) == [0, 1, 2] for start in range(0, 120, 3))
    assert len({tuple(few[start : start + 3]) for start in range(0, 120, 3)}) > 1
    assert all(sorted(many[start : start + 40]) == list(range(10, 50)) for start in range(0, 120, 40))


def test_classes_take_turns_over_minibatches_that_they_do_not_divide() -> None:
    shown = np.concatenate([balanced(3).at(step) for step in range(2)])
    assert [int(image < 3) for image in shown] == [0, 1, 0, 1, 0, 1]


def test_a_balanced_step_has_the_same_images_whatever_was_asked_before() -> None:
    in_turn = [balanced().at(step).tolist() for step in range(12)]
    assert [balanced().at(step).tolist() for step in reversed(range(12))] == in_turn[::-1]
    assert balanced().images_seen(7) == 42
