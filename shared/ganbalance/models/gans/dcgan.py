"""DCGAN. Radford et al. 2016, arXiv:1511.06434, sections 3 and 4; losses of Goodfellow et al. 2014, arXiv:1406.2661,
eq. 1.

Settings are the course report's. Real labels are smoothed to 0.9 (Salimans et al. 2016, arXiv:1606.03498,
section 3.4; D's real term only) and Gaussian noise goes on every image that D sees, in D's step and in G's
(Sonderby et al. 2017, arXiv:1610.04490, section 3.2.1).
Deviations of the report from the paper: normal noise instead of uniform, PyTorch's initialisation instead of
N(0, 0.02), a second beta of 0.9 instead of Adam's 0.999, and a third convolution of D with kernel 3.
"""

from __future__ import annotations

from ganbalance.models.base import (
    Betas,
    ConvConfig,
    Count,
    Gan,
    ImageSpec,
    Label,
    NonNegative,
    Positive,
    Widths,
    option,
)
from ganbalance.models.blocks import CriticNorm, dcgan_discriminator, dcgan_generator
from ganbalance.models.lazy import Generator, Tensor
from ganbalance.models.losses import bce_fake, bce_real, non_saturating


class Dcgan(Gan):
    """Convolutions with BatchNorm in both networks."""

    class Config(ConvConfig):
        """The report's settings."""

        batch_size: Count = 128
        lr: Positive = 2e-4
        betas: Betas = (0.5, 0.9)
        g_widths: Widths = (512, 256, 128)
        d_widths: Widths = (64, 128, 256)
        real_label: Label = 0.9
        instance_noise: NonNegative = 0.05
        critic_norm: CriticNorm = option("batch")

    config: Config

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__(config, spec)
        self.G = dcgan_generator(config.latent, config.g_widths, spec.channels)
        self.D = dcgan_discriminator(config.d_widths, spec.channels, config.critic_norm)

    def d_loss(self, real_BCHW: Tensor, fake_BCHW: Tensor, labels_B: Tensor, rng: Generator) -> dict[str, Tensor]:
        """Compute arXiv:1406.2661, eq. 1, negated. Real and fake pass D apart: each has its own batch statistics."""
        return {
            "real": bce_real(self.score(real_BCHW, labels_B), self.config.real_label),
            "fake": bce_fake(self.score(fake_BCHW.detach(), labels_B)),
        }

    def g_loss(self, real_BCHW: Tensor, fake_BCHW: Tensor, labels_B: Tensor, rng: Generator) -> dict[str, Tensor]:
        """Maximise log D(G(z)): arXiv:1406.2661, section 3."""
        return {"fool": non_saturating(self.score(fake_BCHW, labels_B))}
