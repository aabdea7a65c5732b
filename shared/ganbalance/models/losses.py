"""The adversarial losses, one function per equation. Logits and scores are float (B,); results are scalars."""

from __future__ import annotations

from collections.abc import Callable

from ganbalance.models.lazy import F, Generator, Tensor, torch


def bce_real(logits_B: Tensor, label: float = 1.0) -> Tensor:
    """Average -label log D - (1 - label) log(1 - D), D = sigmoid(logit): what D minimises on real images.

    Goodfellow et al. 2014, arXiv:1406.2661, eq. 1, first term, with the one-sided label smoothing of
    Salimans et al. 2016, arXiv:1606.03498, section 3.4.
    """
    return F.binary_cross_entropy_with_logits(logits_B, torch.full_like(logits_B, label))


def bce_fake(logits_B: Tensor) -> Tensor:
    """Average -log(1 - D): what D minimises on fakes. arXiv:1406.2661, eq. 1, second term."""
    return F.softplus(logits_B).mean()


def non_saturating(logits_B: Tensor) -> Tensor:
    """Average -log D: what G minimises on its fakes. arXiv:1406.2661, section 3, last paragraph."""
    return F.softplus(-logits_B).mean()


def wasserstein_critic(real_B: Tensor, fake_B: Tensor) -> Tensor:
    """Compute E[D(fake)] - E[D(real)]: the negated distance. arXiv:1704.00028, eq. 3, first two terms."""
    return fake_B.mean() - real_B.mean()


def wasserstein_generator(fake_B: Tensor) -> Tensor:
    """Compute -E[D(fake)]. Gulrajani et al. 2017, arXiv:1704.00028, algorithm 1, line 12."""
    return -fake_B.mean()


def hinge(real_B: Tensor, fake_B: Tensor) -> Tensor:
    """Compute E[max(0, 1 - D(real))] + E[max(0, 1 + D(fake))]: what D minimises.

    Miyato et al. 2018, arXiv:1802.05957, eq. 16, negated.
    """
    return F.relu(1 - real_B).mean() + F.relu(1 + fake_B).mean()


def relativistic(better_B: Tensor, worse_B: Tensor) -> Tensor:
    """Average -log sigmoid(better - worse), image by image: small where the first of each pair has the higher score.

    What D minimises of (real, fake) and G of (fake, real). Huang et al. 2024, arXiv:2501.05441, eq. 2, after
    Jolicoeur-Martineau 2019, arXiv:1807.00734, section 4.1.
    """
    return F.softplus(worse_B - better_B).mean()


def zero_centred_penalty(critic: Callable[[Tensor], Tensor], images_BCHW: Tensor) -> Tensor:
    """Compute E[|grad D(x)|_2^2] / 2 at the images themselves: R1 where they are real, R2 where they are fake.

    Mescheder et al. 2018, arXiv:1801.04406, eqs. 9 and 10, without gamma. In float32 or wider, outside autocast.
    """
    with torch.autocast(images_BCHW.device.type, enabled=False):
        wide = torch.promote_types(images_BCHW.dtype, torch.float32)
        images = images_BCHW.detach().to(wide).requires_grad_()
        (slope,) = torch.autograd.grad(critic(images).sum(), images, create_graph=True)
        return slope.square().sum(dim=(1, 2, 3)).mean() / 2


def gradient_penalty(
    critic: Callable[[Tensor], Tensor], real_BCHW: Tensor, fake_BCHW: Tensor, rng: Generator
) -> Tensor:
    """Compute E[(|grad D(x)|_2 - 1)^2] at x drawn uniformly on the lines between real and fake images.

    Gulrajani et al. 2017, arXiv:1704.00028, eq. 3, last term, without lambda. The norm is over all
    dimensions of one image. It runs in float32 or wider, outside autocast: squares of half-precision
    gradients overflow.
    """
    with torch.autocast(real_BCHW.device.type, enabled=False):
        wide = torch.promote_types(real_BCHW.dtype, torch.float32)
        mix_B111 = torch.rand(len(real_BCHW), 1, 1, 1, generator=rng, device=rng.device, dtype=wide)
        between = torch.lerp(fake_BCHW.detach().to(wide), real_BCHW.to(wide), mix_B111).requires_grad_()
        (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
        # vector_norm has gradient 0 at 0, where the plain sqrt of a sum of squares gives NaN
        norm_B: Tensor = torch.linalg.vector_norm(slope.flatten(1), dim=1)
        return (norm_B - 1).square().mean()
