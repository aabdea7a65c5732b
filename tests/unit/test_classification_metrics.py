"""Metrics of one classifier against confusion tables worked by hand."""

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import roc_auc_score

from ganbalance.errors import DataError
from ganbalance.metrics.calibration import Rule
from ganbalance.metrics.classification import Settled, held_out_macro, held_out_ranking, measure, primary, ranking
from tests.unit.planted import of_margin, scores, settings, with_pairs

# threshold .5: TP 3 (.9 .8 .6), FN 1 (.3), FP 1 (.7), TN 3
LABELS = np.array([1, 1, 1, 1, 0, 0, 0, 0])
POSITIVE = np.array([0.9, 0.8, 0.6, 0.3, 0.7, 0.4, 0.2, 0.1])
MARGIN = np.log(POSITIVE / (1 - POSITIVE))
EVEN = np.array([0.5, 0.5])
PLAIN = Rule(1.0, np.zeros(2))


def of_many(k: int, seed: int = 0):
    """A cell of K classes of unequal sizes at two strengths, with held-out images; the last two classes are rare."""
    rng = np.random.default_rng(seed)
    labels, others = np.repeat(np.arange(k), 50 - 8 * np.arange(k)), np.repeat(np.arange(k), 30 - 4 * np.arange(k))
    made = [rng.normal(size=(2, len(own), k)) + np.eye(k)[own] for own in (labels, others)]
    return with_pairs(scores(made[0], labels, made[1], others), (k - 2, k - 1))


def measured(fair: Rule = PLAIN, prior: np.ndarray = EVEN, margin: np.ndarray = MARGIN, **levels) -> dict[str, float]:
    found = measure(scores(of_margin(margin), LABELS), Settled(0, 0, fair), settings(deployment_prior=prior, **levels))
    return {name: float(value[0]) for name, value in found.items()}


def test_a_pair_is_measured_as_worked_by_hand():
    found = measured()
    assert found["auc"] == pytest.approx((4 + 4 + 3 + 2) / 16)
    assert found["average_precision"] == pytest.approx((1 + 1 + 3 / 4 + 4 / 6) / 4)
    for name in ("accuracy", "precision", "recall", "f1", "balanced_accuracy"):
        assert found[f"{name}@as-trained"] == pytest.approx(0.75), name
    assert found["brier@as-trained"] == pytest.approx(np.mean((POSITIVE - LABELS) ** 2))
    assert found["log_loss@as-trained"] == pytest.approx(-np.log(np.where(LABELS, POSITIVE, 1 - POSITIVE)).mean())


def test_each_rule_is_measured_under_its_own_name():
    # with an offset of 1 the images at .3 and .4 turn positive as well: TP 4, FP 2
    found = measured(fair=Rule(1.0, np.array([0, 1.0])))
    assert found["recall@fair"] == 1.0
    assert found["precision@fair"] == pytest.approx(4 / 6)
    assert found["recall@as-trained"] == 0.75


def test_the_rule_of_deployment_is_the_fair_one_under_the_deployment_prior():
    # odds of 9 to 1 against: none but .9 itself, whose odds are 9, stays positive; a little more and it is
    found = measured(fair=Rule(1.0, np.array([0, 0.01])), prior=np.array([0.9, 0.1]))
    assert found["deployed_precision@deployment"] == 1.0
    assert found["deployed_f1@deployment"] == pytest.approx(2 * 0.25 / 1.25)
    assert measured(fair=Rule(1.0, np.array([0, -0.01])), prior=np.array([0.9, 0.1]))["deployed_f1@deployment"] == 0.0


def test_without_held_out_images_there_is_no_fair_rule_and_no_metric_of_it():
    found = measure(scores(of_margin(MARGIN), LABELS), Settled(0, 0, None), settings())
    assert not [name for name in found if name.endswith(("@fair", "@deployment"))]
    assert "accuracy@as-trained" in found


