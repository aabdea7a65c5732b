"""Power where everything is known: effects of seeds, images and their interaction are drawn, the effect is planted."""

import itertools
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ganbalance.metrics.crossed import ALPHA, detectable_effect, estimate
from ganbalance.metrics.weighted import stratified_draws

IMAGES = 200
REPLICATES = 400


@dataclass(frozen=True)
class Known:
    """Parts of the variance of a mean over S seeds: of seeds, of test images, of their interaction. They sum to 1."""

    seeds: float
    images: float
    interaction: float

    def df(self, seeds: int) -> float:
        """Satterthwaite's, at the true variance."""
        return (seeds - 1) / (self.seeds + self.interaction) ** 2


MIXES = {
    "seeds": Known(1.0, 0.0, 0.0),
    "seeds and images": Known(0.5, 0.4, 0.1),
    "images": Known(0.1, 0.8, 0.1),
}


@dataclass(frozen=True)
class Power:
    """Shares of runs: called at the effect that the formula asks for, false calls without it, coverage, and the
    printed range holds that effect."""

    called: float
    false: float
    covered: float
    in_range: float


def simulate(known: Known, *, seeds: int, tests: int, runs: int, rng: np.random.Generator) -> Power:
    """The mean over seeds has variance 1."""
    planted = detectable_effect(known.df(seeds), tests)
    called, false, covered, in_range = (np.empty(runs, bool) for _ in range(4))
    for run, values_SR in enumerate(_runs(known, seeds, runs, rng)):
        found = estimate(values_SR, image_count=IMAGES)
        with_effect = estimate(values_SR + planted, image_count=IMAGES)
        called[run] = with_effect.mean > 0 and with_effect.p < ALPHA / tests
        false[run], covered[run] = found.p < ALPHA / tests, found.low <= 0 <= found.high
        seen = found.detectable(tests)
        in_range[run] = seen.low <= planted <= seen.high
    return Power(float(called.mean()), float(false.mean()), float(covered.mean()), float(in_range.mean()))


def _runs(known: Known, seeds: int, runs: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    weights_BT = stratified_draws(np.zeros(IMAGES), REPLICATES, rng)
    shares_RT = np.concatenate([np.ones((1, IMAGES)), weights_BT]) / IMAGES
    for _ in range(runs):
        of_seed = math.sqrt(known.seeds * seeds) * rng.normal(size=(seeds, 1))
        of_image = math.sqrt(known.images * IMAGES) * rng.normal(size=(1, IMAGES))
        of_both = math.sqrt(known.interaction * IMAGES * seeds) * rng.normal(size=(seeds, IMAGES))
        yield of_seed + (of_image + of_both) @ shares_RT.T


def table(runs: int) -> list[dict[str, Any]]:
    """A line per mix, number of seeds and number of tests."""
    return [
        {"mix": mix, "seeds": seeds, "tests": tests, "runs": runs} | asdict(found)
        for mix, seeds, tests in itertools.product(MIXES, (5, 10), (1, 3))
        for found in [simulate(MIXES[mix], seeds=seeds, tests=tests, runs=runs, rng=np.random.default_rng(seeds))]
    ]
