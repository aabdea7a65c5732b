"""Few test images, and test images that say little."""

import json
from dataclasses import replace

import numpy as np
import pytest

from ganbalance.errors import DataError
from ganbalance.metrics import verdicts
from ganbalance.metrics.scores import Scores
from tests.unit.planted_run import LABELS, NONE, T, arm, judge, names


def cut(path: dict[int, Scores], *, common: int = T, rare: int) -> dict[int, Scores]:
    """The same arm on the first so many test images of each class."""
    rows = np.r_[np.flatnonzero(LABELS == 0)[:common], np.flatnonzero(LABELS == 1)[:rare]]
    return {seed: replace(one, test=one.test[:, rows], test_labels=LABELS[rows]) for seed, one in path.items()}


def test_one_rare_test_image_gives_no_verdict_however_small_its_p():
    assert verdicts.MIN_TEST_IMAGES == 20
    for keep, enough in ((1, False), (19, False), (20, True)):
        found = judge({"none": cut(arm(1.0), rare=keep), "better": cut(arm(3.5, luck=1), rare=keep)})
        assert (found.smallest_class, found.enough_images, found.few_images) == (keep, enough, True)
        assert (names(found)["better"] == verdicts.TOO_FEW_IMAGES) is not enough


def test_with_too_few_test_images_there_is_no_gate_and_still_plain_json():
    arms = {"none": arm(1.0), "oracle": arm(3.5, luck=1), "gan": arm(3.0, luck=2)}
    found = judge({name: cut(path, rare=1) for name, path in arms.items()})
    assert found.gate is None
    assert not found.margins.capped
    json.dumps(found.to_json(), allow_nan=False)


def test_a_test_set_that_the_baseline_ranks_perfectly_gives_no_verdict():
    found = judge({"none": arm(14.0), "better": arm(15.0, luck=1)})
    assert found.arms["none"].metrics["auc"].mean > 0.999
    assert names(found)["better"] == verdicts.TOO_FEW_IMAGES


def test_an_interval_ends_where_its_metric_does_and_a_log_loss_may_be_above_one():
    few = (cut(arm(separation, own_noise=1.0), common=30, rare=30) for separation in (9.0, -9.0))
    best, worst = (judge({"none": path}).arms["none"].metrics for path in few)
    assert best["accuracy@as-trained"].high == 1.0
    assert worst["accuracy@as-trained"].low == 0.0
    assert worst["log_loss@as-trained"].high > worst["log_loss@as-trained"].mean > 1
    assert 0 < worst["brier@as-trained"].low < worst["brier@as-trained"].mean < worst["brier@as-trained"].high <= 1


def test_cells_with_other_test_images_are_refused():
    with pytest.raises(DataError, match="same test images"):
        judge({"none": NONE, "odd": {s: replace(one, test_labels=1 - LABELS) for s, one in NONE.items()}})
