"""Differentiable augmentation: what each change does, to each image in its own way, and that a gradient passes."""

import pytest
import torch
from torch import Generator, Tensor

from ganbalance.models.diff_augment import colour, cutout, diff_augment, translation

N, SIDE = 400, 16


def rng(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def images(channels: int = 1, n: int = N) -> Tensor:
    return torch.rand(n, channels, SIDE, SIDE, generator=rng(1)) + 0.5  # no value is 0, which is what comes in


def test_translation_moves_whole_images_by_up_to_an_eighth_each_way_and_0_comes_in() -> None:
    given = images()
    moved, seen = translation(given, rng()), set()
    for before, after in zip(given[:, 0], moved[:, 0], strict=True):
        fits = [(down, right) for down in range(-2, 3) for right in range(-2, 3) if same(before, after, down, right)]
        assert len(fits) == 1
        seen |= set(fits)
    assert len(seen) == 25  # every one of them is drawn


def same(before: Tensor, after: Tensor, down: int, right: int) -> bool:
    expected = torch.zeros_like(before)
    for row in range(SIDE):
        for column in range(SIDE):
            if 0 <= row + down < SIDE and 0 <= column + right < SIDE:
                expected[row, column] = before[row + down, column + right]
    return torch.equal(expected, after)


def test_cutout_sets_a_square_of_half_the_side_to_0_wherever_its_middle_falls() -> None:
    given = images(3)
    cut = cutout(given, rng())
    holes = (cut == 0).all(dim=1)
    assert torch.equal(cut, given * ~holes[:, None])
    rows, columns = holes.any(dim=2).sum(dim=1), holes.any(dim=1).sum(dim=1)
    assert torch.equal(holes.sum(dim=(1, 2)), rows * columns)  # a rectangle, cut off where it reaches over the edge
    assert (rows.max(), rows.min(), columns.max(), columns.min()) == (8, 4, 8, 4)


def test_colour_changes_brightness_saturation_and_contrast_of_each_image() -> None:
    given = images(3)
    changed = colour(given, rng())
    shift = changed.mean(dim=(1, 2, 3)) - given.mean(dim=(1, 2, 3))
    assert -0.5 <= shift.min() < -0.45
    assert 0.45 < shift.max() <= 0.5  # contrast and saturation leave the mean where it is
    spread = [(one - one.mean(dim=1, keepdim=True)).std(dim=(1, 2, 3)) for one in (given, changed)]
    ratio = spread[1] / spread[0]  # of colours around grey: saturation, 0 to 2, times contrast, 0.5 to 1.5
    assert 0 <= ratio.min() < 0.1
    assert 2.4 < ratio.max() <= 3.0
    grey = [one.mean(dim=1).std(dim=(1, 2)) for one in (given, changed)]
    contrast = grey[1] / grey[0]
    assert (contrast.min().item(), contrast.max().item()) == pytest.approx((0.5, 1.5), abs=0.01)


@pytest.mark.parametrize("channels", [1, 3])
def test_colour_is_left_alone_where_there_is_none(channels: int) -> None:
    flat = torch.ones(50, channels, SIDE, SIDE)
    values = diff_augment(flat, rng()).unique()
    assert (len(values) == 2) == (channels == 1)  # what was there, and 0


def test_a_gradient_passes_and_the_same_draw_gives_the_same_change() -> None:
    given = images(3, 8).requires_grad_()
    first, again, other = (diff_augment(given, rng(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    (slope,) = torch.autograd.grad(first.square().sum(), given, create_graph=True)
    assert slope.any()
    (second,) = torch.autograd.grad(slope.square().sum(), given)
    assert second.any()
