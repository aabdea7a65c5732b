"""The head is solved, not trained: at every strength, independent of its start, checked against another solver."""

from collections.abc import Callable
from itertools import permutations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import logsumexp, softmax

from ganbalance import arms, config
from ganbalance.arms import Examples, Objective
from ganbalance.training import head
from ganbalance.training.head import Head, fit, fit_scaler

RNG = np.random.default_rng(0)
DEFAULT_GRID = config.LinearHead().l2
PLAIN = arms.objective("cross-entropy")
Losses = Callable[[np.ndarray, np.ndarray], np.ndarray]


def examples(n: int = 300, d: int = 6, k: int = 2, *, weighted: bool = False) -> Examples:
    labels = RNG.integers(0, k, n)
    features = (RNG.normal(size=(n, d)) + 0.7 * RNG.permutation(d * k).reshape(k, d)[labels] / d).astype(np.float32)
    return Examples(features, labels, RNG.uniform(0.2, 3, n) if weighted else np.ones(n))


def solve(train: Examples, *grid: float, objective: Objective = PLAIN) -> Head:
    scaler = fit_scaler(train.inputs)
    return fit(train, scaler=scaler, grid=grid, objective=objective, on_progress=lambda done, total: None)


def standardised(train: Examples) -> np.ndarray:
    """By hand."""
    features = train.inputs.astype(np.float64)
    return (features - features.mean(axis=0)) / features.std(axis=0)


