"""Conditional DCGAN: one GAN for every class of the task, so that a rare class borrows from those that are not.

Mirza and Osindero 2014, arXiv:1411.1784, eq. 2, with DCGAN's networks and settings (`dcgan.py`). The class is given as
the paper gives it, as one-hot values: to G beside the noise, to D beside the image, a channel for every class.
Minibatches hold every class as often, since with 1 % of the images a rare class would hardly be in any.
"""

from __future__ import annotations

from ganbalance.models.base import Gan, ImageSpec
from ganbalance.models.blocks import dcgan_discriminator, dcgan_generator, one_hot
from ganbalance.models.gans.dcgan import Dcgan
from ganbalance.models.lazy import Tensor, torch


class Cdcgan(Dcgan):
    """DCGAN with the class of each image as an input of both networks."""

    class Config(Dcgan.Config):
        """DCGAN's settings."""

        balanced_batches: bool = True

        @property
        def conditional(self) -> bool:
            """Always."""
            return True

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        Gan.__init__(self, config, spec)
        self.config = config
        classes = spec.classes or 1
        self.G = dcgan_generator(config.latent + classes, config.g_widths, spec.channels)
        self.D = dcgan_discriminator(config.d_widths, spec.channels + classes, config.critic_norm)

    def score(self, images_BCHW: Tensor, labels_B: Tensor) -> Tensor:
        """Score the image with a channel for every class, 1 in that of its own and 0 in the others."""
        planes_BKHW = one_hot(labels_B, self.spec.classes or 1)[:, :, None, None].expand(-1, -1, *images_BCHW.shape[2:])
        scores_B: Tensor = self.D(torch.cat([images_BCHW, planes_BKHW], dim=1))
        return scores_B
