"""The classifier of the course report, flaws and all, for comparison with its numbers.

Its backbone is "frozen" but in train mode, so that BatchNorm normalises by the batch and its running statistics
move; its validation images are split off after real and synthetic ones were mixed; every arm trains for the same
number of epochs, so a larger training set gets more steps.
"""

from collections.abc import Callable
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
        prepared = prepare(images, self._backbone, self._side_px, imagenet=False)
        logits: Tensor = self.head(self.network(prepared.contiguous(memory_format=torch.channels_last)))
        return logits


def train(  # noqa: PLR0913
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
    rows = np.arange(len(labels_N))
    train_rows, held_out = train_test_split(
        rows, test_size=settings.validation, stratify=labels_N, random_state=derive(seed, "paper", "split") % 2**32
    )
    order = torch.Generator().manual_seed(derive(seed, "paper", "order"))
    optimizer = torch.optim.Adam(model.head.parameters(), lr=settings.lr, weight_decay=settings.weight_decay)
    model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    images, labels = torch.from_numpy(np.ascontiguousarray(images_NCHW)), torch.from_numpy(labels_N)
    weights = torch.from_numpy(weights_N).float()

    def loss_of(batch: Tensor) -> Tensor:
        losses = cross_entropy(model(images[batch].to(device)), labels[batch].to(device), reduction="none")
        return (losses * weights[batch].to(device)).mean()

    curve = []
    for epoch in range(1, settings.epochs + 1):
        model.train()
        total = 0.0
        shuffled = torch.from_numpy(train_rows)[torch.randperm(len(train_rows), generator=order)]
        for done, batch in enumerate(shuffled.split(settings.batch_size)):
            optimizer.zero_grad()
            loss = loss_of(batch)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            total += loss.item() * len(batch)
            on_progress((epoch - 1) * len(train_rows) + done * settings.batch_size, settings.epochs * len(train_rows))
        model.eval()
        with torch.inference_mode():
            held = torch.from_numpy(held_out).split(EVALUATION_BATCH)
            validation = sum(loss_of(batch).item() * len(batch) for batch in held)
        curve.append(Epoch(epoch, total / len(train_rows), validation / len(held_out)))
    return curve


@torch.inference_mode()
def predict(model: PaperNetwork, images_NCHW: NDArray[np.uint8], device: torch.device) -> NDArray[np.float64]:
    """Probabilities float64 (N, classes) in eval mode."""
    model.eval()
    batches = torch.from_numpy(np.ascontiguousarray(images_NCHW)).split(EVALUATION_BATCH)
    return torch.cat([model(batch.to(device)).double().softmax(1) for batch in batches]).cpu().numpy()
