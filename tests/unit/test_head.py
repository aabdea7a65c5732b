"""The head is solved, not trained: independent of its start, checked against another solver."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import logsumexp
from sklearn.metrics import roc_auc_score

from ganbalance.training import calibration
from ganbalance.training.head import Examples, Head, auc, fit, fit_scaler

RNG = np.random.default_rng(0)


def examples(n: int = 300, d: int = 6, k: int = 2, weights: np.ndarray | None = None) -> Examples:
    labels = RNG.integers(0, k, n)
    features = (RNG.normal(size=(n, d)) + 0.7 * RNG.permutation(d * k).reshape(k, d)[labels] / d).astype(np.float32)
    return Examples(features, labels, np.ones(n) if weights is None else weights)


def solve(train: Examples, held_out: Examples, *grid: float) -> Head:
    return fit(
        train,
        held_out.features,
        held_out.labels,
        scaler=fit_scaler(train.features),
        grid=grid,
        on_progress=lambda done, total: None,
    )


@pytest.mark.parametrize("l2", [1.0, 0.01])
def test_the_solution_minimises_the_stated_objective(l2: float) -> None:
    train = examples(weights=RNG.uniform(0.2, 3, 300))
    x = fit_scaler(train.features).transform(train.features)
    share = train.weights / train.weights.sum()

    def objective(parameters: np.ndarray) -> float:
        logits = x @ parameters[1:] + parameters[0]
        losses = np.logaddexp(0, logits) - train.labels * logits
        return float(share @ losses + l2 / 2 * parameters[1:] @ parameters[1:])

    theirs = minimize(objective, np.zeros(7), method="BFGS", options={"gtol": 1e-7})
    margins = x @ theirs.x[1:] + theirs.x[0]
    logits = np.stack([np.zeros_like(margins), margins], axis=1)
    expected = calibration.fit(logits, train.labels, train.weights)(logits)
    assert solve(train, examples(), l2).predict(train.features) == pytest.approx(expected, abs=2e-4)


def test_many_classes_minimise_the_softmax_loss() -> None:
    train, l2 = examples(k=3), 0.1
    x = fit_scaler(train.features).transform(train.features)

    def objective(parameters: np.ndarray) -> float:
        matrix = parameters.reshape(7, 3)
        logits = x @ matrix[1:] + matrix[0]
        losses = logsumexp(logits, axis=1) - logits[np.arange(300), train.labels]
        return float(losses.mean() + l2 / 2 * (matrix[1:] ** 2).sum())

    theirs = minimize(objective, np.zeros(21), method="BFGS", options={"gtol": 1e-7}).x.reshape(7, 3)
    logits = x @ theirs[1:] + theirs[0]
    expected = calibration.fit(logits, train.labels, train.weights)(logits)
    assert solve(train, examples(k=3), l2).predict(train.features) == pytest.approx(expected, abs=1e-3)


def test_a_weight_of_two_is_an_example_given_twice() -> None:
    once = examples()
    doubled = Examples(once.features, once.labels, np.where(once.labels == 1, 2.0, 1.0))
    rows = np.concatenate([np.arange(300), np.flatnonzero(once.labels == 1)])
    repeated = Examples(once.features[rows], once.labels[rows], np.ones(len(rows)))
    scaler, held_out = fit_scaler(once.features), examples()
    one, two = (
        fit(train, held_out.features, held_out.labels, scaler=scaler, grid=(0.1,), on_progress=lambda d, t: None)
        for train in (doubled, repeated)
    )
    # the targets are smoothed by the number of images, which differs
    assert one.predict(held_out.features) == pytest.approx(two.predict(held_out.features), abs=5e-3)


def test_the_strength_with_the_best_validation_auc_is_chosen() -> None:
    train, held_out = examples(n=60, d=40), examples(n=400, d=40)
    head = solve(train, held_out, 100.0, 1.0, 0.01, 1e-4)
    best = max(head.tried, key=lambda row: row.validation_auc)
    assert head.l2 == best.l2
    chosen = roc_auc_score(held_out.labels, head.predict(held_out.features)[:, 1])
    assert chosen == pytest.approx(best.validation_auc, abs=1e-12)
    assert len({row.validation_auc for row in head.tried}) > 1


def test_a_tie_goes_to_the_stronger_penalty() -> None:
    train = Examples(np.array([[-1.0], [1.0]] * 20, np.float32), np.array([0, 1] * 20), np.ones(40))
    assert solve(train, train, 0.01, 1.0, 0.1).l2 == 1.0


def test_starting_from_the_last_solution_does_not_change_where_it_ends() -> None:
    train, held_out = examples(), examples()
    alone = solve(train, held_out, 0.01)
    warm = solve(train, held_out, 10.0, 1.0, 0.01)
    cold = next(row for row in warm.tried if row.l2 == 0.01)
    assert cold.validation_auc == pytest.approx(alone.tried[0].validation_auc, abs=1e-4)
    assert all(row.converged for row in warm.tried)


def test_auc_of_many_classes_is_the_mean_of_one_against_the_rest() -> None:
    labels, scores = RNG.integers(0, 3, 90), RNG.dirichlet(np.ones(3), 90)
    expected = np.mean([roc_auc_score(labels == column, scores[:, column]) for column in range(3)])
    assert auc(labels, scores) == pytest.approx(expected)
