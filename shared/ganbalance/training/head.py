"""The linear head on frozen features: small, so it is solved, not trained for some number of steps.

    minimise over W, b:  sum_i w_i loss_i(W, b) / sum_i w_i  +  (l2 / 2) |W|^2

at every strength `l2` of a grid, each solution starting from the last. The loss is the logistic one, softmax for many
classes, which is convex, or that of another objective (`ganbalance.arms.objectives`). Nothing is chosen here: one
strength per arm is chosen from all seeds of a run, where the report is made (`metrics.tuning`), and every arm has the
same grid. What the penalty shrank is scaled back: see `metrics.calibration`.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from ganbalance.arms.base import Examples, Objective
from ganbalance.arms.objectives.cross_entropy import CrossEntropy
from ganbalance.metrics.scores import PAIR

TOLERANCE = 1e-6  # largest entry of the gradient of the objective at the solution
MAX_ITERATIONS = 10_000

Floats = NDArray[np.float64]


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
        """Compute one logit per strength and class, float64 (G, n, K), of features (n, d)."""
        found: Floats = _standardised(self.scaler, features) @ self.weights.transpose(0, 2, 1)
        return found + self.biases[:, None, :]


def fit(
    train: Examples,
    *,
    scaler: StandardScaler,
    grid: Sequence[float],
    objective: Objective,
    on_progress: Callable[[int, int], None],
) -> Head:
    """Solve the head for every strength in `grid`, strongest first.

    `scaler` is shared by the arms of a seed, so that they differ in their training images alone.
    """
    inputs = _standardised(scaler, train.inputs)
    weights = train.weights / train.weights.sum()
    solve = _logistic(inputs, train.labels, weights)
    if not isinstance(objective, CrossEntropy) or objective.shift(train.prior).any():
        solve = _minimised(inputs, train, weights, objective)
    solved: list[Solved] = []
    solutions: list[tuple[Floats, Floats]] = []
    for l2 in sorted(grid, reverse=True):
        weights_Kd, biases_K, iterations = solve(l2)
        solved.append(Solved(l2, iterations, iterations < MAX_ITERATIONS))
        solutions.append((weights_Kd, biases_K))
        on_progress(len(solved), len(grid))
    weights_GKd, biases_GK = (np.stack(part) for part in zip(*solutions, strict=True))
    return Head(scaler, weights_GKd, biases_GK, tuple(solved))


_Solve = Callable[[float], tuple[Floats, Floats, int]]
"""From a strength to weights (K, d), biases (K,) and iterations, starting at what the last call found."""


def _logistic(inputs_ND: Floats, labels_N: NDArray[np.int64], weights_N: Floats) -> _Solve:
    model = LogisticRegression(solver="lbfgs", warm_start=True, tol=TOLERANCE, max_iter=MAX_ITERATIONS)

    def solve(l2: float) -> tuple[Floats, Floats, int]:
        # scikit-learn's C weighs the summed loss; the weights sum to 1, so 1/C is the strength defined above
        model.C = 1 / l2
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # reported in `converged` instead
            model.fit(inputs_ND, labels_N, sample_weight=weights_N)
        return *_per_class(model), int(model.n_iter_.max())

    return solve


def _minimised(inputs_ND: Floats, train: Examples, weights_N: Floats, objective: Objective) -> _Solve:
    """Make a solver as for the logistic loss: two classes have one vector of weights, their log odds."""
    prior_K = train.prior
    classes, size = len(prior_K), inputs_ND.shape[1]
    vectors = classes if classes > PAIR else 1
    shift_K = objective.shift(prior_K)
    last = np.zeros(vectors * (size + 1))

    def unpacked(parameters: Floats) -> tuple[Floats, Floats]:
        weights, biases = parameters[: vectors * size].reshape(vectors, size), parameters[vectors * size :]
        if vectors > 1:
            return weights, biases
        return np.concatenate([np.zeros_like(weights), weights]), np.append(0.0, biases)

    def value(parameters: Floats, l2: float) -> tuple[float, Floats]:
        weights_KD, biases_K = unpacked(parameters)
        loss_N, slope_NK = objective.loss(inputs_ND @ weights_KD.T + biases_K + shift_K, train.labels)
        slope_NK = weights_N[:, None] * slope_NK
        by_weights, by_biases = (slope_NK.T @ inputs_ND + l2 * weights_KD)[-vectors:], slope_NK.sum(axis=0)[-vectors:]
        penalty = l2 / 2 * float((weights_KD**2).sum())
        return float(weights_N @ loss_N) + penalty, np.concatenate([by_weights.ravel(), by_biases])

    def solve(l2: float) -> tuple[Floats, Floats, int]:
        nonlocal last
        limits = {"gtol": TOLERANCE, "ftol": 0.0, "maxiter": MAX_ITERATIONS, "maxfun": 2 * MAX_ITERATIONS}
        found = minimize(value, last, args=(l2,), jac=True, method="L-BFGS-B", options=limits)
        last = found.x
        return *unpacked(last), found.nit if np.abs(found.jac).max() <= TOLERANCE else MAX_ITERATIONS

    return solve


def fit_scaler(features: NDArray[np.float32]) -> StandardScaler:
    """Standardise with the mean and deviation of `features` (n, d), in float64."""
    return StandardScaler().fit(features.astype(np.float64))


def _per_class(model: LogisticRegression) -> tuple[Floats, Floats]:
    """Return weights (K, d) and biases (K,); for two classes the first has the logit 0."""
    weights, biases = model.coef_.copy(), model.intercept_.copy()
    if len(weights) > 1:
        return weights, biases
    return np.concatenate([np.zeros_like(weights), weights]), np.concatenate([[0.0], biases])


def _standardised(scaler: StandardScaler, features: NDArray[np.float32]) -> Floats:
    """Standardise in float64: the solver's tolerance is out of reach of float32."""
    scaled: Floats = scaler.transform(features.astype(np.float64))
    return scaled
