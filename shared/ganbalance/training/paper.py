"""The classifier of the course report, flaws and all, for comparison with its numbers.

Its backbone is "frozen" but in train mode, so that BatchNorm normalises by the batch and its running statistics
move; its validation images are split off after real and synthetic ones were mixed; every arm trains for the same
number of epochs, so a larger training set gets more steps.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ganbalance.config import PaperClassifier
from ganbalance.models.backbones.base import Backbone, prepare
from ganbalance.seeding import derive

EVALUATION_BATCH = 256


@dataclass(frozen=True)
class Epoch:
    """One row of the curve of losses: means over the epoch's training and validation images."""

    epoch: int
    train_loss: float
    validation_loss: float


class PaperNetwork(nn.Module):
    """A backbone with frozen parameters, and a new linear layer: uint8 images to logits (N, classes)."""

    def __init__(self, backbone: Backbone, network: nn.Module, classes: int, side_px: int) -> None:
        super().__init__()
        self._backbone, self._side_px = backbone, side_px
        self.network = network.requires_grad_(False)
        self.head = nn.Linear(backbone.features, classes)

    def forward(self, images: Tensor) -> Tensor:
        """See the class."""
        prepared = prepare(images, self._backbone, self._side_px, imagenet=False)
        logits: Tensor = self.head(self.network(prepared.contiguous(memory_format=torch.channels_last)))
        return logits


def train(  # noqa: PLR0913 - the report's protocol is all of these
    model: PaperNetwork,
    images_NCHW: NDArray[np.uint8],
    labels_N: NDArray[np.int64],
    weights_N: NDArray[np.float64],
    *,
    settings: PaperClassifier,
    seed: int,
    device: torch.device,
    on_progress: Callable[[int, int], None],
) -> list[Epoch]:
    """Train the head of `model` in place; returns a row per epoch.

    `weights_N` are per-image weights in the loss, 1 in every arm of the report.
    """
    train_rows, held_out = train_test_split(
        np.arange(len(labels_N)),
        test_size=settings.validation,
        stratify=labels_N,
        random_state=derive(seed, "paper", "split") % 2**32,
    )
    model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    losses = _Losses(model, images_NCHW, labels_N, weights_N, device)
    optimizer = torch.optim.Adam(model.head.parameters(), lr=settings.lr, weight_decay=settings.weight_decay)
    order = torch.Generator().manual_seed(derive(seed, "paper", "order"))
    rows = torch.from_numpy(train_rows)
    curve = []
    for epoch in range(1, settings.epochs + 1):
        batches = _batches(rows[torch.randperm(len(rows), generator=order)], settings.batch_size)
        train_loss = _learn(model, losses, optimizer, batches) / len(rows)
        validation_loss = _evaluate(model, losses, torch.from_numpy(held_out)) / len(held_out)
        curve.append(Epoch(epoch, train_loss, validation_loss))
        on_progress(epoch * len(rows), settings.epochs * len(rows))
    return curve


@torch.inference_mode()
def predict(model: PaperNetwork, images_NCHW: NDArray[np.uint8], device: torch.device) -> NDArray[np.float64]:
    """Logits float64 (N, classes) in eval mode."""
    model.eval()
    images = torch.from_numpy(np.array(images_NCHW))
    batches = _batches(torch.arange(len(images)), EVALUATION_BATCH)
    return torch.cat([model(images[rows].to(device)).double() for rows in batches]).cpu().numpy()


class _Losses:
    """Weighted cross entropy of chosen rows of a training set."""

    def __init__(
        self,
        model: PaperNetwork,
        images_NCHW: NDArray[np.uint8],
        labels_N: NDArray[np.int64],
        weights_N: NDArray[np.float64],
        device: torch.device,
    ) -> None:
        self._model, self._device = model, device
        self._images = torch.from_numpy(np.array(images_NCHW))
        self._labels = torch.from_numpy(labels_N).to(device)
        self._weights = torch.from_numpy(weights_N).float().to(device)

    def __call__(self, rows: Tensor) -> Tensor:
        """Per-row losses (B,)."""
        logits = self._model(self._images[rows].to(self._device))
        here = rows.to(self._device)
        return cross_entropy(logits, self._labels[here], reduction="none") * self._weights[here]


def _learn(model: PaperNetwork, losses: _Losses, optimizer: torch.optim.Adam, batches: Sequence[Tensor]) -> float:
    """One epoch of optimiser steps; the sum of the losses seen on the way."""
    model.train()  # all of it: the report's "frozen" BatchNorm layers learn statistics
    total = 0.0
    for rows in batches:
        optimizer.zero_grad()
        loss = losses(rows).mean()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        total += loss.item() * len(rows)
    return total


@torch.inference_mode()
def _evaluate(model: PaperNetwork, losses: _Losses, rows: Tensor) -> float:
    """The sum of the losses in eval mode."""
    model.eval()
    return sum(losses(batch).sum().item() for batch in _batches(rows, EVALUATION_BATCH))


def _batches(rows: Tensor, size: int) -> Sequence[Tensor]:
    """Rows in order, `size` at a time. A single row left over joins the batch before: BatchNorm needs two."""
    batches = list(torch.split(rows, size))
    if len(batches) > 1 and len(batches[-1]) == 1:
        batches[-2:] = [torch.cat(batches[-2:])]
    return batches
