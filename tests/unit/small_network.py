"""A network of two blocks, and its training on fifty images of two classes."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganbalance import arms
from ganbalance.arms.base import Examples, Minibatch
from ganbalance.config import NetworkTraining
from ganbalance.models.backbones.base import Backbone
from ganbalance.training import loop
from ganbalance.training.loop import Hooks
from ganbalance.training.network import ImageClassifier, Training

CPU = torch.device("cpu")
SIDE_PX = 8
LABELS = np.repeat([0, 1], [30, 20])
IMAGES = np.random.default_rng(0).integers(0, 256, (50, 1, SIDE_PX, SIDE_PX), dtype=np.uint8)
WEIGHTS = np.random.default_rng(1).uniform(0.2, 3, 50)
STEPS = 7


class Small(Backbone):
    """Two blocks. Their convolutions have no biases: before a BatchNorm a bias has no gradient but rounding."""

    features = 4
    mean, std = (0.1, 0.2, 0.3), (0.7, 0.8, 0.9)

    def build(self) -> nn.Module:
        torch.manual_seed(0)
        blocks = nn.Sequential(
            nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4)),
            nn.ReLU(),
            nn.Sequential(nn.Conv2d(4, 4, 3, bias=False), nn.BatchNorm2d(4)),
        )
        return nn.Sequential(blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten())

    def download(self) -> Path:
        pytest.fail("weights were to be downloaded")

    def convert(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        pytest.fail("weights were read from a file")


class Watched:
    """A training and every minibatch that it learned from."""

    def __init__(
        self,
        weights: np.ndarray | None = None,
        objective: Any = "cross-entropy",
        method: Any = "none",
        seed: int = 0,
        **settings: Any,
    ) -> None:
        torch.manual_seed(1)
        self.model = ImageClassifier(Small(), Small().build(), 2, SIDE_PX)
        self.images, self.labels = settings.pop("images", IMAGES), settings.pop("labels", LABELS)
        given = {"trained": "all", "lr": 0.1, "weight_decay": 0.5} | {
            name: settings.pop(name) for name in ("trained", "lr", "weight_decay") if name in settings
        }
        self.training = Training(
            self.model,
            Examples(self.images, self.labels, np.ones(len(self.labels)) if weights is None else weights),
            settings=NetworkTraining(**{"steps": STEPS, "batch_size": 16, "augment": None} | settings),
            method=arms.method(method),
            objective=arms.objective(objective),
            seed=seed,
            device=CPU,
            **given,
        )

    def run(self, **hooks: Any) -> "Watched":
        resume = hooks.pop("resume", None)
        loop.run(self.training, resume=resume, hooks=Hooks(**hooks))
        return self

    def batches(self) -> list[Minibatch]:
        given, size = self.training._train, self.training._settings.batch_size
        minibatch, seed = self.training._method.minibatch, self.training._seed
        return [minibatch(given, step, size, seed) for step in range(self.training.steps)]

    def rows(self) -> list[list[int]]:
        return [batch.rows.tolist() for batch in self.batches()]

    def fingerprint(self) -> str:
        digest = hashlib.sha256()
        for name, value in self.model.state_dict().items():
            digest.update(name.encode() + value.contiguous().numpy().tobytes())
        return digest.hexdigest()


Loss = Callable[[Tensor], Tensor]


def trained_on(minibatches: Iterable[tuple[Tensor, Loss]]) -> nn.Module:
    """All of the network, trained by torch's AdamW and scheduler on images and the losses of their logits."""
    torch.manual_seed(1)
    model = ImageClassifier(Small(), Small().build(), 2, SIDE_PX).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=0.5)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=STEPS)
    for images, loss in minibatches:
        optimizer.zero_grad()
        loss(model(images)).backward()
        optimizer.step()
        schedule.step()
    return model


def written_out(watched: Watched, loss: Callable[[Tensor, Tensor, Tensor], Tensor], weights: np.ndarray) -> nn.Module:
    """The same on the minibatches of `watched`, with a loss of logits, labels and weights."""
    scaled = torch.from_numpy(weights / weights.mean()).float()

    def of(rows: list[int]) -> Loss:
        return lambda logits: loss(logits, torch.from_numpy(LABELS[rows]), scaled[rows])

    return trained_on((torch.from_numpy(IMAGES[rows]), of(rows)) for rows in watched.rows())


def weighted(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    return (F.cross_entropy(logits, labels, reduction="none") * weights).mean()


def close(ours: nn.Module, theirs: nn.Module) -> bool:
    pairs = zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True)
    return all(torch.allclose(one.float(), other.float(), atol=2e-5) for one, other in pairs)