def test_a_rare_positive_class_at_deployment_lowers_precision_but_not_recall():
    found = measured(prior=np.array([0.9, 0.1]))
    precision = 0.75 * 0.1 / (0.75 * 0.1 + 0.25 * 0.9)
    assert found["deployed_precision@as-trained"] == pytest.approx(precision)
    assert found["deployed_f1@as-trained"] == pytest.approx(2 * precision * 0.75 / (precision + 0.75))
    ranked = [1.0, 1.0, 0.3 / (0.3 + 0.9), 0.4 / (0.4 + 1.8)]  # share .1 x TP against .9 x FP at each positive
    assert found["deployed_average_precision"] == pytest.approx(np.mean(ranked))
    assert found["recall@as-trained"] == 0.75


def test_recall_at_a_precision_and_precision_at_a_recall_are_those_of_the_best_threshold():
    found = measured(precision_levels=(0.5, 0.75, 0.9), recall_levels=(0.5, 0.8))
    assert found["recall_at_precision_0.9"] == 0.5  # .9 and .8 come before the first false one
    assert found["recall_at_precision_0.75"] == 0.75  # exactly 3 of 4: a level is met by equality
    assert found["recall_at_precision_0.5"] == 1.0
    assert found["precision_at_recall_0.5"] == 1.0
    assert found["precision_at_recall_0.8"] == pytest.approx(4 / 6)


def test_no_threshold_that_is_precise_enough_is_a_recall_of_zero():
    worst = measured(margin=-MARGIN, prior=np.array([0.9, 0.1]), precision_levels=(0.9,))
    assert worst["recall_at_precision_0.9"] == 0.0


def test_saturated_probabilities_still_rank():
    found = measured(margin=100 + MARGIN)
    assert found["auc"] == pytest.approx(13 / 16)


def test_many_classes_are_averaged_over_the_classes_and_not_over_the_images():
    labels = np.array([0, 0, 0, 0, 1, 2])
    cell = scores(2.0 * np.eye(3)[[0, 0, 0, 0, 2, 2]], labels)
    found = measure(cell, Settled(0, 0, None), settings(3))
    assert found["accuracy@as-trained"] == pytest.approx(5 / 6)
    assert found["recall@as-trained"] == pytest.approx(2 / 3)
    assert found["balanced_accuracy@as-trained"] == pytest.approx(2 / 3)
    assert found["precision@as-trained"] == pytest.approx((1 + 0 + 0.5) / 3)
    assert found["f1@as-trained"] == pytest.approx((1 + 0 + 2 / 3) / 3)
    # class 1 against the rest: below the other image of its predicted class, tied with the four zeros
    assert found["auc"] == pytest.approx((1 + 0.5 * 5 / 5 + (4 + 0.5) / 5) / 3)
    assert found["auc/2"] == pytest.approx((4 + 0.5) / 5)
    assert (found["recall/2@as-trained"], found["precision/2@as-trained"]) == (1.0, 0.5)
    assert "recall/1@as-trained" not in found


def test_a_test_set_may_be_larger_than_a_draw_counts():
    rng = np.random.default_rng(0)
    labels = np.arange(100_000) % 2
    margin = rng.normal(size=len(labels)) + labels
    found = measure(scores(of_margin(margin), labels), Settled(0, 0, None), settings())
    assert found["auc"] == pytest.approx(roc_auc_score(labels, margin))


def test_only_differences_of_logits_count():
    shifted = of_margin(MARGIN) + np.arange(8.0)[:, None]
    found = measure(scores(shifted, LABELS), Settled(0, 0, PLAIN), settings(deployment_prior=EVEN))
    assert {name: value.item() for name, value in found.items()} == pytest.approx(measured())


def test_levels_of_a_pair_are_those_of_the_positive_class_whichever_is_rare():
    asked = {"precision_levels": (0.9,), "recall_levels": (0.8,)}
    assert measured(**asked) == measured(**asked, rare=(0,))
    assert "auc/0" not in measured(rare=(0,))


