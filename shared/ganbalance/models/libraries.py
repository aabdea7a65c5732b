"""Backbones by the name that a library has for them: timm/resnet26, torchvision/convnext_tiny.

Nothing is known of their weights here, so an experiment names a file and its hash.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ganbalance.errors import ConfigError
from ganbalance.models.backbones.base import Backbone
from ganbalance.models.lazy import Tensor, nn, timm, torch, torchvision

OTHERS = ("googlenet", "inception_v3")  # they train by classifiers of their own on the way


class _OfLibrary(Backbone):
    library: str

    def __init__(self, model: str) -> None:
        known = self._models()
        if model not in known:
            near = [name for name in known if model.split("_", maxsplit=1)[0] in name][:5]
            hint = f"; near it are {', '.join(near)}" if near else f"; {self.library}'s list_models() tells what it has"
            raise ConfigError(f"classifier.backbone = {self.library}/{model}: {self.library} has no such network{hint}")
        self.model = model
        side_px = self._side_px()
        with torch.inference_mode():
            self.features = self.build().eval()(torch.zeros(1, 3, side_px, side_px)).shape[1]

    @abstractmethod
    def _models(self) -> list[str]:
        """List the names that the library knows."""

    def _side_px(self) -> int:
        """Return a side that the network takes."""
        return 224

    def download(self) -> Path:
        raise ConfigError(
            f"classifier.backbone = {self.library}/{self.model}: its weights are not known here; name a file in "
            "classifier.weights and its sha256 in classifier.weights_sha256"
        )

    def convert(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Keep the library's own names; what else a file holds is the classification layer."""
        return {name: state[name] for name in self.build().state_dict() if name in state}


class Timm(_OfLibrary):
    """One of timm.list_models()."""

    library = "timm"

    def __init__(self, model: str) -> None:
        super().__init__(model)
        published: Any = timm.get_pretrained_cfg(model)
        self.mean, self.std = tuple(published.mean), tuple(published.std)
        self.code = f'import timm\nnetwork = timm.create_model("{model}", num_classes=0)'

    def _models(self) -> list[str]:
        return timm.list_models()

    def _side_px(self) -> int:
        published: Any = timm.get_pretrained_cfg(self.model)
        return int(published.input_size[-1])

    def build(self) -> nn.Module:  # noqa: D102
        network: nn.Module = timm.create_model(self.model, num_classes=0)
        return network


class Torchvision(_OfLibrary):
    """One of torchvision.models.list_models() whose last layer is linear: that layer is left out."""

    library = "torchvision"
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

    def __init__(self, model: str) -> None:
        super().__init__(model)
        self.code = (
            "import torch, torchvision\n"
            f'network = torchvision.models.get_model("{model}", weights=None)\n'
            f'network.set_submodule("{self._last}", torch.nn.Identity())'
        )

    def _models(self) -> list[str]:
        return [name for name in torchvision.models.list_models(module=torchvision.models) if name not in OTHERS]

    def build(self) -> nn.Module:  # noqa: D102
        network: nn.Module = torchvision.models.get_model(self.model, weights=None)
        linear = [name for name, layer in network.named_modules() if isinstance(layer, nn.Linear)]
        if not linear:
            raise ConfigError(
                f"classifier.backbone = torchvision/{self.model}: it does not end in a linear layer; choose another"
            )
        self._last = linear[-1]
        network.set_submodule(self._last, nn.Identity())
        return network


LIBRARIES: dict[str, type[Timm] | type[Torchvision]] = {"timm": Timm, "torchvision": Torchvision}
