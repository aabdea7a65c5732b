"""Find where arms change places along a comparison: with the baseline, the reference, and generative with cheap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from typing import TYPE_CHECKING

import numpy as np

from ganbalance.metrics.crossed import Sample
from ganbalance.metrics.crossings import Stretch, sign_changes, stretches
from ganbalance.metrics.results import MIN_SEEDS_INTERVAL
from ganbalance.reporting.comparison.axis import LEAST
from ganbalance.reporting.formats import did_not_train
from ganbalance.reporting.ranking import Ranking
from ganbalance.reporting.summary import Summary

if TYPE_CHECKING:
    from ganbalance.reporting.comparison.runs import Comparison


@dataclass(frozen=True)
class Pair:
    """An arm and another along the axis, at the runs that have both: labels, and the mean of their difference.

    places     values of the axis there
    at         those at which the mean changes sign, rising
    stretches  where the difference may be 0, in values of the axis; None where there are no intervals
    """

    arm: str
    against: str
    labels: tuple[str, ...]
    places: tuple[float, ...]
    means: tuple[float, ...]
    at: tuple[float, ...]
    stretches: tuple[Stretch, ...] | None

    @property
    def is_alike(self) -> bool:
        """Whether no value of the axis shows a difference: where the mean changes sign is then chance."""
        return any(stretch.low is stretch.high is None for stretch in self.stretches or ())

    @property
    def change_places(self) -> bool:
        """Whether the one that is ahead is not the same all along, as far as anything shows."""
        return bool(self.at) and not self.is_alike


def pairs(comparison: Comparison) -> list[Pair]:
    """Pair every arm but the exempt ones with the baseline, those of a family with the reference; [] without an axis.

    A generative arm and a cheap one beside the reference are a pair where they change places.
    """
    if comparison.axis.places is None:
        return []
    baseline, reference = comparison.first.baseline, comparison.first.reference
    of_family = {family: comparison.arms.get(family, []) for family in ("generative", "cheap", "control")}
    wanted = [(arm, baseline) for arms in of_family.values() for arm in arms]
    if reference != baseline:
        wanted += [(arm, reference) for family in ("generative", "cheap") for arm in of_family[family]]
    both = product(of_family["generative"], of_family["cheap"])
    beside = [pair for pair in both if not {pair, pair[::-1]} & {*wanted}]
    found = (_pair(comparison, arm, against) for arm, against in wanted + beside if arm != against)
    return [pair for pair in found if pair and (pair.change_places or (pair.arm, pair.against) in wanted)]


def _pair(comparison: Comparison, arm: str, against: str) -> Pair | None:
    """Pair two arms along the axis; None where fewer than two runs have both."""
    there = [
        number
        for number, summary in enumerate(comparison.summaries)
        if all(_has(summary, one) for one in (arm, against))
    ]
    if len(there) < LEAST or comparison.axis.places is None:
        return None
    places = tuple(comparison.axis.places[number] for number in there)
    x = np.log(places).tolist() if comparison.axis.is_log else list(places)
    samples = _differences([comparison.rankings[number] for number in there], arm, against)
    means = [_mean(comparison.summaries[number], arm, against) for number in there]
    labels = tuple(comparison.axis.labels[number] for number in there)
    value = _exponential if comparison.axis.is_log else float
    if samples is None:
        return Pair(arm, against, labels, places, tuple(means), tuple(map(value, sign_changes(x, means))), None)
    means = [float(one.values[:, 0].mean()) for one in samples]
    found = tuple(one.on(value) for one in stretches(x, samples))
    return Pair(arm, against, labels, places, tuple(means), tuple(at for one in found for at in one.crossings), found)


def _exponential(place: float) -> float:
    return float(np.exp(place))


def _has(summary: Summary, arm: str) -> bool:
    found = summary.arms.get(arm)
    return bool(found and summary.primary in found.metrics and not did_not_train(summary, arm))


def _mean(summary: Summary, arm: str, against: str) -> float:
    mine, theirs = (summary.arms[one].metrics[summary.primary].mean for one in (arm, against))
    return mine - theirs


def _differences(rankings: Sequence[Ranking | None], arm: str, against: str) -> list[Sample] | None:
    """Subtract in each run, on the same seeds and draws of test images; None where these differ or were not kept."""
    known = [ranking for ranking in rankings if ranking and {arm, against} <= ranking.samples.keys()]
    paired = all(one.is_paired_with(other) for one, other in pairwise(known))
    if len(known) < len(rankings) or not paired or len(known[0].seeds) < MIN_SEEDS_INTERVAL:
        return None
    return [ranking.samples[arm] - ranking.samples[against] for ranking in known]
