"""A recorded step: on a CPU it is simply called; on a GPU it ends in the same bits as one that is not recorded."""

from unittest.mock import patch

import pytest
import torch
from torch import Generator, Tensor

from ganbalance.training import device, gan_loop
from ganbalance.training.replay import FIRST, Replayed
from tests.small_gans import CASES, batch, built


def test_on_a_cpu_every_call_runs_the_function_on_what_it_is_given() -> None:
    seen: list[Tensor] = []

    def function(given: Tensor) -> Tensor:
        seen.append(given)
        return given + len(seen)

    replayed = Replayed(function, Generator())
    for call in range(1, FIRST + 4):
        given = torch.full((2,), float(call))
        assert replayed(given).tolist() == [2.0 * call] * 2
        assert seen[-1] is given


@pytest.mark.skipif(not torch.cuda.is_available(), reason="records on a GPU alone")
@pytest.mark.parametrize("case", CASES)
def test_on_a_gpu_a_replayed_training_ends_in_the_bits_of_a_plain_one(case: str) -> None:
    def weights() -> list[Tensor]:
        gan = built(case, epochs=4, ema=0.5, diff_augment=True, instance_noise=0.1, noise_until=0.5)
        gan_loop.train(gan, *batch(n=15), seed=0, stream="s", device=device.resolve("cuda"))  # batches of 6 and of 3
        return [value.cpu() for value in gan.networks.state_dict().values()]

    replayed = weights()
    with patch.object(Replayed, "__call__", lambda one, *inputs: one._function(*inputs)):
        plain = weights()
    assert all(torch.equal(one, other) for one, other in zip(replayed, plain, strict=True))
