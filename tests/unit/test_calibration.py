"""Rules give probabilities one meaning at every strength and under every mix, and change no order of two classes."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit, log_softmax, softmax
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from ganbalance import arms
from ganbalance.errors import DataError
from ganbalance.metrics.calibration import Rule, fit, fit_fair
from ganbalance.training import head

RNG = np.random.default_rng(0)


def pair(margins: np.ndarray) -> np.ndarray:
    return np.stack([np.zeros_like(margins), margins], axis=1)


def some(classes: int, n: int = 400, signal: float = 1.5) -> tuple[np.ndarray, np.ndarray]:
    """Logits that tell the classes apart, not perfectly; class 0 is the most frequent."""
    rng = np.random.default_rng(classes)
    shares = np.arange(classes, 0, -1) / np.arange(classes, 0, -1).sum()
    labels = np.append(np.arange(classes), rng.choice(classes, n - classes, p=shares))
    return rng.normal(size=(n, classes)) + signal * np.eye(classes)[labels], labels


def smoothed(labels: np.ndarray, classes: int) -> np.ndarray:
    """Platt's targets, (n + 1) / (n + 2) for a class of n images, written out."""
    targets = np.empty((len(labels), classes))
    for row, label in enumerate(labels):
        n = int((labels == label).sum())
        targets[row] = (1 / (n + 2)) / (classes - 1)
        targets[row, label] = (n + 1) / (n + 2)
    return targets


def test_the_rule_of_two_classes_is_logistic_regression_on_their_log_odds() -> None:
    logits, labels = some(2)
    weights = RNG.uniform(0.2, 3, len(labels))
    margins = logits[:, 1] - logits[:, 0]
    towards_one = smoothed(labels, 2)[:, 1]
    theirs = LogisticRegression(C=np.inf, tol=1e-10).fit(  # every image twice, weighted by its target
        np.tile(margins, 2)[:, None],
        np.repeat([1, 0], len(labels)),
        np.concatenate([weights * towards_one, weights * (1 - towards_one)]),
    )
    found = fit(logits, labels, weights)
    assert found.scale == pytest.approx(theirs.coef_.item(), rel=1e-4)
    assert found.offsets[1] - found.offsets[0] == pytest.approx(theirs.intercept_.item(), abs=1e-4)


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_the_rule_has_the_smallest_cross_entropy_of_one_scale_and_an_offset_per_class(classes: int) -> None:
    logits, labels = some(classes)
    weights = RNG.uniform(0.2, 3, len(labels))
    targets = smoothed(labels, classes)

    def entropy(parameters: np.ndarray) -> float:
        log_p = log_softmax(parameters[0] * logits + np.append(0, parameters[1:]), axis=1)
        return float(-np.average((targets * log_p).sum(axis=1), weights=weights))

    theirs = minimize(entropy, np.append(1.0, np.zeros(classes - 1)), method="L-BFGS-B", options={"ftol": 1e-14})
    found = fit(logits, labels, weights)
    assert found.scale == pytest.approx(theirs.x[0], rel=2e-3)
    assert found.offsets - found.offsets[0] == pytest.approx(np.append(0, theirs.x[1:]), abs=5e-3)
    assert entropy(np.append(found.scale, (found.offsets - found.offsets[0])[1:])) <= theirs.fun + 1e-9


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_the_fair_rule_weighs_every_class_the_same(classes: int) -> None:
    logits, labels = some(classes, n=900)
    counts = np.bincount(labels, minlength=classes)
    assert counts.max() > 1.9 * counts.min()
    found, weights = fit_fair(logits, labels), 1 / counts[labels]
    mean = np.average(softmax(found.scale * logits + found.offsets, axis=1), axis=0, weights=weights)
    wanted = np.average(smoothed(labels, classes), axis=0, weights=weights)
    assert mean == pytest.approx(wanted, abs=1e-5)  # what no offset could improve
    assert mean == pytest.approx(np.full(classes, 1 / classes), abs=0.01)
    plain = np.exp(fit(logits, labels, np.ones(900)).log_probabilities(logits)).mean(axis=0)
    assert plain == pytest.approx(counts / 900, abs=0.01)


