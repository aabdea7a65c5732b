"""The head is solved, not trained: at every strength, independent of its start, checked against another solver."""

from itertools import permutations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import logsumexp, softmax

from ganbalance import config
from ganbalance.training import head
from ganbalance.training.head import Examples, Head, fit, fit_scaler

RNG = np.random.default_rng(0)
DEFAULT_GRID = config.Classifier().l2


def examples(n: int = 300, d: int = 6, k: int = 2, *, weighted: bool = False) -> Examples:
    labels = RNG.integers(0, k, n)
    features = (RNG.normal(size=(n, d)) + 0.7 * RNG.permutation(d * k).reshape(k, d)[labels] / d).astype(np.float32)
    return Examples(features, labels, RNG.uniform(0.2, 3, n) if weighted else np.ones(n))


def solve(train: Examples, *grid: float) -> Head:
    return fit(train, scaler=fit_scaler(train.features), grid=grid, on_progress=lambda done, total: None)


def standardised(train: Examples) -> np.ndarray:
    """By hand."""
    features = train.features.astype(np.float64)
    return (features - features.mean(axis=0)) / features.std(axis=0)


def theirs(train: Examples, l2: float) -> np.ndarray:
    """Logits (n, K) at the minimum of the objective in the module's docstring, found by another solver."""
    x, share = standardised(train), train.weights / train.weights.sum()
    classes, rows = int(train.labels.max()) + 1, np.arange(len(train.labels))

    def two(parameters: np.ndarray) -> float:
        logits = x @ parameters[1:] + parameters[0]
        losses = np.logaddexp(0, logits) - train.labels * logits
        return float(share @ losses + l2 / 2 * parameters[1:] @ parameters[1:])

    def many(parameters: np.ndarray) -> float:
        matrix = parameters.reshape(-1, classes)
        logits = x @ matrix[1:] + matrix[0]
        losses = logsumexp(logits, axis=1) - logits[rows, train.labels]
        return float(share @ losses + l2 / 2 * (matrix[1:] ** 2).sum())

    if classes == 2:
        found = minimize(two, np.zeros(x.shape[1] + 1), method="BFGS", options={"gtol": 1e-7}).x
        margins = x @ found[1:] + found[0]
        return np.stack([np.zeros_like(margins), margins], axis=1)
    found = minimize(many, np.zeros((x.shape[1] + 1) * classes), method="BFGS", options={"gtol": 1e-7}).x
    matrix = found.reshape(-1, classes)
    logits: np.ndarray = x @ matrix[1:] + matrix[0]
    return logits


def differences(logits: np.ndarray) -> np.ndarray:
    """What is left of logits when a constant for all classes does not count."""
    return logits - logits.mean(axis=-1, keepdims=True)


@pytest.mark.parametrize("classes", [2, 3])
def test_every_strength_has_the_logits_of_another_solver(classes: int) -> None:
    train, grid = examples(k=classes, weighted=True), (10.0, 1.0, 0.1, 0.01)
    found = solve(train, *grid).logits(train.features)
    assert found.shape == (4, 300, classes)
    assert found.dtype == np.float64
    for l2, logits in zip(grid, found, strict=True):
        assert differences(logits) == pytest.approx(differences(theirs(train, l2)), abs=1e-3)
    assert np.ptp(found[0]) < 0.7 * np.ptp(found[-1])  # the strengths differ


def test_the_first_of_two_classes_has_the_logit_0() -> None:
    assert (solve(examples(), 1.0, 0.1).logits(examples().features)[..., 0] == 0).all()


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("width", [20, 200])
def test_on_the_default_grid_no_step_improves_any_solution(classes: int, width: int) -> None:
    train = examples(n=120, d=width, k=classes, weighted=True)
    x, share = standardised(train), train.weights / train.weights.sum()
    found = solve(train, *DEFAULT_GRID)
    truth = np.eye(classes)[train.labels]
    for l2, weights_Kd, logits in zip(found.strengths, found.weights, found.logits(train.features), strict=True):
        slope_NK = share[:, None] * (softmax(logits, axis=1) - truth)
        penalty = l2 * weights_Kd
        gradient = (slope_NK.T @ x + penalty)[1:] if classes == 2 else slope_NK.T @ x + penalty
        assert np.abs(gradient).max() < 1e-5
        assert np.abs(slope_NK.sum(axis=0)).max() < 1e-5  # of the biases, which have no penalty
    assert all(row.converged for row in found.solved)


def test_the_strongest_penalty_comes_first_however_the_grid_is_ordered() -> None:
    train = examples()
    orders = [solve(train, *grid) for grid in permutations((10.0, 1.0, 0.01))]
    for found in orders:
        assert found.strengths.tolist() == [10.0, 1.0, 0.01]
        assert [row.l2 for row in found.solved] == [10.0, 1.0, 0.01]
        assert np.array_equal(found.logits(train.features), orders[0].logits(train.features))


