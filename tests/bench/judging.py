"""How long a run takes to judge, beside scikit-learn on the same draws of the same test images.

    python -m tests.bench.judging                      10 arms, 10 seeds, 2,000 draws of 2,000 test images
    python -m tests.bench.judging --arms 7 --seeds 5

Ours is `statistics.analyse`: every metric of every cell on every draw, the choices and fair rules made anew on half
samples, intervals and verdicts. scikit-learn's is `roc_auc_score` alone, once for each cell and draw; some are timed
and the sum is scaled. Both sides take turns; a line is the ratio of one round, scikit-learn's seconds over ours.
"""

import argparse
import statistics
import time

import numpy as np
from sklearn.metrics import roc_auc_score

from ganbalance.metrics.results import Run
from ganbalance.metrics.scores import Scores
from ganbalance.metrics.statistics import analyse
from ganbalance.metrics.weighted import stratified_draws
from tests.unit.planted import of_margin, scores, settings

TEST, HELD_OUT, STRENGTHS, DRAWS, TIMED = 2000, 1500, 13, 2000, 400
FAMILIES = {
    "none": "baseline",
    "threshold": "exempt",
    "class-weight": "cheap",
    "oversample": "cheap",
    "oracle": "control",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arms", type=int, default=10, help="default: 10")
    parser.add_argument("--seeds", type=int, default=10, help="default: 10")
    parser.add_argument("--rounds", type=int, default=3, help="default: 3")
    flags = parser.parse_args()
    names = [*FAMILIES, *(f"gan-{number}" for number in range(flags.arms))][: flags.arms]
    cells = {name: {seed: cell(place, seed) for seed in range(flags.seeds)} for place, name in enumerate(names)}
    run = Run(
        families={name: FAMILIES.get(name, "generative") for name in names},
        seeds=tuple(range(flags.seeds)),
        settings=settings(precision_levels=(0.5, 0.9), recall_levels=(0.8, 0.95)),
        reference="class-weight",
        replicates=DRAWS,
    )
    rounds = []
    for number in range(flags.rounds):
        started, busy = time.perf_counter(), time.process_time()
        analyse(run, cells, {})
        ours, busy = time.perf_counter() - started, time.process_time() - busy
        theirs = auc_of_sklearn(cells["none"][0], number) * len(names) * flags.seeds * DRAWS / TIMED
        rounds.append(theirs / ours)
        print(f"ours {ours:.1f} s ({busy:.1f} s of CPU), scikit-learn's AUC {theirs:.0f} s: {rounds[-1]:.1f}")
    print(f"median {statistics.median(rounds):.1f}")


def cell(arm: int, seed: int) -> Scores:
    """Draw the scores of one classifier: the test images' difficulty is everyone's, the noise its own."""
    rng = np.random.default_rng([arm, seed])
    path = []
    for images in (TEST, HELD_OUT):
        labels = np.arange(images) % 2
        difficulty = np.random.default_rng(images).normal(0, 1, images)
        noise = rng.normal(0, 0.4, images) + np.linspace(0.3, 0.0, STRENGTHS)[:, None] * rng.normal(0, 1, images)
        path.append((of_margin((2 + 0.05 * arm) * (labels - 0.5) + difficulty + noise), labels))
    validation = np.arange(HELD_OUT) % 5 == 0
    return scores(*path[0], *path[1], validation=validation)


def auc_of_sklearn(scores: Scores, seed: int) -> float:
    """Time the AUC of some draws, in seconds."""
    margin = scores.test[0, :, 1] - scores.test[0, :, 0]
    weights_BT = stratified_draws(scores.test_labels, TIMED, np.random.default_rng(seed))
    started = time.perf_counter()
    for weights_T in weights_BT:
        roc_auc_score(scores.test_labels, margin, sample_weight=weights_T)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
