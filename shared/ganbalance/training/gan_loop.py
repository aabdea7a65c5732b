"""Train any GAN for a fixed number of steps, so that an interrupted run ends in the same bits as one that was not.

One step takes one real minibatch: `d_steps` discriminator steps on it, each with fresh fakes, then one generator
step. A run has as many steps as its configuration says, or epochs x minibatches per epoch where that gives epochs,
and its last step is used; the last epoch may be a partial one. After initialisation everything random comes from one
torch.Generator and from the minibatch order, a pure function of the step.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor
from torch.optim import Adam

from ganbalance.data.batches import BalancedOrder, BatchOrder
from ganbalance.data.canvas import from_canvas
from ganbalance.errors import DataError
from ganbalance.models.base import Gan
from ganbalance.seeding import derive
from ganbalance.training import loop
from ganbalance.training.checkpoint import State
from ganbalance.training.loop import Hooks, Row, restore_optimizer
from ganbalance.training.replay import Replayed
from ganbalance.training.synthesis import sample

GRID_IMAGES = 64
GRIDS = 5


@dataclass(frozen=True, kw_only=True)
class Divergence:
    """Where a loss or a weight stopped being finite, both counted from 1."""

    epoch: int
    step: int


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What a run leaves besides the weights in the GAN itself."""

    rows: list[Row]
    """One per finished epoch, a last partial one included: "epoch" and the mean of every loss term over its
    minibatches, "d_..." and "g_..."."""
    grids: dict[int, NDArray[np.uint8]]
    """Epoch -> 64 images of the same noise at its end, uint8 NCHW; after the last one the final weights'."""
    steps: int
    """Generator steps."""
    diverged_at: Divergence | None


def train(  # noqa: PLR0913
    gan: Gan,
    images_NCHW: Tensor,
    labels_N: Tensor,
    *,
    seed: int,
    stream: str,
    device: torch.device,
    resume: State | None = None,
    hooks: Hooks | None = None,
) -> Trained:
    """Train `gan` in place on float32 images (N, C, side, side) in [-1, 1] with int64 labels.

    `resume` is a state that `hooks.save` was given; one from a GPU goes on on a CPU, and the other way, with other
    draws. A loss or weight that is not finite ends the run with `diverged_at` set: that is a result. Raises Stopped
    after a save when `hooks.stopped()`.
    """
    _check(gan, images_NCHW, labels_N)
    run = _Run(gan, images_NCHW.to(device), labels_N.to(device), seed, stream)
    loop.run(run, resume=resume, hooks=hooks or Hooks())
    return run.result()