def test_the_fair_rule_of_two_classes_is_balanced_logistic_regression() -> None:
    logits, labels = some(2, n=6000)
    theirs = LogisticRegression(C=np.inf, class_weight="balanced").fit((logits[:, 1] - logits[:, 0])[:, None], labels)
    found = fit_fair(logits, labels)
    assert found.scale == pytest.approx(theirs.coef_.item(), rel=0.01)  # its targets are not smoothed
    assert found.offsets[1] - found.offsets[0] == pytest.approx(theirs.intercept_.item(), abs=0.02)


@pytest.mark.parametrize("classes", [2, 3, 10])
@pytest.mark.parametrize("unit", [1e-6, 1e6])
def test_logits_in_other_units_are_decided_alike(classes: int, unit: float) -> None:
    logits, labels = some(classes)
    one, other = fit_fair(logits, labels), fit_fair(unit * logits, labels)
    assert other.scale == pytest.approx(one.scale / unit, rel=1e-6)
    assert np.array_equal(other.decide(unit * logits), one.decide(logits))
    assert len(np.unique(one.decide(logits))) == classes


@pytest.mark.parametrize("classes", [2, 3])
def test_what_the_logits_of_an_image_have_in_common_says_nothing(classes: int) -> None:
    logits, labels = some(classes)
    common = 1e6 * np.random.default_rng(0).normal(size=(len(labels), 1))
    one, other = fit_fair(logits, labels), fit_fair(logits + common, labels)
    assert other.scale == pytest.approx(one.scale, rel=1e-4)
    assert other.offsets == pytest.approx(one.offsets, abs=1e-4)


@pytest.mark.parametrize("classes", [2, 3, 10])
@pytest.mark.parametrize("far", [1e3, -1e6])
def test_classes_that_lie_far_from_0_are_decided_alike(classes: int, far: float) -> None:
    logits, labels = some(classes)
    moved = logits + far * np.arange(classes)
    one, other = fit_fair(logits, labels), fit_fair(moved, labels)
    assert other.scale == pytest.approx(one.scale, rel=1e-6)
    assert np.array_equal(other.decide(moved), one.decide(logits))


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_logits_that_rank_the_wrong_way_end_with_a_scale_near_0_and_no_error(classes: int) -> None:
    logits, labels = some(classes)
    found = fit_fair(-logits, labels)
    assert 0 < found.scale < 1e-3
    assert np.exp(found.log_probabilities(-logits)) == pytest.approx(np.full(logits.shape, 1 / classes), abs=0.02)


def test_logits_without_any_spread_get_the_shares_of_the_weights() -> None:
    found = fit(np.zeros((400, 2)), np.repeat([0, 1], [300, 100]), np.ones(400))
    assert np.exp(found.log_probabilities(np.zeros((1, 2))))[0] == pytest.approx([0.75, 0.25], abs=5e-3)


@pytest.mark.parametrize("signal", [-2.0, 0.0, 0.5, 5.0, 500.0])
@pytest.mark.parametrize("classes", [2, 3, 10])
def test_the_scale_is_positive_and_finite_whatever_the_logits_say(classes: int, signal: float) -> None:
    found = fit_fair(*some(classes, signal=signal))
    assert 0 < found.scale < np.inf
    assert np.isfinite(found.offsets).all()


def test_the_order_of_two_classes_stays_and_so_does_auc() -> None:
    labels = RNG.integers(0, 2, 500)
    margins = RNG.normal(size=500) + labels
    log_p = fit(pair(margins), labels, np.ones(500)).log_probabilities(pair(margins))
    assert np.array_equal(np.argsort(log_p[:, 1] - log_p[:, 0]), np.argsort(margins))
    assert roc_auc_score(labels, log_p[:, 1] - log_p[:, 0]) == roc_auc_score(labels, margins)


