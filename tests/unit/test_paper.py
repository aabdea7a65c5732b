"""The course report's classifier, checked step by step against Adam written out, on a small network."""

from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ganbalance import config
from ganbalance.arms.base import Examples
from ganbalance.config import Paper, PaperTraining
from ganbalance.models.backbones.base import Backbone
from ganbalance.training import paper
from ganbalance.training.loop import Hooks
from ganbalance.training.network import ImageClassifier

CPU = torch.device("cpu")
SIDE_PX = 4
LABELS = np.repeat([0, 1], [30, 20])
WEIGHTS = np.random.default_rng(1).uniform(0.2, 3, 50)


class Small(Backbone):
    """A convolution and a BatchNorm, as a "frozen" network has them; never read from a file."""

    features = 3
    mean, std = (0.1, 0.2, 0.3), (0.7, 0.8, 0.9)  # the report did not use them

    def build(self) -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.AdaptiveAvgPool2d(1), nn.Flatten())

    def published(self) -> Path | None:
        return None

    def download(self) -> Path:
        pytest.fail("weights were to be downloaded")

    def convert(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        pytest.fail("weights were read from a file")


def images(labels: np.ndarray = LABELS) -> np.ndarray:
    """uint8 (N, 1, side, side), no two alike, brighter where the label is 1."""
    pixels = (
        np.random.default_rng(0).normal(100, 40, (len(labels), 1, SIDE_PX, SIDE_PX)) + 30 * labels[:, None, None, None]
    )
    return pixels.clip(0, 255).astype(np.uint8)


class Watched:
    """A network and every batch that went through it: its mode, and which images it held."""

    def __init__(self, labels: np.ndarray = LABELS) -> None:
        self.images, self.labels = images(labels), labels
        torch.manual_seed(1)
        self.model = ImageClassifier(Small(), Small().build(), int(labels.max()) + 1, SIDE_PX, imagenet=False)
        self.model.network.requires_grad_(False)
        self.learned: list[list[int]] = []
        self.evaluated: list[list[int]] = []
        self.model.network.register_forward_pre_hook(self._watch)
        self._row_of = {self._prepared(image[None]).numpy().tobytes(): row for row, image in enumerate(self.images)}
        assert len(self._row_of) == len(labels)

    @staticmethod
    def _prepared(pixels: np.ndarray) -> Tensor:
        """Scaled to [-1, 1] and repeated to three channels, as the report did."""
        return ((torch.from_numpy(pixels).float() / 255 - 0.5) / 0.5).expand(-1, 3, -1, -1).contiguous()

    def _watch(self, network: nn.Module, inputs: tuple[Tensor]) -> None:
        rows = [self._row_of[image[None].contiguous().numpy().tobytes()] for image in inputs[0]]
        (self.learned if network.training else self.evaluated).append(rows)

    def train(self, weights: np.ndarray | None = None, seed: int = 0, **settings: Any) -> list[paper.Epoch]:
        given = {"epochs": 1, "batch_size": 1000} | settings
        examples = Examples(self.images, self.labels, np.ones(len(self.labels)) if weights is None else weights)
        return paper.train(self.model, examples, settings=PaperTraining(**given), seed=seed, device=CPU)

    def features(self, rows: list[int]) -> np.ndarray:
        """Of one batch, normalised by that batch: float64 (n, 3)."""
        network = Small().build().double().train()
        with torch.no_grad():
            found: np.ndarray = network(self._prepared(self.images[rows]).double()).numpy()
        return found

    @property
    def head(self) -> np.ndarray:
        """Weights and biases, float64 (classes, 4)."""
        layer = self.model.head
        return np.column_stack([layer.weight.detach().double().numpy(), layer.bias.detach().double().numpy()])


def adam(
    head: np.ndarray,
    features: np.ndarray,
    labels: np.ndarray,
    weights: np.ndarray,
    *,
    steps: int,
    lr: float,
    decay: float,
) -> np.ndarray:
    """Kingma & Ba 2015, algorithm 1, with the penalty's gradient in the loss's, on all images at once."""
    inputs = np.column_stack([features, np.ones(len(features))])
    first, second = np.zeros_like(head), np.zeros_like(head)
    for step in range(1, steps + 1):
        odds = np.exp(inputs @ head.T)
        slope = odds / odds.sum(axis=1, keepdims=True) - np.eye(len(head))[labels]
        gradient = (weights[:, None] * slope).T @ inputs / len(inputs) + decay * head
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        head = head - lr * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
    return head


def entropy(head: np.ndarray, features: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> float:
    logits = np.column_stack([features, np.ones(len(features))]) @ head.T
    return float((weights * (np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(labels)), labels])).mean())


