"""What every GAN is: two networks, two losses made of named terms, and a frozen configuration.

A GAN lives in one file of `models/gans/`. The training loop knows only this class; this class knows
no dataset, no store and no loop. Images are float32 (B, C, side, side) in [-1, 1].
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from ganbalance.errors import ConfigError
from ganbalance.frozen import Frozen
from ganbalance.models.blocks import add_noise, one_hot
from ganbalance.models.diff_augment import diff_augment
from ganbalance.models.lazy import Generator, Tensor, nn, torch

EPOCHS = 500
FIRST_PX = 4
"""Side of the first layer of a generator, and of the last of a discriminator, in the family of DCGAN."""

Count = Annotated[int, Field(gt=0)]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Decay = Annotated[float, Field(ge=0, lt=1)]
Label = Annotated[float, Field(gt=0, le=1)]
Share = Annotated[float, Field(gt=0, le=1)]
# strict=False on the tuple alone: YAML and JSON know lists, not tuples; the numbers inside stay strict
Betas = Annotated[tuple[Decay, Decay], Field(strict=False)]
Widths = Annotated[tuple[Count, ...], Field(strict=False, min_length=1)]


@dataclass(frozen=True)
class ImageSpec:
    """What a GAN draws: 1 or 3 channels, and the side of its square canvas in pixels, 4 times a power of 2.

    `classes` is how many a conditional GAN tells apart; None for one that does not.
    """

    channels: int
    side_px: int = 32
    classes: int | None = None

    @property
    def doublings(self) -> int:
        """From the first layer of a generator to its images."""
        return (self.side_px // FIRST_PX).bit_length() - 1


def deepened(widths: tuple[int, ...], layers: int, *, name: str, front: bool) -> tuple[int, ...]:
    """Extend `widths` to so many layers: each one more, at the small end of the network, is twice as wide.

    As Radford et al. 2016, arXiv:1511.06434, figure 1, has 1024 before 512. `front` is where a generator is small.
    Raises ConfigError where there are too many.
    """
    if len(widths) > layers:
        raise ConfigError(f"{name} has {len(widths)} widths, and images of this size take {layers}: {list(widths)}")
    while len(widths) < layers:
        widths = (2 * widths[0], *widths) if front else (*widths, 2 * widths[-1])
    return widths


def option(default: Any) -> Any:
    """Declare a setting that says nothing where it is not used: trainings from before it keep their keys."""
    return Field(default, exclude_if=lambda found: found == default)


class Gan(ABC):
    """A generator `G` and a discriminator or critic `D` that a loop can train without knowing which."""

    class Config(Frozen):
        """What every GAN is set by; a GAN adds its own and gives its paper's defaults."""

        latent: Count = 100
        epochs: Count | None = EPOCHS
        """How long to train, in passes over the images; not read where `steps` is given."""
        steps: Count | None = None
        """How long to train, in generator steps, whatever the number of images."""
        batch_size: Count
        lr: Positive
        betas: Betas
        d_steps: Count = 1
        """Discriminator steps per generator step, all on the same real batch."""
        instance_noise: NonNegative = option(0.0)
        """Standard deviation of the noise on everything that D sees, on the scale of images in [-1, 1]."""
        noise_until: Share | None = option(None)
        """The part of the training over which instance noise falls to 0, in a straight line; None: it does not fall."""
        diff_augment: bool = option(default=False)
        """Whether D sees real and drawn images only after the same kinds of random change (`diff_augment`)."""
        ema: Decay | None = option(None)
        """The decay, for a step, of a running mean of G's weights: the mean is then what draws images."""
        balanced_batches: bool = option(default=False)
        """Whether every class of a conditional GAN is in a minibatch as often as every other."""

        @property
        def conditional(self) -> bool:
            """Whether one GAN learns every class of the task, and is given the class of an image beside it."""
            return False

        def total_steps(self, per_epoch: int) -> int:
            """Count the generator steps of the whole training, where one epoch has `per_epoch` of them."""
            return self.steps or (self.epochs or EPOCHS) * per_epoch

        def at(self, spec: ImageSpec) -> Self:
            """Return the settings for images of this kind, with as many layers as they need. Raises ConfigError."""
            return self

        @model_validator(mode="after")
        def _has_one_length(self) -> Self:
            if self.steps and self.epochs and "epochs" in self.model_fields_set:
                raise ValueError(
                    "a GAN trains for so many epochs or so many generator steps, not both; "
                    f"given epochs = {self.epochs} and steps = {self.steps}: drop one, or set it to null"
                )
            return self

        @model_validator(mode="after")
        def _balances_several_classes(self) -> Self:
            if self.balanced_batches and not self.conditional:
                raise ValueError(
                    "balanced_batches is for a GAN that learns several classes, and this one learns the rare class "
                    "alone: drop it, or choose a conditional GAN, like cdcgan"
                )
            return self

        @model_validator(mode="after")
        def _has_noise_that_falls(self) -> Self:
            if self.noise_until and not self.instance_noise:
                raise ValueError(
                    f"noise_until = {self.noise_until} says how long instance_noise falls, and instance_noise is 0: "
                    "set it, 0.05 say, or drop noise_until"
                )
            return self

        @model_serializer(mode="wrap")
        def _with_the_one_length(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
            """Leave out the length that is not read: it must not change a key, and both cannot be parsed again."""
            unread = "epochs" if self.steps else "steps"
            return {key: value for key, value in dump(self).items() if key != unread}

    pairs_real: ClassVar[bool] = False
    """Whether G's loss looks at real images too."""

    config: Config
    G: nn.Module
    D: nn.Module
    average: nn.Module | None = None
    """The running mean of `G`, where the configuration asks for one."""

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        self.config = config
        self.spec = spec

    @property
    def drawing(self) -> nn.Module:
        """The generator whose images are used: the running mean where there is one."""
        return self.average or self.G

    @cached_property
    def networks(self) -> nn.ModuleDict:
        """Every network of the GAN in one module: what a device, a mode and a checkpoint are for."""
        return nn.ModuleDict({name: part for name, part in vars(self).items() if isinstance(part, nn.Module)})

    def noise(self, n: int, rng: Generator) -> Tensor:
        """Draw standard normal noise, float32 (n, latent), on the device of `rng`."""
        return torch.randn(n, self.config.latent, generator=rng, device=rng.device)

    def generate(self, noise_BZ: Tensor, labels_B: Tensor) -> Tensor:
        """Draw images (B, C, side, side) in [-1, 1]; `labels_B` (int64) matters to conditional GANs only.

        In train mode by `G`, in eval mode by `drawing`.
        """
        generator = self.G if self.G.training else self.drawing
        images_BCHW: Tensor = generator(self.with_classes(noise_BZ, labels_B))
        return images_BCHW

    def with_classes(self, noise_BZ: Tensor, labels_B: Tensor) -> Tensor:
        """Make what G draws from: the noise, and for a conditional GAN the class after it, one-hot: (B, Z + classes).

        Mirza and Osindero 2014, arXiv:1411.1784, section 3.2.
        """
        if self.spec.classes is None:
            return noise_BZ
        return torch.cat([noise_BZ, one_hot(labels_B, self.spec.classes)], dim=1)

    def score(self, images_BCHW: Tensor, labels_B: Tensor) -> Tensor:
        """Score images with D, float32 (B,): the higher, the more real."""
        scores_B: Tensor = self.D(images_BCHW) if self.spec.classes is None else self.D(images_BCHW, labels_B)
        return scores_B

    def shown(self, images_BCHW: Tensor, rng: Generator, progress: Tensor) -> Tensor:
        """Show real or drawn images as D sees them when the share `progress` of the training is done, float ()."""
        sd, until = self.config.instance_noise, self.config.noise_until
        if self.config.diff_augment:
            images_BCHW = diff_augment(images_BCHW, rng)
        if sd:
            images_BCHW = add_noise(images_BCHW, sd * (1 - progress / until).clamp(min=0) if until else sd, rng)
        return images_BCHW

    @abstractmethod
    def d_loss(self, real_BCHW: Tensor, fake_BCHW: Tensor, labels_B: Tensor, rng: Generator) -> dict[str, Tensor]:
        """Compute named scalar terms whose sum D minimises, of images as shown to it; none has a gradient to G."""

    @abstractmethod
    def g_loss(self, real_BCHW: Tensor, fake_BCHW: Tensor, labels_B: Tensor, rng: Generator) -> dict[str, Tensor]:
        """Compute named scalar terms whose sum G minimises."""

    def optimizers(self) -> tuple[torch.optim.Adam, torch.optim.Adam]:
        """Make Adam for D and Adam for G, in this order."""
        lr, betas = self.config.lr, self.config.betas
        # capturable: it counts its steps on the device, so that a recorded step can be replayed
        on_gpu = next(self.D.parameters()).is_cuda
        return (
            torch.optim.Adam(self.D.parameters(), lr=lr, betas=betas, capturable=on_gpu),
            torch.optim.Adam(self.G.parameters(), lr=lr, betas=betas, capturable=on_gpu),
        )


class ConvConfig(Gan.Config):
    """Settings of a GAN of DCGAN's family: a generator that doubles the side and a discriminator that halves it."""

    g_extra: ClassVar[int] = 0
    """Layers that the generator has beside one for every doubling of the side."""
    d_extra: ClassVar[int] = 0
    """Layers that the discriminator has beside one for every halving."""

    g_widths: Widths
    d_widths: Widths

    def at(self, spec: ImageSpec) -> Self:
        """Return the settings with a layer more for every doubling."""
        g_widths = deepened(self.g_widths, spec.doublings + self.g_extra, name="g_widths", front=True)
        d_widths = deepened(self.d_widths, spec.doublings + self.d_extra, name="d_widths", front=False)
        return self.model_copy(update={"g_widths": g_widths, "d_widths": d_widths})


class ProjectionConfig(ConvConfig):
    """Settings of a GAN of that family that is conditional where D has a projection."""

    projection: bool = option(default=False)

    @property
    def conditional(self) -> bool:
        """With a projection."""
        return self.projection
