"""Between a dataset's own pixels (uint8 arrays) and the 32x32 canvas that the networks work on (float32 tensors)."""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ganbalance.config import Fit
from ganbalance.errors import ConfigError

CANVAS_PX = 32


def to_canvas(images_NCHW: NDArray[np.uint8], fit: Fit) -> Tensor:
    """uint8 (N, C, H, W) -> float32 (N, C, 32, 32) in [-1, 1].

    "pad" centres the image on black, the exact inverse of `from_canvas`; "resize" is the bilinear
    resampling of the course report, rounded to whole grey levels as an image library does.
    """
    levels = torch.from_numpy(images_NCHW).float()
    levels = _pad(levels) if fit == "pad" else _resize(levels)
    return levels / 127.5 - 1


def from_canvas(images_NCHW: Tensor, side_px: int) -> NDArray[np.uint8]:
    """float (N, C, 32, 32) in [-1, 1] -> uint8 (N, C, side_px, side_px): the centre, rounded to grey levels."""
    before, after = _margins(side_px, side_px)[:2]
    centre = images_NCHW[..., before : CANVAS_PX - after, before : CANVAS_PX - after]
    levels = ((centre + 1) * 127.5).round().clamp(0, 255)
    return levels.to(device="cpu", dtype=torch.uint8).numpy()


def _margins(height_px: int, width_px: int) -> tuple[int, int, int, int]:
    """Pixels left, right, above and below an image centred on the canvas."""
    if not 0 < height_px <= CANVAS_PX or not 0 < width_px <= CANVAS_PX:
        raise ConfigError(
            f"images of {height_px}x{width_px} px do not fit the {CANVAS_PX}x{CANVAS_PX} canvas of the GANs: "
            f"set dataset.side_px to at most {CANVAS_PX}"
        )
    x_px, y_px = CANVAS_PX - width_px, CANVAS_PX - height_px
    return x_px // 2, x_px - x_px // 2, y_px // 2, y_px - y_px // 2


def _pad(levels_NCHW: Tensor) -> Tensor:
    return F.pad(levels_NCHW, _margins(levels_NCHW.shape[2], levels_NCHW.shape[3]))


def _resize(levels_NCHW: Tensor) -> Tensor:
    size = (CANVAS_PX, CANVAS_PX)
    return F.interpolate(levels_NCHW, size, mode="bilinear", align_corners=False, antialias=True).round()
