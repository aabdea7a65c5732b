"""The linear head on frozen features: convex, so it is solved, not trained for some number of steps.

    minimise over W, b:  sum_i w_i loss_i(W, b) / sum_i w_i  +  (l2 / 2) |W|^2

with the logistic (softmax for many classes) loss. The strength `l2` is chosen for every arm from the same grid
by validation AUC, each solution starting from the last; the ranking of arms can flip with this strength, so a
comparison at one fixed value would prove nothing. What the penalty shrank is scaled back: see `calibration`.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from ganbalance.training import calibration

TOLERANCE = 1e-6  # largest entry of the gradient of the objective at the solution
MAX_ITERATIONS = 10_000

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Examples:
    """Features float32 (n, d), columns int64 (n,) and weights float64 (n,)."""

    features: NDArray[np.float32]
    labels: NDArray[np.int64]
    weights: Floats


@dataclass(frozen=True)
class Tried:
    """One strength of the penalty and what came of it."""

    l2: float
    validation_auc: float
    iterations: int
    converged: bool


@dataclass(frozen=True)
class Head:
    """The solution at the chosen strength; `tried` has a row per strength in the order of the grid."""

    l2: float
    tried: tuple[Tried, ...]
    predict: Callable[[NDArray[np.float32]], Floats]  # features (n, d) -> calibrated probabilities (n, K)


def fit(  # noqa: PLR0913 - one solve is all of these
    train: Examples,
    validation_features: NDArray[np.float32],
    validation_labels: NDArray[np.int64],
    *,
    scaler: StandardScaler,
    grid: Sequence[float],
    on_progress: Callable[[int, int], None],
) -> Head:
    """Solve the head for every strength in `grid`, strongest first, and keep the one with the best validation AUC.

    A tie goes to the stronger penalty. `scaler` is shared by the arms of a seed, so that they differ in their
    training images alone.
    """
    inputs, held_out = _standardised(scaler, train.features), _standardised(scaler, validation_features)
    weights = train.weights / train.weights.sum()
    model = LogisticRegression(solver="lbfgs", warm_start=True, tol=TOLERANCE, max_iter=MAX_ITERATIONS)
    tried: list[Tried] = []
    best: tuple[float, Floats, Floats] | None = None
    strongest_first = sorted(grid, reverse=True)
    for l2 in strongest_first:
        # scikit-learn's C weighs the summed loss; the weights sum to 1, so 1/C is the strength defined above
        model.C = 1 / l2
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # told in `converged` instead
            model.fit(inputs, train.labels, sample_weight=weights)
        score = auc(validation_labels, model.predict_proba(held_out))
        iterations = int(model.n_iter_.max())
        tried.append(Tried(l2, score, iterations, iterations < MAX_ITERATIONS))
        if best is None or score > max(row.validation_auc for row in tried[:-1]):
            best = (l2, model.coef_.copy(), model.intercept_.copy())
        on_progress(len(tried), len(grid))
    assert best is not None  # noqa: S101 - the grid has at least one entry
    chosen, model.coef_, model.intercept_ = best
    calibrated = calibration.fit(_logits(model, inputs), train.labels, train.weights)
    return Head(chosen, tuple(tried), lambda features: calibrated(_logits(model, _standardised(scaler, features))))


def fit_scaler(features: NDArray[np.float32]) -> StandardScaler:
    """Standardise with the mean and deviation of `features` (n, d), in float64."""
    return StandardScaler().fit(features.astype(np.float64))


def _logits(model: LogisticRegression, inputs: Floats) -> Floats:
    """One logit per class, float64 (n, K)."""
    logits: Floats = model.decision_function(inputs)
    return np.stack([np.zeros_like(logits), logits], axis=1) if logits.ndim == 1 else logits


def _standardised(scaler: StandardScaler, features: NDArray[np.float32]) -> Floats:
    """In float64: the solver's tolerance is out of reach of float32."""
    scaled: Floats = scaler.transform(features.astype(np.float64))
    return scaled


def auc(labels: NDArray[np.int64], probabilities: Floats) -> float:
    """Area under the ROC curve; for many classes the macro average of one against the rest."""
    if probabilities.shape[1] == 2:  # noqa: PLR2004
        return float(roc_auc_score(labels, probabilities[:, 1]))
    return float(roc_auc_score(labels, probabilities, multi_class="ovr", average="macro"))
