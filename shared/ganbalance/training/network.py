"""Train a network on images: from scratch, or published weights, all of them or the last block alone.

Every arm takes as many steps of as many images, so that a larger training set gets no more of them. Minibatches and
the changes of their images are pure functions of the step; weights, statistics and AdamW's moments are the state.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ganbalance.arms.base import Examples, Method, Minibatch, Objective
from ganbalance.config import NetworkTraining, Trained
from ganbalance.data.augmentation import augmented
from ganbalance.errors import ConfigError
from ganbalance.models.backbones.base import Backbone, prepare
from ganbalance.seeding import derive, numpy_rng
from ganbalance.training.checkpoint import State
from ganbalance.training.loop import Row, restore_optimizer, seeded


class ImageClassifier(nn.Module):
    """A backbone and a linear layer on its features: uint8 images (N,1|3,H,W) to logits (N, classes)."""

    def __init__(
        self, backbone: Backbone, network: nn.Module, classes: int, side_px: int, *, imagenet: bool = True
    ) -> None:
        super().__init__()
        self._backbone, self._side_px, self._imagenet = backbone, side_px, imagenet
        self.network = network
        self.head = nn.Linear(backbone.features, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Compute logits: see the class."""
        prepared = prepare(images, self._backbone, self._side_px, imagenet=self._imagenet)
        logits: Tensor = self.head(self.network(prepared.contiguous(memory_format=torch.channels_last)))
        return logits


class Training:
    """A network's training at one learning rate and weight decay, to be run by `loop.run`."""

    def __init__(  # noqa: PLR0913
        self,
        model: ImageClassifier,
        train: Examples,
        *,
        trained: Trained,
        settings: NetworkTraining,
        lr: float,
        weight_decay: float,
        method: Method,
        objective: Objective,
        seed: int,
        device: torch.device,
    ) -> None:
        """Prepare to train `model` in place on uint8 images that `method` resampled.

        Raises ConfigError where it has no last block.
        """
        self._model, self._train, self._settings, self._lr = model, train, settings, lr
        self._method, self._objective, self._seed, self._device = method, objective, seed, device
        self._shift = objective.shift(train.prior)
        model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        model.eval().requires_grad_(False)
        chosen = _chosen(model.network, trained)
        for part in (*chosen, *model.head.modules()):
            part.training = True
            for weight in part.parameters(recurse=False):
                weight.requires_grad_(True)
        learning = [weight for weight in model.parameters() if weight.requires_grad]
        self._optimizer = torch.optim.AdamW(learning, lr=lr, weight_decay=weight_decay)
        self.step, self.steps = 0, settings.steps
        self.diverged = False

    def learn(self) -> Row | None:
        """Learn from one minibatch. None once a loss, or at the end a weight, is not finite: then `diverged` is set."""
        batch = self._method.minibatch(self._train, self.step, self._settings.batch_size, self._seed)
        for group in self._optimizer.param_groups:
            group["lr"] = self._lr * (1 + math.cos(math.pi * self.step / self.steps)) / 2
        self._optimizer.zero_grad()
        with seeded(derive(self._seed, "network", "dropout", self.step), self._device):
            logits = self._model(self._images(batch).to(self._device))
        loss = self._loss(logits, batch)
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        self.step += 1
        value = loss.item()
        self.diverged = not math.isfinite(value) or (self.step == self.steps and not self._is_finite())
        return None if self.diverged else {"loss": value}

    def images_seen(self, steps: int) -> int:
        """Count the images of whole minibatches."""
        return steps * self._settings.batch_size

    def state(self) -> State:
        """Return the state: see `loop.Training`."""
        return {"step": self.step, "model": self._model.state_dict(), "optimizer": self._optimizer.state_dict()}

    def restore(self, state: State) -> None:
        """Go on from a state: see `loop.Training`."""
        self.step = state["step"]
        self._model.load_state_dict(state["model"])
        restore_optimizer(self._optimizer, state["optimizer"])

    def _images(self, batch: Minibatch) -> Tensor:
        """Make a minibatch's images, each changed and then mixed: uint8, or float32 of the same levels (B, C, H, W)."""
        levels = self._train.inputs[batch.rows]
        if self._settings.augment:
            levels = augmented(levels, self._settings.augment, numpy_rng(self._seed, "network", "augment", self.step))
        images = torch.from_numpy(np.array(levels))
        if batch.others is None:
            return images
        return batch.share * images + (1 - batch.share) * images[torch.from_numpy(batch.others)]

    def _loss(self, logits: Tensor, batch: Minibatch) -> Tensor:
        """Average a minibatch's losses; that of a mixture is the loss for each of its labels by the label's share."""

        def mean(rows: NDArray[np.int64], weights: NDArray[np.float64]) -> Tensor:
            losses = _Loss.apply(logits, self._train.labels[rows], self._shift, self._objective)
            weighted: Tensor = losses * torch.from_numpy(weights).to(losses)
            return weighted.mean()

        own = mean(batch.rows, batch.weights)
        if batch.others is None:
            return own
        return batch.share * own + (1 - batch.share) * mean(batch.rows[batch.others], batch.weights[batch.others])

    def _is_finite(self) -> bool:
        """Tell whether all is finite, statistics included: no later loss would show what the last step broke."""
        return all(bool(value.isfinite().all()) for value in self._model.state_dict().values())


def last_block(network: nn.Module) -> list[nn.Module]:
    """List the modules of the last block of a network, and what comes after it.

    Blocks are the parts of an outermost Sequential or ModuleList with at least two that have weights beyond those of a
    normalisation. Raises ConfigError where there is none.
    """
    rows: dict[str, list[str]] = {}
    for name, part in network.named_modules():
        blocks = [child for child, block in part.named_children() if _has_matrices(block)]
        nested = any(name.startswith(f"{row}." if row else "") for row in rows)
        if isinstance(part, nn.Sequential | nn.ModuleList) and len(blocks) > 1 and not nested:
            rows[name] = blocks
    if not rows:
        raise ConfigError("classifier.train = 'last-block': this network has no row of blocks; set it to all")
    row, blocks = list(rows.items())[-1]
    block = f"{row}.{blocks[-1]}".removeprefix(".")
    names = [name for name, _ in network.named_modules()]
    return [network.get_submodule(name) for name in names[names.index(block) :]]


def _chosen(network: nn.Module, trained: Trained) -> list[nn.Module]:
    return last_block(network) if trained == "last-block" else list(network.modules())


def _has_matrices(part: nn.Module) -> bool:
    return any(weight.dim() > 1 for weight in part.parameters())


class _Loss(torch.autograd.Function):
    """The loss of an objective for every image, with the derivative that the objective gives."""

    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx,
        logits: Tensor,
        labels: NDArray[np.int64],
        shift: NDArray[np.float64],
        objective: Objective,
    ) -> Tensor:
        loss, slope = objective.loss(logits.detach().double().cpu().numpy() + shift, labels)
        ctx.slope = torch.from_numpy(slope).to(logits)  # type: ignore[attr-defined]
        return torch.from_numpy(loss).to(logits)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        return gradients[0][:, None] * ctx.slope, None, None, None  # type: ignore[attr-defined]
