"""Losses against formulas written out again in NumPy, and the penalty against finite differences."""

import numpy as np
import pytest
import torch
from torch import Generator, Tensor, nn

from ganbalance.models import gans
from ganbalance.models.base import ImageSpec
from ganbalance.models.losses import (
    bce_fake,
    bce_real,
    gradient_penalty,
    hinge,
    non_saturating,
    wasserstein_critic,
    wasserstein_generator,
    zero_centred_penalty,
)

GREY = ImageSpec(1)

LOGITS = np.array([-3.0, -0.5, 0.0, 0.7, 4.0])


def rng(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("label", [1.0, 0.9])
def test_real_term_is_cross_entropy_with_the_smoothed_label(label: float) -> None:
    d = sigmoid(LOGITS)
    expected = -(label * np.log(d) + (1 - label) * np.log(1 - d)).mean()
    assert bce_real(torch.tensor(LOGITS), label).item() == pytest.approx(expected, rel=1e-12)


def test_fake_term_is_minus_log_of_one_minus_d() -> None:
    assert bce_fake(torch.tensor(LOGITS)).item() == pytest.approx(-np.log(1 - sigmoid(LOGITS)).mean(), rel=1e-12)


def test_generator_term_is_minus_log_d() -> None:
    assert non_saturating(torch.tensor(LOGITS)).item() == pytest.approx(-np.log(sigmoid(LOGITS)).mean(), rel=1e-12)


def test_cross_entropies_stay_finite_where_the_sigmoid_rounds_to_zero_or_one() -> None:
    far = torch.tensor([-1e4, 1e4])
    assert bce_real(far, 0.9).item() == pytest.approx((0.9 * 1e4 + 0.1 * 1e4) / 2)
    assert bce_fake(far).item() == non_saturating(far).item() == pytest.approx(1e4 / 2)


def test_wasserstein_terms_are_differences_of_means() -> None:
    real, fake = torch.tensor([1.0, 3.0]), torch.tensor([10.0, 20.0, 30.0])
    assert wasserstein_critic(real, fake).item() == 18
    assert wasserstein_generator(fake).item() == -20


def curved_critic() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(18, 7), nn.Tanh(), nn.Linear(7, 1), nn.Flatten(0)).double()


def small_images(seed: int, n: int = 4) -> Tensor:
    return torch.rand(n, 2, 3, 3, generator=rng(seed), dtype=torch.float64) * 2 - 1


def penalty_by_differences(critic: nn.Module, real: Tensor, fake: Tensor, mix: Tensor, h: float = 1e-5) -> float:
    """The penalty with central differences for the slope, one pixel of one image at a time."""
    between = mix * real + (1 - mix) * fake
    excess = []
    for image in between:
        slope = np.zeros(image.numel())
        for pixel in range(image.numel()):
            nudge = torch.zeros(image.numel(), dtype=torch.float64)
            nudge[pixel] = h
            up, down = image + nudge.view_as(image), image - nudge.view_as(image)
            slope[pixel] = (critic(up[None]) - critic(down[None])).item() / (2 * h)
        excess.append((np.sqrt((slope**2).sum()) - 1) ** 2)
    return float(np.mean(excess))


@torch.no_grad()
def test_gradient_penalty_agrees_with_finite_differences() -> None:
    critic, real, fake = curved_critic(), small_images(1), small_images(2)
    mix = torch.rand(4, 1, 1, 1, generator=rng(3), dtype=torch.float64)
    with torch.enable_grad():
        penalty = gradient_penalty(critic, real, fake, rng(3)).item()
    assert penalty == pytest.approx(penalty_by_differences(critic, real, fake, mix), rel=1e-7)


def test_gradient_penalty_of_weights_agrees_with_finite_differences() -> None:
    critic, real, fake = curved_critic(), small_images(1), small_images(2)
    weight = critic[1].weight
    gradient_penalty(critic, real, fake, rng(3)).backward()
    for row, column in ((0, 0), (3, 11), (6, 17)):
        ends = []
        for h in (1e-6, -1e-6):
            with torch.no_grad():
                weight[row, column] += h
            ends.append(gradient_penalty(critic, real, fake, rng(3)).item())
            with torch.no_grad():
                weight[row, column] -= h
        assert weight.grad[row, column].item() == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-5)


