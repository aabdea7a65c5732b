"""Few test images, and test images that say little."""

import json
from dataclasses import asdict, replace

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


def grouped(path: dict[int, Scores], per_group: int, *, common: int | None = None) -> dict[int, Scores]:
    """The same arm on images that come in groups of one class; `common` of those of the first, `per_group` else."""
    sizes = np.where(LABELS == 0, common or per_group, per_group)
    of_class = np.arange(T) // 2 // sizes  # the classes take turns
    groups = of_class * 2 + LABELS
    return {
        seed: replace(one, test_groups=groups, held_out_groups=np.arange(len(one.held_out_labels)))
        for seed, one in path.items()
    }


def test_where_images_come_in_groups_the_gate_counts_groups_of_the_smallest_class():
    for per_group, count in ((16, 19), (15, 20), (6, 50), (5, 60)):
        arms = {
            "none": grouped(arm(1.0), per_group, common=5),
            "better": grouped(arm(3.5, luck=1), per_group, common=5),
        }
        found = judge(arms)
        assert (found.smallest_class, found.enough_images) == (count, count >= 20)
        assert found.few_images == (count < 50)
        assert (names(found)["better"] == verdicts.TOO_FEW_IMAGES) == (count < 20)
        if count >= 20:
            assert found.arms["better"].components.image_count == count


def test_groups_of_one_image_change_next_to_nothing():
    arms = {"none": arm(1.0), "better": arm(1.3, luck=1), "oracle": arm(3.0, luck=2)}
    by_group, by_image = judge({name: grouped(path, 1) for name, path in arms.items()}), judge(arms)
    assert by_group.smallest_class == by_image.smallest_class == T // 2
    for name, found in by_image.arms["better"].metrics.items():
        both = found.difference, by_group.arms["better"].metrics[name].difference
        assert both[0].mean == both[1].mean
        assert both[0].high == pytest.approx(both[1].high, abs=1e-3)
    parts = [found.arms["better"].components for found in (by_image, by_group)]
    assert parts[0] == parts[1]


def test_what_a_group_shares_widens_the_intervals():
    def alike(path: dict[int, Scores], draw: int) -> dict[int, Scores]:
        shift = np.random.default_rng(draw).normal(0, 0.8, T)[np.arange(T) // 20]  # of ten images of each class
        return {seed: replace(one, test=one.test + shift[:, None] * [0, 1]) for seed, one in path.items()}

    arms = {"none": alike(arm(1.0), 0), "same": alike(arm(1.0, luck=1), 1)}
    by_image, by_group = (
        judge(run).arms["same"].metrics["auc"].difference
        for run in (arms, {name: grouped(path, 10) for name, path in arms.items()})
    )
    assert by_group.mean == by_image.mean
    assert by_group.high - by_group.low > 1.5 * (by_image.high - by_image.low)


def test_cells_with_other_groups_are_refused():
    with pytest.raises(DataError, match="odd at seed 0 was tested on other images than the rest"):
        judge({"none": grouped(NONE, 3), "odd": grouped(NONE, 4)})


def test_with_too_few_test_images_there_is_no_gate_and_still_plain_json():
    arms = {"none": arm(1.0), "oracle": arm(3.5, luck=1), "gan": arm(3.0, luck=2)}
    found = judge({name: cut(path, rare=1) for name, path in arms.items()})
    assert found.gate is None
    assert not found.margins.capped
    json.dumps([asdict(one) for one in (found.margins, *found.arms.values())], allow_nan=False)


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
    with pytest.raises(DataError, match="odd at seed 0 was tested on other images than the rest"):
        judge({"none": NONE, "odd": {s: replace(one, test_labels=1 - LABELS) for s, one in NONE.items()}})
