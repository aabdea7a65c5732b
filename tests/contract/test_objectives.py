"""What every loss of the head must do. A new file in `arms/objectives/` is tested by being there."""

from typing import Any

import numpy as np
import pytest

from ganbalance import arms, registry
from ganbalance.arms import objectives

NAMES = registry.names(objectives)
EVERY_OBJECTIVE = pytest.mark.parametrize("name", NAMES)
CHOICES = [*NAMES, *({"name": "focal", "gamma": gamma} for gamma in (0, 0.5, 1.0, 5.0))]
EVERY_CHOICE = pytest.mark.parametrize("choice", CHOICES, ids=str)
CLASSES = pytest.mark.parametrize("classes", [2, 3, 10])


def some(classes: int, spread: float = 2.0, n: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Logits and labels, every class among them."""
    rng = np.random.default_rng(classes)
    return spread * rng.normal(size=(n, classes)), np.append(np.arange(classes), rng.integers(0, classes, n - classes))


@EVERY_CHOICE
@CLASSES
def test_the_derivative_is_that_of_the_loss(choice: Any, classes: int) -> None:
    objective = arms.objective(choice)
    logits, labels = some(classes)
    loss, slope = objective.loss(logits, labels)
    assert loss.shape == labels.shape
    assert slope.shape == logits.shape
    assert loss.dtype == slope.dtype == np.float64
    h = 1e-6
    for k in range(classes):
        step = h * np.eye(classes)[k]
        above, below = (objective.loss(logits + side * step, labels)[0] for side in (1, -1))
        assert slope[:, k] == pytest.approx((above - below) / (2 * h), rel=1e-5, abs=1e-8)


@EVERY_CHOICE
@CLASSES
def test_the_loss_of_an_image_depends_on_no_other_image(choice: Any, classes: int) -> None:
    logits, labels = some(classes)
    whole = arms.objective(choice).loss(logits, labels)
    alone = arms.objective(choice).loss(logits[7:8], labels[7:8])
    assert alone[0] == pytest.approx(whole[0][7:8], rel=1e-12)
    assert alone[1] == pytest.approx(whole[1][7:8], rel=1e-12)


@EVERY_CHOICE
@CLASSES
def test_a_constant_on_all_logits_changes_nothing(choice: Any, classes: int) -> None:
    logits, labels = some(classes)
    loss, slope = arms.objective(choice).loss(logits, labels)
    moved = arms.objective(choice).loss(logits + 100.0, labels)
    assert moved[0] == pytest.approx(loss, abs=1e-10)
    assert moved[1] == pytest.approx(slope, abs=1e-10)
    assert slope.sum(axis=1) == pytest.approx(0, abs=1e-12)


@EVERY_CHOICE
@CLASSES
def test_classes_are_treated_alike(choice: Any, classes: int) -> None:
    logits, labels = some(classes)
    order = np.roll(np.arange(classes), 1)
    renamed = np.argsort(order)[labels]
    loss, slope = arms.objective(choice).loss(logits, labels)
    other = arms.objective(choice).loss(logits[:, order], renamed)
    assert other[0] == pytest.approx(loss, rel=1e-10)
    assert other[1] == pytest.approx(slope[:, order], abs=1e-12)


@EVERY_CHOICE
@CLASSES
def test_the_loss_is_positive_and_falls_as_the_logit_of_the_truth_rises(choice: Any, classes: int) -> None:
    logits, labels = some(classes, spread=1.0)
    truth = np.eye(classes)[labels]
    losses = [arms.objective(choice).loss(logits + rise * truth, labels)[0] for rise in (-2.0, 0.0, 2.0, 4.0)]
    assert (np.diff(losses, axis=0) < 0).all()
    assert (np.array(losses) > 0).all()
    assert (arms.objective(choice).loss(logits, labels)[1][truth == 1] < 0).all()


@pytest.mark.filterwarnings("error")
@EVERY_CHOICE
@pytest.mark.parametrize("size", [30.0, 40.0, 800.0, 1e6])
def test_images_that_are_certain_have_a_finite_loss_and_derivative(choice: Any, size: float) -> None:
    logits = size * np.array([[1.0, -1.0, 0.0], [-1.0, 1.0, 0.0], [1.0, 1.0, 1.0]])
    for labels in ([0, 1, 2], [1, 0, 2], [2, 2, 0]):
        loss, slope = arms.objective(choice).loss(logits, np.array(labels))
        assert np.isfinite(loss).all()
        assert np.isfinite(slope).all()
        assert (loss >= 0).all()
    right, slope = arms.objective(choice).loss(logits[:2], np.array([0, 1]))
    assert right == pytest.approx(0, abs=1e-6)
    assert slope == pytest.approx(0, abs=1e-6)


@EVERY_CHOICE
def test_what_is_added_to_the_logits_is_a_number_for_each_class_and_alike_for_equal_shares(choice: Any) -> None:
    for shares in ([0.9, 0.1], [0.5, 0.3, 0.2]):
        shift = arms.objective(choice).shift(np.array(shares))
        assert shift.shape == (len(shares),)
        assert shift.dtype == np.float64
        assert np.isfinite(shift).all()
    assert np.ptp(arms.objective(choice).shift(np.full(4, 0.25))) == 0
