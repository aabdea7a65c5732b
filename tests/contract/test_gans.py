"""What every registered GAN must do. A new file in `models/gans/` is tested by being there."""

import re
import sys
from pathlib import Path

import pytest
import torch
from torch import Generator, Tensor

from ganbalance.errors import ConfigError
from ganbalance.frozen import dump, parse
from ganbalance.models import gans
from ganbalance.models.base import Gan, ImageSpec
from ganbalance.training import checkpoint
from ganbalance.training.gan_loop import train
from tests.loading import loaded_by
from tests.small_gans import CASES, GREY, batch, built, tiny

EVERY_GAN = pytest.mark.parametrize("name", gans.names())
EVERY_CASE = pytest.mark.parametrize("case", CASES)
SIZES = [GREY, ImageSpec(3), ImageSpec(1, 64), ImageSpec(3, 64)]
SPECS = pytest.mark.parametrize("spec", SIZES)
SMALL_AND_LARGE = pytest.mark.parametrize("spec", [ImageSpec(1), ImageSpec(3, 64)])


def rng(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def fakes(gan: Gan, labels_B: Tensor) -> Tensor:
    return gan.generate(gan.noise(len(labels_B), rng(3)), labels_B)


def summed(terms: dict[str, Tensor]) -> Tensor:
    return torch.stack(list(terms.values())).sum()


@EVERY_CASE
@pytest.mark.parametrize("spec", [*SIZES, ImageSpec(3, 128)])
def test_images_are_canvas_sized_and_in_range(case: str, spec: ImageSpec) -> None:
    gan = built(case, spec)
    _, labels_B = batch(spec)
    images_BCHW = fakes(gan, labels_B)
    assert images_BCHW.shape == (6, spec.channels, spec.side_px, spec.side_px)
    assert images_BCHW.dtype == torch.float32
    assert -1 <= images_BCHW.min() < images_BCHW.max() <= 1


@EVERY_CASE
def test_noise_is_standard_normal_of_the_configured_length(case: str) -> None:
    gan = built(case)
    noise_BZ = gan.noise(4000, rng())
    assert noise_BZ.shape == (4000, 5)
    assert noise_BZ.mean().abs() < 0.05
    assert (noise_BZ.std() - 1).abs() < 0.05


@EVERY_CASE
def test_the_same_seed_gives_the_same_images_and_another_seed_others(case: str) -> None:
    _, labels_B = batch()
    first, again, other = (fakes(built(case, seed=seed), labels_B) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@EVERY_CASE
def test_building_leaves_the_global_random_stream_alone(case: str) -> None:
    before = torch.get_rng_state()
    built(case)
    assert torch.equal(before, torch.get_rng_state())


@EVERY_CASE
@SPECS
def test_discriminator_loss_reaches_every_weight_of_d_and_none_of_g(case: str, spec: ImageSpec) -> None:
    gan = built(case, spec)
    real_BCHW, labels_B = batch(spec)
    summed(gan.d_loss(real_BCHW, fakes(gan, labels_B), labels_B, rng())).backward()
    assert all(weight.grad is None for weight in gan.G.parameters())
    missed = [key for key, weight in gan.D.named_parameters() if weight.grad is None]
    assert missed == []
    assert any(weight.grad.any() for weight in gan.D.parameters() if weight.grad is not None)


@EVERY_CASE
@SPECS
def test_generator_loss_reaches_every_weight_of_g(case: str, spec: ImageSpec) -> None:
    gan = built(case, spec)
    for weight in gan.networks.parameters():  # a residual block may start with 0, and hide what is before it
        if weight.dim() > 1 and not weight.any():
            torch.nn.init.normal_(weight, std=0.5, generator=rng(4))
    real_BCHW, labels_B = batch(spec)
    summed(gan.g_loss(real_BCHW, fakes(gan, labels_B), labels_B, rng())).backward()
    # a bias in front of BatchNorm has the gradient 0, so only the weight matrices must have one that is not
    still = [key for key, weight in gan.G.named_parameters() if weight.grad is None]
    assert still == []
    flat = [key for key, weight in gan.G.named_parameters() if weight.dim() > 1 and not weight.grad.any()]
    assert flat == []


@EVERY_CASE
def test_every_loss_term_is_a_finite_scalar_with_a_name(case: str) -> None:
    gan = built(case)
    real_BCHW, labels_B = batch()
    for loss in (gan.d_loss, gan.g_loss):
        terms = loss(real_BCHW, fakes(gan, labels_B), labels_B, rng())
        assert terms
        for key, term in terms.items():
            assert re.fullmatch(r"[a-z][a-z0-9_]*", key)
            assert term.shape == ()
            assert term.isfinite()


@EVERY_CASE
def test_losses_draw_from_the_given_generator_only(case: str) -> None:
    gan = built(case)
    real_BCHW, labels_B = batch()
    fake_BCHW = fakes(gan, labels_B)
    before = torch.get_rng_state()
    first = summed(gan.d_loss(real_BCHW, fake_BCHW, labels_B, rng(5)))
    assert torch.equal(before, torch.get_rng_state())
    again = built(case)  # anew, since spectral normalisation goes on with every loss
    assert torch.equal(first, summed(again.d_loss(real_BCHW, fake_BCHW, labels_B, rng(5))))


@EVERY_CASE
@SMALL_AND_LARGE
def test_a_checkpoint_brings_the_same_images_back(case: str, spec: ImageSpec, tmp_path: Path) -> None:
    gan, other = built(case, spec, seed=1), built(case, spec, seed=2)
    _, labels_B = batch(spec)
    checkpoint.save(tmp_path / "gan.safetensors", {"gan": gan.networks.state_dict()}, key="k")
    other.networks.load_state_dict(checkpoint.load(tmp_path / "gan.safetensors", key="k")["gan"])
    for one in (gan, other):
        one.networks.eval()
    assert torch.equal(fakes(gan, labels_B), fakes(other, labels_B))


@EVERY_CASE
def test_default_config_needs_no_argument_and_survives_a_round_trip(case: str) -> None:
    kind = gans.load(case.split(maxsplit=1)[0]).Config
    assert parse(kind, dump(kind()), where="here") == kind()
    assert parse(kind, dump(tiny(case)), where="here") == tiny(case)


@EVERY_GAN
def test_an_unknown_key_is_refused_by_name(name: str) -> None:
    with pytest.raises(ConfigError, match=r"here: unknown key 'epoch'.*epochs"):
        parse(gans.load(name).Config, {"epoch": 5}, where="here")


@EVERY_GAN
@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("latent", 0), ("epochs", 0), ("steps", 0), ("steps", 1.5), ("batch_size", -1), ("lr", 0.0),
        ("betas", [0.5, 1.0]), ("d_steps", 0), ("lr", "1"),
    ],
)  # fmt: skip
def test_an_impossible_value_is_refused_by_name(name: str, key: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"here: .*{key}"):
        parse(gans.load(name).Config, {key: value}, where="here")


