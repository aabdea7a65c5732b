"""Between a dataset's own pixels (uint8 arrays) and the square canvas that GANs work on (float32 tensors)."""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ganbalance.config import Fit, canvas_side
from ganbalance.errors import ConfigError


def to_canvas(images_NCHW: NDArray[np.uint8], fit: Fit) -> Tensor:
    """Convert uint8 (N, C, H, W) to float32 (N, C, side, side) in [-1, 1], on the smallest canvas that they fit on.

    "pad" centres the image on black, the exact inverse of `from_canvas`; "resize" is the bilinear
    resampling of the course report, rounded to whole grey levels as an image library does.
    """
    levels = torch.from_numpy(images_NCHW).float()
    side_px = canvas_side(max(levels.shape[-2:]))
    levels = _pad(levels, side_px) if fit == "pad" else _resize(levels, side_px)
    return levels / 127.5 - 1


def from_canvas(images_NCHW: Tensor, side_px: int) -> NDArray[np.uint8]:
    """Take the centre: float (N, C, side, side) in [-1, 1] -> uint8 (N, C, side_px, side_px), rounded grey levels."""
    canvas_px = images_NCHW.shape[-1]
    before, after = _margins(side_px, side_px, canvas_px)[:2]
    centre = images_NCHW[..., before : canvas_px - after, before : canvas_px - after]
    levels = ((centre + 1) * 127.5).round().clamp(0, 255)
    return levels.to(device="cpu", dtype=torch.uint8).numpy()


def _margins(height_px: int, width_px: int, canvas_px: int) -> tuple[int, int, int, int]:
    """Count the pixels left, right, above and below an image centred on the canvas."""
    if not 0 < height_px <= canvas_px or not 0 < width_px <= canvas_px:
        raise ConfigError(f"images of {height_px}x{width_px} px do not fit the {canvas_px}x{canvas_px} canvas of a GAN")
    x_px, y_px = canvas_px - width_px, canvas_px - height_px
    return x_px // 2, x_px - x_px // 2, y_px // 2, y_px - y_px // 2


def _pad(levels_NCHW: Tensor, canvas_px: int) -> Tensor:
    return F.pad(levels_NCHW, _margins(levels_NCHW.shape[2], levels_NCHW.shape[3], canvas_px))


def _resize(levels_NCHW: Tensor, canvas_px: int) -> Tensor:
    size = (canvas_px, canvas_px)
    return F.interpolate(levels_NCHW, size, mode="bilinear", align_corners=False, antialias=True).round()
