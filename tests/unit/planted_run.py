"""Whole runs whose truth is known, for tests of what is said about them."""

from collections.abc import Iterable, Mapping

import numpy as np

from ganbalance.metrics.results import Analysis, Run
from ganbalance.metrics.scores import Scores
from ganbalance.metrics.statistics import analyse
from tests.unit.planted import PRIOR, of_margin, scores, settings

T, V = 600, 300
LABELS, HELD_OUT = np.arange(T) % 2, np.arange(V) % 2
LEAN = np.log(PRIOR)  # what an arm that was fitted under the imbalance adds to its logits
FAMILIES = {
    "none": "baseline",
    "threshold": "exempt",
    "class-weight": "cheap",
    "oracle": "control",
}


def margins(labels: np.ndarray, separation: float, rng: list[int], own_noise: float) -> np.ndarray:
    """Scores of one classifier: the images' difficulty is everyone's, the noise is this seed's own."""
    difficulty = np.random.default_rng(len(labels)).normal(0, 1, len(labels))
    return separation * (labels - 0.5) + difficulty + np.random.default_rng(rng).normal(0, own_noise, len(labels))


def cell(separation: float, seed: int, luck: int = 0, *, balanced: bool = True, own_noise: float = 0.3) -> Scores:
    """A classifier fitted under PRIOR (its logits lean to class 0) or under balanced classes."""
    lean = 0.0 if balanced else LEAN[1] - LEAN[0]
    test, held_out = (
        1.5 * margins(labels, separation, [part, seed, luck], own_noise) + lean
        for part, labels in ((0, LABELS), (1, HELD_OUT))
    )
    prior = np.full(2, 0.5) if balanced else PRIOR
    return scores(of_margin(test), LABELS, of_margin(held_out), HELD_OUT, prior=prior)


def arm(separation: float, *, seeds: int = 5, luck: int = 0, **given) -> dict[int, Scores]:
    """One arm over its seeds; another `luck` draws other noise."""
    return {seed: cell(separation, seed, luck, **given) for seed in range(seeds)}


def varied(separation: float, by: float, seeds: int = 5) -> dict[int, Scores]:
    """An arm that is as good as `separation` on average, better at some seeds and worse at others."""
    steps = np.linspace(-by, by, seeds)
    return {seed: cell(separation + step, seed, 3, balanced=False) for seed, step in enumerate(steps)}


def without(path: dict[int, Scores], *lost: int) -> dict[int, Scores]:
    """An arm that lacks some of its seeds."""
    return {seed: one for seed, one in path.items() if seed not in lost}


def judge(
    arms: Mapping[str, dict[int, Scores]],
    *,
    diverged: Mapping[str, Iterable[int]] | None = None,
    seeds: int = 5,
    **given,
) -> Analysis:
    """What is found in a run of these arms."""
    run = Run(
        families={name: FAMILIES.get(name, "generative") for name in arms},
        seeds=tuple(range(seeds)),
        settings=given.pop("settings", settings()),
        **{"reference": "class-weight", "replicates": 200} | given,
    )
    return analyse(run, arms, diverged or {})


def names(found: Analysis) -> dict[str, str | None]:
    """The verdict on each arm."""
    return {name: one.finding and one.finding.name for name, one in found.arms.items()}


NONE = arm(2.0, balanced=False)


def known() -> Analysis:
    """A run in which every verdict is known beforehand."""
    return judge(
        {
            "none": NONE,
            "threshold": {seed: one.rescored() for seed, one in NONE.items()},
            "class-weight": arm(2.0, luck=2, own_noise=0.6),
            "better": arm(3.0, luck=1),
            "worse": arm(1.2, luck=1),
            "shift": arm(2.0),
            "noise": varied(2.0, 0.4),
            "oracle": arm(4.0, luck=4),
        },
        margin=0.01,
    )
