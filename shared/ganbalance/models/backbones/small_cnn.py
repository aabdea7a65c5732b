"""small-cnn: three blocks of two 3x3 convolutions, for images of 28 to 64 px; always trained from scratch.

The block is VGG's (Simonyan & Zisserman 2015, arXiv:1409.1556, section 2.1) with BatchNorm (Ioffe & Szegedy 2015,
arXiv:1502.03167); the mean over what is left of the image takes the place of the fully connected layers.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ganbalance.errors import ConfigError
from ganbalance.models.backbones.base import Backbone
from ganbalance.models.lazy import Tensor, nn

WIDTHS = (16, 32, 64)


class SmallCnn(Backbone):
    features = WIDTHS[-1]
    mean = std = (0.5, 0.5, 0.5)
    code = """from torch import nn
layers, inputs = [], 3
for width in (16, 32, 64):
    for _ in range(2):
        layers += [nn.Conv2d(inputs, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
        inputs = width
    layers.append(nn.MaxPool2d(2))
network = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())"""

    def build(self) -> nn.Module:
        layers: list[nn.Module] = []
        inputs = 3
        for width in WIDTHS:
            for _ in range(2):
                layers += [nn.Conv2d(inputs, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
                inputs = width
            layers.append(nn.MaxPool2d(2))
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())

    def download(self) -> Path:
        raise ConfigError(
            "small-cnn has no published weights to freeze: set classifier.kind to network, which trains it, or "
            "classifier.backbone to another"
        )

    def convert(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return dict(state)
