"""The linear head on frozen features: convex, so it is solved, not trained for some number of steps.

    minimise over W, b:  sum_i w_i loss_i(W, b) / sum_i w_i  +  (l2 / 2) |W|^2

with the logistic (softmax for many classes) loss, at every strength `l2` of a grid, each solution starting from the
last. Nothing is chosen here: one strength per arm is chosen from all seeds of a run, where the report is made
(`metrics.tuning`), and every arm has the same grid. What the penalty shrank is scaled back: see `metrics.calibration`.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

TOLERANCE = 1e-6  # largest entry of the gradient of the objective at the solution
MAX_ITERATIONS = 10_000

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Examples:
    """Features float32 (n, d), classes int64 (n,) and weights float64 (n,)."""

    features: NDArray[np.float32]
    labels: NDArray[np.int64]
    weights: Floats

    def of_pair(self, pair: tuple[int, int]) -> "Examples":
        """The images of two classes, which become 0 and 1."""
        rows = np.isin(self.labels, pair)
        return Examples(self.features[rows], (self.labels[rows] == pair[1]).astype(np.int64), self.weights[rows])


@dataclass(frozen=True)
class Solved:
    """How the solver fared at one strength of the penalty."""

    l2: float
    iterations: int
    converged: bool


@dataclass(frozen=True)
class Head:
    """The solutions along the grid, strongest first: weights (G, K, d) of standardised features, biases (G, K)."""

    scaler: StandardScaler
    weights: Floats
    biases: Floats
    solved: tuple[Solved, ...]

    @property
    def strengths(self) -> Floats:
        """float64 (G,), falling."""
        return np.array([row.l2 for row in self.solved])

    def logits(self, features: NDArray[np.float32]) -> Floats:
        """One logit per strength and class, float64 (G, n, K), of features (n, d)."""
        found: Floats = _standardised(self.scaler, features) @ self.weights.transpose(0, 2, 1)
        return found + self.biases[:, None, :]


def fit(
    train: Examples, *, scaler: StandardScaler, grid: Sequence[float], on_progress: Callable[[int, int], None]
) -> Head:
    """Solve the head for every strength in `grid`, strongest first.

    `scaler` is shared by the arms of a seed, so that they differ in their training images alone.
    """
    inputs = _standardised(scaler, train.features)
    weights = train.weights / train.weights.sum()
    model = LogisticRegression(solver="lbfgs", warm_start=True, tol=TOLERANCE, max_iter=MAX_ITERATIONS)
    solved: list[Solved] = []
    solutions: list[tuple[Floats, Floats]] = []
    for l2 in sorted(grid, reverse=True):
        # scikit-learn's C weighs the summed loss; the weights sum to 1, so 1/C is the strength defined above
        model.C = 1 / l2
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # told in `converged` instead
            model.fit(inputs, train.labels, sample_weight=weights)
        iterations = int(model.n_iter_.max())
        solved.append(Solved(l2, iterations, iterations < MAX_ITERATIONS))
        solutions.append(_per_class(model))
        on_progress(len(solved), len(grid))
    weights_GKd, biases_GK = (np.stack(part) for part in zip(*solutions, strict=True))
    return Head(scaler, weights_GKd, biases_GK, tuple(solved))


def fit_scaler(features: NDArray[np.float32]) -> StandardScaler:
    """Standardise with the mean and deviation of `features` (n, d), in float64."""
    return StandardScaler().fit(features.astype(np.float64))


def _per_class(model: LogisticRegression) -> tuple[Floats, Floats]:
    """Weights (K, d) and biases (K,); for two classes the first has the logit 0."""
    weights, biases = model.coef_.copy(), model.intercept_.copy()
    if len(weights) > 1:
        return weights, biases
    return np.concatenate([np.zeros_like(weights), weights]), np.concatenate([[0.0], biases])


def _standardised(scaler: StandardScaler, features: NDArray[np.float32]) -> Floats:
    """In float64: the solver's tolerance is out of reach of float32."""
    scaled: Floats = scaler.transform(features.astype(np.float64))
    return scaled
