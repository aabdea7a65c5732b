"""Minibatches as a pure function of (seed, stream, step)."""

import numpy as np
import pytest

from ganbalance.data.batches import BatchOrder


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
