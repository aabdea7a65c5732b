"""Measure how far the distribution of synthetic images is from that of real ones, in a space of features."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SUBSETS = 100
FEWEST = 4
"""Images of either kind that KID needs: subsets of two, half of them."""
ENOUGH_FOR_FID = 2048
"""Heusel's own least number, that of Inception's features: below it the covariance is singular and FID biased."""
ROWS = 1000  # of a kernel matrix at a time


@dataclass(frozen=True)
class Kid:
    """A kernel distance, the mean over subsets, and its standard error."""

    value: float
    se: float


def kid(one_ND: Floats, other_MD: Floats, rng: np.random.Generator) -> Kid | None:
    """Compute the kernel distance of two sets of features, 0 on average for equal distributions. Bińkowski et al. 2018,
    arXiv:1801.01401: the unbiased squared MMD, averaged over subsets.

    Each of `SUBSETS` is a random half of either set. Their deviation is then the standard error for the whole sets, by
    the delete-half jackknife (Shao & Wu 1989); for distributions that hardly differ it is too large, up to twice. None
    where either set has fewer than `FEWEST`.
    """
    if min(len(one_ND), len(other_MD)) < FEWEST:
        return None
    halves = (_halves(len(features), rng) for features in (one_ND, other_MD))
    found_B = mmd2(one_ND, other_MD, *halves)
    return Kid(float(found_B.mean()), float(found_B.std()))


def mmd2(one_ND: Floats, other_MD: Floats, in_one_BN: Floats, in_other_BM: Floats) -> Floats:
    """Compute squared maximum mean discrepancy of B pairs of subsets, (B,), unbiased: Gretton et al. 2012, JMLR 13.

    Subsets are 1 where an image is in them and else 0. Each kernel value is computed once, whatever their number.
    """
    size_B, other_size_B = in_one_BN.sum(axis=1), in_other_BM.sum(axis=1)
    within = (_sums(one_ND, one_ND, in_one_BN, in_one_BN) - in_one_BN @ _diagonal(one_ND)) / (size_B * (size_B - 1))
    within_other = _sums(other_MD, other_MD, in_other_BM, in_other_BM) - in_other_BM @ _diagonal(other_MD)
    between = _sums(one_ND, other_MD, in_one_BN, in_other_BM) / (size_B * other_size_B)
    found_B: Floats = within + within_other / (other_size_B * (other_size_B - 1)) - 2 * between
    return found_B


def kernel(one_ND: Floats, other_MD: Floats) -> Floats:
    """Compute (x'y / d + 1)^3 of every pair, (N, M). Bińkowski et al. 2018, arXiv:1801.01401."""
    linear_NM: Floats = one_ND @ other_MD.T / one_ND.shape[1] + 1
    return linear_NM * linear_NM * linear_NM  # a power is several times slower


def fid(one_ND: Floats, other_MD: Floats) -> float | None:
    """Compute the squared Fréchet distance of two Gaussians with these means and covariances, at least 0. Heusel et al.
    2017, arXiv:1706.08500.

    The trace of the root of a product of covariances A'A and B'B is the sum of the singular values of AB', also where
    they are singular, since there are fewer images than features. None where either set has fewer than two images.
    """
    if min(len(one_ND), len(other_MD)) < 2:  # noqa: PLR2004 - no covariance
        return None
    means = one_ND.mean(axis=0) - other_MD.mean(axis=0)
    root, other_root = _root(one_ND), _root(other_MD)
    traces = (root**2).sum() + (other_root**2).sum()
    return max(0.0, float(means @ means + traces - 2 * np.linalg.norm(root @ other_root.T, "nuc")))


def _root(features_ND: Floats) -> Floats:
    """Find a matrix A of at most d rows whose A'A is the covariance."""
    scaled_ND = (features_ND - features_ND.mean(axis=0)) / np.sqrt(len(features_ND) - 1)
    return np.asarray(np.linalg.qr(scaled_ND, mode="r"), dtype=np.float64)


def _halves(n: int, rng: np.random.Generator) -> Floats:
    """Draw random halves of n images, each a row of 0 and 1, (B, n)."""
    order_BN = rng.permuted(np.tile(np.arange(n), (SUBSETS, 1)), axis=1)
    return (order_BN < n // 2).astype(np.float64)


def _sums(one_ND: Floats, other_MD: Floats, in_one_BN: Floats, in_other_BM: Floats) -> Floats:
    """Sum the kernel over the pairs of each pair of subsets, (B,)."""
    total_B = np.zeros(len(in_one_BN))
    for start in range(0, len(one_ND), ROWS):
        rows = slice(start, start + ROWS)
        total_B += np.einsum("bn,nb->b", in_one_BN[:, rows], kernel(one_ND[rows], other_MD) @ in_other_BM.T)
    return total_B


def _diagonal(features_ND: Floats) -> Floats:
    """Compute the kernel of each image with itself, (N,)."""
    found_N: Floats = ((features_ND**2).mean(axis=1) + 1) ** 3
    return found_N
