"""The classifier of the course report, flaws and all, for comparison with its numbers.

Its backbone is "frozen" but in train mode, so that BatchNorm normalises by the batch and its running statistics
move; its validation images are split off after real and synthetic ones were mixed; every arm trains for the same
number of epochs, so a larger training set gets more steps.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split
from torch import Tensor
from torch.nn.functional import cross_entropy

from ganbalance.arms.base import Examples
from ganbalance.config import PaperTraining
from ganbalance.seeding import derive
from ganbalance.training import loop
from ganbalance.training.checkpoint import State
from ganbalance.training.loop import Hooks, Row, restore_optimizer, seeded
from ganbalance.training.network import ImageClassifier

EVALUATION_BATCH = 256


@dataclass(frozen=True)
class Epoch:
    """One row of the curve of losses: means over the epoch's training and validation images."""

    epoch: int
    train_loss: float
    validation_loss: float


def train(  # noqa: PLR0913
    model: ImageClassifier,
    examples: Examples,
    *,
    settings: PaperTraining,
    seed: int,
    device: torch.device,
    resume: State | None = None,
    hooks: Hooks | None = None,
) -> list[Epoch]:
    """Train the head of `model` in place on uint8 images; returns a row per epoch.

    Weights of examples are of their losses, 1 in every arm of the report. `resume` is a state that `hooks.save` was
    given. Raises Stopped after a save when `hooks.stopped()`.
    """
    training = _Training(model, examples, settings, seed, device)
    loop.run(training, resume=resume, hooks=hooks or Hooks())
    return training.curve


@torch.inference_mode()
def predict(model: ImageClassifier, images_NCHW: NDArray[np.uint8], device: torch.device) -> NDArray[np.float64]:
    """Compute logits float64 (N, classes) in eval mode."""
    model.eval()
    images = torch.from_numpy(np.array(images_NCHW))
    batches = _batches(torch.arange(len(images)), EVALUATION_BATCH)
    return torch.cat([model(images[rows].to(device)).double() for rows in batches]).cpu().numpy()


class _Training:
    """The head's training; a step is a minibatch."""

    def __init__(
        self, model: ImageClassifier, examples: Examples, settings: PaperTraining, seed: int, device: torch.device
    ) -> None:
        self._model, self._settings, self._seed, self._device = model, settings, seed, device
        train_rows, held_out = train_test_split(
            np.arange(len(examples.labels)),
            test_size=settings.validation,
            stratify=examples.labels,
            random_state=derive(seed, "paper", "split") % 2**32,
        )
        self._rows, self._held_out = torch.from_numpy(train_rows), torch.from_numpy(held_out)
        model.network.requires_grad_(False)
        model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._images = torch.from_numpy(np.array(examples.inputs))
        self._labels = torch.from_numpy(examples.labels).to(device)
        self._weights = torch.from_numpy(examples.weights).float().to(device)
        self._optimizer = torch.optim.Adam(model.head.parameters(), lr=settings.lr, weight_decay=settings.weight_decay)
        self._order = torch.Generator().manual_seed(derive(seed, "paper", "order"))
        self._per_epoch = len(_batches(self._rows, settings.batch_size))
        self.step, self.steps = 0, settings.epochs * self._per_epoch
        self._total = 0.0  # of the losses seen in this epoch
        self.curve: list[Epoch] = []
        self._shuffle()

    def learn(self) -> Row:
        """Learn from one minibatch, and after the last of an epoch evaluate the validation images."""
        epoch, place = divmod(self.step, self._per_epoch)
        if place == 0 and epoch:
            self._shuffle()
        rows = self._batches[place]
        self._model.train()  # all of it: the report's "frozen" BatchNorm layers learn statistics
        self._optimizer.zero_grad()
        with seeded(derive(self._seed, "paper", "dropout", self.step), self._device):
            loss = self._losses(rows).mean()
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        value = loss.item()
        self._total += value * len(rows)
        self.step += 1
        if place == self._per_epoch - 1:
            row = Epoch(epoch + 1, self._total / len(self._rows), self._evaluate() / len(self._held_out))
            self.curve.append(row)
            self._total = 0.0
        return {"loss": value}

    def images_seen(self, steps: int) -> int:
        """Count every image once an epoch."""
        epochs, batches = divmod(steps, self._per_epoch)
        return epochs * len(self._rows) + sum(map(len, self._batches[:batches]))

    def state(self) -> State:
        """Return the state: see `loop.Training`. The order is that of before the epoch."""
        return {
            "step": self.step,
            "model": self._model.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "order": self._before,
            "total": self._total,
            "curve": [asdict(row) for row in self.curve],
        }

    def restore(self, state: State) -> None:
        """Go on from a state: see `loop.Training`."""
        self.step, self._total = state["step"], state["total"]
        self._model.load_state_dict(state["model"])
        restore_optimizer(self._optimizer, state["optimizer"])
        self._order.set_state(state["order"])
        self.curve = [Epoch(**row) for row in state["curve"]]
        self._shuffle()

    def _shuffle(self) -> None:
        self._before = self._order.get_state()
        order = torch.randperm(len(self._rows), generator=self._order)
        self._batches = _batches(self._rows[order], self._settings.batch_size)

    def _losses(self, rows: Tensor) -> Tensor:
        """Compute the weighted cross entropy per row (B,)."""
        logits = self._model(self._images[rows].to(self._device))
        here = rows.to(self._device)
        return cross_entropy(logits, self._labels[here], reduction="none") * self._weights[here]

    @torch.inference_mode()
    def _evaluate(self) -> float:
        """Sum the validation losses in eval mode."""
        self._model.eval()
        return sum(self._losses(batch).sum().item() for batch in _batches(self._held_out, EVALUATION_BATCH))


def _batches(rows: Tensor, size: int) -> Sequence[Tensor]:
    """Split rows in order, `size` at a time. A single row left over joins the batch before: BatchNorm needs two."""
    batches = list(torch.split(rows, size))
    if len(batches) > 1 and len(batches[-1]) == 1:
        batches[-2:] = [torch.cat(batches[-2:])]
    return batches
