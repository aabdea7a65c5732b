"""Every metric of one classifier on the test set, as it is and on bootstrap draws of its images.

Names: `auc` and `average_precision` need no threshold; `recall@fair` is recall under the decision rule "fair";
`auc/3` is that of class 3 alone, where there are more than two. Names that start with `deployed_` weight the test
images so that the class shares are those at deployment: a balanced test set flatters precision, F1 and average
precision of a rare class.
Two classes: of the positive class, 1. More: macro averages, AUC and average precision one-vs-rest, but the ranking at
deployment is that of the rare classes, and each rare class has rows of its own. Verdicts rest on `pairwise_auc`: after
Hand & Till 2001, "A simple generalisation of the area under the ROC curve for multiple class classification problems",
eq. 7, but by two-class heads and over the pairs that hold a rare class.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ganbalance.metrics import decisions
from ganbalance.metrics.calibration import Floats, Ints, Rule
from ganbalance.metrics.decisions.base import DecisionMetric
from ganbalance.metrics.scores import PAIR, Scores, of_pair
from ganbalance.metrics.weighted import Curve, Decided, Order, confusions, deployment_factors

AS_TRAINED, FAIR, DEPLOYMENT = "as-trained", "fair", "deployment"
DECIDED = ("accuracy", "precision", "recall", "f1", "balanced_accuracy", "brier", "log_loss")
"""Metrics of the rules "as-trained" and "fair", beside what else is in `decisions`; the last two are of its
probabilities, classes weighted equally."""
DEPLOYED = ("deployed_precision", "deployed_f1")
"""Metrics of the rules "as-trained" and "deployment"."""

_BLOCK_VALUES = 2**18
"""Weights per block of draws: 2 MB of float64."""


def primary(k: int) -> str:
    """Name the metric of ranking that a verdict on K classes rests on: no shift of a class's scores moves it."""
    return "auc" if k == PAIR else "pairwise_auc"


@dataclass(frozen=True)
class Settings:
    """What the metrics of a run share: rare classes, class shares at deployment, and the levels of fixed metrics."""

    rare: tuple[int, ...]
    deployment_prior: Floats  # (K,)
    precision_levels: tuple[float, ...] = ()
    recall_levels: tuple[float, ...] = ()


@dataclass(frozen=True)
class Settled:
    """What was chosen and fitted for one arm, from the held-out images of some seeds.

    `strength` is the place in the grid of the head of all classes, `pair_strength` of the heads of pairs;
    `fair` is None where nothing was held out.
    """

    strength: int
    pair_strength: int
    fair: Rule | None

    def rules(self, scores: Scores, deployment_prior_K: Floats) -> dict[str, Rule]:
        """Collect every decision rule of one cell by name."""
        found = {AS_TRAINED: scores.as_trained(self.strength)}
        if self.fair is not None:
            equal = np.full(scores.classes, 1 / scores.classes)
            found |= {FAIR: self.fair, DEPLOYMENT: self.fair.for_prior(equal, deployment_prior_K)}
        return found


