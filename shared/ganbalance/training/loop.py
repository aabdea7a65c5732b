"""Run any training step by step, so that an interrupted one ends in the same bits as one that was not.

A training keeps all that changes in it, and nothing else, in its state; everything random in it is in that state too
or is a pure function of the step.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import torch
from torch.optim import Optimizer

from ganbalance.errors import Stopped
from ganbalance.training.checkpoint import State

Row = dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Hooks:
    """What the world outside wants of the loop; every hook is called between two steps."""

    save: Callable[[State], None] = lambda _state: None
    """Store a state to resume from. It shares memory with the training: write it down before returning."""
    save_due: Callable[[], bool] = lambda: False
    stopped: Callable[[], bool] = lambda: False
    """True asks for a save and an end: the loop raises Stopped."""
    on_progress: Callable[[int, int, Row], None] = lambda _images_seen, _total, _losses: None


class Training(Protocol):
    """What can be run: a GAN's training, a network's, the course report's."""

    step: int  # steps done; a state holds it as "step"
    steps: int

    def learn(self) -> Row | None:
        """Do one step; the losses seen in it, or None where the training broke down and ends here."""

    def images_seen(self, steps: int) -> int:
        """Count the images that the first `steps` steps look at."""

    def state(self) -> State:
        """Return everything that `restore` needs to go on bit for bit."""

    def restore(self, state: State) -> None:
        """Go on where `state` was taken."""


def run(training: Training, *, resume: State | None, hooks: Hooks) -> None:
    """Do all the steps that are left. `resume` is a state that `hooks.save` was given.

    Raises Stopped after a save when `hooks.stopped()`.
    """
    if resume is not None:
        training.restore(resume)
    while training.step < training.steps:
        if hooks.stopped():
            hooks.save(training.state())
            raise Stopped(f"stopped after step {training.step} of {training.steps}; the same command resumes there")
        if (losses := training.learn()) is None:
            return
        hooks.on_progress(training.images_seen(training.step), training.images_seen(training.steps), losses)
        if hooks.save_due():
            hooks.save(training.state())


@contextmanager
def seeded(seed: int, device: torch.device | None = None) -> Iterator[None]:
    """Draw what torch draws by itself (weights, dropout) from a seed, and leave the streams of all but this alone.

    `device` is where it draws beside the CPU.
    """
    with torch.random.fork_rng(devices=[device] if device and device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def restore_optimizer(optimizer: Optimizer, state: State) -> None:
    """Load copies of `state`, laid out in memory like the weights: mixed strides take Adam twice the time.

    Where Adam counts its steps stays as it was made here: one from before steps were recorded on GPUs says otherwise.
    """
    here = ({"capturable": group["capturable"]} for group in optimizer.param_groups)
    groups = [group | own for group, own in zip(state["param_groups"], here, strict=True)]
    optimizer.load_state_dict(state | {"param_groups": groups})
    for weight, moments in optimizer.state.items():
        for name, value in moments.items():
            moments[name] = torch.empty_like(weight).copy_(value) if value.shape == weight.shape else value.clone()
