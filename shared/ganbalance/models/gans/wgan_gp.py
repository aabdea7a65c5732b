"""WGAN-GP. Gulrajani et al. 2017, arXiv:1704.00028, eq. 3 and algorithm 1.

Settings are the course report's: DCGAN's generator at half the width, five critic steps on the same real batch.
Deviations of the report from the paper: the critic steps share a batch (algorithm 1, line 4, draws one for each), the
learning rate is 2e-4 instead of 1e-4, and the critic has BatchNorm. The penalty of eq. 3 is about the slope at one
image, and BatchNorm makes the score of an image depend on the others (section 4, "No critic batch normalization");
`critic_norm: layer` is the paper's advice and the textbook choice, `none` works too.
"""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar

from ganbalance.models.base import Betas, ConvConfig, Count, Gan, ImageSpec, NonNegative, Positive, Widths
from ganbalance.models.blocks import CriticNorm, dcgan_generator, norm
from ganbalance.models.lazy import Generator, Tensor, nn
from ganbalance.models.losses import gradient_penalty, wasserstein_critic, wasserstein_generator


class WganGp(Gan):
    """A critic that estimates the Wasserstein distance, kept near 1-Lipschitz by a penalty on its slope."""

    class Config(ConvConfig):
        """The report's settings; lambda, n_critic and betas are algorithm 1's defaults."""

        d_extra: ClassVar[int] = 1

        batch_size: Count = 64
        lr: Positive = 2e-4
        betas: Betas = (0.0, 0.9)
        d_steps: Count = 5
        g_widths: Widths = (256, 128, 64)
        d_widths: Widths = (32, 64, 128, 256)
        gp_weight: NonNegative = 10.0
        critic_norm: CriticNorm = "batch"

    config: Config

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__(config, spec)
        self.G = dcgan_generator(config.latent, config.g_widths, spec.channels)
        self.D = _critic(config.d_widths, spec.channels, config.critic_norm)

    def d_loss(self, real_BCHW: Tensor, fake_BCHW: Tensor, labels_B: Tensor, rng: Generator) -> dict[str, Tensor]:
        """Compute the negated distance and the penalty: eq. 3."""
        return {
            "critic": wasserstein_critic(self.D(real_BCHW), self.D(fake_BCHW.detach())),
            "penalty": self.config.gp_weight * gradient_penalty(self.D, real_BCHW, fake_BCHW, rng),
        }

    def g_loss(self, real_BCHW: Tensor, fake_BCHW: Tensor, labels_B: Tensor, rng: Generator) -> dict[str, Tensor]:
        """Compute the loss of algorithm 1, line 12."""
        return {"score": wasserstein_generator(self.D(fake_BCHW))}


def _critic(widths: tuple[int, ...], channels: int, kind: CriticNorm) -> nn.Sequential:
    """Build D: images (B, channels, side, side) -> scores (B,): half the side with every width, down to 2 and 1."""
    layers: list[nn.Module] = [nn.Conv2d(channels, widths[0], kernel_size=4, stride=2, padding=1), nn.LeakyReLU(0.2)]
    for before, width in pairwise(widths):
        layers += [nn.Conv2d(before, width, kernel_size=4, stride=2, padding=1), norm(kind, width), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, kernel_size=2, stride=1, padding=0), nn.Flatten(0))
