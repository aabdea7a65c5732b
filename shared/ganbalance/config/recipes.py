"""What of an experiment is about its arms: the recipe of each, and how many images are added."""

from itertools import product, starmap
from typing import Annotated, Any, Literal, NamedTuple, Self

import pydantic
from pydantic import Field

from ganbalance.frozen import Frozen

BASELINE = "none"
Amount = Literal["balance", "half"] | Annotated[int, Field(ge=1)]
Weight = Annotated[float, Field(gt=0)]
SEVERAL = (Field(min_length=1), pydantic.Strict(False))  # else a list, as YAML gives it, would be no tuple here


def _one_entry(given: Any) -> Any:
    if not isinstance(given, str | dict):
        raise ValueError("write the name of one, or {name: ..., setting: value}")
    return given


Choice = Annotated[str | dict[str, Any], pydantic.BeforeValidator(_one_entry)]
"""An entry of a registry by its name, or as {name: ..., setting: value}."""


class Synthesis(Frozen):
    """How many images are added to a rare class: a number, or as many as the largest class has more, or half of it."""

    n: Amount = "balance"


class Filter(Frozen):
    """Which synthetic images are kept: the share `keep` that scores best. As many more are drawn."""

    by: Choice
    keep: float = Field(gt=0, lt=1)


class Augmentation(Frozen):
    """How far a copy of an image may be from it and still be of its class.

    A linear head learns from copies of all images, or having been changed would be a sign of the rare class.
    """

    flip: bool = Field(True, description="left and right changed in every other copy; not for digits or letters")
    shift: float = Field(0.1, ge=0, le=0.5, description="largest shift along each axis, as a share of the side")
    rotate_deg: float = Field(10.0, ge=0, le=180, description="largest turn to either side")


class Noise(Frozen):
    """How far the grey levels of a copy of an image are from its own.

    Only copies have it, so that a classifier learns noise that is strong as a sign of the class: on `quick`, at seeds 0
    and 1, AUC is that of `oversample` at 1 and 2 levels, .004 lower at 4 and .02 at 8.
    """

    sd_levels: float = Field(2.0, gt=0, le=255, description="standard deviation in 8-bit levels, of 255")


class Dose(NamedTuple):
    """How many synthetic images are added, None for `synthesis.n`, and what each counts in the loss."""

    n: Amount | None = None
    weight: float = 1.0


class Synthetic(Frozen):
    """Where an arm's synthetic images come from: a GAN, changed copies of the real ones, or files made elsewhere.

    Copies are changed by `augment`, or by `noise` alone, which brings nothing new: what a GAN has to beat.
    `images` is a folder with {seed} and {class} in its name; `settings` are of the GAN, beside those in `gans`; `n` is
    `synthesis.n` where it is not given; `weight` is what a synthetic image counts in the loss, a real one counting 1.
    A list of either asks for the dose to be tuned: one of all combinations is chosen as the strength of the penalty is.
    """

    gan: str | None = None
    settings: dict[str, Any] = Field(default_factory=dict)
    augment: Augmentation | None = None
    noise: Noise | None = Field(None, exclude_if=lambda noise: noise is None)  # runs from before it keep their names
    images: str | None = None
    n: Amount | Annotated[tuple[Amount, ...], *SEVERAL] | None = None
    weight: Weight | Annotated[tuple[Weight, ...], *SEVERAL] = Field(1.0, exclude_if=lambda one: one == 1)
    filter: Filter | None = None

    @property
    def doses(self) -> tuple[Dose, ...]:
        """Every combination of the numbers and weights given, in their order."""
        amounts, weights = (given if isinstance(given, tuple) else (given,) for given in (self.n, self.weight))
        return tuple(starmap(Dose, product(amounts, weights)))

    @pydantic.field_validator("n", "weight")
    @classmethod
    def _each_once(cls, given: Any) -> Any:
        if isinstance(given, tuple) and len(set(given)) < len(given):
            raise ValueError("every value once")
        return given

    @pydantic.model_validator(mode="after")
    def _has_one_source(self) -> Self:
        if [self.gan, self.augment, self.noise, self.images].count(None) != 3:  # noqa: PLR2004 - of four
            raise ValueError("synthetic images have one source: name a gan, augment, noise, or a folder of images")
        if self.gan is None and (self.settings or self.filter):
            raise ValueError("settings and filter belong to a gan; other images are taken as they are")
        return self


Family = Literal["baseline", "cheap", "generative", "control", "exempt"]
"""What an arm is for: verdicts are about cheap and generative arms, each family with its own share of false calls."""


class Recipe(Frozen):
    """One arm: what is added to the training images, how they are resampled, by which loss the head is trained.

    Only a name: the arm that the program knows under it (`ganbalance.arms.resolve`).
    synthetic  images of the rare classes on top; under a linear head `augment` takes the place of all images
    removed    images that the imbalance took away, on top: "all", or as many as `synthesis.n` says ("matched")
    method     how training examples are resampled or weighted (`ganbalance.arms.methods`)
    objective  the loss of the linear head (`ganbalance.arms.objectives`)
    rescoring  what is done to the scores afterwards; "threshold" corrects them for the class shares in training
    """

    name: str = Field(pattern="^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$")
    synthetic: Synthetic | None = None
    removed: Literal["all", "matched"] | None = None
    method: Choice = "none"
    objective: Choice = "cross-entropy"
    rescoring: Literal["threshold"] | None = None

    @property
    def family(self) -> Family:
        """Of the recipe with all its parts."""
        if self.removed:
            return "control"
        if self.synthetic and not (self.synthetic.augment or self.synthetic.noise):
            return "generative"
        if self.name == BASELINE:
            return "baseline"
        learns_as_the_baseline = not self.synthetic and self.method == "none" and self.objective == "cross-entropy"
        return "exempt" if self.rescoring and learns_as_the_baseline else "cheap"

    @property
    def doses(self) -> tuple[Dose, ...]:
        """Every dose of synthetic images that is tried, in order; one where none is tuned."""
        return self.synthetic.doses if self.synthetic else (Dose(),)

    @pydantic.model_validator(mode="before")
    @classmethod
    def _from_a_name(cls, given: Any) -> Any:
        return {"name": given} if isinstance(given, str) else given

    @pydantic.model_validator(mode="after")
    def _changes_all_or_none(self) -> Self:
        if self.removed and self.synthetic and self.synthetic.augment:
            raise ValueError(
                "removed images are given back as they are, a sign of their class where augment changes all others; "
                "leave out one of the two"
            )
        return self

    @pydantic.model_serializer(mode="wrap")
    def _as_given(self, dump: pydantic.SerializerFunctionWrapHandler) -> Any:
        given = {key: value for key, value in dump(self).items() if key in self.model_fields_set}
        return self.name if set(given) == {"name"} else given
