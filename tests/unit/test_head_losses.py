"""Each loss of the head against its equation, written down independently or computed by hand."""

import numpy as np
import pytest
from scipy.special import expit, softmax
from sklearn.metrics import log_loss

from ganbalance import arms

RNG = np.random.default_rng(0)
PLAIN = arms.objective("cross-entropy")


def some(classes: int, n: int = 80) -> tuple[np.ndarray, np.ndarray]:
    return 2 * RNG.normal(size=(n, classes)), np.append(np.arange(classes), RNG.integers(0, classes, n - classes))


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_cross_entropy_is_scikit_learns_log_loss(classes: int) -> None:
    logits, labels = some(classes)
    weights = RNG.uniform(0.2, 3, len(labels))
    losses, _ = PLAIN.loss(logits, labels)
    probabilities = softmax(logits, axis=1)
    assert losses.mean() == pytest.approx(log_loss(labels, probabilities), rel=1e-12)
    weighed = log_loss(labels, probabilities, sample_weight=weights)
    assert weights @ losses / weights.sum() == pytest.approx(weighed, rel=1e-12)


def test_cross_entropy_of_even_odds_is_log_2() -> None:
    losses, slope = PLAIN.loss(np.zeros((1, 2)), np.array([1]))
    assert losses == pytest.approx(np.log(2))
    assert slope == pytest.approx(np.array([[0.5, -0.5]]))


@pytest.mark.parametrize("classes", [2, 5])
def test_focal_with_a_gamma_of_0_is_cross_entropy(classes: int) -> None:
    logits, labels = some(classes)
    plain, focal = PLAIN.loss(logits, labels), arms.objective({"name": "focal", "gamma": 0}).loss(logits, labels)
    assert focal[0] == pytest.approx(plain[0], rel=1e-12)
    assert focal[1] == pytest.approx(plain[1], abs=1e-12)


@pytest.mark.parametrize(
    ("gamma", "p", "loss"),
    [  # (1 - p)^gamma times -ln p, by hand
        (2.0, 0.5, 0.25 * 0.6931471805599453),
        (2.0, 0.9, 0.01 * 0.10536051565782628),
        (2.0, 0.1, 0.81 * 2.302585092994046),
        (1.0, 0.75, 0.25 * 0.2876820724517809),
        (0.5, 0.75, 0.5 * 0.2876820724517809),
        (5.0, 0.5, 0.03125 * 0.6931471805599453),
    ],
)
@pytest.mark.parametrize("classes", [2, 4])
def test_focal_losses_are_those_of_the_paper(gamma: float, p: float, loss: float, classes: int) -> None:
    others = np.full(classes - 1, np.log((1 - p) / (classes - 1)))
    logits = np.insert(others, 1, np.log(p))[None]
    found, _ = arms.objective({"name": "focal", "gamma": gamma}).loss(logits, np.array([1]))
    assert found == pytest.approx(loss, rel=1e-12)


def test_focal_has_the_derivative_of_the_papers_appendix() -> None:
    margins, gamma = np.linspace(-6, 6, 25), 2.0
    logits = np.stack([np.zeros(25), margins], axis=1)
    for label, y in ((1, 1), (0, -1)):
        _, slope = arms.objective({"name": "focal", "gamma": gamma}).loss(logits, np.full(25, label))
        p = expit(y * margins)
        assert slope[:, 1] == pytest.approx(y * (1 - p) ** gamma * (gamma * p * np.log(p) + p - 1), rel=1e-9)
        assert slope[:, 0] == pytest.approx(-slope[:, 1], rel=1e-9)


def test_focal_has_the_papers_gamma_unless_another_is_given() -> None:
    logits, labels = some(3)
    same = arms.objective({"name": "focal", "gamma": 2.0})
    assert np.array_equal(arms.objective("focal").loss(logits, labels)[0], same.loss(logits, labels)[0])


@pytest.mark.parametrize("tau", [1.0, 0.5, 2.0])
def test_logit_adjustment_is_equation_10_with_the_shares_to_the_power_tau(tau: float) -> None:
    logits, labels = some(3)
    shares = np.array([0.7, 0.2, 0.1])
    objective = arms.objective({"name": "logit-adjustment", "tau": tau})
    found, _ = objective.loss(logits + objective.shift(shares), labels)
    # -log(pi_y^tau e^f_y / sum over y' of pi_y'^tau e^f_y')
    powers = shares**tau * np.exp(logits)
    assert found == pytest.approx(-np.log(powers[np.arange(80), labels] / powers.sum(axis=1)), rel=1e-10)


def test_logit_adjustment_adds_the_log_shares_and_the_other_losses_nothing() -> None:
    shares = np.array([0.9, 0.1])
    assert arms.objective("logit-adjustment").shift(shares) == pytest.approx([-0.10536051565782628, -2.302585092994046])
    assert arms.objective("cross-entropy").shift(shares).tolist() == [0, 0]
    assert arms.objective("focal").shift(shares).tolist() == [0, 0]
