"""SNGAN. Miyato et al. 2018, arXiv:1802.05957, eqs. 16 and 17 (hinge losses), algorithm 1 (spectral normalisation) and
table 3 (networks); conditional with `projection: true`, as Miyato and Koyama 2018, arXiv:1802.05637, eq. 3.

D's widths are half of the table's. Deviations: G ends as DCGAN's does, in a transposed convolution from 128 channels,
without the table's layer of 64 and its 3x3 convolution; where it is conditional, G takes the class as one-hot values
beside the noise, not by conditional BatchNorm; one step of D for a step of G instead of five.
"""

from __future__ import annotations

from typing import ClassVar

from ganbalance.models.base import Betas, Count, Gan, ImageSpec, Positive, ProjectionConfig, Widths
from ganbalance.models.blocks import dcgan_generator, projected
from ganbalance.models.lazy import Generator, Tensor, nn, torch
from ganbalance.models.losses import hinge, wasserstein_generator


class Sngan(Gan):
    """A discriminator whose every layer has a spectral norm of 1, so that its slope is bounded without a penalty."""

    class Config(ProjectionConfig):
        """Adam's settings are among those of table 1."""

        d_extra: ClassVar[int] = 1

        batch_size: Count = 64
        lr: Positive = 2e-4
        betas: Betas = (0.5, 0.999)
        g_widths: Widths = (512, 256, 128)
        d_widths: Widths = (32, 64, 128, 256)

    config: Config

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__(config, spec)
        self.G = dcgan_generator(config.latent + (spec.classes or 0), config.g_widths, spec.channels)
        features = _features(config.d_widths, spec.channels)
        self.D = projected(features, 16 * config.d_widths[-1], spec.classes, spectral=True)

    def d_loss(self, real_BCHW: Tensor, fake_BCHW: Tensor, labels_B: Tensor, rng: Generator) -> dict[str, Tensor]:
        """Compute arXiv:1802.05957, eq. 16. Real and fake pass D at once: one step of the power iteration for both."""
        both_BCHW = torch.cat([real_BCHW, fake_BCHW.detach()])
        real_B, fake_B = self.score(both_BCHW, labels_B.repeat(2)).chunk(2)
        return {"hinge": hinge(real_B, fake_B)}

    def g_loss(self, real_BCHW: Tensor, fake_BCHW: Tensor, labels_B: Tensor, rng: Generator) -> dict[str, Tensor]:
        """Compute arXiv:1802.05957, eq. 17."""
        return {"score": wasserstein_generator(self.score(fake_BCHW, labels_B))}


def _features(widths: tuple[int, ...], channels: int) -> nn.Sequential:
    """Build layers (B, channels, side, side) -> (B, 16 of the last width): side halved by every width but the last."""
    spectral = nn.utils.parametrizations.spectral_norm
    layers: list[nn.Module] = []
    for number, width in enumerate(widths, start=1):
        layers += [spectral(nn.Conv2d(channels, width, kernel_size=3, padding=1)), nn.LeakyReLU(0.1)]
        if number < len(widths):
            layers += [spectral(nn.Conv2d(width, width, kernel_size=4, stride=2, padding=1)), nn.LeakyReLU(0.1)]
        channels = width
    return nn.Sequential(*layers, nn.Flatten())
