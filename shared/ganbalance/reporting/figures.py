"""Draw the data, and what GANs make of it. Drawn by the object API: equal inputs give equal bytes."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from ganbalance.reporting.lettering import lettering, turned
from ganbalance.reporting.plotting import BLUE, INK, MUTED, blank, single

STRIP_IMAGES = 16
GRID_COLUMNS = 8
FEW_CLASSES = 4
MANY_CLASSES = 12
"""Beyond it a figure or a table of classes shows some of them, or takes another form."""
MOST_NAMED = 40
"""Classes whose names fit beside bars."""
SHORT = 12


def class_counts(class_names: Sequence[str], before: Sequence[int], after: Sequence[int]) -> Figure:
    """Draw the counts of images per class before and after the imbalance (figure 1 of the course report)."""
    if len(class_names) > MOST_NAMED:
        return _ranked_counts(before, after)
    names, place = lettering(class_names), np.arange(len(class_names))
    upright = len(names.texts) <= MANY_CLASSES and max(map(len, names.texts)) <= SHORT
    figure, axes = single(max(5.0, 1.1 * len(place)), 3.2) if upright else single(7.0, 0.32 * len(place) + 0.9)
    for shift, counts, label, colour in ((-0.2, before, "before", MUTED), (0.2, after, "after", BLUE)):
        draw = axes.bar if upright else axes.barh
        bars = draw(place + shift, counts, 0.38, label=label, color=colour)
        axes.bar_label(bars, labels=[f"{count:,}" for count in counts], fontsize=7, color=INK, padding=2)
    if upright:
        slope = turned(0 if len(place) <= FEW_CLASSES else 30)
        axes.set_xticks(place, names.texts, fontsize=8, **slope, **names.style)
        axes.set_ylabel("training images", fontsize=8)
        axes.margins(y=0.12)
    else:
        axes.set_yticks(place, names.texts, fontsize=8, **names.style)
        axes.set_ylim(len(place) - 0.5, -0.5)
        axes.set_xlabel("training images", fontsize=8)
        axes.margins(x=0.12)
    axes.legend(frameon=False, fontsize=8, ncols=2, loc="lower right", bbox_to_anchor=(1, 1))
    return figure


def _ranked_counts(before: Sequence[int], after: Sequence[int]) -> Figure:
    """Draw the same of many classes, without their names: in the order of what is left of them."""
    figure, axes = single(7.0, 3.2)
    order = np.argsort(-np.array(after), kind="stable")
    for counts, label, colour in ((before, "before", MUTED), (after, "after", BLUE)):
        axes.plot(np.arange(1, len(order) + 1), np.array(counts)[order], ".-", label=label, color=colour, markersize=4)
    axes.set_xlabel("classes, from the most to the fewest images left", fontsize=8)
    axes.set_ylabel("training images", fontsize=8)
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, fontsize=8, ncols=2, loc="lower right", bbox_to_anchor=(1, 1))
    return figure


def image_grid(images_uint8_NCHW: NDArray[np.uint8], columns: int = GRID_COLUMNS) -> Image.Image:
    """Lay out images, uint8 (N, 1|3, H, W), in rows of `columns` with a thin white line between them."""
    n, channels, height, width = images_uint8_NCHW.shape
    columns = max(1, min(columns, n))
    rows = max(1, -(-n // columns))
    canvas = np.full((rows * (height + 1) + 1, columns * (width + 1) + 1, channels), 255, np.uint8)
    for i, image in enumerate(images_uint8_NCHW):
        top, left = i // columns * (height + 1) + 1, i % columns * (width + 1) + 1
        canvas[top : top + height, left : left + width] = image.transpose(1, 2, 0)
    return Image.fromarray(canvas[..., 0] if channels == 1 else canvas)


def strips(images_by_label: Mapping[str, NDArray[np.uint8]]) -> Figure:
    """Draw a row of images, uint8 (N, 1|3, H, W), for each label."""
    figure = blank(8, 0.58 * len(images_by_label) + 0.1)
    rows = np.atleast_1d(figure.subplots(len(images_by_label), 1))
    for axes, (label, images) in zip(rows, images_by_label.items(), strict=True):
        axes.imshow(image_grid(images[:STRIP_IMAGES], STRIP_IMAGES), cmap="gray", aspect="equal")
        axes.set_ylabel(label, rotation=0, ha="right", va="center", fontsize=8, color=INK)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_visible(False)
    return figure
