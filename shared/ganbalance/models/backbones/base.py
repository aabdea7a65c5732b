"""What a backbone is: a published network whose weights stay as they are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from ganbalance.errors import ConfigError, DataError
from ganbalance.keys import sha256_file
from ganbalance.models.lazy import F, Tensor, nn, torch
from ganbalance.paths import expanded


class Backbone(ABC):
    """A network from images to features, the preprocessing it was trained with, and where its weights are found."""

    sha256: ClassVar[str | None] = None  # of the published weights file, where there is a usual one
    features: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    code: str  # what `build` does as lines of a script, for the README of an exported model

    @abstractmethod
    def build(self) -> nn.Module:
        """Build the network without its classification layer, randomly initialised: (N,3,H,W) -> (N, features)."""

    def published(self) -> Path | None:
        """Find the published weights file if it is on this machine."""
        return None

    @abstractmethod
    def download(self) -> Path:
        """Get the published weights file. Raises DataError when it cannot be had here."""

    @abstractmethod
    def convert(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Rename the published tensors as `build` names them, without the classification layer."""

    def weights_file(self, explicit: str | None) -> Path:
        """Return `explicit`, or the published file, downloaded if need be. Raises DataError."""
        if explicit:
            path = expanded(explicit, "classifier.weights =")
            if not path.is_file():
                raise DataError(f"classifier.weights = {explicit!r}: there is no such file")
            return path
        return self.published() or self.download()

    def read_weights(self, path: Path, sha256: str) -> dict[str, Tensor]:
        """Read tensors for `build` from a .pth or .safetensors file of that hash. Raises DataError for any other."""
        from safetensors.torch import load_file as load_safetensors

        found = sha256_file(path)
        if found != sha256:
            raise DataError(
                f"{path} has sha256 {found[:12]}..., expected {sha256[:12]}...; delete it to get the published file, "
                "or name its own hash in classifier.weights_sha256"
            )
        try:
            if path.suffix == ".safetensors":
                state = load_safetensors(path)
            else:
                state = torch.load(path, map_location="cpu", weights_only=True)
            tensors = {name: tensor for name, tensor in state.items() if isinstance(tensor, torch.Tensor)}
        except Exception as error:  # whatever a damaged or hostile file makes the reader raise
            raise DataError(f"{path} is not a plain file of weights; nothing in it was run") from error
        converted, ours = self.convert(tensors), self.build().state_dict()
        # torch makes up the counters of batches where older files lack them
        needed = [name for name in ours if not name.endswith("num_batches_tracked")]
        if wrong := [name for name in needed if name not in converted or converted[name].shape != ours[name].shape]:
            raise DataError(f"{path} does not hold the layer {wrong[0]!r} of this backbone: it is of another network")
        return {name: tensor for name, tensor in converted.items() if name in ours}


def check_side(network: nn.Module, name: str, side_px: int) -> None:
    """Raise ConfigError where a network cannot take square images of that side."""
    try:
        with torch.inference_mode():
            network.eval()(torch.zeros(1, 3, side_px, side_px))
    except (AssertionError, RuntimeError) as error:
        raise ConfigError(f"classifier.side_px = {side_px} does not fit {name}: {error}") from error


def prepare(images_NCHW: Tensor, backbone: Backbone, side_px: int, *, imagenet: bool = True) -> Tensor:
    """Turn uint8 (N,1|3,H,W) into the backbone's float32 (N,3,side_px,side_px).

    Resized bilinearly, grey repeated to three channels, scaled to [0, 1] and normalised as the backbone was
    trained; with `imagenet` False scaled to [-1, 1] instead, as the course report did.
    """
    scaled = images_NCHW.float() / 255
    if scaled.shape[-2:] != (side_px, side_px):
        scaled = F.interpolate(scaled, (side_px, side_px), mode="bilinear", antialias=True)
    rgb = scaled.expand(-1, 3, -1, -1)
    mean, std = (backbone.mean, backbone.std) if imagenet else ((0.5,) * 3, (0.5,) * 3)
    shape = (1, 3, 1, 1)
    return (rgb - rgb.new_tensor(mean).view(shape)) / rgb.new_tensor(std).view(shape)
