"""Draw images from a trained generator, in eval mode: BatchNorm uses its running statistics and keeps them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from ganbalance.data.canvas import from_canvas
from ganbalance.models.base import Gan
from ganbalance.seeding import derive

CHUNK = 256


def synthesise(  # noqa: PLR0913
    gan: Gan,
    n: int,
    *,
    label: int,
    seed: int,
    stream: str,
    side_px: int,
    device: torch.device,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> NDArray[np.uint8]:
    """Draw `n` images of class `label`, uint8 (n, C, side_px, side_px): a pure function of weights, n, seed and stream.

    All noise is drawn up front on the CPU, so neither the device nor the chunk size has a say in it.
    `on_progress(images done, n)` is called after every chunk.
    """
    gan.networks.to(device).to(memory_format=torch.channels_last)
    noise_NZ = gan.noise(n, Generator().manual_seed(derive(seed, stream)))
    labels_N = torch.full((n,), label)
    images = np.empty((n, gan.spec.channels, side_px, side_px), dtype=np.uint8)
    for start in range(0, n, CHUNK):
        chunk = slice(start, min(start + CHUNK, n))
        images[chunk] = from_canvas(sample(gan, noise_NZ[chunk].to(device), labels_N[chunk].to(device)), side_px)
        on_progress(chunk.stop, n)
    return images


@torch.inference_mode()
def discriminate(gan: Gan, images_NCHW: Tensor, label: int, device: torch.device) -> NDArray[np.float64]:
    """Score images on its canvas with the trained discriminator or critic, float64 (N,): higher is more real.

    A conditional one judges them as images of class `label`.
    """
    gan.networks.to(device).to(memory_format=torch.channels_last)
    with _eval_mode(gan):
        found = [
            gan.score(chunk.to(device), torch.full((len(chunk),), label, device=device)).double().cpu()
            for chunk in torch.split(images_NCHW, CHUNK)
        ]
    logits: NDArray[np.float64] = torch.cat(found).numpy()
    return logits


@torch.inference_mode()
def sample(gan: Gan, noise_BZ: Tensor, labels_B: Tensor) -> Tensor:
    """Draw images (B, C, side, side) in [-1, 1] as the trained generator does; the GAN's mode is put back after."""
    with _eval_mode(gan):
        return gan.generate(noise_BZ, labels_B)


@contextmanager
def _eval_mode(gan: Gan) -> Iterator[None]:
    was_training = gan.networks.training
    gan.networks.eval()
    try:
        yield
    finally:
        gan.networks.train(was_training)
