"""What is concluded of a run, as data: the question, and what `statistics.analyse` says of every arm."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

import pydantic

from ganbalance.config import Family
from ganbalance.metrics.classification import Settings, Settled
from ganbalance.metrics.crossed import ALPHA, Components, Detectable, Estimate, Sample, Share
from ganbalance.metrics.verdicts import Finding, Gate

TUNED = pydantic.Field(exclude_if=lambda found: not found)
"""Written where a dose was tuned."""
MIN_SEEDS_INTERVAL = 2
"""Seeds that an interval needs; a verdict needs `verdicts.MIN_SEEDS`."""


@dataclass(frozen=True)
class Run:
    """What a run was asked: `families` of its arms in order, its seeds, what its metrics share, and its margin.

    `margin` is a number, or `margin_share` of the baseline's error where it is None. `folds` is into how many the
    images were dealt; None where all seeds share one test part.
    """

    families: Mapping[str, Family]
    seeds: tuple[int, ...]
    settings: Settings
    reference: str
    baseline: str = "none"
    oracle: str = "oracle"
    margin: float | None = None
    margin_share: float = 0.1
    replicates: int = 2000
    folds: int | None = None


@dataclass(frozen=True)
class Difference:
    """Paired difference to the baseline; no interval with one seed, `p_holm` for the primary metric of a family."""

    mean: float
    low: float | None
    high: float | None
    p: float | None
    p_holm: float | None

    @classmethod
    def of(cls, found: Estimate, p_holm: float | None = None) -> "Difference":
        """Build it from an estimate, with its interval."""
        return cls(found.mean, found.low, found.high, found.p, p_holm)

    @property
    def significant(self) -> bool:
        """By the adjusted p."""
        return self.p_holm is not None and self.p_holm < ALPHA


@dataclass(frozen=True)
class Metric:
    """One metric of one arm: mean over its n seeds, 95 % interval, difference over the seeds it shares."""

    n: int
    mean: float
    low: float | None
    high: float | None
    difference: Difference | None


@dataclass(frozen=True)
class OfDose:
    """One dose at the strength that held-out images rank first: the primary metric there, mean over the arm's seeds.

    difference   of `test` to the baseline's at its own strength
    """

    strength: float
    tuning: float
    test: float
    difference: float | None


@dataclass(frozen=True)
class Sensitivity:
    """What the penalty does to one arm, at the dose chosen for it. Lists run along the grid, strongest first.

    tuning, test        primary metric on held-out and on test images, mean over the arm's seeds
    difference          of `test` to the baseline's at the same strength; None for the baseline
    chosen, at_end      the strength chosen for the run, and whether it is the "strongest" or the "weakest" of the grid
    all_classes, all_classes_at_end  the same of the head of all classes, which two classes share with their pair
    per_seed            the strength that each seed alone would choose; {} where nothing was held out
    per_seed_difference the difference to the baseline if each seed of both had its own
    dose, per_seed_dose the dose chosen for the run, from 1, and by each seed; None and {} where it was not tuned
    doses               every dose at the strength that suits it best; () where it was not tuned
    """

    strengths: list[float]
    tuning: list[float]
    test: list[float]
    difference: list[float] | None
    chosen: float
    at_end: str | None
    all_classes: float
    all_classes_at_end: str | None
    per_seed: dict[int, float]
    per_seed_difference: Difference | None
    dose: Annotated[int | None, TUNED] = None
    per_seed_dose: Annotated[dict[int, int], TUNED] = field(default_factory=dict)
    doses: Annotated[tuple[OfDose, ...], TUNED] = ()


@dataclass(frozen=True, kw_only=True)
class ArmNumbers:
    """All that is measured of one arm; `n_paired` counts the seeds shared with the baseline, imputed ones included.

    `diverged_seeds` are all at which it diverged, `imputed_seeds` those of them that count as the baseline: none where
    it diverged too often, so that nothing of the baseline is shown as its own.
    """

    family: Family
    n_seeds: int
    n_paired: int
    diverged_seeds: list[int]
    imputed_seeds: list[int]
    vetoed: bool
    detectable: Detectable | None
    components: Components | None
    beats_reference: bool | None
    reference_difference: Difference | None
    gap_recovered: Share | None
    finished_difference: Difference | None
    moved: Difference | None
    sensitivity: Sensitivity | None
    metrics: dict[str, Metric]


@dataclass(frozen=True, kw_only=True)
class Arm(ArmNumbers):
    """The numbers of an arm, and what the rule says of them; None of the baseline and of what is exempt."""

    finding: Finding | None


@dataclass(frozen=True)
class Margins:
    """The smallest differences worth having. `capped` says that half of the oracle's gain is the smaller bound."""

    ranking: float
    threshold: float | None
    capped: bool


@dataclass(frozen=True)
class Analysis:
    """Every arm of a run, and how it was judged. `smallest_class` counts test images, or groups of them.

    `settled` is what was chosen for each arm, `points` the metrics of each of its seeds, `ranking` the primary metric
    of those that have a value at every seed of the run.
    """

    primary: str
    margins: Margins | None
    gate: Gate | None
    smallest_class: int
    enough_images: bool
    few_images: bool
    equality_within_reach: bool | None
    arms: dict[str, Arm]
    settled: dict[str, Settled]
    points: dict[str, dict[int, dict[str, float]]]
    ranking: dict[str, Sample]