def test_gradient_penalty_of_a_linear_critic_is_known_in_closed_form() -> None:
    slope = torch.full((1, 18), 0.5, dtype=torch.float64)  # norm sqrt(18 / 4), whatever the images
    penalty = gradient_penalty(lambda x: x.flatten(1) @ slope[0], small_images(1), small_images(2), rng())
    assert penalty.item() == pytest.approx((np.sqrt(4.5) - 1) ** 2, rel=1e-12)


def test_gradient_penalty_and_its_gradient_are_finite_at_zero_slope() -> None:
    weight = torch.zeros(18, requires_grad=True)
    real, fake = small_images(1).float(), small_images(2).float()
    penalty = gradient_penalty(lambda x: x.flatten(1) @ weight, real, fake, rng())
    penalty.backward()
    assert penalty.item() == 1
    assert weight.grad is not None
    assert weight.grad.isfinite().all()


def test_gradient_penalty_of_half_precision_images_does_not_overflow() -> None:
    def steep(x: Tensor) -> Tensor:
        return 300 * x.flatten(1).sum(1)  # the squared slope, 1.6e6, is beyond float16

    penalty = gradient_penalty(steep, small_images(1).half(), small_images(2).half(), rng())
    assert penalty.dtype == torch.float32
    assert penalty.item() == pytest.approx((300 * np.sqrt(18) - 1) ** 2, rel=1e-5)


def test_gradient_penalty_sends_no_gradient_to_the_generator() -> None:
    fake = small_images(2).requires_grad_()
    gradient_penalty(curved_critic(), small_images(1), fake, rng()).backward()
    assert fake.grad is None


class Scores(nn.Module):
    """Stands in for D: the mean of each image is its logit, so every loss has a formula."""

    def forward(self, images_BCHW: Tensor) -> Tensor:
        return images_BCHW.flatten(1).mean(1)


REAL, FAKE, LABELS = small_images(1).float(), small_images(2).float(), torch.zeros(4, dtype=torch.int64)
R, F = (images.flatten(1).mean(1).double().numpy() for images in (REAL, FAKE))


@pytest.mark.parametrize("name", ["vanilla", "dcgan"])
def test_bce_gans_minimise_smoothed_cross_entropy_and_the_non_saturating_loss(name: str) -> None:
    gan = gans.build(name, gans.load(name).Config(instance_noise=0.0), GREY, 0)
    gan.D = Scores()
    d_loss, g_loss = gan.d_loss(REAL, FAKE, LABELS, rng()), gan.g_loss(REAL, FAKE, LABELS, rng())
    real = -(0.9 * np.log(sigmoid(R)) + 0.1 * np.log(1 - sigmoid(R))).mean()
    assert {key: term.item() for key, term in d_loss.items()} == pytest.approx(
        {"real": real, "fake": -np.log(1 - sigmoid(F)).mean()}, rel=1e-5
    )
    assert {key: term.item() for key, term in g_loss.items()} == pytest.approx(
        {"fool": -np.log(sigmoid(F)).mean()}, rel=1e-5
    )


def test_wgan_gp_minimises_the_negated_distance_and_ten_times_the_penalty() -> None:
    gan = gans.build("wgan-gp", gans.load("wgan-gp").Config(), GREY, 0)
    gan.D = Scores()
    d_loss, g_loss = gan.d_loss(REAL, FAKE, LABELS, rng()), gan.g_loss(REAL, FAKE, LABELS, rng())
    penalty = 10 * (np.sqrt(18 / 18**2) - 1) ** 2  # each of 18 pixels has the slope 1/18
    assert {key: term.item() for key, term in d_loss.items()} == pytest.approx(
        {"critic": F.mean() - R.mean(), "penalty": penalty}, rel=1e-5
    )
    assert g_loss["score"].item() == pytest.approx(-F.mean(), rel=1e-5)


