"""Differentiable augmentation: D sees every image, real or drawn, only after a random change, so that it cannot learn
few images by heart.

Zhao et al. 2020, arXiv:2006.10738, eqs. 4 and 5 (the same changes in D's and in G's step) and appendix A (their
ranges). Every change is written with arithmetic whose gradient has a deterministic algorithm on GPUs.
"""

from __future__ import annotations

from ganbalance.models.lazy import Generator, Tensor, torch

SHIFT = 1 / 8
"""Largest translation along each axis, as a share of the side."""
HOLE = 1 / 2
"""Side of the square that is cut out, as a share of the side."""


def diff_augment(images_BCHW: Tensor, rng: Generator) -> Tensor:
    """Change each image, in [-1, 1], in its own way: colour where there is any, place, a hole; the shape stays."""
    changes = (colour, translation, cutout) if images_BCHW.shape[1] > 1 else (translation, cutout)
    for change in changes:
        images_BCHW = change(images_BCHW, rng)
    return images_BCHW


def colour(images_BCHW: Tensor, rng: Generator) -> Tensor:
    """Vary brightness by -0.5 to 0.5, saturation times 0 to 2, contrast times 0.5 to 1.5; values may leave [-1, 1]."""
    brightness, saturation, contrast = (_uniform(images_BCHW, rng)[:, None, None, None] for _ in range(3))
    images_BCHW = images_BCHW + brightness - 0.5
    grey_B1HW = images_BCHW.mean(dim=1, keepdim=True)
    images_BCHW = torch.lerp(grey_B1HW, images_BCHW, 2 * saturation)
    mean_B111 = images_BCHW.mean(dim=(1, 2, 3), keepdim=True)
    return torch.lerp(mean_B111, images_BCHW, contrast + 0.5)


def translation(images_BCHW: Tensor, rng: Generator) -> Tensor:
    """Move by whole pixels, up to `SHIFT` of the side each way; what comes in is 0, as in the paper's own code."""
    side_px = images_BCHW.shape[-1]
    most = round(SHIFT * side_px)
    down_B, right_B = (_whole(images_BCHW, -most, most, rng) for _ in range(2))
    place_S = torch.arange(side_px, device=images_BCHW.device)

    def moves(by_B: Tensor) -> Tensor:
        """Build (B, 1, S, S): 1 where a row (3rd axis) comes from another (4th), so that a product moves exactly."""
        return (place_S[:, None] == place_S + by_B[:, None, None]).to(images_BCHW.dtype)[:, None]

    return moves(down_B) @ images_BCHW @ moves(right_B).transpose(-1, -2)


def cutout(images_BCHW: Tensor, rng: Generator) -> Tensor:
    """Set a square of `HOLE` of the side to 0, around a pixel drawn at random; it may reach over the edge.

    In the paper's own code a square of an even side lies around a corner of pixels, half a pixel from here.
    """
    side_px = images_BCHW.shape[-1]
    hole_px = round(HOLE * side_px)
    place_S = torch.arange(side_px, device=images_BCHW.device)

    def inside() -> Tensor:
        first_B = _whole(images_BCHW, 0, side_px - 1, rng) - hole_px // 2
        return (place_S >= first_B[:, None]) & (place_S < first_B[:, None] + hole_px)

    rows_BS, columns_BS = inside(), inside()
    return images_BCHW * ~(rows_BS[:, None, :, None] & columns_BS[:, None, None, :])


def _uniform(images_BCHW: Tensor, rng: Generator) -> Tensor:
    """Draw one number in [0, 1) for every image."""
    return torch.rand(len(images_BCHW), generator=rng, device=rng.device, dtype=images_BCHW.dtype)


def _whole(images_BCHW: Tensor, low: int, high: int, rng: Generator) -> Tensor:
    """Draw one whole number for every image, both ends included."""
    return torch.randint(low, high + 1, (len(images_BCHW),), generator=rng, device=rng.device)
