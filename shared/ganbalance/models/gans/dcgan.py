"""DCGAN. Radford et al. 2016, arXiv:1511.06434, sections 3 and 4; losses of Goodfellow et al. 2014, arXiv:1406.2661,
eq. 1.

Settings are the course report's. Real labels are smoothed to 0.9 (Salimans et al. 2016, arXiv:1606.03498,
section 3.4; D's real term only) and Gaussian noise goes on every image that D sees, in D's step and in G's
(Sonderby et al. 2017, arXiv:1610.04490, section 3.2.1).
Deviations of the report from the paper: normal noise instead of uniform, PyTorch's initialisation instead of
N(0, 0.02), a second beta of 0.9 instead of Adam's 0.999, and a third convolution of D with kernel 3.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Self

from ganbalance.models.base import (
    Betas,
    Count,
    Gan,
    ImageSpec,
    Label,
    NonNegative,
    Positive,
    Widths,
    deepened,
)
from ganbalance.models.blocks import add_noise, dcgan_generator
from ganbalance.models.lazy import Generator, Tensor, nn
from ganbalance.models.losses import bce_fake, bce_real, non_saturating


class Dcgan(Gan):
    """Convolutions with BatchNorm in both networks."""

    class Config(Gan.Config):
        """The report's settings."""

        batch_size: Count = 128
        lr: Positive = 2e-4
        betas: Betas = (0.5, 0.9)
        g_widths: Widths = (512, 256, 128)
        d_widths: Widths = (64, 128, 256)
        real_label: Label = 0.9
        instance_noise: NonNegative = 0.05
        """Standard deviation, on the scale of images in [-1, 1]."""

        def at(self, spec: ImageSpec) -> Self:
            layers = spec.doublings
            g_widths = deepened(self.g_widths, layers, name="g_widths", front=True)
            d_widths = deepened(self.d_widths, layers, name="d_widths", front=False)
            return self.model_copy(update={"g_widths": g_widths, "d_widths": d_widths})

    config: Config

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__(config, spec)
        self.G = dcgan_generator(config.latent, config.g_widths, spec.channels)
        self.D = _discriminator(config.d_widths, spec.channels)

    def d_loss(self, real_BCHW: Tensor, fake_BCHW: Tensor, labels_B: Tensor, rng: Generator) -> dict[str, Tensor]:
        """arXiv:1406.2661, eq. 1, negated. Real and fake pass D apart: each has its own batch statistics."""
        sd = self.config.instance_noise
        return {
            "real": bce_real(self.D(add_noise(real_BCHW, sd, rng)), self.config.real_label),
            "fake": bce_fake(self.D(add_noise(fake_BCHW.detach(), sd, rng))),
        }

    def g_loss(self, real_BCHW: Tensor, fake_BCHW: Tensor, labels_B: Tensor, rng: Generator) -> dict[str, Tensor]:
        """arXiv:1406.2661, section 3: maximise log D(G(z))."""
        return {"fool": non_saturating(self.D(add_noise(fake_BCHW, self.config.instance_noise, rng)))}


def _discriminator(widths: tuple[int, ...], channels: int) -> nn.Sequential:
    """Images (B, channels, side, side) -> logits (B,), through half the side with every width, down to 4 and 1."""
    layers = [nn.Conv2d(channels, widths[0], kernel_size=4, stride=2, padding=1), nn.LeakyReLU(0.2)]
    for number, (before, width) in enumerate(pairwise(widths), start=2):
        kernel = 3 if number == len(widths) else 4
        halved = nn.Conv2d(before, width, kernel_size=kernel, stride=2, padding=1)
        layers += [halved, nn.BatchNorm2d(width), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, kernel_size=4, stride=1, padding=0), nn.Flatten(0))
