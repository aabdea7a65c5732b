"""Metrics of one classifier against confusion tables worked by hand."""

import numpy as np
import pytest

from ganbalance.errors import DataError
from ganbalance.metrics.classification import confusion, deployment_weights, measure, metric_names

# threshold .5: TP 3 (.9 .8 .6), FN 1 (.3), FP 1 (.7), TN 3
LABELS = np.array([1, 1, 1, 1, 0, 0, 0, 0])
POSITIVE = np.array([0.9, 0.8, 0.6, 0.3, 0.7, 0.4, 0.2, 0.1])
PAIR = np.stack([1 - POSITIVE, POSITIVE], axis=1)
EVEN = [0.5, 0.5]


def test_a_pair_is_measured_as_worked_by_hand():
    measured = measure(LABELS, PAIR, {"0.5": [0, 0]}, EVEN)
    assert measured["auc"] == pytest.approx((4 + 4 + 3 + 2) / 16)
    assert measured["average_precision"] == pytest.approx((1 + 1 + 3 / 4 + 4 / 6) / 4)
    for name in ("accuracy", "precision", "recall", "f1", "balanced_accuracy"):
        assert measured[f"{name}@0.5"] == pytest.approx(0.75), name


def test_each_rule_is_measured_under_its_own_name():
    # with log-offset 1.0 the images at .3 and .4 turn positive as well: TP 4, FP 2
    measured = measure(LABELS, PAIR, {"0.5": [0, 0], "prior": [0, 1.0]}, EVEN)
    assert measured["recall@prior"] == 1.0
    assert measured["precision@prior"] == pytest.approx(4 / 6)
    assert measured["recall@0.5"] == 0.75
    assert list(measured) == metric_names({"0.5": 0, "prior": 0})


def test_a_rare_positive_class_at_deployment_lowers_precision_but_not_recall():
    measured = measure(LABELS, PAIR, {"0.5": [0, 0]}, [0.9, 0.1])
    precision = 0.75 * 0.1 / (0.75 * 0.1 + 0.25 * 0.9)
    assert measured["deployed_precision@0.5"] == pytest.approx(precision)
    assert measured["deployed_f1@0.5"] == pytest.approx(2 * precision * 0.75 / (precision + 0.75))
    ranked = [1.0, 1.0, 0.3 / (0.3 + 0.9), 0.4 / (0.4 + 1.8)]  # share .1 x TP against .9 x FP at each positive
    assert measured["deployed_average_precision"] == pytest.approx(np.mean(ranked))
    assert measured["recall@0.5"] == 0.75


def test_a_deployment_prior_equal_to_the_test_shares_changes_nothing():
    measured = measure(LABELS, PAIR, {"0.5": [0, 0]}, EVEN)
    assert measured["deployed_precision@0.5"] == pytest.approx(measured["precision@0.5"])
    assert measured["deployed_average_precision"] == pytest.approx(measured["average_precision"])


def test_deployment_weights_give_the_classes_the_deployment_shares():
    weights = deployment_weights(np.array([0, 0, 0, 1]), [0.2, 0.8])
    assert weights[:3].sum() / weights.sum() == pytest.approx(0.2)
    assert weights.mean() == pytest.approx(1.0)


def test_many_classes_are_averaged_over_the_classes_and_not_over_the_images():
    labels = np.array([0, 0, 0, 0, 1, 2])
    probabilities = np.eye(3)[[0, 0, 0, 0, 2, 2]] * 0.8 + 0.2 / 3
    measured = measure(labels, probabilities, {"argmax": [0, 0, 0]}, [1 / 3] * 3)
    assert measured["accuracy@argmax"] == pytest.approx(5 / 6)
    assert measured["recall@argmax"] == pytest.approx(2 / 3)
    assert measured["balanced_accuracy@argmax"] == pytest.approx(2 / 3)
    assert measured["precision@argmax"] == pytest.approx((1 + 0 + 0.5) / 3)
    assert measured["f1@argmax"] == pytest.approx((1 + 0 + 2 / 3) / 3)
    # class 1 against the rest: below the other image of its predicted class, tied with the four zeros
    assert measured["auc"] == pytest.approx((1 + 0.5 * 5 / 5 + (4 + 0.5) / 5) / 3)


def test_a_classifier_that_never_says_positive_has_precision_zero_and_no_warning():
    measured = measure(LABELS, PAIR, {"never": [0, -99.0]}, EVEN)
    assert measured["precision@never"] == measured["f1@never"] == measured["deployed_precision@never"] == 0.0
    assert measured["balanced_accuracy@never"] == 0.5


def test_confusion_has_true_classes_in_rows_and_keeps_absent_classes():
    table = confusion([0, 0, 1], [0, 1, 1], 3)
    assert table.tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 0]]
    assert table.dtype == np.int64


@pytest.mark.parametrize(
    ("labels", "probabilities", "said"),
    [
        (np.zeros(8, dtype=int), PAIR, "every class"),
        (LABELS[:4], PAIR, "one row of probabilities per label"),
        (LABELS, np.where(PAIR > 0.85, np.nan, PAIR), "finite"),
    ],
)
def test_what_cannot_be_measured_is_refused(labels, probabilities, said):
    with pytest.raises(DataError, match=said):
        measure(labels, probabilities, {}, EVEN)