@EVERY_GAN
def test_a_length_is_epochs_or_steps_and_comes_back_as_it_was_given(name: str) -> None:
    kind = gans.load(name).Config
    for given, steps in (({"epochs": 3}, 30), ({"steps": 7}, 7), ({"epochs": None, "steps": 7}, 7)):
        config = parse(kind, given, where="here")
        assert config.total_steps(per_epoch=10) == steps
        assert {"epochs", "steps"} & dump(config).keys() == {key for key, value in given.items() if value}
        assert parse(kind, dump(config), where="here").total_steps(per_epoch=10) == steps
    with pytest.raises(ConfigError) as caught:
        parse(kind, {"epochs": 3, "steps": 7}, where="here")
    assert str(caught.value) == (
        "here: a GAN trains for so many epochs or so many generator steps, not both; "
        "given epochs = 3 and steps = 7: drop one, or set it to null"
    )


@EVERY_GAN
def test_the_file_cites_its_paper_and_equation(name: str) -> None:
    text = sys.modules[gans.load(name).__module__].__doc__ or ""
    assert re.search(r"arXiv:\d{4}\.\d{4,5}", text)
    assert re.search(r"\beq\. \d|\balgorithm \d|\bsection \d", text)


@EVERY_CASE
def test_optimizers_hold_exactly_the_weights_of_d_and_g(case: str) -> None:
    gan = built(case)
    for optimizer, network in zip(gan.optimizers(), (gan.D, gan.G), strict=True):
        (group,) = optimizer.param_groups
        assert {id(weight) for weight in group["params"]} == {id(weight) for weight in network.parameters()}
        assert (group["lr"], group["betas"]) == (gan.config.lr, gan.config.betas)


