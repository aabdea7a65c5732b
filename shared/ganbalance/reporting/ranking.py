"""Keep how a run ranks, by seed and by draw of the test images, so that several runs can be compared in pairs.

ranking.npz
    seeds        int64 (S,)        rising
    tested       str               SHA-256 of what the draws are of: the test images' labels, groups and folds
    values/ARM   float64 (S, 1+B)  the primary metric: the test set as it is, then draws of its images
    halves/ARM   float64 (H,)      its mean on half samples of the seeds, everything chosen again
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from ganbalance.keys import digest
from ganbalance.metrics.crossed import Sample
from ganbalance.metrics.results import Analysis
from ganbalance.metrics.tested import PooledTest
from ganbalance.reporting.summary import Summary

FILE = "ranking.npz"


@dataclass(frozen=True)
class Ranking:
    """The arms of a run that have a value at every seed."""

    seeds: tuple[int, ...]
    tested: str
    samples: Mapping[str, Sample]

    @classmethod
    def of(cls, analysis: Analysis, seeds: tuple[int, ...], tested: PooledTest) -> Self:
        """Take what an analysis found."""
        parts = [tested.labels, tested.groups, *(tested.places or {}).values()]
        drawn = digest([None if part is None else part.tolist() for part in parts])
        return cls(tuple(sorted(seeds)), drawn, analysis.ranking)

    def save(self, path: Path) -> None:
        """Write the arrays."""
        arrays: dict[str, Any] = {"seeds": np.array(self.seeds), "tested": np.array(self.tested)}
        for arm, sample in self.samples.items():
            arrays |= {f"values/{arm}": sample.values, f"halves/{arm}": sample.halves}
        np.savez_compressed(path, **arrays)

    @classmethod
    def load(cls, path: Path, summary: Summary) -> Self:
        """Read what `save` wrote beside this summary."""
        images, folds = summary.smallest_class, summary.dataset.folds
        grouped = summary.dataset.tested_groups is not None
        with np.load(path, allow_pickle=False) as arrays:
            arms = [name.removeprefix("values/") for name in arrays if name.startswith("values/")]
            samples = {
                arm: Sample(arrays[f"values/{arm}"], arrays[f"halves/{arm}"], images, grouped, folds) for arm in arms
            }
            return cls(tuple(arrays["seeds"].tolist()), str(arrays["tested"]), samples)

    def is_paired_with(self, other: "Ranking") -> bool:
        """Tell whether both runs have the same seeds and the same draws of the same test images."""
        return (self.seeds, self.tested, self._draws) == (other.seeds, other.tested, other._draws)

    @property
    def _draws(self) -> set[int]:
        return {sample.values.shape[1] for sample in self.samples.values()}
