"""Images to features through a frozen backbone, in full float32 on every device."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ganbalance.models.backbones.base import Backbone, prepare

BATCH = 256  # part of what fixes the bytes: other batch sizes round differently


@torch.inference_mode()
def extract(  # noqa: PLR0913
    network: nn.Module,
    backbone: Backbone,
    images_NCHW: NDArray[np.uint8],
    *,
    side_px: int,
    device: torch.device,
    on_progress: Callable[[int, int], None],
) -> NDArray[np.float32]:
    """Compute features float32 (N, backbone.features) of uint8 images (N,1|3,H,W). Frozen means `eval()`."""
    # channels last makes the depthwise convolutions several times faster on a CPU
    network = network.eval().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    features = np.empty((len(images_NCHW), backbone.features), np.float32)
    # a GPU rounds what convolutions multiply to TF32 unless asked; a classifier that is kept predicts elsewhere
    with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
        for start in range(0, len(images_NCHW), BATCH):
            batch = torch.from_numpy(np.array(images_NCHW[start : start + BATCH])).to(device)
            prepared = prepare(batch, backbone, side_px).contiguous(memory_format=torch.channels_last)
            features[start : start + BATCH] = network(prepared).cpu().numpy()
            on_progress(start + len(batch), len(images_NCHW))
    return features
