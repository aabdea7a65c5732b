"""Network pieces that more than one GAN is built from."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

from ganbalance.models.lazy import Generator, Tensor, nn, torch

CriticNorm = Literal["batch", "layer", "none"]


def norm(kind: CriticNorm, width: int) -> nn.Module:
    """Build the normalisation of (B, width, H, W) in a discriminator or critic."""
    match kind:
        case "batch":
            return nn.BatchNorm2d(width)
        case "layer":
            return nn.GroupNorm(1, width)  # one group is layer normalisation over C, H and W, affine per channel
        case "none":
            return nn.Identity()


def one_hot(labels_B: Tensor, classes: int) -> Tensor:
    """Encode int64 labels (B,) as float32 (B, classes)."""
    # not F.one_hot, which waits for the device to look for labels that are too large
    return (labels_B[:, None] == torch.arange(classes, device=labels_B.device)).float()


def add_noise(images_BCHW: Tensor, sd: float | Tensor, rng: Generator) -> Tensor:
    """Add Gaussian noise of standard deviation `sd` to `images_BCHW`.

    Instance noise: Sonderby et al. 2017, arXiv:1610.04490, section 3.2.1.
    """
    return images_BCHW + sd * torch.randn(images_BCHW.shape, generator=rng, device=rng.device)


def projection(latent: int, width: int) -> nn.ConvTranspose2d:
    """Build the first transposed convolution of a generator: noise (B, Z) -> (B, C, 4, 4).

    On a 1x1 input every output pixel is its own linear map of the noise, so it is computed as one
    matrix product, which CPUs do faster. Parameters, their names and their
    initialisation are those of `nn.ConvTranspose2d(Z, C, 4)`.
    """

    class Projection(nn.ConvTranspose2d):
        def forward(self, noise_BZ: Tensor, output_size: list[int] | None = None) -> Tensor:
            pixels_BCHW = (noise_BZ @ self.weight.flatten(1)).view(-1, *self.weight.shape[1:])
            return pixels_BCHW if self.bias is None else pixels_BCHW + self.bias[:, None, None]

    return Projection(latent, width, kernel_size=4, stride=1, padding=0)


def dcgan_generator(latent: int, widths: tuple[int, ...], channels: int) -> nn.Sequential:
    """Build DCGAN's generator: noise (B, Z) -> (B, channels, side, side) in [-1, 1], twice the side 4 with every width.

    Radford et al. 2016, arXiv:1511.06434, figure 1: 1x1 -> 4 -> 8 -> 16 -> 32 -> 64 for four widths.
    """
    layers = [projection(latent, widths[0]), nn.BatchNorm2d(widths[0]), nn.ReLU()]
    for before, width in pairwise(widths):
        doubled = nn.ConvTranspose2d(before, width, kernel_size=4, stride=2, padding=1)
        layers += [doubled, nn.BatchNorm2d(width), nn.ReLU()]
    images = nn.ConvTranspose2d(widths[-1], channels, kernel_size=4, stride=2, padding=1)
    return nn.Sequential(*layers, images, nn.Tanh())


def dcgan_discriminator(widths: tuple[int, ...], channels: int, critic_norm: CriticNorm = "batch") -> nn.Sequential:
    """Build the course report's discriminator for DCGAN: images (B, channels, side, side) -> logits (B,).

    Half the side with every width, down to 4 and 1; the last halving has the kernel 3.
    """
    layers: list[nn.Module] = [nn.Conv2d(channels, widths[0], kernel_size=4, stride=2, padding=1), nn.LeakyReLU(0.2)]
    for number, (before, width) in enumerate(pairwise(widths), start=2):
        kernel = 3 if number == len(widths) else 4
        halved = nn.Conv2d(before, width, kernel_size=kernel, stride=2, padding=1)
        layers += [halved, norm(critic_norm, width), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, kernel_size=4, stride=1, padding=0), nn.Flatten(0))


def projected(features: nn.Module, width: int, classes: int | None, *, spectral: bool) -> nn.Module:
    """Build a discriminator on `features`, which make (B, width) of images: images, labels -> logits (B,).

    With classes a projection: w . phi(x) + b + v_y . phi(x). Miyato and Koyama 2018, arXiv:1802.05637, eq. 3.
    """
    normed = nn.utils.parametrizations.spectral_norm if spectral else lambda layer: layer

    class Projected(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.features = features
            self.real = normed(nn.Linear(width, 1))
            self.of_class = normed(nn.Linear(width, classes, bias=False)) if classes else None

        def forward(self, images_BCHW: Tensor, labels_B: Tensor | None = None) -> Tensor:
            phi_BF = self.features(images_BCHW)
            logits_B: Tensor = self.real(phi_BF).squeeze(1)
            if self.of_class is not None and labels_B is not None:
                logits_B = logits_B + (self.of_class(phi_BF) * one_hot(labels_B, int(classes or 0))).sum(dim=1)
            return logits_B

    return Projected()


def doubled(images_BCHW: Tensor) -> Tensor:
    """Double the side, every pixel four times."""
    B, C, H, W = images_BCHW.shape
    return images_BCHW[:, :, :, None, :, None].expand(B, C, H, 2, W, 2).reshape(B, C, 2 * H, 2 * W)