def grid_epochs(steps: int, per_epoch: int) -> set[int]:
    """Choose the epochs at whose end a grid is drawn: about five, as even in steps as epochs allow, the last included.

    Where there are fewer epochs there are fewer grids: an epoch has one at most.
    """
    evenly = {round(steps * part / (GRIDS * per_epoch)) for part in range(1, GRIDS)}
    return evenly - {0} | {-(-steps // per_epoch)}


class _Run:
    """A GAN's training. The device is that of the images."""

    def __init__(self, gan: Gan, images_NCHW: Tensor, labels_N: Tensor, seed: int, stream: str) -> None:
        self.gan, self._images_NCHW, self._labels_N = gan, images_NCHW, labels_N
        self._device = images_NCHW.device
        self._order = _order(gan.config, labels_N, seed, f"{stream}-order")
        self.steps = gan.config.total_steps(self._order.per_epoch)
        self._grid = _Grid(gan, labels_N, Generator().manual_seed(derive(seed, f"{stream}-grid")))
        self._drawn = grid_epochs(self.steps, self._order.per_epoch)
        # channels_last is how CPUs run these convolutions fastest; weights and results are the same
        gan.networks.to(self._device).to(memory_format=torch.channels_last).train()
        self.d_optimizer, self.g_optimizer = gan.optimizers()
        self._seed, self._stream = seed, stream
        self.rng = Generator(self._device).manual_seed(derive(seed, stream))
        self._terms: list[str] = []
        self._descend = Replayed(self._learn_from, self.rng)
        self.step = 0
        self.sums: Row = {}
        self.rows: list[Row] = []
        self.grids: dict[int, Tensor] = {}
        self.diverged_at: Divergence | None = None

    def learn(self) -> Row | None:
        """Learn from a minibatch; at an epoch's end keep its row and grid. None once a loss or weight is not finite."""
        per_epoch = self._order.per_epoch
        index_B = torch.from_numpy(self._order.at(self.step)).to(self._device, non_blocking=True)
        clock = torch.full((), self.step, dtype=torch.float32, device=self._device)
        # one transfer for all terms: on a GPU every single one would wait for the device
        found = self._descend(self._images_NCHW[index_B], self._labels_N[index_B], clock).tolist()
        losses: Row = dict(zip(self._terms, found, strict=True))
        for name, loss in losses.items():
            self.sums[name] = self.sums.get(name, 0.0) + loss
        self.step += 1
        epoch = -(-self.step // per_epoch)
        if not all(map(math.isfinite, losses.values())) or (self.step == self.steps and not self._weights_are_finite()):
            self.diverged_at = Divergence(epoch=epoch, step=self.step)
            return None
        if self.step in (epoch * per_epoch, self.steps):
            self._close_epoch(epoch, self.step - (epoch - 1) * per_epoch)
            if epoch in self._drawn:
                self.grids[epoch] = self._grid.draw(self._device)
        return losses

    def images_seen(self, steps: int) -> int:
        """Count every image as often as its minibatches come."""
        return self._order.images_seen(steps)

    def _learn_from(self, real_BCHW: Tensor, labels_B: Tensor, clock: Tensor) -> Tensor:
        """Do one step, `clock` after the first; return every loss term, D's averaged over its steps on these."""
        d_terms = [self._d_step(real_BCHW, labels_B, clock) for _ in range(self.gan.config.d_steps)]
        g_terms = self._g_step(real_BCHW, labels_B, clock)
        self._follow(clock)
        self._terms = [f"d_{name}" for name in d_terms[0]] + [f"g_{name}" for name in g_terms]
        d_means = [torch.stack([terms[name] for terms in d_terms]).mean() for name in d_terms[0]]
        return torch.stack([*d_means, *g_terms.values()])

    def _d_step(self, real_BCHW: Tensor, labels_B: Tensor, clock: Tensor) -> dict[str, Tensor]:
        with torch.no_grad():
            fake_BCHW = self._fake(labels_B)
            real_BCHW, fake_BCHW = self._shown(real_BCHW, clock), self._shown(fake_BCHW, clock)
        terms = self.gan.d_loss(real_BCHW, fake_BCHW, labels_B, self.rng)
        return _descend(self.d_optimizer, terms)

    def _g_step(self, real_BCHW: Tensor, labels_B: Tensor, clock: Tensor) -> dict[str, Tensor]:
        self.gan.D.requires_grad_(False)  # G's step needs the gradient through D, not the one of D's weights
        fake_BCHW = self._shown(self._fake(labels_B), clock)
        if self.gan.pairs_real:
            real_BCHW = self._shown(real_BCHW, clock)
        terms = self.gan.g_loss(real_BCHW, fake_BCHW, labels_B, self.rng)
        terms = _descend(self.g_optimizer, terms)
        self.gan.D.requires_grad_(True)
        return terms

    def _fake(self, labels_B: Tensor) -> Tensor:
        noise_BZ = self.gan.noise(len(labels_B), self.rng)
        return self.gan.generate(noise_BZ, labels_B)

    def _shown(self, images_BCHW: Tensor, clock: Tensor) -> Tensor:
        return self.gan.shown(images_BCHW, self.rng, clock / self.steps)

    @torch.no_grad()
    def _follow(self, clock: Tensor) -> None:
        """Move the running mean of G's weights after them, at first faster; statistics are taken as they are.

        Karras et al. 2018, arXiv:1710.10196, appendix A.1, has the mean; the start is not theirs.
        """
        average, decay = self.gan.average, self.gan.config.ema
        if average is None or decay is None:
            return
        kept_share = ((1 + clock) / (10 + clock)).clamp(max=decay)
        for mean, weight in zip(average.parameters(), self.gan.G.parameters(), strict=True):
            mean.lerp_(weight, 1 - kept_share)
        for kept, found in zip(average.buffers(), self.gan.G.buffers(), strict=True):
            kept.copy_(found)

    def _close_epoch(self, epoch: int, batches: int) -> None:
        """Turn the sums of the epoch into its row."""
        self.rows.append({"epoch": epoch} | {name: total / batches for name, total in self.sums.items()})
        self.sums = {}

    def _weights_are_finite(self) -> bool:
        """Return False when the last update broke a weight: no later loss would show it."""
        return all(bool(weight.isfinite().all()) for weight in self.gan.networks.parameters())

    def result(self) -> Trained:
        """Return what there is at the end."""
        grids = {epoch: images.numpy() for epoch, images in self.grids.items()}
        return Trained(rows=self.rows, grids=grids, steps=self.step, diverged_at=self.diverged_at)

    def state(self) -> State:
        """Return everything that `restore` needs to go on, on the same kind of device bit for bit."""
        return {
            "step": self.step,
            "gan": self.gan.networks.state_dict(),
            "d_optimizer": self.d_optimizer.state_dict(),
            "g_optimizer": self.g_optimizer.state_dict(),
            "rng": self.rng.get_state(),
            "sums": self.sums,
            "rows": self.rows,
            "grids": self.grids,
        }

    def restore(self, state: State) -> None:
        self.step = state["step"]
        self.gan.networks.load_state_dict(state["gan"])
        restore_optimizer(self.d_optimizer, state["d_optimizer"])
        restore_optimizer(self.g_optimizer, state["g_optimizer"])
        if len(state["rng"]) == len(self.rng.get_state()):
            self.rng.set_state(state["rng"])
        else:  # CPUs and GPUs draw from generators of different kinds: what is left gets a stream of its own
            self.rng.manual_seed(derive(self._seed, f"{self._stream}-from-{self.step}"))
        self.sums, self.rows, self.grids = dict(state["sums"]), list(state["rows"]), dict(state["grids"])


def _order(config: Gan.Config, labels_N: Tensor, seed: int, stream: str) -> BatchOrder:
    """Order the minibatches as a GAN asks for them."""
    if not config.balanced_batches:
        return BatchOrder(n_images=len(labels_N), batch_size=config.batch_size, seed=seed, stream=stream)
    labels = labels_N.numpy(force=True)
    return BalancedOrder(
        n_images=len(labels),
        batch_size=config.batch_size,
        seed=seed,
        stream=stream,
        classes=tuple(np.flatnonzero(labels == c) for c in np.unique(labels)),
    )


class _Grid:
    """The same noise whenever it is drawn."""

    def __init__(self, gan: Gan, labels_N: Tensor, rng: Generator) -> None:
        self.gan = gan
        self.noise_BZ = gan.noise(GRID_IMAGES, rng)
        known = torch.unique(labels_N)
        self.labels_B = known[torch.arange(GRID_IMAGES, device=known.device) % len(known)]

    def draw(self, device: torch.device) -> Tensor:
        """Draw the grid, uint8 (64, C, side, side), on the CPU."""
        return torch.from_numpy(
            from_canvas(sample(self.gan, self.noise_BZ.to(device), self.labels_B), self.gan.spec.side_px)
        )


def _descend(optimizer: Adam, terms: dict[str, Tensor]) -> dict[str, Tensor]:
    """Take one optimiser step down the sum of `terms`; returns them without their graphs."""
    optimizer.zero_grad()
    torch.stack(list(terms.values())).sum().backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return {name: term.detach() for name, term in terms.items()}


def _check(gan: Gan, images_NCHW: Tensor, labels_N: Tensor) -> None:
    wanted = (gan.spec.channels, gan.spec.side_px, gan.spec.side_px)
    if images_NCHW.dtype != torch.float32 or images_NCHW.shape[1:] != wanted or not len(images_NCHW):
        raise DataError(
            f"GAN training needs at least one image, float32 of shape {wanted}; "
            f"given {images_NCHW.dtype} of shape {tuple(images_NCHW.shape)}"
        )
    if labels_N.shape != images_NCHW.shape[:1] or labels_N.dtype != torch.int64:
        raise DataError(
            f"GAN training needs one int64 label per image ({len(images_NCHW)}); "
            f"given {labels_N.dtype} of shape {tuple(labels_N.shape)}"
        )
