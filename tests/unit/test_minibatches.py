"""What a network learns from in each step, as the sources of the methods say."""

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ganbalance import arms
from ganbalance.arms import Examples
from ganbalance.config import NetworkTraining
from ganbalance.data.augmentation import augmented
from ganbalance.seeding import numpy_rng
from tests.unit.small_network import IMAGES, LABELS, Loss, Watched, close, trained_on

SIZES = (60, 7, 20)


def images(sizes: tuple[int, ...] = SIZES) -> Examples:
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(len(sizes)), sizes)).astype(np.int64)
    return Examples(np.zeros((len(labels), 1, 8, 8), np.uint8), labels, np.ones(len(labels)))


def drawn(method: str, steps: int, size: int, given: Examples | None = None) -> np.ndarray:
    """The rows of the first minibatches, (steps, size)."""
    chosen, found = arms.method(method), given or images()
    return np.stack([chosen.minibatch(found, step, size, 0).rows for step in range(steps)])


# -- balanced-batches --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [3, 12, 30])
def test_a_balanced_minibatch_of_whole_rounds_holds_as_many_images_of_every_class(size: int) -> None:
    labels = images().labels
    for rows in drawn("balanced-batches", 40, size):
        assert np.bincount(labels[rows]).tolist() == [size // 3] * 3
    assert {tuple(np.bincount(labels[rows], minlength=3)) for rows in drawn("none", 40, size)} != {(size // 3,) * 3}


def test_of_any_other_size_no_class_is_ever_more_than_one_image_ahead() -> None:
    labels = images().labels[drawn("balanced-batches", 50, 7).ravel()]
    for class_index in range(3):
        ahead = np.cumsum(labels == class_index)
        assert np.ptp(np.stack([ahead, np.arange(1, len(labels) + 1) / 3]), axis=0).max() < 1


def test_every_image_of_a_class_is_drawn_before_one_is_drawn_again_in_another_order() -> None:
    given = images()
    rows = drawn("balanced-batches", 84, 5).ravel()  # of each class 140: twenty times all of the smallest
    for class_index, size in enumerate(SIZES):
        of_class = rows[given.labels[rows] == class_index]
        rounds = [of_class[start : start + size] for start in range(0, len(of_class) - size + 1, size)]
        assert len(rounds) == 140 // size
        assert all(sorted(one) == np.flatnonzero(given.labels == class_index).tolist() for one in rounds)
        assert len({tuple(one) for one in rounds}) == len(rounds)


def test_classes_come_in_another_order_in_every_round() -> None:
    labels = images().labels[drawn("balanced-batches", 100, 3)]
    assert {tuple(round_) for round_ in labels} == {(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)}


def test_the_loss_of_a_balanced_minibatch_is_not_weighted_again_and_decides_for_equal_shares() -> None:
    found = arms.method("balanced-batches").resample(images(), 0)
    assert found.prior.tolist() == pytest.approx([1 / 3] * 3)
    assert arms.method("balanced-batches").minibatch(found, 3, 30, 0).weights == pytest.approx(np.ones(30))


def test_images_that_weigh_less_count_less_in_a_balanced_minibatch_and_their_class_as_much_as_others() -> None:
    given = images((8, 4)).extended(np.zeros((4, 1, 8, 8)), np.ones(4), np.full(4, 0.25))
    method = arms.method("balanced-batches")
    found = method.resample(given, 0)
    batch = method.minibatch(found, 0, 16, 0)  # every image once
    assert batch.weights[batch.rows >= 12] == pytest.approx(0.25 * batch.weights[batch.rows < 12].max() * np.ones(4))
    of_class = np.bincount(given.labels[batch.rows], batch.weights)
    assert of_class == pytest.approx([8, 8])


def test_a_network_of_balanced_minibatches_learns_from_as_many_of_each_class_in_as_many_steps() -> None:
    watched = Watched(method="balanced-batches").run()
    assert watched.training.step == watched.training.steps
    assert [np.bincount(LABELS[rows]).tolist() for rows in watched.rows()] == [[8, 8]] * watched.training.steps

    def of(rows: list[int]) -> Loss:
        return lambda logits: F.cross_entropy(logits, torch.from_numpy(LABELS[rows]))

    assert close(watched.model, trained_on((torch.from_numpy(IMAGES[rows]), of(rows)) for rows in watched.rows()))


# -- mixup -------------------------------------------------------------------------------------------------------------


def soft(watched: Watched, rows: list[int]) -> Tensor:
    return F.one_hot(torch.from_numpy(LABELS[rows]), 2).float()


@pytest.mark.parametrize("objective", ["cross-entropy", "logit-adjustment"])
def test_mixed_images_are_learned_with_labels_mixed_alike(objective: str) -> None:
    """The paper's algorithm (its figure 1): mixed images, mixed one-hot labels, cross-entropy of soft labels."""
    watched = Watched(method="mixup", objective=objective).run()
    shift = torch.tensor([0.6, 0.4]).log() if objective == "logit-adjustment" else torch.zeros(2)
    minibatches: list[tuple[Tensor, Loss]] = []
    for batch in watched.batches():
        assert batch.others is not None
        rows, others = batch.rows.tolist(), batch.rows[batch.others].tolist()
        first, second = (torch.from_numpy(IMAGES[which]).float() for which in (rows, others))
        target = batch.share * soft(watched, rows) + (1 - batch.share) * soft(watched, others)
        mixed = batch.share * first + (1 - batch.share) * second
        minibatches.append((mixed, lambda logits, target=target: F.cross_entropy(logits + shift, target)))
    assert close(watched.model, trained_on(minibatches))
    assert not close(watched.model, Watched(objective=objective).run().model)


def test_the_loss_of_a_mixture_is_that_of_each_label_by_its_share_for_any_objective() -> None:
    watched, (batch, *_) = Watched(method="mixup", objective="focal"), Watched(method="mixup").batches()
    assert batch.others is not None
    logits = torch.randn(16, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    p = logits.softmax(dim=1)

    def focal(labels: np.ndarray) -> Tensor:
        p_t = p[torch.arange(16), torch.from_numpy(labels)]
        return (-((1 - p_t) ** 2) * p_t.log()).mean()

    labels = LABELS[batch.rows]
    expected = batch.share * focal(labels) + (1 - batch.share) * focal(labels[batch.others])
    assert watched.training._loss(logits, batch).item() == pytest.approx(expected.item())


def test_images_are_changed_first_and_mixed_then() -> None:
    watched = Watched(method="mixup", augment={"shift": 0.3})
    (batch, *_), settings = watched.batches(), NetworkTraining(augment={"shift": 0.3}).augment  # type: ignore[arg-type]
    assert batch.others is not None
    assert settings is not None
    changed = augmented(IMAGES[batch.rows], settings, numpy_rng(0, "network", "augment", 0)).astype(np.float64)
    expected = batch.share * changed + (1 - batch.share) * changed[batch.others]
    assert np.allclose(watched.training._images(batch).numpy(), expected, atol=1e-3)


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_one_share_is_drawn_for_each_minibatch_from_the_beta_distribution_of_its_setting(alpha: float) -> None:
    method, given = arms.method({"name": "mixup", "alpha": alpha}), images()
    shares = np.array([method.minibatch(given, step, 4, 0).share for step in range(2000)])
    assert shares.mean() == pytest.approx(0.5, abs=0.04)
    assert shares.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.12)  # of Beta(alpha, alpha)


def test_a_minibatch_is_mixed_with_itself_in_another_order() -> None:
    batches = [arms.method("mixup").minibatch(images(), step, 16, 0) for step in range(5)]
    others: list[Any] = [batch.others.tolist() for batch in batches if batch.others is not None]
    assert [sorted(one) for one in others] == [list(range(16))] * 5
    assert len(set(map(tuple, others))) == 5


def test_the_same_images_are_in_the_minibatches_of_mixup_as_in_those_of_none() -> None:
    assert np.array_equal(drawn("mixup", 5, 16), drawn("none", 5, 16))


def test_under_a_network_mixup_leaves_images_as_they_are_before_training() -> None:
    given = images()
    assert arms.method("mixup").resample(given, 0) is given
