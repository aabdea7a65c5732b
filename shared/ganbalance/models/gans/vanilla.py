"""Vanilla GAN. Goodfellow et al. 2014, arXiv:1406.2661, eq. 1 with the non-saturating generator loss of section 3.

Networks and settings are the course report's: two linear layers each, images as flat values, and real labels
smoothed to 0.9 (Salimans et al. 2016, arXiv:1606.03498, section 3.4; D's real term only).
The report ends D in a sigmoid and takes the binary cross entropy of that. Here D ends before the sigmoid and the
loss takes the logit: the same function of the same weights, without log(0).
"""

from __future__ import annotations

import math

from ganbalance.models.base import Betas, Count, Gan, ImageSpec, Label, NonNegative, Positive
from ganbalance.models.lazy import Generator, Tensor, nn
from ganbalance.models.losses import bce_fake, bce_real, non_saturating


class Vanilla(Gan):
    """Two small multilayer perceptrons."""

    class Config(Gan.Config):
        """The report's settings."""

        batch_size: Count = 64
        lr: Positive = 3e-4
        betas: Betas = (0.9, 0.999)
        g_width: Count = 256
        d_width: Count = 128
        real_label: Label = 0.9
        instance_noise: NonNegative = 0.0  # the report names it for DCGAN alone

    config: Config

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__(config, spec)
        shape = (spec.channels, spec.side_px, spec.side_px)
        values = math.prod(shape)
        self.G = nn.Sequential(
            nn.Linear(config.latent, config.g_width),
            nn.LeakyReLU(0.01),
            nn.Linear(config.g_width, values),
            nn.Tanh(),
            nn.Unflatten(1, shape),
        )
        self.D = nn.Sequential(
            nn.Flatten(),
            nn.Linear(values, config.d_width),
            nn.LeakyReLU(0.01),
            nn.Linear(config.d_width, 1),
            nn.Flatten(0),
        )

    def d_loss(self, real_BCHW: Tensor, fake_BCHW: Tensor, labels_B: Tensor, rng: Generator) -> dict[str, Tensor]:
        """Tell real from fake: eq. 1, negated."""
        return {
            "real": bce_real(self.score(real_BCHW, labels_B), self.config.real_label),
            "fake": bce_fake(self.score(fake_BCHW.detach(), labels_B)),
        }

    def g_loss(self, real_BCHW: Tensor, fake_BCHW: Tensor, labels_B: Tensor, rng: Generator) -> dict[str, Tensor]:
        """Maximise log D(G(z)): section 3."""
        return {"fool": non_saturating(self.score(fake_BCHW, labels_B))}
