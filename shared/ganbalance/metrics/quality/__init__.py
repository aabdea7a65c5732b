"""Measure the quality of synthetic images of one class: how real, how varied, how new they are, and what they teach.

Features are those of the frozen network that the classifier reads, (N, d). Nothing here decides anything: verdicts rest
on what a classifier gains, `metrics.statistics`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ganbalance.metrics.quality import classifiers, neighbours
from ganbalance.metrics.quality.distances import fid, kid

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Sets:
    """Features of the images that are compared, float64 (N, d).

    synthetic         images of one rare class
    training          the real ones that they were learned from
    reference         other real ones of that class, from which no generator and no arm but a control learns
    other_training, other_reference  the same of the other classes
    """

    synthetic: Floats
    training: Floats
    reference: Floats
    other_training: Floats
    other_reference: Floats


@dataclass(frozen=True, kw_only=True)
class Quality:
    """Of one set of synthetic images; None where there are too few images for a measure.

    synthetic, training, reference    how many images of the class were compared; at most `drawn` ones of more
    kid, kid_se, fid                  distances to the reference, 0 for the same distribution
    precision, recall                 the share of synthetic images that look real, and of real ones that look drawn
    density, coverage                 the same with less weight on outliers
    twins                             the share of synthetic images that are near duplicates of other ones
    copies                            the share of them that are near duplicates of training images
    memorised, nearer                 see `neighbours`: 0.05 and 0.5 for new real images, 1 for copies
    two_sample                        how often a classifier tells synthetic from real, 0.5 for the same distribution
    synthetic_auc, real_auc           on the reference, of a classifier that learned the class from the synthetic
                                      images, and from the real training images
    """

    synthetic: int
    training: int
    reference: int
    kid: float | None
    kid_se: float | None
    fid: float | None
    precision: float | None
    recall: float | None
    density: float | None
    coverage: float | None
    twins: float | None
    copies: float | None
    memorised: float | None
    nearer: float | None
    two_sample: float | None
    synthetic_auc: float | None
    real_auc: float | None


def measure(sets: Sets, rng: np.random.Generator, *, twins: float | None, copies: float | None) -> Quality:
    """Measure everything; `twins` and `copies` were found on images themselves. Equal arguments give equal numbers."""
    synthetic, training, reference = sets.synthetic, sets.training, sets.reference
    distance = kid(synthetic, reference, rng)
    to_training = [neighbours.nearest(features, training) for features in (synthetic, reference)]
    return Quality(
        synthetic=len(synthetic),
        training=len(training),
        reference=len(reference),
        kid=distance.value if distance else None,
        kid_se=distance.se if distance else None,
        fid=fid(synthetic, reference),
        **_neighbourhood(synthetic, reference),
        twins=twins,
        copies=copies,
        memorised=neighbours.memorised(*to_training),
        nearer=neighbours.nearer(*to_training),
        two_sample=classifiers.two_sample_accuracy(reference, synthetic, rng),
        synthetic_auc=classifiers.auc_trained_on(synthetic, sets.other_training, reference, sets.other_reference),
        real_auc=classifiers.auc_trained_on(training, sets.other_training, reference, sets.other_reference),
    )


def _neighbourhood(synthetic_SD: Floats, reference_RD: Floats) -> dict[str, float | None]:
    """Measure what rests on k nearest neighbours."""
    if min(len(synthetic_SD), len(reference_RD)) <= neighbours.K:
        return dict.fromkeys(("precision", "recall", "density", "coverage"))
    between_RS = neighbours.distances(reference_RD, synthetic_SD)
    real_R = neighbours.radii(reference_RD)
    return {
        "precision": neighbours.precision(between_RS, real_R),
        "recall": neighbours.recall(between_RS, neighbours.radii(synthetic_SD)),
        "density": neighbours.density(between_RS, real_R),
        "coverage": neighbours.coverage(between_RS, real_R),
    }
