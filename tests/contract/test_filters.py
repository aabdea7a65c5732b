"""What every filter must do. A new file in `arms/filters/` is tested by being there."""

from collections.abc import Callable

import numpy as np
import pytest

from ganbalance import arms, registry
from ganbalance.arms import Candidates, filters

NAMES = registry.names(filters)
EVERY_FILTER = pytest.mark.parametrize("name", NAMES)
READS = {"images": None, "gan": "discriminator", "features": "classifier"}
"""What may be asked about the images, by what the filter says that it reads."""

LOGITS = np.array([3.0, -1.0, 0.5, 3.0, -7.0])


def answer(logits: np.ndarray) -> Callable[[], np.ndarray]:
    return lambda: logits


def refused() -> np.ndarray:
    raise AssertionError("this filter does not say that it reads this")


def candidates(name: str, logits: np.ndarray = LOGITS) -> Candidates:
    """Images of which nothing can be asked but what the filter says that it reads."""
    allowed = READS[arms.image_filter(name).reads]
    answers = {asked: answer(logits) if asked == allowed else refused for asked in ("discriminator", "classifier")}
    images = np.random.default_rng(0).integers(0, 256, (len(logits), 1, 16, 16), np.uint8)
    return Candidates(images, **answers)


@EVERY_FILTER
def test_every_image_has_a_score(name: str) -> None:
    scores = arms.image_filter(name).score(candidates(name))
    assert scores.shape == (5,)
    assert scores.dtype == np.float64
    assert np.isfinite(scores).all()
    assert np.array_equal(scores, arms.image_filter(name).score(candidates(name)))


@EVERY_FILTER
def test_what_the_networks_say_decides_the_order(name: str) -> None:
    if arms.image_filter(name).reads == "images":
        pytest.skip("it asks no network")
    scores = arms.image_filter(name).score(candidates(name))
    assert np.argsort(-scores, kind="stable").tolist() == [0, 3, 2, 1, 4]
    moved = arms.image_filter(name).score(candidates(name, -LOGITS))
    assert np.argsort(-moved, kind="stable").tolist() == [4, 1, 2, 0, 3]


def test_the_discriminator_is_of_the_gan_and_the_classifier_of_the_real_images() -> None:
    assert {name: arms.image_filter(name).reads for name in ("discriminator", "classifier")} == {
        "discriminator": "gan",
        "classifier": "features",
    }
