"""Equal arms on test images that come in groups, such as patients: how often a difference is called that is not there.

What an image is like is partly what its group is like, and an arm does better on some groups than on others, at every
seed. Arms are equal: the effects of groups on each are drawn from one distribution.
"""

from dataclasses import dataclass

import numpy as np

from ganbalance.metrics.crossed import estimate
from tests.simulation.ranked import Draws

SEEDS, REPLICATES = 5, 200
SIGNAL, SHARED, OWN, SEED = 1.8, 0.7, 0.6, 0.5
"""Distance of the classes, and deviations: common to both arms, of each arm, and of that from seed to seed."""


@dataclass(frozen=True)
class Patients:
    """`common` and `rare` groups of about `images` images each; those of a rare one are of both classes if `mixed`.

    `correlation` is the share of the group in what is different between images.
    """

    common: int
    rare: int
    images: int
    correlation: float
    mixed: bool = False

    def draw(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Labels and groups (T,); the sizes of groups differ as those of a Poisson distribution do."""
        sizes = 1 + rng.poisson(self.images - 1, self.common + self.rare)
        groups = np.repeat(np.arange(len(sizes)), sizes)
        labels = (groups >= self.common).astype(np.int64)
        if self.mixed:
            first = np.searchsorted(groups, groups)
            labels[(np.arange(len(groups)) - first) % 2 == 1] = 0  # every other image of a group
        return labels, groups

    def effect(self, groups: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Standard normal, (T,)."""
        of_group = rng.normal(0, np.sqrt(self.correlation), groups.max() + 1)
        return of_group[groups] + rng.normal(0, np.sqrt(1 - self.correlation), len(groups))


def false_calls(patients: Patients, runs: int, rng: np.random.Generator) -> dict[str, float]:
    """The share of runs whose interval excludes 0 when test images are drawn one by one, and by group."""
    called = dict.fromkeys(("by image", "by group"), 0)
    for _ in range(runs):
        labels, groups = patients.draw(rng)
        base = SIGNAL * labels + SHARED * patients.effect(groups, rng)
        arms = [
            [base + OWN * (own + SEED * rng.normal(size=len(labels))) for _ in range(SEEDS)]
            for own in (patients.effect(groups, rng), patients.effect(groups, rng))
        ]
        for how, drawn in (("by image", None), ("by group", groups)):
            draws = Draws(labels, REPLICATES, rng, drawn)
            values = np.stack([draws.auc(one) - draws.auc(other) for one, other in zip(*arms, strict=True)])
            found = estimate(values, image_count=patients.rare, grouped=drawn is not None)
            called[how] += found.sign != 0
    return {how: count / runs for how, count in called.items()}
