"""Network pieces that more than one GAN is built from."""

from __future__ import annotations

from itertools import pairwise

from ganbalance.models.lazy import Generator, Tensor, nn, torch


def add_noise(images_BCHW: Tensor, sd: float, rng: Generator) -> Tensor:
    """`images_BCHW` plus Gaussian noise of standard deviation `sd`; 0 draws nothing.

    Instance noise: Sonderby et al. 2017, arXiv:1610.04490, section 3.2.1.
    """
    if sd == 0:
        return images_BCHW
    return images_BCHW + sd * torch.randn(images_BCHW.shape, generator=rng, device=rng.device)


def projection(latent: int, width: int) -> nn.ConvTranspose2d:
    """The first transposed convolution of a generator: noise (B, Z) -> (B, C, 4, 4).

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
    """DCGAN's generator: noise (B, Z) -> (B, channels, side, side) in [-1, 1], twice the side 4 with every width.

    Radford et al. 2016, arXiv:1511.06434, figure 1: 1x1 -> 4 -> 8 -> 16 -> 32 -> 64 for four widths.
    """
    layers = [projection(latent, widths[0]), nn.BatchNorm2d(widths[0]), nn.ReLU()]
    for before, width in pairwise(widths):
        doubled = nn.ConvTranspose2d(before, width, kernel_size=4, stride=2, padding=1)
        layers += [doubled, nn.BatchNorm2d(width), nn.ReLU()]
    images = nn.ConvTranspose2d(widths[-1], channels, kernel_size=4, stride=2, padding=1)
    return nn.Sequential(*layers, images, nn.Tanh())


def dcgan_discriminator(widths: tuple[int, ...], channels: int) -> nn.Sequential:
    """The course report's discriminator for DCGAN: images (B, channels, side, side) -> logits (B,).

    Half the side with every width, down to 4 and 1; the last halving has the kernel 3.
    """
    layers = [nn.Conv2d(channels, widths[0], kernel_size=4, stride=2, padding=1), nn.LeakyReLU(0.2)]
    for number, (before, width) in enumerate(pairwise(widths), start=2):
        kernel = 3 if number == len(widths) else 4
        halved = nn.Conv2d(before, width, kernel_size=kernel, stride=2, padding=1)
        layers += [halved, nn.BatchNorm2d(width), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, kernel_size=4, stride=1, padding=0), nn.Flatten(0))
