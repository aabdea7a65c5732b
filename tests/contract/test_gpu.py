"""What trains here also trains on a GPU, where torch refuses to differentiate some things: none of them is used.

The list is that of torch.use_deterministic_algorithms: "will throw a RuntimeError when attempting to differentiate a
CUDA tensor". What a training differentiates is in the graph that autograd keeps, on a CPU as well.
"""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from ganbalance.models import backbones
from tests.contract.test_gans import EVERY_GAN, batch, built, fakes, rng, summed

REFUSED = (
    "AvgPool3D", "AdaptiveAvgPool", "MaxPool3D", "AdaptiveMaxPool", "FractionalMaxPool", "MaxUnpool", "UpsampleLinear",
    "UpsampleBilinear", "UpsampleBicubic", "UpsampleTrilinear", "ReflectionPad", "NllLoss2D", "CtcLoss", "EmbeddingBag",
    "Put", "Histc", "Median", "GridSampler", "Cumsum", "ScatterReduce",
)  # fmt: skip


def refused(result: Tensor) -> set[str]:
    """The steps back from `result` that a GPU refuses."""
    found, left, seen = set(), [result.grad_fn], set()
    while left:
        step = left.pop()
        if step is None or step in seen:
            continue
        seen.add(step)
        found |= {step.name()} if step.name().startswith(REFUSED) else set()
        left += [before for before, _ in step.next_functions]
    return found


@EVERY_GAN
def test_a_gan_trains_on_a_gpu(name: str) -> None:
    gan = built(name)
    gan.networks.to(memory_format=torch.channels_last).train()
    real_BCHW, labels_B = batch()
    fake_BCHW = fakes(gan, labels_B)
    assert not refused(summed(gan.d_loss(real_BCHW, fake_BCHW.detach(), labels_B, rng())))
    assert not refused(summed(gan.g_loss(real_BCHW, fake_BCHW, labels_B, rng())))


@pytest.mark.parametrize("name", backbones.names())
def test_a_network_trains_on_a_gpu(name: str) -> None:
    network = backbones.find(name).build().to(memory_format=torch.channels_last).train()
    images = torch.rand(2, 3, 64, 64).contiguous(memory_format=torch.channels_last)
    features = network(images)
    assert features.requires_grad
    assert not refused(nn.functional.cross_entropy(features, torch.zeros(2, dtype=torch.int64)))


@pytest.mark.parametrize(
    ("step", "name"),
    [
        (nn.AdaptiveAvgPool2d(2), "AdaptiveAvgPool2DBackward0"),
        (nn.ReflectionPad2d(1), "ReflectionPad2DBackward0"),
        (nn.Upsample(scale_factor=2, mode="bilinear"), "UpsampleBilinear2DBackward0"),
        (lambda images: images.cumsum(dim=0), "CumsumBackward0"),
    ],
)
def test_what_a_gpu_refuses_is_noticed(step: Callable[[Tensor], Tensor], name: str) -> None:
    images = torch.rand(2, 3, 8, 8, requires_grad=True)
    assert refused(step(images * 2).sum()) == {name}
