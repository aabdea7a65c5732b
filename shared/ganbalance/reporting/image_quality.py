"""Summarise how good synthetic images are, and whether arms gain more from better ones."""

from collections.abc import Iterator

import numpy as np

from ganbalance.metrics.quality import benefit
from ganbalance.metrics.results import Analysis
from ganbalance.reporting.collect import BASELINE, Question, Results
from ganbalance.reporting.summary import ImageQuality, SyntheticImages


def image_quality(question: Question, results: Results, analysis: Analysis) -> ImageQuality | None:
    """Summarise the quality of all synthetic images; None where none was measured."""
    if not results.qualities:
        return None
    points = list(_points(results, analysis))
    return ImageQuality(
        extractor=question.experiment.classifier.backbone,
        sets=[
            SyntheticImages(
                arm=one.arm, class_name=results.class_names[one.class_index], seed=one.seed, quality=one.found
            )
            for one in results.qualities
        ],
        points=points,
        over_all=benefit.correlation(points, benefit.spearman),
        within_arms=benefit.correlation(points, benefit.within_arms),
    )


def _points(results: Results, analysis: Analysis) -> Iterator[benefit.Point]:
    """Yield each arm and seed with the mean KID of its classes and the difference to the baseline, where it has both.

    An arm that only rescores another has the same images and gains as much: its points are not counted twice.
    """
    metric, base = analysis.primary, analysis.points.get(BASELINE, {})
    seen: set[tuple[int, float, float]] = set()
    for arm, of_arm in analysis.points.items():
        for seed in sorted(of_arm.keys() & base.keys()):
            found = [one.found for one in results.qualities if (one.arm, one.seed) == (arm, seed)]
            kids = [(one.kid, one.kid_se) for one in found if one.kid is not None and one.kid_se is not None]
            if kids:
                kid, variance = np.mean([(value, se**2 / len(kids)) for value, se in kids], axis=0)
                gain = of_arm[seed][metric] - base[seed][metric]
                if (same := (seed, float(kid), gain)) not in seen:
                    seen.add(same)
                    yield benefit.Point(arm, seed, float(kid), float(np.sqrt(variance)), gain)
