"""The report's three networks as known answers: parameters counted by hand, layer shapes, steps per epoch.

A convolution from a to b channels with kernel k has a*b*k*k + b parameters, BatchNorm 2 per channel.
"""

import pytest
import torch
from torch import Tensor, nn

from ganbalance.data.batches import BatchOrder
from ganbalance.errors import ConfigError
from ganbalance.models import gans
from ganbalance.models.base import Gan, ImageSpec
from ganbalance.models.blocks import projection

GREY = ImageSpec(1)


def paper(name: str) -> Gan:
    return gans.build(name, gans.load(name).Config(), GREY, 0)


def parameters(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


def shapes(network: nn.Module, given: Tensor) -> list[tuple[int, ...]]:
    """The output shape of every convolution or linear layer, without the batch dimension."""
    found: list[tuple[int, ...]] = []
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            layer.register_forward_hook(lambda _module, _args, output: found.append(tuple(output.shape[1:])))
    network(given)
    return found


NOISE, IMAGES = torch.randn(2, 100), torch.rand(2, 1, 32, 32)


def test_vanilla_has_the_reports_layers() -> None:
    gan = paper("vanilla")
    # G: 100*256 + 256 = 25,856; 256*1024 + 1024 = 263,168
    assert parameters(gan.G) == 289_024
    # D: 1024*128 + 128 = 131,200; 128 + 1 = 129
    assert parameters(gan.D) == 131_329
    assert shapes(gan.G, NOISE) == [(256,), (1024,)]
    assert shapes(gan.D, IMAGES) == [(128,), (1,)]
    slopes = [layer.negative_slope for layer in gan.networks.modules() if isinstance(layer, nn.LeakyReLU)]
    assert slopes == [0.01, 0.01]


def test_dcgan_has_the_reports_layers() -> None:
    gan = paper("dcgan")
    # G: 100*512*16 + 512 = 819,712; 512*256*16 + 256 = 2,097,408; 256*128*16 + 128 = 524,416;
    #    128*16 + 1 = 2,049; BatchNorm 2*(512 + 256 + 128) = 1,792
    assert parameters(gan.G) == 3_445_377
    # D: 64*16 + 64 = 1,088; 64*128*16 + 128 = 131,200; 128*256*9 + 256 = 295,168; 256*16 + 1 = 4,097;
    #    BatchNorm 2*(128 + 256) = 768
    assert parameters(gan.D) == 432_321
    assert shapes(gan.G, NOISE) == [(512, 4, 4), (256, 8, 8), (128, 16, 16), (1, 32, 32)]
    assert shapes(gan.D, IMAGES) == [(64, 16, 16), (128, 8, 8), (256, 4, 4), (1, 1, 1)]
    assert [layer.negative_slope for layer in gan.D.modules() if isinstance(layer, nn.LeakyReLU)] == [0.2] * 3


def test_wgan_gp_has_the_reports_layers() -> None:
    gan = paper("wgan-gp")
    # G: 100*256*16 + 256 = 409,856; 256*128*16 + 128 = 524,416; 128*64*16 + 64 = 131,136;
    #    64*16 + 1 = 1,025; BatchNorm 2*(256 + 128 + 64) = 896
    assert parameters(gan.G) == 1_067_329
    # D: 32*16 + 32 = 544; 32*64*16 + 64 = 32,832; 64*128*16 + 128 = 131,200; 128*256*16 + 256 = 524,544;
    #    256*4 + 1 = 1,025; BatchNorm 2*(64 + 128 + 256) = 896
    assert parameters(gan.D) == 691_041
    assert shapes(gan.G, NOISE) == [(256, 4, 4), (128, 8, 8), (64, 16, 16), (1, 32, 32)]
    assert shapes(gan.D, IMAGES) == [(32, 16, 16), (64, 8, 8), (128, 4, 4), (256, 2, 2), (1, 1, 1)]
    assert [layer.negative_slope for layer in gan.D.modules() if isinstance(layer, nn.LeakyReLU)] == [0.2] * 4


@pytest.mark.parametrize(
    ("name", "side_px", "generator", "discriminator"),
    [
        ("dcgan", 64, [1024, 512, 256, 128], [64, 128, 256, 512]),
        ("dcgan", 128, [2048, 1024, 512, 256, 128], [64, 128, 256, 512, 1024]),
        ("wgan-gp", 64, [512, 256, 128, 64], [32, 64, 128, 256, 512]),
    ],
)
def test_larger_images_have_a_layer_more_with_every_doubling(
    name: str, side_px: int, generator: list[int], discriminator: list[int]
) -> None:
    spec = ImageSpec(3, side_px)
    gan = gans.build(name, gans.load(name).Config().at(spec), spec, 0)
    sides = [4 * 2**layer for layer in range(len(generator))]
    assert shapes(gan.G, NOISE) == [*zip(generator, sides, sides, strict=True), (3, side_px, side_px)]
    sides = [side_px // 2**layer for layer in range(1, len(discriminator) + 1)]
    expected = [*zip(discriminator, sides, sides, strict=True), (1, 1, 1)]
    assert shapes(gan.D, torch.rand(2, 3, side_px, side_px)) == expected


def test_widths_of_ones_own_are_taken_as_they_are_where_they_are_enough() -> None:
    settings = gans.load("dcgan").Config
    assert settings(g_widths=(9, 8, 7, 6)).at(ImageSpec(1, 64)).g_widths == (9, 8, 7, 6)
    assert settings(g_widths=(9,), d_widths=(5,)).at(ImageSpec(1, 64)).g_widths == (72, 36, 18, 9)
    assert settings(g_widths=(9,), d_widths=(5,)).at(ImageSpec(1, 64)).d_widths == (5, 10, 20, 40)
    assert settings().at(ImageSpec(1, 32)) == settings()


def test_too_many_widths_are_refused_with_how_many_there_may_be() -> None:
    with pytest.raises(ConfigError, match=r"d_widths has 4 widths, and images of this size take 3: \[4, 4, 4, 4\]"):
        gans.load("dcgan").Config(d_widths=(4, 4, 4, 4)).at(ImageSpec(1, 32))


@pytest.mark.parametrize(("norm", "kind"), [("batch", nn.BatchNorm2d), ("layer", nn.GroupNorm), ("none", nn.Identity)])
def test_the_critics_norm_is_a_choice_and_never_on_its_first_layer(norm: str, kind: type[nn.Module]) -> None:
    settings = gans.load("wgan-gp").Config
    critic = gans.build("wgan-gp", settings(critic_norm=norm), GREY, 0).D
    kinds = [type(layer) for layer in critic.children()]
    first = [nn.Conv2d, nn.LeakyReLU]
    assert kinds == first + [nn.Conv2d, kind, nn.LeakyReLU] * 3 + [nn.Conv2d, nn.Flatten]


def test_a_critic_without_batch_norm_scores_each_image_by_itself() -> None:
    settings = gans.load("wgan-gp").Config
    for norm in ("layer", "none"):
        critic = gans.build("wgan-gp", settings(critic_norm=norm), GREY, 0).D
        together, alone = critic(IMAGES), torch.cat([critic(IMAGES[:1]), critic(IMAGES[1:])])
        assert torch.allclose(together, alone, atol=1e-5)


def test_the_outermost_layers_have_no_batch_norm() -> None:
    for name in ("dcgan", "wgan-gp"):
        gan = paper(name)
        assert [type(layer) for layer in gan.G.children()][-2:] == [nn.ConvTranspose2d, nn.Tanh]
        assert [type(layer) for layer in gan.D.children()][:2] == [nn.Conv2d, nn.LeakyReLU]


def test_projection_is_the_transposed_convolution_it_stands_for() -> None:
    torch.manual_seed(0)
    fast = projection(100, 16)
    torch.manual_seed(0)
    plain = nn.ConvTranspose2d(100, 16, kernel_size=4)
    assert fast.state_dict().keys() == plain.state_dict().keys()
    assert all(torch.equal(fast.state_dict()[key], value) for key, value in plain.state_dict().items())
    outputs = fast(NOISE), plain(NOISE[:, :, None, None])
    assert torch.allclose(*outputs, atol=1e-5)
    for output in outputs:
        output.square().sum().backward()
    for weight, other in zip(fast.parameters(), plain.parameters(), strict=True):
        assert weight.grad is not None
        assert other.grad is not None
        assert torch.allclose(weight.grad, other.grad, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "batch_size", "lr", "betas", "d_steps", "per_epoch", "steps"),
    [
        ("vanilla", 64, 3e-4, (0.9, 0.999), 1, 19, 9500),
        ("dcgan", 128, 2e-4, (0.5, 0.9), 1, 10, 5000),
        ("wgan-gp", 64, 2e-4, (0.0, 0.9), 5, 19, 9500),
    ],
)
def test_training_settings_are_the_reports(
    name: str, batch_size: int, lr: float, betas: tuple[float, float], d_steps: int, per_epoch: int, steps: int
) -> None:
    config = gans.load(name).Config()
    assert (config.latent, config.epochs, config.steps) == (100, 500, None)
    assert (config.batch_size, config.lr, config.betas, config.d_steps) == (batch_size, lr, betas, d_steps)
    assert BatchOrder(n_images=1200, batch_size=config.batch_size, seed=0, stream="s").per_epoch == per_epoch
    assert config.total_steps(per_epoch) == steps


def test_loss_settings_are_the_reports() -> None:
    defaults = {name: gans.load(name).Config().model_dump() for name in ("vanilla", "dcgan", "wgan-gp")}
    assert (defaults["vanilla"]["real_label"], defaults["vanilla"]["instance_noise"]) == (0.9, 0.0)
    assert (defaults["dcgan"]["real_label"], defaults["dcgan"]["instance_noise"]) == (0.9, 0.05)
    assert (defaults["wgan-gp"]["gp_weight"], defaults["wgan-gp"]["critic_norm"]) == (10.0, "batch")