def test_held_out_images_are_ranked_with_labels_of_their_own():
    cell, asked = of_many(4), settings(4, rare=(2, 3))
    swapped = with_pairs(scores(cell.held_out, cell.held_out_labels), (2, 3))
    weights = np.random.default_rng(2).integers(1, 4, (3, len(cell.held_out_labels))).astype(np.int16)
    assert held_out_ranking(cell, asked, weights) == pytest.approx(
        np.stack([ranking(swapped, g, asked, weights) for g in (0, 1)], axis=1)
    )


def test_the_primary_metric_is_auc_for_two_classes_and_that_of_pairs_for_more():
    assert [primary(k) for k in (2, 3, 10)] == ["auc", "pairwise_auc", "pairwise_auc"]


def test_held_out_images_of_a_pair_are_ranked_with_labels_of_their_own():
    labels = np.repeat([0, 1], 4)
    cell = scores(of_margin(np.stack([MARGIN, -MARGIN])), LABELS, of_margin(np.stack([-MARGIN, MARGIN])), labels)
    once = np.ones((1, 8), np.int16)
    assert [ranking(cell, g, settings(), once).item() for g in (0, 1)] == [13 / 16, 3 / 16]
    # the other way round twice: labels and margins
    assert held_out_ranking(cell, settings(), once).tolist() == [[13 / 16, 3 / 16]]


def test_the_macro_auc_of_held_out_images_is_that_of_the_rule_as_trained():
    cell = of_many(3)
    cell = scores(cell.test, cell.test_labels, cell.held_out, cell.held_out_labels, scale=np.array([2.0, 0.5]),
                  offsets=np.array([[0, 1.0, -1.0], [0, 0.5, 2.0]]))  # fmt: skip
    weights = np.random.default_rng(2).integers(1, 4, (3, len(cell.held_out_labels))).astype(np.int16)
    p_GVK = softmax(cell.scale[:, None, None] * cell.held_out + cell.offsets[:, None], axis=2)
    theirs = [
        [
            roc_auc_score(cell.held_out_labels, p_VK, multi_class="ovr", average="macro", sample_weight=row)
            for p_VK in p_GVK
        ]
        for row in weights
    ]
    assert held_out_macro(cell, weights) == pytest.approx(np.array(theirs))


def test_pairwise_auc_averages_the_pairs_of_each_rare_class_and_then_the_rare_classes():
    rng = np.random.default_rng(0)
    labels = np.arange(200) % 4
    cell = with_pairs(scores(rng.normal(size=(200, 4)) + 0.8 * np.eye(4)[labels], labels), (2, 3))
    found = measure(cell, Settled(0, 0, None), settings(4, rare=(2, 3)))

    def of_pair(low: int, high: int) -> float:
        margin = cell.test[0, :, high] - cell.test[0, :, low]
        above = margin[labels == high][:, None] > margin[labels == low]
        return float(above.mean())

    two = np.mean([of_pair(0, 2), of_pair(1, 2), of_pair(2, 3)])
    three = np.mean([of_pair(0, 3), of_pair(1, 3), of_pair(2, 3)])
    assert found["pairwise_auc/2"] == pytest.approx(two)
    assert found["pairwise_auc/3"] == pytest.approx(three)
    assert found["pairwise_auc"] == pytest.approx((two + three) / 2)
    assert found["pairwise_auc/2-3"] == pytest.approx(of_pair(2, 3))
    assert "pairwise_auc/0-2" not in found


def test_a_classifier_that_never_says_positive_has_precision_zero_and_no_warning():
    found = measured(fair=Rule(1.0, np.array([0.0, -99.0])))
    assert found["precision@fair"] == found["f1@fair"] == found["deployed_precision@deployment"] == 0.0
    assert found["balanced_accuracy@fair"] == 0.5


@pytest.mark.parametrize(
    ("logits", "labels", "said"),
    [
        (of_margin(MARGIN), np.zeros(8, int), "every class"),
        (of_margin(MARGIN), LABELS[:4], "do not fit"),
        (of_margin(np.where(MARGIN > 1, np.nan, MARGIN)), LABELS, "finite"),
    ],
)
def test_what_cannot_be_measured_is_refused(logits, labels, said):
    with pytest.raises(DataError, match=said):
        scores(logits, labels)
