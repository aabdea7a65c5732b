"""Label-safe copies of images: mirrored, shifted and turned a little, or with a little noise."""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from ganbalance.config import Augmentation, Noise


def augmented(images_NCHW: NDArray[np.uint8], settings: Augmentation, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Make one changed copy of each image, uint8 (N, C, H, W). What comes in at the border is black."""
    count = len(images_NCHW)
    if not count:
        return images_NCHW
    turn = np.deg2rad(rng.uniform(-settings.rotate_deg, settings.rotate_deg, count))
    mirror = np.where(rng.random(count) < 0.5, -1.0, 1.0) if settings.flip else np.ones(count)  # noqa: PLR2004 - a coin
    # the grid runs from -1 to 1 across an image
    across, down = 2 * settings.shift * rng.uniform(-1, 1, (2, count))
    theta = np.stack([mirror * np.cos(turn), -np.sin(turn), across, mirror * np.sin(turn), np.cos(turn), down], axis=1)
    grid = F.affine_grid(
        torch.from_numpy(theta.reshape(-1, 2, 3)).float(), list(images_NCHW.shape), align_corners=False
    )
    levels = F.grid_sample(torch.from_numpy(images_NCHW).float(), grid, align_corners=False)
    changed: NDArray[np.uint8] = levels.round().clamp(0, 255).to(torch.uint8).numpy()
    return changed


def noisy(images_NCHW: NDArray[np.uint8], settings: Noise, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Make one copy of each image with Gaussian noise on every grey level, uint8 (N, C, H, W), cut off at 0 and 255.

    Bishop 1995, "Training with noise is equivalent to Tikhonov regularization", Neural Computation 7(1), section 2.
    """
    levels = settings.sd_levels * rng.standard_normal(images_NCHW.shape, dtype=np.float32)
    levels += images_NCHW
    copies: NDArray[np.uint8] = levels.round().clip(0, 255).astype(np.uint8)
    return copies
