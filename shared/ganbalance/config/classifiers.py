"""What of an experiment is about its classifier: a linear head on features, a network, or the course report's."""

from typing import Annotated, Any, ClassVar, Literal, Self

import pydantic
from pydantic import Field

from ganbalance.config.recipes import Augmentation
from ganbalance.errors import ConfigError
from ganbalance.frozen import Frozen, by_kind

Fit = Literal["pad", "resize"]
Trained = Literal["scratch", "last-block", "all"]
FROM_SCRATCH = "small-cnn"
"""The backbone that has no published weights."""


class _Classifier(Frozen):
    """A backbone, and where its weights are."""

    canvas: ClassVar[Fit] = "pad"  # how images are brought to the canvas of a GAN
    holds_out: ClassVar[bool] = True  # whether kept images are held out for validation before anything trains
    reads_features: ClassVar[bool] = False  # features of a frozen backbone, where others read images

    backbone: str = Field(
        "efficientnet-lite0", description="by name, or timm/NAME or torchvision/NAME with a file of weights"
    )
    weights: str | None = Field(None, description="a .pth or .safetensors file, when not in the backbone's usual place")
    weights_sha256: str | None = Field(None, pattern="^[0-9a-f]{64}$", description="of other weights than the usual")
    side_px: int = Field(32, ge=16, le=256)

    @pydantic.model_validator(mode="after")
    def _weights_are_pinned(self) -> Self:
        if self.weights_sha256 and not self.weights:
            raise ValueError("classifier.weights_sha256 is of a file: name it in classifier.weights")
        return self


class LinearHead(_Classifier):
    """A frozen backbone, and the linear head on top of it.

    `l2` are the strengths of the penalty, relative to the mean loss, that every arm is solved at:
    minimise mean_i w_i loss_i + (l2/2) |W|^2. One of them is chosen for each arm, from all seeds.
    """

    reads_features: ClassVar[bool] = True

    kind: Literal["linear-head"] = "linear-head"
    l2: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)] = (
        100.0, 30.0, 10.0, 3.0, 1.0, 0.3, 0.1, 0.03, 0.01, 3e-3, 1e-3, 3e-4, 1e-4,
    )  # fmt: skip


class NetworkTraining(Frozen):
    """How a network is trained: as many steps of as many images for every arm, each image changed a little each time.

    AdamW with a learning rate that falls along a cosine to 0 (Loshchilov & Hutter 2019, arXiv:1711.05101, algorithm 2;
    2017, arXiv:1608.03983, equation 5, without restarts).
    """

    steps: int = Field(1000, ge=1)
    batch_size: int = Field(64, ge=2)
    augment: Augmentation | None = Augmentation()


class Network(_Classifier):
    """A network trained on images, of which `train` says how much: "scratch", or published weights "all" or in part.

    Every arm is trained at every pair of a learning rate and a weight decay. One pair is chosen for each arm, from all
    seeds, by the rule of a linear head's penalty.
    """

    kind: Literal["network"]
    backbone: str = Field(FROM_SCRATCH, description="small-cnn for 28 to 64 px, or any that a linear head may have")
    train: Trained = "scratch"
    lr: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)] = (1e-3, 1e-4)
    weight_decay: Annotated[tuple[Annotated[float, Field(ge=0)], ...], Field(min_length=1)] = (0.1, 1e-3)
    training: NetworkTraining = NetworkTraining()

    @pydantic.model_validator(mode="after")
    def _there_are_weights_to_start_from(self) -> Self:
        if self.train == "scratch" and self.weights:
            raise ValueError("classifier.weights are to start from: set classifier.train to last-block or all")
        if self.train != "scratch" and self.backbone == FROM_SCRATCH:
            raise ValueError(f"{FROM_SCRATCH} has no published weights: set classifier.train to scratch")
        return self

    @property
    def grid(self) -> tuple[tuple[float, float], ...]:
        """Each learning rate with each weight decay, the mildest pair last: a tie goes to the first."""
        return tuple((lr, decay) for lr in sorted(self.lr) for decay in sorted(self.weight_decay, reverse=True))


class PaperTraining(Frozen):
    """How the course report trained its classifier."""

    epochs: int = Field(15, ge=1)
    batch_size: int = Field(32, ge=2)
    lr: float = Field(1e-4, gt=0)
    weight_decay: float = Field(1e-5, ge=0)
    validation: float = Field(0.4, gt=0, lt=1)


class Paper(_Classifier):
    """The course report's, flaws and all: nothing is held out, and the GANs' images are enlarged to their canvas."""

    canvas: ClassVar[Fit] = "resize"
    holds_out: ClassVar[bool] = False

    kind: Literal["paper"]
    training: PaperTraining = PaperTraining()


Classifier = Annotated[
    Annotated[LinearHead, pydantic.Tag("linear-head")]
    | Annotated[Network, pydantic.Tag("network")]
    | Annotated[Paper, pydantic.Tag("paper")],
    by_kind("linear-head"),
]


def from_protocol(given: dict[str, Any]) -> dict[str, Any]:
    """Read an experiment's settings with what files said before there were kinds: a `protocol`, beside all settings.

    Raises ConfigError for a file that says both.
    """
    protocol, classifier = given.get("protocol"), given.get("classifier", {})
    if protocol not in ("honest", "paper") or not isinstance(classifier, dict):
        return given
    if both := {"kind", "training"} & classifier.keys():
        raise ConfigError(
            f"protocol = {protocol!r} stands beside classifier.{min(both)}, which replaced it: drop protocol, and set "
            "classifier.kind to paper for the course report's"
        )
    kept = {key: value for key, value in classifier.items() if key != "paper"}
    if protocol == "paper":
        kept.pop("l2", None)
        kept |= {"kind": "paper", "training": classifier.get("paper", {})}
    return {key: value for key, value in given.items() if key != "protocol"} | {"classifier": kept}