def test_a_rule_gives_softmax_of_scaled_and_shifted_logits() -> None:
    logits, rule = RNG.normal(size=(7, 3)), Rule(2.5, np.array([0.0, -1.0, 0.4]))
    by_hand = np.exp(2.5 * logits + np.array([0.0, -1.0, 0.4]))
    by_hand /= by_hand.sum(axis=1, keepdims=True)
    assert np.exp(rule.log_probabilities(logits)) == pytest.approx(by_hand, rel=1e-12)
    assert np.array_equal(rule.decide(logits), by_hand.argmax(axis=1))
    assert rule.decide(logits).dtype == np.int64


def test_images_whose_probability_rounds_to_1_keep_their_order() -> None:
    logits = pair(np.array([800.0, 900.0]))
    log_p = Rule(1.0, np.zeros(2)).log_probabilities(logits)
    assert np.exp(log_p[:, 1]).tolist() == [1.0, 1.0]
    assert log_p[:, 0] == pytest.approx([-800, -900])


def test_a_tie_is_decided_for_the_first_class() -> None:
    assert Rule(1.0, np.zeros(3)).decide(np.zeros((2, 3))).tolist() == [0, 0]


def test_the_decision_is_the_most_probable_class_after_the_offsets() -> None:
    logits = pair(np.array([-0.1, 0.1, 0.9, 1.1]))
    assert Rule(1.0, np.zeros(2)).decide(logits).tolist() == [0, 1, 1, 1]
    assert Rule(1.0, np.array([1.0, 0.0])).decide(logits).tolist() == [0, 0, 0, 1]
    assert Rule(2.0, np.array([1.0, 0.0])).decide(logits).tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("learned", "wanted"),
    [([0.9, 0.1], None), ([0.9, 0.1], [0.3, 0.7]), ([0.7, 0.2, 0.1], None), ([0.7, 0.2, 0.1], [0.1, 0.1, 0.8])],
)
def test_another_prior_is_bayes_theorem(learned: list[float], wanted: list[float] | None) -> None:
    classes = len(learned)
    logits = RNG.normal(size=(20, classes))
    rule = Rule(1.3, RNG.normal(size=classes))
    shares = np.full(classes, 1 / classes) if wanted is None else np.array(wanted)
    odds = np.exp(rule.log_probabilities(logits)) * shares / np.array(learned)
    by_bayes = odds / odds.sum(axis=1, keepdims=True)
    moved = rule.for_prior(learned, wanted)
    assert np.exp(moved.log_probabilities(logits)) == pytest.approx(by_bayes, rel=1e-12)
    assert moved.scale == rule.scale
    back = moved.for_prior(shares, learned)
    assert back.log_probabilities(logits) == pytest.approx(rule.log_probabilities(logits), abs=1e-12)


def test_the_prior_it_was_learned_under_changes_nothing() -> None:
    rule = Rule(2.0, np.array([0.3, -0.3]))
    assert rule.for_prior([0.8, 0.2], [0.8, 0.2]).offsets == pytest.approx(rule.offsets, abs=1e-15)


@pytest.mark.parametrize("prior", [[1.0, 0.0], [0.7, 0.7], [1.2, -0.2]])
def test_a_prior_without_a_share_for_every_class_is_refused(prior: list[float]) -> None:
    with pytest.raises(DataError, match="one positive share per class"):
        Rule(1.0, np.zeros(2)).for_prior(prior)
    with pytest.raises(DataError, match="one positive share per class"):
        Rule(1.0, np.zeros(2)).for_prior([0.5, 0.5], prior)


