"""Write the machine-readable files beside the report; each is equal byte for byte when its inputs are."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix

from ganbalance.config import Experiment, write_yaml
from ganbalance.frozen import dump
from ganbalance.metrics.results import Analysis
from ganbalance.metrics.scores import Scores
from ganbalance.reporting import ranking
from ganbalance.reporting.collect import Results
from ganbalance.reporting.origin import EXPERIMENT_FILE
from ganbalance.reporting.ranking import Ranking
from ganbalance.reporting.summary import Summary


def write(folder: Path, results: Results, analysis: Analysis, summary: Summary, experiment: Experiment) -> None:
    """Write results.csv, confusion.csv, predictions.npz, ranking.npz, summary.json and experiment.yaml."""
    _csv(folder / "results.csv", ("arm", "seed", "metric", "value"), _metric_rows(analysis))
    head = ("arm", "seed", "rule", "true", "predicted", "count")
    _csv(folder / "confusion.csv", head, _confusion_rows(results, analysis))
    np.savez_compressed(folder / "predictions.npz", **predictions(results, analysis))  # type: ignore[arg-type]
    Ranking.of(analysis, experiment.seeds, results.tested).save(folder / ranking.FILE)
    summary.write(folder / "summary.json")
    (folder / EXPERIMENT_FILE).write_text(write_yaml(dump(experiment)), "utf-8")


def predictions(results: Results, analysis: Analysis) -> dict[str, NDArray[Any]]:
    """Build the arrays of predictions.npz: enough to compute any metric of any arm anew.

    labels            int64 (T,)      class index of each test image; with folds, of the images of all folds
    tested/SEED       int64 (n,)      with folds: which of these the seed is tested on, n in place of T below
    groups            int64 (T,)      equal where test images belong together, if images are grouped
    class_names       str (K,)        name of each class
    deployment_prior  float64 (K,)    class shares of the imbalanced data
    test/ARM/SEED     float64 (T, K)  logits of the test images at the arm's strength
    pair/LOWER/HIGHER/ARM/SEED  float64 (n,)  more than two classes: log odds of the images of a pair, from its head
    rule/NAME/ARM/SEED  float64 (1 + K,)  scale and offsets: the rule predicts argmax(scale * logits + offsets)
    """
    arrays: dict[str, NDArray[Any]] = {
        "labels": results.tested.labels,
        "class_names": np.array(results.class_names),
        "deployment_prior": results.prior,
    }
    if results.tested.groups is not None:
        arrays["groups"] = results.tested.groups
    for seed, places in (results.tested.places or {}).items():
        arrays[f"tested/{seed}"] = places
    for arm, seed, scores in each_cell(results):
        settled = analysis.settled[arm]
        arrays[f"test/{arm}/{seed}"] = scores.test[settled.strength]
        for (low, high), pair in scores.pairs.items():
            arrays[f"pair/{low}/{high}/{arm}/{seed}"] = pair.test[settled.pair_strength]
        for name, rule in settled.rules(scores, results.prior).items():
            arrays[f"rule/{name}/{arm}/{seed}"] = np.append(rule.scale, rule.offsets)
    return arrays


def confusions(results: Results, analysis: Analysis) -> Iterator[tuple[str, int, str, NDArray[np.int64]]]:
    """Yield arm, seed, rule, and counts int64 (K, K): row is the true class, column the predicted one."""
    for arm, seed, scores in each_cell(results):
        settled = analysis.settled[arm]
        for name, rule in settled.rules(scores, results.prior).items():
            predicted = rule.decide(scores.test[settled.strength])
            yield arm, seed, name, confusion_matrix(scores.test_labels, predicted, labels=np.arange(scores.classes))


def each_cell(results: Results) -> Iterator[tuple[str, int, Scores]]:
    """Yield every cell with its arm and seed, arms in the order of the experiment, seeds rising."""
    for arm, of_arm in results.cells.items():
        for seed, cell in sorted(of_arm.items()):
            yield arm, seed, cell.scores


def _metric_rows(analysis: Analysis) -> Iterator[tuple[str, int, str, str]]:
    for arm, of_arm in analysis.points.items():
        for seed, metrics in of_arm.items():
            for metric, value in metrics.items():
                yield arm, seed, metric, repr(value)


def _confusion_rows(results: Results, analysis: Analysis) -> Iterator[tuple[str, int, str, str, str, int]]:
    names = results.class_names
    for arm, seed, rule, counts in confusions(results, analysis):
        for (true, predicted), count in np.ndenumerate(counts):
            yield arm, seed, rule, names[true], names[predicted], int(count)


def _csv(path: Path, head: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(head)
        table.writerows(rows)
