"""R3GAN. Huang et al. 2024, arXiv:2501.05441: eq. 2 (relativistic pairing) with both zero-centred penalties, R1 and R2
(section 2), and networks without normalisation (section 3), here at 32 to 128 px.

Kept of the networks: residual blocks of 1x1, grouped 3x3 and 1x1 convolutions that start as the identity (Zhang et al.
2019, arXiv:1901.09321), resampling apart from them, a learned first layer, no normalisation anywhere. Deviations: one
block for a resolution instead of two, narrower ones, pixels repeated and averaged instead of resampled bilinearly, no
schedules of the learning rate, of beta 2 and of gamma, penalties at the images as D sees them, changed where they are,
not at those before the change. With `projection: true` it is conditional: D by a projection
(Miyato and Koyama 2018, arXiv:1802.05637, eq. 3), G by one-hot values beside the noise.
"""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar

from ganbalance.models.base import Betas, Count, Gan, ImageSpec, NonNegative, Positive, ProjectionConfig, Widths
from ganbalance.models.blocks import doubled, projected
from ganbalance.models.lazy import Generator, Tensor, nn
from ganbalance.models.losses import relativistic, zero_centred_penalty

GROUP = 16
"""Channels of a group of the 3x3 convolutions."""


class R3gan(Gan):
    """A discriminator that compares a real with a drawn image, with penalties on its slope at both."""

    pairs_real: ClassVar[bool] = True

    class Config(ProjectionConfig):
        """For each side of the images, from 4 px to their own, a width."""

        g_extra: ClassVar[int] = 1
        d_extra: ClassVar[int] = 1

        batch_size: Count = 64
        lr: Positive = 2e-4
        betas: Betas = (0.0, 0.99)
        g_widths: Widths = (256, 128, 64, 32)
        d_widths: Widths = (32, 64, 128, 256)
        gamma: NonNegative = 1.0
        """Weight of both penalties."""

    config: Config

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__(config, spec)
        self.G = _generator(config.latent + (spec.classes or 0), config.g_widths, spec.channels)
        self.D = projected(_features(config.d_widths, spec.channels), config.d_widths[-1], spec.classes, spectral=False)

    def d_loss(self, real_BCHW: Tensor, fake_BCHW: Tensor, labels_B: Tensor, rng: Generator) -> dict[str, Tensor]:
        """Compute eq. 2, negated, and the penalties of section 2."""
        fake_BCHW, gamma = fake_BCHW.detach(), self.config.gamma

        def critic(images_BCHW: Tensor) -> Tensor:
            return self.score(images_BCHW, labels_B)

        return {
            "pairs": relativistic(critic(real_BCHW), critic(fake_BCHW)),
            "r1": gamma * zero_centred_penalty(critic, real_BCHW),
            "r2": gamma * zero_centred_penalty(critic, fake_BCHW),
        }

    def g_loss(self, real_BCHW: Tensor, fake_BCHW: Tensor, labels_B: Tensor, rng: Generator) -> dict[str, Tensor]:
        """Compute eq. 2, with the pair the other way round."""
        return {"pairs": relativistic(self.score(fake_BCHW, labels_B), self.score(real_BCHW, labels_B))}


def _generator(latent: int, widths: tuple[int, ...], channels: int) -> nn.Sequential:
    """Build G: noise (B, Z) -> images (B, channels, side, side) in [-1, 1]: side 4, twice as long with every width."""
    layers: list[nn.Module] = [nn.Linear(latent, 16 * widths[0]), nn.Unflatten(1, (widths[0], 4, 4)), _block(widths[0])]
    for before, width in pairwise(widths):
        layers += [nn.Conv2d(before, width, kernel_size=1, bias=False), _doubled(), _block(width)]
    return nn.Sequential(*layers, nn.Conv2d(widths[-1], channels, kernel_size=1), nn.Tanh())


def _features(widths: tuple[int, ...], channels: int) -> nn.Sequential:
    """Build layers (B, channels, side, side) -> (B, last width): a block for every side, down to 4, from there to 1."""
    layers: list[nn.Module] = [nn.Conv2d(channels, widths[0], kernel_size=1), _block(widths[0])]
    for before, width in pairwise(widths):
        layers += [nn.AvgPool2d(2), nn.Conv2d(before, width, kernel_size=1, bias=False), _block(width)]
    last = nn.Conv2d(widths[-1], widths[-1], kernel_size=4, groups=widths[-1], bias=False)
    return nn.Sequential(*layers, last, nn.Flatten())


def _doubled() -> nn.Module:
    class Doubled(nn.Module):
        def forward(self, images_BCHW: Tensor) -> Tensor:
            return doubled(images_BCHW)

    return Doubled()


def _block(width: int) -> nn.Module:
    """Build a block (B, width, H, W) -> the same: what is added to its input is 0 at first."""
    inner = 2 * width
    groups = max(1, inner // GROUP)

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            last = nn.Conv2d(inner, width, kernel_size=1, bias=False)
            nn.init.zeros_(last.weight)
            self.added = nn.Sequential(
                nn.Conv2d(width, inner, kernel_size=1),
                nn.LeakyReLU(0.2),
                nn.Conv2d(inner, inner, kernel_size=3, padding=1, groups=groups),
                nn.LeakyReLU(0.2),
                last,
            )

        def forward(self, images_BCHW: Tensor) -> Tensor:
            changed_BCHW: Tensor = images_BCHW + self.added(images_BCHW)
            return changed_BCHW

    return Block()