def test_starting_from_the_last_solution_does_not_change_where_it_ends() -> None:
    train = examples(d=30)
    warm = solve(train, *DEFAULT_GRID).logits(train.features)
    for l2, logits in zip(sorted(DEFAULT_GRID, reverse=True), warm, strict=True):
        assert solve(train, l2).logits(train.features)[0] == pytest.approx(logits, rel=1e-2, abs=1e-3)


def test_every_solution_is_kept_apart() -> None:
    train = examples()
    both, alone = solve(train, 10.0, 0.01), solve(train, 10.0)
    assert both.weights[0] == pytest.approx(alone.weights[0], abs=1e-12)
    assert np.abs(both.weights[1] - both.weights[0]).max() > 0.1


def test_a_weight_of_two_is_an_example_given_twice() -> None:
    once = examples()
    doubled = Examples(once.features, once.labels, np.where(once.labels == 1, 2.0, 1.0))
    rows = np.concatenate([np.arange(300), np.flatnonzero(once.labels == 1)])
    repeated = Examples(once.features[rows], once.labels[rows], np.ones(len(rows)))
    scaler = fit_scaler(once.features)
    one, two, plain = (
        fit(train, scaler=scaler, grid=(0.1, 0.01), on_progress=lambda d, t: None).logits(once.features)
        for train in (doubled, repeated, once)
    )
    assert one == pytest.approx(two, abs=1e-3)
    assert np.abs(one - plain).max() > 0.1


def test_the_penalty_is_relative_to_the_mean_loss() -> None:
    once = examples()
    twice = Examples(np.tile(once.features, (2, 1)), np.tile(once.labels, 2), np.ones(600))
    assert solve(twice, 0.1).weights == pytest.approx(solve(once, 0.1).weights, abs=1e-4)


@pytest.mark.parametrize("pair", [(0, 1), (0, 2), (1, 2)])
def test_the_head_of_a_pair_is_that_of_its_images_alone(pair: tuple[int, int]) -> None:
    train = examples(k=3, weighted=True)
    rows = np.flatnonzero((train.labels == pair[0]) | (train.labels == pair[1]))
    labels = np.array([pair.index(label) for label in train.labels[rows]])
    alone = Examples(train.features[rows], labels, train.weights[rows])
    of_pair = train.of_pair(pair)
    assert np.array_equal(of_pair.features, alone.features)
    assert of_pair.labels.tolist() == labels.tolist()
    assert np.array_equal(of_pair.weights, alone.weights)
    assert differences(solve(of_pair, 0.1).logits(alone.features)[0]) == pytest.approx(
        differences(theirs(alone, 0.1)), abs=1e-3
    )


def test_the_head_of_a_pair_knows_nothing_of_the_other_classes() -> None:
    train = examples(k=3)
    others = train.labels == 2
    elsewhere = np.where(others[:, None], train.features + 100, train.features).astype(np.float32)
    moved = Examples(elsewhere, train.labels, np.where(others, 50.0, train.weights))
    pairs = [one.of_pair((0, 1)) for one in (train, moved)]
    assert np.array_equal(solve(pairs[0], 0.1).weights, solve(pairs[1], 0.1).weights)


def test_features_are_standardised_by_the_scaler_that_is_given() -> None:
    train, others = examples(), examples()
    elsewhere = fit_scaler(3 * others.features + 5)
    found = fit(train, scaler=elsewhere, grid=[0.1], on_progress=lambda done, total: None)
    mean, deviation = (3 * others.features + 5).mean(axis=0), (3 * others.features + 5).std(axis=0)
    by_hand = (train.features - mean) / deviation @ found.weights[0].T + found.biases[0]
    assert found.logits(train.features)[0] == pytest.approx(by_hand, abs=1e-4)


def test_features_are_computed_with_as_float64() -> None:
    train = examples()
    wide = Examples(train.features.astype(np.float64), train.labels, train.weights)
    one, other = solve(train, 0.1), solve(wide, 0.1)
    assert train.features.dtype == np.float32
    assert one.weights.dtype == np.float64
    assert np.array_equal(one.weights, other.weights)
    assert np.array_equal(one.logits(train.features), other.logits(wide.features))


def test_a_solution_that_did_not_converge_is_marked_and_nothing_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    train = examples(n=100, d=60)
    assert all(row.converged for row in solve(train, 1.0, 1e-4).solved)
    monkeypatch.setattr(head, "MAX_ITERATIONS", 3)
    strong, weak = solve(train, 1.0, 1e-4).solved
    assert weak.iterations == 3
    assert not weak.converged
    assert strong.l2 == 1.0


def test_progress_is_told_after_every_strength() -> None:
    told: list[tuple[int, int]] = []
    train = examples()
    fit(
        train, scaler=fit_scaler(train.features), grid=(1.0, 0.1, 0.01),
        on_progress=lambda done, total: told.append((done, total)),
    )  # fmt: skip
    assert told == [(1, 3), (2, 3), (3, 3)]