def test_shrunken_scores_are_scaled_back_to_the_probabilities_they_came_from() -> None:
    truth = RNG.normal(-1, 2, 40_000)
    labels = (RNG.random(40_000) < expit(truth)).astype(np.int64)
    shrunk = pair(0.05 * truth + 0.3)
    found = fit(shrunk, labels, np.ones(40_000))
    assert found.scale == pytest.approx(20, rel=0.05)
    assert np.exp(found.log_probabilities(shrunk))[:, 1] == pytest.approx(expit(truth), abs=0.02)


def test_many_classes_are_scaled_back_too() -> None:
    truth = RNG.normal(0, 2, (40_000, 3)) + np.array([0, 1, -1])
    chances = softmax(truth, axis=1)
    labels = (RNG.random((40_000, 1)) > chances.cumsum(axis=1)).sum(axis=1)
    shrunk = 0.1 * (truth - np.array([0, 1, -1]))
    found = fit(shrunk, labels, np.ones(40_000))
    assert np.exp(found.log_probabilities(shrunk)) == pytest.approx(chances, abs=0.03)


def test_the_mean_probability_is_the_share_of_the_class_in_the_weights() -> None:
    labels = (RNG.random(5000) < 0.1).astype(np.int64)
    margins = RNG.normal(size=5000) + 2 * labels
    weights = np.where(labels == 1, 9.0, 1.0)
    found = np.exp(fit(pair(margins), labels, weights).log_probabilities(pair(margins)))
    assert np.average(found[:, 1], weights=weights) == pytest.approx(np.average(labels, weights=weights), abs=2e-3)


def test_classes_told_apart_perfectly_keep_finite_probabilities() -> None:
    labels = np.repeat([0, 1], [95, 5])
    margins = np.where(labels == 1, 1.0, -1.0)
    found = fit(pair(margins), labels, np.ones(100))
    probabilities = np.exp(found.log_probabilities(pair(margins)))
    assert np.isfinite(found.scale)
    assert probabilities[labels == 1, 1] == pytest.approx(6 / 7, abs=0.01)  # Platt's (n + 1) / (n + 2)
    assert probabilities[labels == 0, 0] == pytest.approx(96 / 97, abs=0.01)


def test_half_means_the_same_at_every_strength_of_the_penalty() -> None:
    rng = np.random.default_rng(0)
    labels = (rng.random(2000) < 0.2).astype(np.int64)
    features = (rng.normal(size=(2000, 20)) + 0.7 * labels[:, None]).astype(np.float32)
    train = arms.Examples(features[:1000], labels[:1000], np.ones(1000))
    scaler = head.fit_scaler(train.inputs)
    plain = arms.objective("cross-entropy")
    solved = head.fit(train, scaler=scaler, grid=[30.0, 0.01], objective=plain, on_progress=lambda done, total: None)
    strong, weak = (
        balanced_accuracy_score(labels[1000:], fit(learned, train.labels, train.weights).decide(tested))
        for learned, tested in zip(solved.logits(train.inputs), solved.logits(features[1000:]), strict=True)
    )
    assert strong == pytest.approx(weak, abs=0.02)
    assert strong > 0.9
    raw = solved.logits(features[1000:])[0].argmax(axis=1)
    assert balanced_accuracy_score(labels[1000:], raw) == 0.5  # not scaled back, every image is of the larger class


@pytest.mark.filterwarnings("error")
def test_few_images_of_a_class_that_lie_extremely_far_from_the_others_are_decided_right_without_a_warning() -> None:
    labels = np.repeat([1, 0], [3, 3000])
    logits = pair(np.where(labels == 1, 1e6, -1e6))
    found = fit_fair(logits, labels)
    probabilities = np.exp(found.log_probabilities(logits))
    assert 0 < found.scale < np.inf
    assert np.isfinite(found.offsets).all()
    assert np.array_equal(found.decide(logits), labels)
    assert probabilities[labels == 1, 1] == pytest.approx(4 / 5, abs=1e-4)  # Platt's (n + 1) / (n + 2)
    assert probabilities[labels == 0, 0] == pytest.approx(3001 / 3002, abs=1e-4)