def entropies(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Minus the log probability of the truth."""
    found: np.ndarray = logsumexp(logits, axis=1) - logits[np.arange(len(labels)), labels]
    return found


def focal_losses(gamma: float) -> Losses:
    """Equation 4 of the paper as it stands there."""

    def losses(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
        p = softmax(logits, axis=1)[np.arange(len(labels)), labels]
        found: np.ndarray = -((1 - p) ** gamma) * np.log(p)
        return found

    return losses


def theirs(train: Examples, l2: float, losses: Losses = entropies) -> np.ndarray:
    """Logits (n, K) at the minimum of the objective in the module's docstring, found by another solver."""
    x, share = standardised(train), train.weights / train.weights.sum()
    classes = int(train.labels.max()) + 1

    def two(parameters: np.ndarray) -> np.ndarray:
        margins = x @ parameters[1:] + parameters[0]
        return np.stack([np.zeros_like(margins), margins], axis=1)

    def many(parameters: np.ndarray) -> np.ndarray:
        matrix = parameters.reshape(-1, classes)
        logits: np.ndarray = x @ matrix[1:] + matrix[0]
        return logits

    logits_of, vectors = (two, 1) if classes == 2 else (many, classes)

    def value(parameters: np.ndarray) -> float:
        penalty = l2 / 2 * (parameters[vectors:] ** 2).sum()
        return float(share @ losses(logits_of(parameters), train.labels) + penalty)

    start = np.zeros((x.shape[1] + 1) * vectors)
    return logits_of(minimize(value, start, method="BFGS", options={"gtol": 1e-7}).x)


def differences(logits: np.ndarray) -> np.ndarray:
    """What is left of logits when a constant for all classes does not count."""
    return logits - logits.mean(axis=-1, keepdims=True)


@pytest.mark.parametrize("classes", [2, 3])
def test_every_strength_has_the_logits_of_another_solver(classes: int) -> None:
    train, grid = examples(k=classes, weighted=True), (10.0, 1.0, 0.1, 0.01)
    found = solve(train, *grid).logits(train.inputs)
    assert found.shape == (4, 300, classes)
    assert found.dtype == np.float64
    for l2, logits in zip(grid, found, strict=True):
        assert differences(logits) == pytest.approx(differences(theirs(train, l2)), abs=1e-3)
    assert np.ptp(found[0]) < 0.7 * np.ptp(found[-1])  # the strengths differ


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("gamma", [0.5, 2.0])
@pytest.mark.parametrize("classes", [2, 3])
def test_another_loss_has_the_logits_of_another_solver_too(classes: int, gamma: float, weighted: bool) -> None:
    train, grid = examples(k=classes, weighted=weighted), (10.0, 1.0, 0.1, 0.01)
    found = solve(train, *grid, objective=arms.objective({"name": "focal", "gamma": gamma})).logits(train.inputs)
    assert found.shape == (4, 300, classes)
    assert found.dtype == np.float64
    for l2, logits in zip(grid, found, strict=True):
        assert differences(logits) == pytest.approx(differences(theirs(train, l2, focal_losses(gamma))), abs=1e-3)
    plain = solve(train, *grid).logits(train.inputs)
    assert np.abs(differences(found) - differences(plain)).max() > 0.1  # it is another loss


@pytest.mark.parametrize("classes", [2, 3])
def test_both_solvers_find_the_same_minimum_of_the_logistic_loss(classes: int) -> None:
    train = examples(k=classes, weighted=True)
    plain = solve(train, *DEFAULT_GRID)
    other = solve(train, *DEFAULT_GRID, objective=arms.objective({"name": "focal", "gamma": 0}))
    assert differences(other.logits(train.inputs)) == pytest.approx(differences(plain.logits(train.inputs)), abs=1e-2)
    assert all(row.converged for row in other.solved)


@pytest.mark.parametrize("tau", [1.0, 0.5, 2.0])
@pytest.mark.parametrize("classes", [2, 3])
def test_adjusted_logits_are_those_of_the_plain_loss_without_the_log_shares(classes: int, tau: float) -> None:
    train = examples(k=classes, weighted=True)
    rare = train.labels == classes - 1
    train = Examples(train.inputs, train.labels, np.where(rare, 0.2, 1.0) * train.weights)
    shares = np.array([train.weights[train.labels == c].sum() for c in range(classes)]) / train.weights.sum()
    adjusted = solve(train, 1.0, 0.1, 0.01, objective=arms.objective({"name": "logit-adjustment", "tau": tau}))
    plain = solve(train, 1.0, 0.1, 0.01)
    expected = plain.logits(train.inputs) - tau * np.log(shares)
    assert differences(adjusted.logits(train.inputs)) == pytest.approx(differences(expected), abs=1e-3)
    assert adjusted.weights == pytest.approx(plain.weights, abs=1e-3)
    assert np.ptp(tau * np.log(shares)) > 0.5


def test_the_first_of_two_classes_has_the_logit_0() -> None:
    assert (solve(examples(), 1.0, 0.1).logits(examples().inputs)[..., 0] == 0).all()
    focal = solve(examples(), 1.0, 0.1, objective=arms.objective("focal"))
    assert (focal.logits(examples().inputs)[..., 0] == 0).all()


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("width", [20, 200])
def test_on_the_default_grid_no_step_improves_any_solution(classes: int, width: int) -> None:
    train = examples(n=120, d=width, k=classes, weighted=True)
    x, share = standardised(train), train.weights / train.weights.sum()
    found = solve(train, *DEFAULT_GRID)
    truth = np.eye(classes)[train.labels]
    for l2, weights_Kd, logits in zip(found.strengths, found.weights, found.logits(train.inputs), strict=True):
        slope_NK = share[:, None] * (softmax(logits, axis=1) - truth)
        penalty = l2 * weights_Kd
        gradient = (slope_NK.T @ x + penalty)[1:] if classes == 2 else slope_NK.T @ x + penalty
        assert np.abs(gradient).max() < 1e-5
        assert np.abs(slope_NK.sum(axis=0)).max() < 1e-5  # of the biases, which have no penalty
    assert all(row.converged for row in found.solved)


@pytest.mark.parametrize("name", ["focal", "logit-adjustment"])
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("width", [20, 200])
def test_nor_does_any_step_improve_a_solution_of_another_loss(width: int, classes: int, name: str) -> None:
    train = examples(n=120, d=width, k=classes, weighted=True)
    objective = arms.objective(name)
    found = solve(train, *DEFAULT_GRID, objective=objective)
    assert all(row.converged for row in found.solved)
    x, share = standardised(train), train.weights / train.weights.sum()
    shares = np.array([share[train.labels == c].sum() for c in range(classes)])
    shift = np.log(shares) if name == "logit-adjustment" else 0.0
    losses = focal_losses(2.0) if name == "focal" else entropies

    def slope(at: tuple[np.ndarray, np.ndarray], step: tuple[np.ndarray, np.ndarray], l2: float) -> float:
        """Of the objective along a step, by central differences."""
        weights, biases = ([part + side * 1e-4 * way for side in (1, -1)] for part, way in zip(at, step, strict=True))
        above, below = (
            share @ losses(x @ w.T + b + shift, train.labels) + l2 / 2 * (w**2).sum()
            for w, b in zip(weights, biases, strict=True)
        )
        return float(above - below) / 2e-4

    rng = np.random.default_rng(1)
    for l2, weights_KD, biases_K in zip(found.strengths, found.weights, found.biases, strict=True):
        for _ in range(5):
            steps = rng.choice([-1.0, 1.0], weights_KD.shape) * rng.choice([0, 1], (classes, 1))
            steps[0] *= classes > 2  # of two classes the first has no weights
            assert abs(slope((weights_KD, biases_K), (steps, np.zeros(classes)), l2)) < 1e-5 * steps.size
        for bias in np.eye(classes):
            assert abs(slope((weights_KD, biases_K), (np.zeros_like(weights_KD), bias), l2)) < 1e-5


def test_the_strongest_penalty_comes_first_however_the_grid_is_ordered() -> None:
    train = examples()
    orders = [solve(train, *grid) for grid in permutations((10.0, 1.0, 0.01))]
    for found in orders:
        assert found.strengths.tolist() == [10.0, 1.0, 0.01]
        assert [row.l2 for row in found.solved] == [10.0, 1.0, 0.01]
        assert np.array_equal(found.logits(train.inputs), orders[0].logits(train.inputs))


def test_starting_from_the_last_solution_does_not_change_where_it_ends() -> None:
    train = examples(d=30)
    warm = solve(train, *DEFAULT_GRID).logits(train.inputs)
    for l2, logits in zip(sorted(DEFAULT_GRID, reverse=True), warm, strict=True):
        assert solve(train, l2).logits(train.inputs)[0] == pytest.approx(logits, rel=1e-2, abs=1e-3)


def test_every_solution_is_kept_apart() -> None:
    train = examples()
    both, alone = solve(train, 10.0, 0.01), solve(train, 10.0)
    assert both.weights[0] == pytest.approx(alone.weights[0], abs=1e-12)
    assert np.abs(both.weights[1] - both.weights[0]).max() > 0.1


def test_a_weight_of_two_is_an_example_given_twice() -> None:
    once = examples()
    doubled = Examples(once.inputs, once.labels, np.where(once.labels == 1, 2.0, 1.0))
    rows = np.concatenate([np.arange(300), np.flatnonzero(once.labels == 1)])
    repeated = Examples(once.inputs[rows], once.labels[rows], np.ones(len(rows)))
    scaler = fit_scaler(once.inputs)
    one, two, plain = (
        fit(train, scaler=scaler, grid=(0.1, 0.01), objective=PLAIN, on_progress=lambda d, t: None).logits(once.inputs)
        for train in (doubled, repeated, once)
    )
    assert one == pytest.approx(two, abs=1e-3)
    assert np.abs(one - plain).max() > 0.1


def test_the_penalty_is_relative_to_the_mean_loss() -> None:
    once = examples()
    twice = Examples(np.tile(once.inputs, (2, 1)), np.tile(once.labels, 2), np.ones(600))
    assert solve(twice, 0.1).weights == pytest.approx(solve(once, 0.1).weights, abs=1e-4)


@pytest.mark.parametrize("pair", [(0, 1), (0, 2), (1, 2)])
def test_the_head_of_a_pair_is_that_of_its_images_alone(pair: tuple[int, int]) -> None:
    train = examples(k=3, weighted=True)
    rows = np.flatnonzero((train.labels == pair[0]) | (train.labels == pair[1]))
    labels = np.array([pair.index(label) for label in train.labels[rows]])
    alone = Examples(train.inputs[rows], labels, train.weights[rows])
    of_pair = train.of_pair(pair)
    assert np.array_equal(of_pair.inputs, alone.inputs)
    assert of_pair.labels.tolist() == labels.tolist()
    assert np.array_equal(of_pair.weights, alone.weights)
    assert differences(solve(of_pair, 0.1).logits(alone.inputs)[0]) == pytest.approx(
        differences(theirs(alone, 0.1)), abs=1e-3
    )


def test_the_head_of_a_pair_knows_nothing_of_the_other_classes() -> None:
    train = examples(k=3)
    others = train.labels == 2
    elsewhere = np.where(others[:, None], train.inputs + 100, train.inputs).astype(np.float32)
    moved = Examples(elsewhere, train.labels, np.where(others, 50.0, train.weights))
    pairs = [one.of_pair((0, 1)) for one in (train, moved)]
    assert np.array_equal(solve(pairs[0], 0.1).weights, solve(pairs[1], 0.1).weights)


def test_features_are_standardised_by_the_scaler_that_is_given() -> None:
    train, others = examples(), examples()
    elsewhere = fit_scaler(3 * others.inputs + 5)
    found = fit(train, scaler=elsewhere, grid=[0.1], objective=PLAIN, on_progress=lambda done, total: None)
    mean, deviation = (3 * others.inputs + 5).mean(axis=0), (3 * others.inputs + 5).std(axis=0)
    by_hand = (train.inputs - mean) / deviation @ found.weights[0].T + found.biases[0]
    assert found.logits(train.inputs)[0] == pytest.approx(by_hand, abs=1e-4)


def test_features_are_computed_with_as_float64() -> None:
    train = examples()
    wide = Examples(train.inputs.astype(np.float64), train.labels, train.weights)
    one, other = solve(train, 0.1), solve(wide, 0.1)
    assert train.inputs.dtype == np.float32
    assert one.weights.dtype == np.float64
    assert np.array_equal(one.weights, other.weights)
    assert np.array_equal(one.logits(train.inputs), other.logits(wide.inputs))


def test_a_solution_that_did_not_converge_is_marked_and_nothing_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    train = examples(n=100, d=60)
    assert all(row.converged for row in solve(train, 1.0, 1e-4).solved)
    monkeypatch.setattr(head, "MAX_ITERATIONS", 3)
    strong, weak = solve(train, 1.0, 1e-4).solved
    assert weak.iterations == 3
    assert not weak.converged
    assert strong.l2 == 1.0


@pytest.mark.parametrize("name", ["focal", "logit-adjustment"])
def test_nor_is_one_of_another_loss(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    train = examples(n=100, d=60)
    objective = arms.objective(name)
    assert all(row.converged for row in solve(train, 1.0, 1e-4, objective=objective).solved)
    monkeypatch.setattr(head, "MAX_ITERATIONS", 3)
    strong, weak = solve(train, 1.0, 1e-4, objective=objective).solved
    assert weak.iterations == 3
    assert not weak.converged
    assert strong.l2 == 1.0


def test_a_solver_that_gives_up_early_has_not_converged(monkeypatch: pytest.MonkeyPatch) -> None:
    train, focal = examples(), arms.objective("focal")
    monkeypatch.setattr(head, "TOLERANCE", 1e-300)  # out of reach: its line search ends long before all iterations
    (row,) = solve(train, 0.1, objective=focal).solved
    assert not row.converged
    assert row.iterations == head.MAX_ITERATIONS


def test_progress_is_reported_after_every_strength() -> None:
    reported: list[tuple[int, int]] = []
    train = examples()
    fit(
        train, scaler=fit_scaler(train.inputs), grid=(1.0, 0.1, 0.01), objective=PLAIN,
        on_progress=lambda done, total: reported.append((done, total)),
    )  # fmt: skip
    assert reported == [(1, 3), (2, 3), (3, 3)]
