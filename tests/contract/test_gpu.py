"""What trains here also trains on a GPU, where torch refuses to differentiate some things: none of them is used.

The list is that of torch.use_deterministic_algorithms: "will throw a RuntimeError when attempting to differentiate a
CUDA tensor". What a training differentiates is in the graph that autograd keeps, on a CPU as well.
"""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from ganbalance.models import backbones
from ganbalance.training.gan_loop import train
from tests.small_gans import CASES, batch, built

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


@pytest.mark.parametrize("case", CASES)
def test_a_gan_trains_on_a_gpu(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    differentiated: list[Tensor] = []
    backward = Tensor.backward

    def noted(self: Tensor) -> None:
        differentiated.append(self)
        assert not refused(self)
        backward(self)

    monkeypatch.setattr(Tensor, "backward", noted)
    gan = built(case, epochs=None, steps=1, diff_augment=True, instance_noise=0.1)
    train(gan, *batch(), seed=0, stream="gan", device=torch.device("cpu"))
    assert len(differentiated) == gan.config.d_steps + 1


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
