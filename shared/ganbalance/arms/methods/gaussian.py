"""gaussian: new rare feature vectors from a Gaussian that is fitted to each smaller class: the cheapest generator.

Mean of the class, and its covariance shrunk towards a multiple of the identity, since there are fewer images than
features: Ledoit & Wolf 2004, "A well-conditioned estimator for large-dimensional covariance matrices", Journal of
Multivariate Analysis 88, eq. 14, with the share of section 3.3. Features are measured in their deviation over all
examples: a feature that hardly varies must not get the average feature's variance.
"""

import numpy as np

from ganbalance.arms.base import Examples, Floats, Method
from ganbalance.errors import DataError


class Gaussian(Method):
    new_inputs = True

    def resample(self, examples: Examples, random_state: int) -> Examples:
        sizes, rng, found = np.bincount(examples.labels), np.random.default_rng(random_state), examples
        unit_d = examples.inputs.std(axis=0, dtype=np.float64)
        for smaller in np.flatnonzero(sizes < sizes.max()):
            n = sizes.max() - sizes[smaller]
            rare_Nd = examples.inputs[examples.labels == smaller].astype(np.float64)
            found = found.extended(_drawn(rare_Nd, unit_d, n, rng), np.full(n, smaller))
        return found


def _drawn(rare_Nd: Floats, unit_d: Floats, n: int, rng: np.random.Generator) -> Floats:
    """Draw vectors of the Gaussian fitted to `rare_Nd`, float64 (n, d). Raises DataError for fewer than two."""
    from sklearn.covariance import ledoit_wolf_shrinkage

    size, d = rare_Nd.shape
    if size < 2:  # noqa: PLR2004 - one has no spread
        raise DataError(f"gaussian fits the spread of a class, and one class has {size} image to train on")
    mean_d = rare_Nd.mean(axis=0)
    centred_Nd = np.divide(rare_Nd - mean_d, unit_d, out=np.zeros_like(rare_Nd), where=unit_d > 0)
    shrinkage = ledoit_wolf_shrinkage(centred_Nd)
    # A sum of two draws instead of one by a factor of the covariance, which would be (d, d): random combinations of
    # the centred vectors have the covariance that was seen, independent noise that of the identity's part.
    seen_nd = rng.standard_normal((n, size)) @ centred_Nd / np.sqrt(size)
    even_nd = np.sqrt((centred_Nd**2).mean()) * rng.standard_normal((n, d))
    drawn: Floats = mean_d + unit_d * (np.sqrt(1 - shrinkage) * seen_nd + np.sqrt(shrinkage) * even_nd)
    return drawn
