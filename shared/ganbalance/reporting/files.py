"""The machine-readable files beside the report; each is equal byte for byte when its inputs are."""

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from ganbalance.config import Experiment
from ganbalance.frozen import dump
from ganbalance.metrics.classification import confusion
from ganbalance.metrics.decisions import Ints, decide
from ganbalance.reporting.collect import Found, Scored
from ganbalance.reporting.origin import EXPERIMENT_FILE


def write(folder: Path, found: Found, summary: dict[str, Any], experiment: Experiment) -> None:
    """results.csv, confusion.csv, predictions.npz, summary.json and experiment.yaml."""
    _csv(folder / "results.csv", ("arm", "seed", "metric", "value"), _results(found))
    _csv(folder / "confusion.csv", ("arm", "seed", "rule", "true", "predicted", "count"), _confusions(found))
    np.savez_compressed(folder / "predictions.npz", **predictions(found))  # type: ignore[arg-type]
    (folder / "summary.json").write_text(json.dumps(summary, indent=1, allow_nan=False) + "\n")
    (folder / EXPERIMENT_FILE).write_text(yaml.safe_dump(dump(experiment), sort_keys=False))


def predictions(found: Found) -> dict[str, NDArray[Any]]:
    """The arrays of predictions.npz: enough to compute any metric of any arm anew.

    labels            int64 (T,)      column of each test image
    class_names       str (K,)        name of each column
    deployment_prior  float64 (K,)    class shares of the imbalanced data
    test/ARM/SEED     float64 (T, K)  probabilities of the test images
    prior/ARM/SEED    float64 (K,)    class shares that the classifier was fitted under
    offsets/ARM/SEED/RULE  float64 (K,)  the rule predicts argmax(log p + offsets)
    """
    arrays: dict[str, NDArray[Any]] = {
        "labels": found.labels,
        "class_names": np.array(found.class_names),
        "deployment_prior": found.prior,
    }
    for arm, seed, scored in each_cell(found):
        arrays[f"test/{arm}/{seed}"] = scored.predictions.test
        arrays[f"prior/{arm}/{seed}"] = scored.predictions.prior
        arrays |= {f"offsets/{arm}/{seed}/{rule}": offsets for rule, offsets in scored.offsets.items()}
    return arrays


def confusion_of(scored: Scored, rule: str) -> Ints:
    """Counts int64 (K, K) of one cell under one rule: row is the true class, column the predicted one."""
    made = scored.predictions
    return confusion(made.test_labels, decide(made.test, scored.offsets[rule]), len(made.prior))


def each_cell(found: Found) -> Iterator[tuple[str, int, Scored]]:
    """Every cell with its arm and seed, arms in the order of the experiment, seeds rising."""
    for arm, of_arm in found.cells.items():
        for seed, scored in sorted(of_arm.items()):
            yield arm, seed, scored


def _results(found: Found) -> Iterator[tuple[str, int, str, str]]:
    for arm, seed, scored in each_cell(found):
        for metric, value in scored.metrics.items():
            yield arm, seed, metric, repr(value)


def _confusions(found: Found) -> Iterator[tuple[str, int, str, str, str, int]]:
    names = found.class_names
    for arm, seed, scored in each_cell(found):
        for rule in scored.offsets:
            for (true, predicted), count in np.ndenumerate(confusion_of(scored, rule)):
                yield arm, seed, rule, names[true], names[predicted], int(count)


def _csv(path: Path, head: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    with path.open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(head)
        table.writerows(rows)