@pytest.mark.parametrize("decay", [0.0, 1e-5, 0.5])
@pytest.mark.parametrize("steps", [1, 5])
def test_the_head_takes_the_steps_of_adam_with_weight_decay(decay: float, steps: int) -> None:
    watched = Watched()
    before = watched.head
    watched.train(WEIGHTS, epochs=steps, lr=0.1, weight_decay=decay)
    rows = watched.learned[0]
    expected = adam(before, watched.features(rows), LABELS[rows], WEIGHTS[rows], steps=steps, lr=0.1, decay=decay)
    assert watched.head == pytest.approx(expected, abs=2e-5)
    assert np.abs(watched.head - before).max() > 0.05


def test_weight_decay_changes_where_the_steps_of_adam_lead() -> None:
    """Else the test above could not tell a decay from none."""
    watched = Watched()
    watched.train(epochs=1)
    rows = watched.learned[0]
    given = (watched.head, watched.features(rows), LABELS[rows], np.ones(len(rows)))
    with_it, without = (adam(*given, steps=5, lr=0.1, decay=decay) for decay in (0.5, 0.0))
    assert np.abs(with_it - without).max() > 0.05


def test_the_curve_holds_the_mean_losses_of_the_training_and_of_the_held_out_images() -> None:
    watched = Watched()
    before = watched.head
    (epoch,) = watched.train(WEIGHTS, lr=0.1)
    rows, held_out = watched.learned[0], watched.evaluated[0]
    assert epoch.epoch == 1
    assert epoch.train_loss == pytest.approx(
        entropy(before, watched.features(rows), LABELS[rows], WEIGHTS[rows]), abs=1e-5
    )
    with torch.no_grad():
        moved = watched.model.network.eval()(watched._prepared(watched.images[held_out])).double().numpy()
    assert epoch.validation_loss == pytest.approx(
        entropy(watched.head, moved, LABELS[held_out], WEIGHTS[held_out]), abs=1e-5
    )


def test_the_training_loss_is_the_mean_over_the_images_of_all_batches() -> None:
    watched = Watched()
    (epoch,) = watched.train(WEIGHTS, lr=1e-12, batch_size=7)
    losses = [entropy(watched.head, watched.features(rows), LABELS[rows], WEIGHTS[rows]) for rows in watched.learned]
    sizes = [len(rows) for rows in watched.learned]
    assert sizes == [7, 7, 7, 7, 2]
    assert epoch.train_loss == pytest.approx(np.average(losses, weights=sizes), abs=1e-5)


def test_sixty_percent_of_every_class_train_and_forty_are_held_out() -> None:
    watched = Watched()
    watched.train()
    (learned,), (evaluated,) = watched.learned, watched.evaluated
    assert np.bincount(LABELS[learned]).tolist() == [18, 12]
    assert np.bincount(LABELS[evaluated]).tolist() == [12, 8]
    assert sorted(learned + evaluated) == list(range(50))


def test_another_share_may_be_held_out() -> None:
    watched = Watched()
    watched.train(validation=0.1)
    assert (len(watched.learned[0]), len(watched.evaluated[0])) == (45, 5)


def test_every_epoch_shows_every_training_image_once_in_another_order() -> None:
    watched = Watched()
    curve = watched.train(epochs=3, batch_size=7)
    epochs = [list(chain(*watched.learned[start : start + 5])) for start in (0, 5, 10)]
    assert [len(batch) for batch in watched.learned] == [7, 7, 7, 7, 2] * 3
    assert {tuple(sorted(epoch)) for epoch in epochs} == {tuple(sorted(epochs[0]))}
    assert len({tuple(epoch) for epoch in epochs}) == 3
    assert watched.evaluated == [watched.evaluated[0]] * 3
    assert [row.epoch for row in curve] == [1, 2, 3]


@pytest.mark.parametrize(("validation", "size", "batches"), [(0.4, 29, [30]), (0.1, 11, [11, 11, 11, 12])])
def test_a_single_image_left_over_joins_the_batch_before(validation: float, size: int, batches: list[int]) -> None:
    watched = Watched()
    watched.train(validation=validation, batch_size=size)
    assert [len(batch) for batch in watched.learned] == batches
    assert len(set(chain(*watched.learned))) == sum(batches)


