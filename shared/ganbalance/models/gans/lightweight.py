"""Lightweight GAN, in the manner of FastGAN. Liu et al. 2021, arXiv:2101.04775: skip-layer excitation in G (section
3.1, eq. 1), a discriminator that learns to rebuild real images (section 3.2, eq. 2), hinge losses (section 3.3). Made
for few images of 64 px and more; DiffAugment is on, as in the paper's experiments.

Deviations: rebuilt images are compared by their mean absolute difference, not by a perceptual distance, which would
need a network from elsewhere; D says one number of an image, not one of each part, and has spectral instead of batch
normalisation, and one decoder, of its last features; leaps span three doublings instead of four, since images are
small; no noise is injected into G's layers; DiffAugment cuts holes too, where theirs has colour and translation alone.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar

from ganbalance.models.base import Betas, ConvConfig, Count, Gan, ImageSpec, NonNegative, Positive, Widths
from ganbalance.models.blocks import doubled, projection
from ganbalance.models.lazy import F, Generator, Tensor, nn, torch
from ganbalance.models.losses import hinge, wasserstein_generator

if TYPE_CHECKING:

    class RebuildingDiscriminator(nn.Module):
        """What `_discriminator` builds."""

        features: nn.Module
        real: nn.Module
        decoder: nn.Module


REBUILT_PX = 32
"""Side of the rebuilt images."""
SKIPPED = 3
"""Doublings that a skip-layer excitation leaps over: from a side of 8 to one of 64."""


class Lightweight(Gan):
    """A small generator with leaps between far resolutions, a discriminator that cannot forget what images show."""

    class Config(ConvConfig):
        """For each side of the images, from 4 px to their own, a width of the generator."""

        g_extra: ClassVar[int] = 1

        batch_size: Count = 16
        lr: Positive = 2e-4
        betas: Betas = (0.5, 0.999)
        g_widths: Widths = (256, 128, 64, 32)
        d_widths: Widths = (64, 128, 256)
        diff_augment: bool = True
        rebuild_weight: NonNegative = 1.0
        """Weight of the difference between a real image and what D rebuilds of it."""

    config: Config
    D: RebuildingDiscriminator

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__(config, spec)
        self.G = _generator(config.latent, config.g_widths, spec.channels)
        self.D = _discriminator(config.d_widths, spec.channels)

    def d_loss(self, real_BCHW: Tensor, fake_BCHW: Tensor, labels_B: Tensor, rng: Generator) -> dict[str, Tensor]:
        """Tell real from fake, and rebuild the real ones: eqs. 3 and 2."""
        found_BCHW = self.D.features(torch.cat([real_BCHW, fake_BCHW.detach()]))
        real_B, fake_B = self.D.real(found_BCHW).chunk(2)
        rebuilt_BCHW = self.D.decoder(found_BCHW[: len(real_BCHW)])
        small_BCHW = F.avg_pool2d(real_BCHW, self.spec.side_px // REBUILT_PX)
        return {
            "hinge": hinge(real_B, fake_B),
            "rebuild": self.config.rebuild_weight * F.l1_loss(rebuilt_BCHW, small_BCHW),
        }

    def g_loss(self, real_BCHW: Tensor, fake_BCHW: Tensor, labels_B: Tensor, rng: Generator) -> dict[str, Tensor]:
        """Compute eq. 4."""
        return {"score": wasserstein_generator(self.D(fake_BCHW))}


def _generator(latent: int, widths: tuple[int, ...], channels: int) -> nn.Module:
    """Build G: noise (B, Z) -> images (B, channels, side, side) in [-1, 1], the side 4 with the first width."""

    class Excitation(nn.Module):
        """Weights in [0, 1] for the channels of a later layer, from what an earlier one shows. Eq. 1."""

        def __init__(self, early: int, late: int, pooled_px: int) -> None:
            super().__init__()
            self.weights = nn.Sequential(
                nn.AvgPool2d(pooled_px),
                nn.Conv2d(early, late, kernel_size=4),
                nn.LeakyReLU(0.1),
                nn.Conv2d(late, late, kernel_size=1),
                nn.Sigmoid(),
            )

        def forward(self, early_BCHW: Tensor, late_BCHW: Tensor) -> Tensor:
            weighted_BCHW: Tensor = late_BCHW * self.weights(early_BCHW)
            return weighted_BCHW

    class LeapingGenerator(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Sequential(projection(latent, 2 * widths[0]), nn.BatchNorm2d(2 * widths[0]), nn.GLU(dim=1))
            self.ups = nn.ModuleList(_up(before, width) for before, width in pairwise(widths))
            ends = zip(widths, widths[SKIPPED:], strict=False)
            self.leaps = nn.ModuleList(Excitation(*two, pooled_px=2**doublings) for doublings, two in enumerate(ends))
            self.images = nn.Sequential(nn.Conv2d(widths[-1], channels, kernel_size=3, padding=1), nn.Tanh())

        def forward(self, noise_BZ: Tensor) -> Tensor:
            layers = [self.first(noise_BZ)]
            for number, up in enumerate(self.ups, start=1):
                found_BCHW = up(layers[-1])
                if number >= SKIPPED:
                    found_BCHW = self.leaps[number - SKIPPED](layers[number - SKIPPED], found_BCHW)
                layers.append(found_BCHW)
            images_BCHW: Tensor = self.images(layers[-1])
            return images_BCHW

    return LeapingGenerator()


def _discriminator(widths: tuple[int, ...], channels: int) -> RebuildingDiscriminator:
    """Build D: images (B, channels, side, side) -> logits (B,) via `features` (B, width, 4, 4); `decoder` rebuilds."""
    spectral = nn.utils.parametrizations.spectral_norm

    class Rebuilding(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            layers: list[nn.Module] = []
            for before, width in pairwise((channels, *widths)):
                halved = nn.Conv2d(before, width, kernel_size=4, stride=2, padding=1)
                layers += [spectral(halved), nn.LeakyReLU(0.2)]
            self.features = nn.Sequential(*layers)
            self.real = nn.Sequential(spectral(nn.Conv2d(widths[-1], 1, kernel_size=4)), nn.Flatten(0))
            narrower = [max(8, widths[-1] // 2**halvings) for halvings in range(4)]
            self.decoder = nn.Sequential(
                *(_up(before, width) for before, width in pairwise([widths[-1], *narrower[1:]])),
                nn.Conv2d(narrower[-1], channels, kernel_size=3, padding=1),
                nn.Tanh(),
            )

        def forward(self, images_BCHW: Tensor) -> Tensor:
            logits_B: Tensor = self.real(self.features(images_BCHW))
            return logits_B

    return Rebuilding()  # type: ignore[return-value]


def _up(before: int, width: int) -> nn.Sequential:
    """Build layers (B, before, H, W) -> (B, width, 2H, 2W), through a gated linear unit."""

    class Doubled(nn.Module):
        def forward(self, images_BCHW: Tensor) -> Tensor:
            return doubled(images_BCHW)

    wider = nn.Conv2d(before, 2 * width, kernel_size=3, padding=1, bias=False)
    return nn.Sequential(Doubled(), wider, nn.BatchNorm2d(2 * width), nn.GLU(dim=1))