def measure(
    scores: Scores, settled: Settled, settings: Settings, weights_BT: np.ndarray | None = None
) -> dict[str, Floats]:
    """Compute metrics, name -> float64 (B,): row b is of the test set in which image t appears weights_BT[b, t] times.

    Without weights, the test set as it is: (1,). Every draw must hold every class (DataError).
    """
    weights = np.ones((1, len(scores.test_labels)), np.int16) if weights_BT is None else weights_BT
    cell = _Cell.of(scores, settled, settings)
    parts = [cell.measured(weights_TC) for weights_TC in _blocks(weights)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def ranking(scores: Scores, strength: int, settings: Settings, weights_BT: np.ndarray) -> Floats:
    """Compute the primary metric alone at one strength, float64 (B,)."""
    pairs = {pair: found.test[strength] for pair, found in scores.ranked_pairs().items()}
    return _ranking(pairs, scores.test_labels, scores.classes, settings, weights_BT)


def held_out_ranking(scores: Scores, settings: Settings, weights_BV: np.ndarray) -> Floats:
    """Compute the primary metric on weighted held-out images at every strength, float64 (B, G)."""
    return np.stack(
        [
            _ranking(
                {pair: found.held_out[strength] for pair, found in scores.ranked_pairs().items()},
                scores.held_out_labels,
                scores.classes,
                settings,
                weights_BV,
            )
            for strength in range(len(scores.strengths))
        ],
        axis=1,
    )


def held_out_macro(scores: Scores, weights_BV: np.ndarray) -> Floats:
    """Compute macro one-vs-rest AUC of the probabilities under equal class shares, at every strength, float64 (B, G).

    Not under those of the training mix: an arm that only shifts them would be tuned differently.
    """
    labels, weights_VB = scores.held_out_labels, weights_BV.T.astype(np.float64)
    found = []
    for strength, logits in enumerate(scores.held_out):
        log_p = scores.at_equal_shares(strength).log_probabilities(logits)
        orders = [Order.of(labels == c, _log_odds(log_p, c)) for c in range(scores.classes)]
        found.append(np.mean([order.curve(weights_VB).auc() for order in orders], axis=0))
    return np.stack(found, axis=1)


def _ranking(
    pairs: Mapping[tuple[int, int], Floats], labels_N: Ints, k: int, settings: Settings, weights_BN: np.ndarray
) -> Floats:
    """Compute the primary metric of log odds (n,) by pair, on draws of images with these labels, float64 (B,)."""
    orders = _pair_orders(pairs, labels_N)
    found = [_mean_over_rare(_aucs(orders, weights_NC), settings.rare, k) for weights_NC in _blocks(weights_BN)]
    return np.concatenate(found)


def _pair_orders(pairs: Mapping[tuple[int, int], Floats], labels_N: Ints) -> dict[tuple[int, int], Order]:
    """Order the images of each pair by its log odds (n,)."""
    rows = {pair: np.nonzero(of_pair(labels_N, pair))[0] for pair in pairs}
    return {pair: Order.of(labels_N[rows[pair]] == pair[1], odds, rows[pair]) for pair, odds in pairs.items()}


def _aucs(orders: Mapping[tuple[int, int], Order], weights_NC: Floats) -> dict[tuple[int, int], Floats]:
    return {pair: order.curve(weights_NC).auc() for pair, order in orders.items()}


def _blocks(weights_BN: np.ndarray) -> Iterator[Floats]:
    """Yield blocks of draws as float64 (N, C), small enough that the passes over one stay in cache."""
    block = max(1, _BLOCK_VALUES // weights_BN.shape[1])
    for start in range(0, len(weights_BN), block):
        yield np.ascontiguousarray(weights_BN[start : start + block].T, dtype=np.float64)


def _mean_over_rare(pairs: Mapping[tuple[int, int], Floats], rare: Sequence[int], k: int) -> Floats:
    """Average over the K - 1 pairs of each rare class, then over the rare classes."""
    if k == PAIR:
        return pairs[0, 1]
    of_rare = [np.mean([value for pair, value in pairs.items() if c in pair], axis=0) for c in rare]
    return np.asarray(np.mean(of_rare, axis=0), dtype=np.float64)


@dataclass(frozen=True)
class _Cell:
    """One classifier, sorted and decided once for all draws."""

    labels: Ints
    k: int
    settings: Settings
    one_vs_rest: dict[int, Order]
    deployed: dict[int, Order]
    pairs: dict[tuple[int, int], Order]
    predicted: dict[str, Ints]
    decisions: dict[str, DecisionMetric]
    losses: dict[str, Floats] = field(default_factory=dict)  # rule -> (2, T): Brier and log loss of each image

    @classmethod
    def of(cls, scores: Scores, settled: Settled, settings: Settings) -> "_Cell":
        labels, k = scores.test_labels, scores.classes
        logits = scores.test[settled.strength]
        rules = settled.rules(scores, settings.deployment_prior)
        log_p = {name: rule.log_probabilities(logits) for name, rule in rules.items()}
        if k == PAIR:
            margin = logits[:, 1] - logits[:, 0]  # exact where probabilities would be tied
            one_vs_rest, deployed = {1: Order.of(labels == 1, margin)}, {}
        else:
            one_vs_rest = {c: Order.of(labels == c, _log_odds(log_p[AS_TRAINED], c)) for c in range(k)}
            shown = log_p.get(DEPLOYMENT, log_p[AS_TRAINED])
            deployed = {c: Order.of(labels == c, _log_odds(shown, c)) for c in settings.rare}
        odds = {pair: found.test[settled.pair_strength] for pair, found in scores.pairs.items()}
        return cls(
            labels=labels,
            k=k,
            settings=settings,
            one_vs_rest=one_vs_rest,
            deployed=deployed,
            pairs=_pair_orders(odds, labels),
            predicted={name: rule.decide(logits) for name, rule in rules.items()},
            decisions=decisions.load(),
            losses={name: _losses(log_p[name], labels) for name in rules if name != DEPLOYMENT},
        )

    def measured(self, weights_TC: Floats) -> dict[str, Floats]:
        """Compute every metric of a block of draws, float64 (C,) each."""
        factors_KC = deployment_factors(self.labels, weights_TC, self.settings.deployment_prior)
        curves = {c: order.curve(weights_TC) for c, order in self.one_vs_rest.items()}
        if self.k == PAIR:
            deployed = {c: curve.weighted(factors_KC[c], factors_KC[1 - c]) for c, curve in curves.items()}
        else:
            deployed_TC = weights_TC * factors_KC[self.labels]
            deployed = {c: order.curve(deployed_TC) for c, order in self.deployed.items()}
        return (
            self._ranked(curves)
            | self._deployed(deployed)
            | self._paired(weights_TC)
            | self._decided(weights_TC, factors_KC)
        )

    def _ranked(self, curves: Mapping[int, Curve]) -> dict[str, Floats]:
        of_class = {c: curve.auc() for c, curve in curves.items()}
        found = {
            "auc": _mean(list(of_class.values())),
            "average_precision": _mean([curve.average_precision() for curve in curves.values()]),
        }
        return found | {f"auc/{c}": of_class[c] for c in self._own_rows}

    def _deployed(self, curves: Mapping[int, Curve]) -> dict[str, Floats]:
        found = {"deployed_average_precision": _mean([curve.average_precision() for curve in curves.values()])}
        for level in self.settings.precision_levels:
            recalls = [curve.recall_at_precision(level) for curve in curves.values()]
            found[f"recall_at_precision_{level:g}"] = _mean(recalls)
        for level in self.settings.recall_levels:
            precisions = [curve.precision_at_recall(level) for curve in curves.values()]
            found[f"precision_at_recall_{level:g}"] = _mean(precisions)
        return found

    def _paired(self, weights_TC: Floats) -> dict[str, Floats]:
        pairs = _aucs(self.pairs, weights_TC)
        if not pairs:
            return {}
        found = {"pairwise_auc": _mean_over_rare(pairs, self.settings.rare, self.k)}
        found |= {f"pairwise_auc/{c}": _mean_over_rare(pairs, [c], self.k) for c in self._own_rows}
        both_rare = [pair for pair in pairs if set(pair) <= set(self.settings.rare)]
        return found | {f"pairwise_auc/{low}-{high}": pairs[low, high] for low, high in both_rare}

    def _decided(self, weights_TC: Floats, factors_KC: Floats) -> dict[str, Floats]:
        found: dict[str, Floats] = {}
        averaged = [1] if self.k == PAIR else list(range(self.k))
        for rule, predicted in self.predicted.items():
            counts_CKK = confusions(self.labels, predicted, weights_TC, self.k)
            if rule != FAIR:
                deployed = Decided(counts_CKK * factors_KC.T[:, :, None])
                found[f"deployed_precision@{rule}"] = deployed.precision[:, averaged].mean(axis=1)
                found[f"deployed_f1@{rule}"] = deployed.f1[:, averaged].mean(axis=1)
            if rule == DEPLOYMENT:
                continue
            decided = Decided(counts_CKK)
            of_class = {"precision": decided.precision, "recall": decided.recall, "f1": decided.f1}
            found |= {f"{name}@{rule}": metric.of(decided) for name, metric in self.decisions.items()}
            for metric, values_CK in of_class.items():
                found[f"{metric}@{rule}"] = values_CK[:, averaged].mean(axis=1)
                found |= {f"{metric}/{c}@{rule}": values_CK[:, c] for c in self._own_rows}
            brier, log_loss = self._equally(self.losses[rule], weights_TC)
            found |= {f"brier@{rule}": brier, f"log_loss@{rule}": log_loss}
        return found

    def _equally(self, losses_LT: Floats, weights_TC: Floats) -> Floats:
        """Average per-image losses so that every class weighs the same, float64 (L, C)."""
        of_class_KT = (self.labels == np.arange(self.k)[:, None]).astype(np.float64)
        sums_LKC = (losses_LT[:, None] * of_class_KT) @ weights_TC
        return np.asarray((sums_LKC / (of_class_KT @ weights_TC)).mean(axis=1), dtype=np.float64)

    @property
    def _own_rows(self) -> tuple[int, ...]:
        """Classes with rows of their own: the rare ones, beside the averages over many that dilute them."""
        return self.settings.rare if self.k > PAIR else ()


def _losses(log_p_TK: Floats, labels_T: Ints) -> Floats:
    """Compute Brier score and log loss of every image, float64 (2, T).

    Brier 1950, "Verification of forecasts expressed in terms of probability", halved, so that it lies in [0, 1] and is
    the squared error of the probability where there are two classes; log loss in nats.
    """
    truth = np.eye(log_p_TK.shape[1])[labels_T]
    brier = ((np.exp(log_p_TK) - truth) ** 2).sum(axis=1) / 2
    return np.stack([brier, -log_p_TK[np.arange(len(labels_T)), labels_T]])


def _log_odds(log_p_TK: Floats, c: int) -> Floats:
    """Compute log odds of c against the rest, float64 (T,): they order images as c's probability, without ties at 1."""
    others = np.delete(log_p_TK, c, axis=1)
    highest = others.max(axis=1)
    rest: Floats = highest + np.log(np.exp(others - highest[:, None]).sum(axis=1))
    return log_p_TK[:, c] - rest


def _mean(values: Sequence[Floats]) -> Floats:
    return np.asarray(np.mean(values, axis=0), dtype=np.float64)