def test_the_frozen_network_learns_in_train_mode_so_its_statistics_move_and_nothing_else() -> None:
    watched = Watched()
    assert not any(weight.requires_grad for weight in watched.model.network.parameters())
    before = {name: value.clone() for name, value in watched.model.network.state_dict().items()}
    watched.train(lr=0.1)
    after = watched.model.network.state_dict()
    moved = {name for name in after if not torch.equal(before[name], after[name])}
    assert moved == {"1.running_mean", "1.running_var", "1.num_batches_tracked"}
    with torch.no_grad():
        batch = watched.model.network[0](watched._prepared(watched.images[watched.learned[0]]))
    assert after["1.running_mean"].numpy() == pytest.approx(0.1 * batch.mean(dim=(0, 2, 3)).numpy(), abs=1e-6)
    assert after["1.running_var"].numpy() == pytest.approx(0.9 + 0.1 * batch.var(dim=(0, 2, 3)).numpy(), abs=1e-6)


def test_predictions_are_logits_in_eval_mode_whatever_stands_beside_an_image() -> None:
    watched = Watched()
    watched.train(lr=0.1, epochs=3)
    statistics = watched.model.network.state_dict()["1.running_mean"].clone()
    together = paper.predict(watched.model, watched.images, CPU)
    alone = np.concatenate([paper.predict(watched.model, image[None], CPU) for image in watched.images])
    assert together.dtype == np.float64
    assert together.shape == (50, 2)
    assert together == pytest.approx(alone, abs=1e-6)
    watched.model.train()
    assert np.array_equal(paper.predict(watched.model, watched.images, CPU), together)
    assert torch.equal(statistics, watched.model.network.state_dict()["1.running_mean"])
    assert together.min() < 0  # not probabilities


def test_what_is_trained_tells_the_classes_apart() -> None:
    watched = Watched()
    before = (paper.predict(watched.model, watched.images, CPU).argmax(axis=1) == LABELS).mean()
    watched.train(lr=0.1, epochs=40)
    after = (paper.predict(watched.model, watched.images, CPU).argmax(axis=1) == LABELS).mean()
    assert after > max(0.9, before)


def test_more_than_two_classes_are_learned_alike() -> None:
    labels = np.repeat([0, 1, 2], 10)
    watched = Watched(labels)
    before = watched.head
    watched.train(epochs=4, lr=0.1, weight_decay=0.1)
    rows = watched.learned[0]
    expected = adam(before, watched.features(rows), labels[rows], np.ones(len(rows)), steps=4, lr=0.1, decay=0.1)
    assert watched.head == pytest.approx(expected, abs=2e-5)


def test_equal_seeds_train_alike_and_another_seed_splits_anew() -> None:
    one, same, other = Watched(), Watched(), Watched()
    for watched, seed in ((one, 3), (same, 3), (other, 4)):
        watched.train(seed=seed, epochs=2, batch_size=8)
    assert np.array_equal(one.head, same.head)
    assert one.learned == same.learned
    assert set(chain(*one.learned)) != set(chain(*other.learned))
    places = [np.argsort(list(chain(*watched.learned[:4]))).tolist() for watched in (one, other)]
    assert places[0] != places[1]  # in another order too


def test_progress_counts_the_images_of_all_epochs() -> None:
    watched = Watched()
    reported: list[tuple[int, int]] = []
    paper.train(
        watched.model, Examples(watched.images, LABELS, np.ones(50)), settings=PaperTraining(epochs=2, batch_size=20),
        seed=0, device=CPU, hooks=Hooks(on_progress=lambda done, total, _losses: reported.append((done, total))),
    )  # fmt: skip
    assert reported == [(20, 60), (30, 60), (50, 60), (60, 60)]


def test_the_paper_preset_trains_with_the_reports_numbers() -> None:
    preset = config.check(config.read(Path("jobs/experiments/paper.yaml")), where="paper").classifier
    assert isinstance(preset, Paper)
    preset = preset.training
    assert preset == PaperTraining()
    assert (preset.epochs, preset.batch_size, preset.lr) == (15, 32, 1e-4)
    assert (preset.weight_decay, preset.validation) == (1e-5, 0.4)