@pytest.mark.parametrize(("progress", "sd"), [(0.0, 0.2), (0.25, 0.1), (0.5, 0.0), (1.0, 0.0)])
def test_instance_noise_falls_in_a_straight_line_until_the_share_of_the_training_that_is_said(
    progress: float, sd: float
) -> None:
    settings, flat = gans.load("wgan-gp").Config, torch.zeros(8, 1, 32, 32)
    falling = gans.build("wgan-gp", settings(instance_noise=0.2, noise_until=0.5), GREY, 0)
    constant = gans.build("wgan-gp", settings(instance_noise=0.2), GREY, 0)
    done = torch.tensor(progress)
    assert falling.shown(flat, rng(), done).std().item() == pytest.approx(sd, rel=0.05)
    assert constant.shown(flat, rng(), done).std().item() == pytest.approx(0.2, rel=0.05)


def test_dcgan_shows_d_images_with_noise_of_sd_005() -> None:
    gan = gans.build("dcgan", gans.load("dcgan").Config(), GREY, 0)
    assert gan.shown(torch.zeros(8, 1, 32, 32), rng(), torch.tensor(0.5)).std().item() == pytest.approx(0.05, rel=0.05)


def test_sngan_minimises_the_hinge_losses() -> None:
    gan = gans.build("sngan", gans.load("sngan").Config(), GREY, 0)
    gan.D = Scores()
    real, fake = 5 * REAL, 5 * FAKE  # so that some scores are past the hinge
    d_loss, g_loss = gan.d_loss(real, fake, LABELS, rng()), gan.g_loss(real, fake, LABELS, rng())
    expected = np.maximum(0, 1 - 5 * R).mean() + np.maximum(0, 1 + 5 * F).mean()
    assert d_loss["hinge"].item() == pytest.approx(expected, rel=1e-5)
    assert g_loss["score"].item() == pytest.approx(-5 * F.mean(), rel=1e-5)


def test_the_hinge_asks_nothing_of_scores_beyond_it() -> None:
    assert hinge(torch.tensor([1.0, 3.0]), torch.tensor([-1.0, -7.0])).item() == 0
    assert hinge(torch.tensor([0.5, 3.0]), torch.tensor([-1.0, 1.0])).item() == pytest.approx(0.25 + 1)


def test_r3gan_minimises_pairs_and_both_penalties() -> None:
    gan = gans.build("r3gan", gans.load("r3gan").Config(gamma=4.0), GREY, 0)
    gan.D = Scores()
    d_loss, g_loss = gan.d_loss(REAL, FAKE, LABELS, rng()), gan.g_loss(REAL, FAKE, LABELS, rng())
    penalty = 4.0 / 2 / 18  # each of 18 pixels has the slope 1/18
    assert {key: term.item() for key, term in d_loss.items()} == pytest.approx(
        {"pairs": -np.log(sigmoid(R - F)).mean(), "r1": penalty, "r2": penalty}, rel=1e-5
    )
    assert g_loss["pairs"].item() == pytest.approx(-np.log(sigmoid(F - R)).mean(), rel=1e-5)


def test_the_zero_centred_penalty_is_half_the_mean_square_slope_at_the_images() -> None:
    images = small_images(1)  # of the sum of cubes the slope is 3 x^2
    expected = (9 * images**4).sum(dim=(1, 2, 3)).mean() / 2
    found = zero_centred_penalty(lambda given: given.pow(3).sum(dim=(1, 2, 3)), images)
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)


def test_lightweight_also_learns_to_rebuild_real_images_alone() -> None:
    spec = ImageSpec(1, 64)
    gan = gans.build("lightweight", gans.load("lightweight").Config(rebuild_weight=3.0).at(spec), spec, 0)
    gan.networks.eval()
    real, fake = torch.rand(4, 1, 64, 64, generator=rng()), torch.zeros(4, 1, 64, 64)
    rebuilt = gan.D.decoder(gan.D.features(real))
    small = real.unfold(2, 2, 2).unfold(3, 2, 2).mean(dim=(4, 5))  # blocks of two by two
    expected = 3 * (rebuilt - small).abs().mean().item()
    assert gan.d_loss(real, fake, LABELS, rng())["rebuild"].item() == pytest.approx(expected, rel=1e-5)
