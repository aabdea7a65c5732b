"""Changed copies of images are theirs still: mirrored, shifted and turned within what the settings say."""

from typing import Any

import numpy as np
import pytest

from ganbalance.config import Augmentation, Noise
from ganbalance.data.augmentation import augmented, noisy

IMAGES = np.random.default_rng(0).integers(0, 256, (200, 3, 16, 16)).astype(np.uint8)


def copies(images: np.ndarray = IMAGES, seed: int = 0, **settings: Any) -> np.ndarray:
    nothing: dict[str, Any] = {"flip": False, "shift": 0.0, "rotate_deg": 0.0}
    return augmented(images, Augmentation(**nothing | settings), np.random.default_rng(seed))


def spots(side: int, count: int) -> np.ndarray:
    """Black images with one bright spot of 2x2 pixels in the middle."""
    images = np.zeros((count, 1, side, side), np.uint8)
    images[:, :, side // 2 - 1 : side // 2 + 1, side // 2 - 1 : side // 2 + 1] = 255
    return images


def moved(images: np.ndarray) -> np.ndarray:
    """Where the centre of brightness lies, from the middle: (N, 2) in pixels, down and across."""
    weights = images[:, 0] / images[:, 0].sum(axis=(1, 2), keepdims=True)
    place = np.arange(images.shape[-1]) - (images.shape[-1] - 1) / 2
    return np.stack([(weights.sum(axis=2) * place).sum(axis=1), (weights.sum(axis=1) * place).sum(axis=1)], axis=1)


def test_without_any_change_the_copies_are_the_images() -> None:
    assert np.array_equal(copies(), IMAGES)


@pytest.mark.parametrize("channels", [1, 3])
def test_copies_have_the_form_of_the_images(channels: int) -> None:
    changed = copies(IMAGES[:, :channels], flip=True, shift=0.2, rotate_deg=20.0)
    assert (changed.shape, changed.dtype) == (IMAGES[:, :channels].shape, np.uint8)


def test_about_every_other_copy_is_mirrored_left_to_right_and_nothing_else() -> None:
    changed = copies(flip=True)
    mirrored = (changed == IMAGES[..., ::-1]).all(axis=(1, 2, 3))
    kept = (changed == IMAGES).all(axis=(1, 2, 3))
    assert (mirrored ^ kept).all()
    assert 70 < mirrored.sum() < 130


@pytest.mark.parametrize("shift", [0.1, 0.25])
def test_shifts_reach_as_far_as_the_share_of_the_side_and_no_farther(shift: float) -> None:
    distance = np.abs(moved(copies(spots(32, 500), shift=shift)))
    assert distance.max() <= 32 * shift + 0.01
    assert (distance.max(axis=0) > 32 * shift * 0.95).all()
    assert np.mean(moved(copies(spots(32, 500), shift=shift)), axis=0) == pytest.approx([0, 0], abs=32 * shift * 0.15)


def test_what_comes_in_at_the_border_is_black() -> None:
    white = np.full((50, 1, 16, 16), 255, np.uint8)
    changed = copies(white, shift=0.5)
    assert (changed.min(axis=(1, 2, 3)) == 0).mean() > 0.9  # but for the smallest shifts
    assert set(np.unique(changed)) >= {0, 255}
    assert (copies(white) == 255).all()


def test_turns_go_as_far_as_the_angle_to_either_side_and_no_farther() -> None:
    lines = np.zeros((500, 1, 65, 65), np.uint8)
    lines[:, :, 32, 32:] = 255  # from the middle to the right
    down, across = moved(copies(lines, rotate_deg=30.0)).T
    angles = np.rad2deg(np.arctan2(down, across))
    assert np.abs(angles).max() <= 31
    assert angles.min() < -27
    assert angles.max() > 27
    assert np.hypot(down, across) == pytest.approx(np.full(500, 16.0), abs=0.7)


def test_a_turn_keeps_the_shape_of_what_it_turns() -> None:
    y, x = np.mgrid[-16:17, -16:17]
    disc = np.where(x**2 + y**2 <= 100, 255, 0).astype(np.uint8)[None, None].repeat(100, axis=0)
    changed = copies(disc, rotate_deg=180.0)
    assert changed.sum(axis=(1, 2, 3)) == pytest.approx(np.full(100, disc[0].sum()), rel=0.02)
    assert np.abs(moved(changed)).max() < 0.1


def test_equal_generators_give_equal_copies_and_others_others() -> None:
    settings = {"flip": True, "shift": 0.1, "rotate_deg": 10.0}
    assert np.array_equal(copies(seed=1, **settings), copies(seed=1, **settings))
    assert not np.array_equal(copies(seed=1, **settings), copies(seed=2, **settings))


def test_no_image_gives_no_copy() -> None:
    assert copies(IMAGES[:0], flip=True).shape == (0, 3, 16, 16)


def with_noise(images: np.ndarray, seed: int = 0, **settings: float) -> np.ndarray:
    return noisy(images, Noise(**settings), np.random.default_rng(seed))


@pytest.mark.parametrize("sd_levels", [1.0, 8.0, 20.0])
def test_noise_is_gaussian_of_the_given_strength_and_moves_no_level_on_average(sd_levels: float) -> None:
    grey = np.full((100, 3, 16, 16), 128, np.uint8)
    noise = with_noise(grey, sd_levels=sd_levels).astype(np.float64) - 128
    assert noise.mean() == pytest.approx(0, abs=0.02 * sd_levels)
    assert noise.std() == pytest.approx(np.hypot(sd_levels, 12**-0.5), rel=0.02)  # rounding adds 1/12
    assert (noise**4).mean() / noise.var() ** 2 == pytest.approx(3, abs=0.1)
    pixels = noise.reshape(100, -1)
    assert abs(np.corrcoef(pixels[:, 0], pixels[:, 1])[0, 1]) < 0.4
    assert len({image.tobytes() for image in noise}) == 100


def test_noise_is_2_levels_unless_another_is_given_and_the_same_for_a_seed() -> None:
    assert np.array_equal(with_noise(IMAGES), with_noise(IMAGES, sd_levels=2.0))
    assert not np.array_equal(with_noise(IMAGES), with_noise(IMAGES, sd_levels=3.0))
    assert not np.array_equal(with_noise(IMAGES), with_noise(IMAGES, seed=1))


def test_noise_is_cut_off_at_black_and_white_and_does_not_wrap() -> None:
    edges = np.concatenate([np.zeros((50, 1, 16, 16), np.uint8), np.full((50, 1, 16, 16), 255, np.uint8)])
    copies = with_noise(edges, sd_levels=10.0)
    assert copies.dtype == np.uint8
    assert copies[:50].max() < 60
    assert copies[50:].min() > 195
    assert (copies[:50] == 0).mean() == pytest.approx(0.52, abs=0.02)  # half of it is below 0, and what rounds to it


def test_noise_on_no_images_is_no_images() -> None:
    assert with_noise(IMAGES[:0]).shape == (0, 3, 16, 16)
