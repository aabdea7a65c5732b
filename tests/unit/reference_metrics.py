"""Every metric anew from scikit-learn, for one set of images: what the vectorised ones have to agree with."""

import numpy as np
from scipy.special import softmax
from sklearn.metrics import (
    average_precision_score,
    balanced_accuracy_score,
    brier_score_loss,
    log_loss,
    precision_recall_curve,
    precision_recall_fscore_support,
    roc_auc_score,
)


def reference(scores, settled, settings, rows) -> dict[str, float]:
    """The metrics of the test images `rows`, repeats allowed."""
    labels, logits, k = scores.test_labels[rows], scores.test[settled.strength][rows], scores.classes
    prior = np.asarray(settings.deployment_prior)
    weights = (prior / (np.bincount(labels, minlength=k) / len(labels)))[labels]
    raw = {
        "as-trained": (scores.scale[settled.strength], scores.offsets[settled.strength]),
        "fair": (settled.fair.scale, settled.fair.offsets),
        "deployment": (settled.fair.scale, settled.fair.offsets + np.log(prior) + np.log(k)),
    }
    probabilities = {rule: softmax(scale * logits + offsets, axis=1) for rule, (scale, offsets) in raw.items()}
    ranked = [1] if k == 2 else range(k)
    plain, shown = probabilities["as-trained"], probabilities["deployment"]
    auc = {c: roc_auc_score(labels == c, plain[:, c]) for c in ranked}
    rare = [1] if k == 2 else list(settings.rare)
    found = {
        "auc": np.mean(list(auc.values())),
        "average_precision": np.mean([average_precision_score(labels == c, plain[:, c]) for c in ranked]),
        "deployed_average_precision": np.mean(
            [average_precision_score(labels == c, shown[:, c], sample_weight=weights) for c in rare]
        ),
    }
    curves = [precision_recall_curve(labels == c, shown[:, c], sample_weight=weights) for c in rare]
    for level in settings.precision_levels:
        reached = [recall[precision >= level - 1e-9] for precision, recall, _ in curves]
        found[f"recall_at_precision_{level:g}"] = np.mean([max(recall, default=0.0) for recall in reached])
    for level in settings.recall_levels:
        reached = [precision[recall >= level - 1e-9] for precision, recall, _ in curves]
        found[f"precision_at_recall_{level:g}"] = np.mean([precision.max() for precision in reached])
    if k > 2:
        found |= {f"auc/{c}": auc[c] for c in rare} | _paired(scores, settled, rare, rows)
    for rule, of_rule in probabilities.items():
        predicted = np.argmax(of_rule, axis=1)
        found |= _decided(labels, predicted, of_rule, weights, k, rare, rule)
    return found


def _paired(scores, settled, rare, rows) -> dict[str, float]:
    found = {}
    for (low, high), pair in scores.pairs.items():
        place = np.cumsum(np.isin(scores.test_labels, (low, high))) - 1
        chosen = [row for row in rows if scores.test_labels[row] in (low, high)]
        margin = pair.test[settled.pair_strength][place[chosen]]
        found[low, high] = roc_auc_score(scores.test_labels[chosen] == high, margin)
    of_class = {c: np.mean([value for pair, value in found.items() if c in pair]) for c in rare}
    named = {"pairwise_auc": np.mean(list(of_class.values()))} | {f"pairwise_auc/{c}": of_class[c] for c in rare}
    both = {pair: value for pair, value in found.items() if set(pair) <= set(rare)}
    return named | {f"pairwise_auc/{low}-{high}": value for (low, high), value in both.items()}


def _decided(labels, predicted, probabilities, weights, k, rare, rule) -> dict[str, float]:
    average = {"average": "binary"} if k == 2 else {"average": "macro", "labels": np.arange(k)}
    scored = {"zero_division": 0, **average}
    found = {}
    if rule != "fair":
        deployed = precision_recall_fscore_support(labels, predicted, sample_weight=weights, **scored)
        found |= {f"deployed_precision@{rule}": deployed[0], f"deployed_f1@{rule}": deployed[2]}
    if rule == "deployment":
        return found
    precision, recall, f1, _ = precision_recall_fscore_support(labels, predicted, **scored)
    equal = (1 / np.bincount(labels, minlength=k))[labels]
    brier = brier_score_loss(
        labels,
        probabilities[:, 1] if k == 2 else probabilities,
        sample_weight=equal,
        scale_by_half=True,
        labels=range(k),
    )
    found |= {
        f"accuracy@{rule}": np.mean(labels == predicted),
        f"precision@{rule}": precision,
        f"recall@{rule}": recall,
        f"f1@{rule}": f1,
        f"balanced_accuracy@{rule}": balanced_accuracy_score(labels, predicted),
        f"brier@{rule}": brier,
        f"log_loss@{rule}": log_loss(labels, probabilities, sample_weight=equal, labels=range(k)),
    }
    if k > 2:
        each = precision_recall_fscore_support(labels, predicted, labels=np.arange(k), zero_division=0)
        for metric, values in zip(("precision", "recall", "f1"), each[:3], strict=True):
            found |= {f"{metric}/{c}@{rule}": values[c] for c in rare}
    return found