@EVERY_CASE
@SPECS
def test_two_steps_of_training_change_both_networks(case: str, spec: ImageSpec) -> None:
    gan = built(case, spec)
    before = {key: weight.detach().clone() for key, weight in gan.networks.named_parameters()}
    trained = train(gan, *batch(spec), seed=0, stream="s", device=torch.device("cpu"))
    assert (trained.steps, len(trained.rows), trained.diverged_at) == (2, 2, None)
    assert list(trained.grids) == [1, 2]
    unchanged = {key for key, weight in gan.networks.named_parameters() if torch.equal(weight, before[key])}
    assert not {key for key in unchanged if key.endswith("weight")}


@EVERY_CASE
@SMALL_AND_LARGE
def test_a_conditional_gan_draws_and_judges_by_class_and_another_does_not(case: str, spec: ImageSpec) -> None:
    gan = built(case, spec)
    for network in (gan.G, gan.D):  # some start from weights of 0, where nothing depends on anything
        for weight in network.parameters():
            torch.nn.init.normal_(weight, std=0.5, generator=rng(4))
    noise_BZ, (real_BCHW, _) = gan.noise(6, rng(3)), batch(spec)
    gan.networks.eval()
    first, second = (torch.full((6,), label) for label in (0, 1))
    same_images = torch.equal(gan.generate(noise_BZ, first), gan.generate(noise_BZ, second))
    same_scores = torch.equal(gan.score(real_BCHW, first), gan.score(real_BCHW, second))
    assert (same_images, same_scores) == (not gan.config.conditional,) * 2
    assert gan.score(real_BCHW, first).shape == (6,)


@EVERY_CASE
@SMALL_AND_LARGE
def test_every_gan_takes_every_common_option(case: str, spec: ImageSpec) -> None:
    options = {"diff_augment": True, "ema": 0.5, "instance_noise": 0.1, "noise_until": 0.5}
    balanced = {"balanced_batches": True} if tiny(case).conditional else {}
    gan = built(case, spec, **options, **balanced)
    trained = train(gan, *batch(spec, n=12), seed=0, stream="s", device=torch.device("cpu"))
    assert (trained.steps, trained.diverged_at) == (4, None)
    assert gan.drawing is gan.average is not gan.G


@EVERY_GAN
def test_options_that_are_not_used_leave_no_trace_in_the_settings(name: str) -> None:
    written = dump(gans.load(name).Config())
    assert not {"ema", "noise_until", "projection"} & written.keys()
    if name in {"vanilla", "dcgan", "wgan-gp"}:  # whose keys stand in stores
        assert not {"diff_augment", "balanced_batches"} & written.keys()


def test_balanced_batches_are_refused_where_there_is_one_class() -> None:
    with pytest.raises(ConfigError, match=r"gans.dcgan: balanced_batches is for a GAN that learns several classes"):
        parse(gans.load("dcgan").Config, {"balanced_batches": True}, where="gans.dcgan")


def test_noise_that_falls_is_refused_where_there_is_no_noise() -> None:
    with pytest.raises(
        ConfigError, match=r"gans.sngan: noise_until = 0.5 says how long instance_noise falls, and .* 0"
    ):
        parse(gans.load("sngan").Config, {"noise_until": 0.5}, where="gans.sngan")
    assert parse(gans.load("dcgan").Config, {"noise_until": 0.5}, where="gans.dcgan")


def test_names_are_the_file_names_with_hyphens() -> None:
    folder = Path(gans.__file__).parent
    assert gans.names() == sorted(
        path.stem.replace("_", "-") for path in folder.glob("*.py") if path.name != "__init__.py"
    )
    assert {"vanilla", "dcgan", "wgan-gp", "cdcgan", "sngan", "r3gan", "lightweight"} <= set(gans.names())


@EVERY_GAN
def test_settings_are_read_without_torch(name: str) -> None:
    assert not loaded_by(f"from ganbalance.models import gans; gans.load({name!r}).Config()")


def test_an_unknown_gan_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"no gan 'biggan'; choose among .*dcgan.*wgan-gp"):
        gans.load("biggan")
