"""Measure fidelity, variety and memory of synthetic images by their nearest neighbours in a space of features.

R real images, S synthetic ones. A radius is the distance of an image to its k-th nearest neighbour of its own kind.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

K = 5
NOMINAL = 0.05
"""The share of held-out real images that count as near to a training image."""
FEWEST_HELD_OUT = 20
"""Held-out images of which such a share is at least one."""


def distances(one_ND: Floats, other_MD: Floats) -> Floats:
    """Compute Euclidean distances (N, M)."""
    from sklearn.metrics import euclidean_distances

    found_NM: Floats = euclidean_distances(one_ND, other_MD)
    return found_NM


def radii(features_ND: Floats, k: int = K) -> Floats:
    """Measure the distance of each image to the k-th nearest of the others, (N,); `k` is smaller than N."""
    from sklearn.neighbors import NearestNeighbors

    found_Nk, _ = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(features_ND).kneighbors()
    return np.asarray(found_Nk[:, -1], dtype=np.float64)


def precision(between_RS: Floats, real_radii_R: Floats) -> float:
    """Find the share of synthetic images within a real one's radius. Kynkäänniemi et al. 2019, arXiv:1904.06991."""
    return float((between_RS < real_radii_R[:, None]).any(axis=0).mean())


def recall(between_RS: Floats, synthetic_radii_S: Floats) -> float:
    """Find the share of real images within a synthetic one's radius. Kynkäänniemi et al. 2019, arXiv:1904.06991."""
    return float((between_RS < synthetic_radii_S[None, :]).any(axis=1).mean())


def density(between_RS: Floats, real_radii_R: Floats, k: int = K) -> float:
    """Count real images within whose radius a synthetic one is, their mean number over `k`: 1 for equal distributions,
    and not bounded by it. Naeem et al. 2020, arXiv:2002.09797.
    """
    return float((between_RS < real_radii_R[:, None]).sum(axis=0).mean() / k)


def coverage(between_RS: Floats, real_radii_R: Floats) -> float:
    """Find the share of real images with a synthetic one within their radius. Naeem et al. 2020, arXiv:2002.09797."""
    return float((between_RS < real_radii_R[:, None]).any(axis=1).mean())


def nearest(features_ND: Floats, training_TD: Floats) -> Floats:
    """Measure the distance of each image to the training image that is nearest to it, (N,)."""
    from sklearn.neighbors import NearestNeighbors

    if not len(features_ND):
        return np.zeros(0)
    found_N1, _ = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(training_TD).kneighbors(features_ND)
    return np.asarray(found_N1[:, 0], dtype=np.float64)


def memorised(synthetic_S: Floats, held_out_H: Floats) -> float | None:
    """Find the share of synthetic images as near to a training image as the nearest `NOMINAL` of held-out real ones.

    Takes distances to the nearest training image. Real images that nothing trained on have `NOMINAL`, copies 1. None
    with fewer than `FEWEST_HELD_OUT`.
    """
    if len(held_out_H) < FEWEST_HELD_OUT or not len(synthetic_S):
        return None
    near = np.quantile(held_out_H, NOMINAL, method="inverted_cdf")
    return float((synthetic_S <= near).mean())


def nearer(synthetic_S: Floats, held_out_H: Floats) -> float | None:
    """Estimate the probability that a synthetic image is nearer to its training image than a held-out real one to its.

    The statistic of Meehan et al. 2020, arXiv:2004.05675 (there its complement): .5 where neither is, 1
    for copies, less where synthetic images are far from all real ones; ties count half. None without images.
    """
    from scipy.stats import mannwhitneyu

    pairs = len(synthetic_S) * len(held_out_H)
    return float(mannwhitneyu(held_out_H, synthetic_S).statistic / pairs) if pairs else None
