"""How much faster a GAN trains on a GPU when its steps are recorded and replayed: python -m tests.bench.replay.

Each GAN at its own widths, on 48 grey images of 32 px in one minibatch, both ways in turn: the same weights have to
come out. Times are medians of the steps after the first third. Needs a GPU.
"""

import statistics
import time
from hashlib import sha256
from itertools import pairwise
from unittest.mock import patch

import torch

from ganbalance.models import gans
from ganbalance.models.base import ImageSpec
from ganbalance.training import device, gan_loop
from ganbalance.training.loop import Hooks
from ganbalance.training.replay import Replayed

IMAGES, STEPS = 48, 90


def main() -> None:
    """Print a line per GAN."""
    where = device.resolve("cuda")
    print(f"{torch.cuda.get_device_name(where)}, torch {torch.__version__}")
    print(f"{'GAN':<12} {'step, ms':>9} {'replayed':>9} {'faster':>7}  same weights")
    for name in gans.names():
        with patch.object(Replayed, "__call__", lambda replayed, *inputs: replayed._function(*inputs)):
            plain_ms, plain = measured(name, where)
        replayed_ms, replayed = measured(name, where)
        faster = plain_ms / replayed_ms
        print(
            f"{name:<12} {plain_ms:>9.2f} {replayed_ms:>9.2f} {faster:>6.1f}x  {'yes' if plain == replayed else 'NO'}"
        )


def measured(name: str, where: torch.device) -> tuple[float, str]:
    """Return the milliseconds that a step takes, and a digest of the weights after all of them."""
    config = gans.load(name).Config(steps=STEPS)
    gan = gans.build(name, config, ImageSpec(1, 32, 2 if config.conditional else None), 0)
    images_NCHW = torch.rand(IMAGES, 1, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    labels_N = torch.arange(IMAGES) % (2 if config.conditional else 1)
    ends: list[float] = []
    hooks = Hooks(on_progress=lambda *_: ends.append(time.perf_counter()))
    gan_loop.train(gan, images_NCHW, labels_N, seed=0, stream="bench", device=where, hooks=hooks)
    taken = [after - before for before, after in pairwise(ends)][STEPS // 3 :]
    weights = sha256()
    for _, value in sorted(gan.networks.state_dict().items()):
        weights.update(value.cpu().contiguous().numpy().tobytes())
    return 1e3 * statistics.median(taken), weights.hexdigest()


if __name__ == "__main__":
    main()
