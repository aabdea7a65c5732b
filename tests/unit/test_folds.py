"""Folds of the images in place of a test part: how they are dealt, what a plan makes of them, how they are judged."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ganbalance import config
from ganbalance.config import CrossValidation
from ganbalance.data.holdout import deal
from ganbalance.data.split import PARTS, Split, draw
from ganbalance.errors import ConfigError, DataError
from ganbalance.metrics.classification import Settings
from ganbalance.metrics.crossed import estimate
from ganbalance.metrics.results import Analysis, Run
from ganbalance.metrics.scores import Scores
from ganbalance.metrics.statistics import analyse
from ganbalance.metrics.tested import PooledTest
from ganbalance.pipeline.plan import Plan, make_plan
from tests.unit.grouped_images import PATTERN, pets
from tests.unit.planted import of_margin, scores

FIVE = CrossValidation(folds=5)
LABELS = np.repeat([0, 1], [203, 47])


# -- dealing -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("folds", [2, 5, 7])
def test_each_class_is_dealt_evenly(folds: int) -> None:
    fold_N = deal(LABELS, np.arange(250), folds, np.random.default_rng(0))
    for label, count in ((0, 203), (1, 47)):
        sizes = np.bincount(fold_N[label == LABELS], minlength=folds)
        assert sizes.sum() == count
        assert {*sizes.tolist()} <= {count // folds, -(-count // folds)}


def test_no_group_is_dealt_into_two_folds_though_groups_differ_in_size_and_classes() -> None:
    rng = np.random.default_rng(3)
    groups = rng.integers(0, 60, 400)
    labels = (rng.random(400) < 0.2).astype(np.int64)
    fold_N = deal(labels, groups, 5, rng)
    assert all(len(np.unique(fold_N[groups == group])) == 1 for group in np.unique(groups))
    rare = [len(np.unique(groups[(labels == 1) & (fold_N == fold)])) for fold in range(5)]
    assert max(rare) - min(rare) <= 1


def split(seed: int, keep: float, groups: np.ndarray | None = None, place: int | None = None) -> Split:
    fold = FIVE.fold(seed if place is None else place)
    return draw(LABELS, len(LABELS), keep={1: keep}, validation=0.2, seed=seed, groups_N=groups, fold=fold)


@pytest.mark.parametrize("keep", [1.0, 0.4])
@pytest.mark.parametrize("per_group", [1, 3])
def test_what_a_seed_is_tested_on_is_in_no_other_part_of_it_and_each_image_is_tested_once_a_round(
    keep: float, per_group: int
) -> None:
    groups = np.arange(250) // per_group if per_group > 1 else None
    for places in (range(5), range(5, 10)):
        drawn = [split(place, keep, groups) for place in places]
        assert np.array_equal(np.sort(np.concatenate([one.test for one in drawn])), np.arange(250))
        for one in drawn:
            assert np.array_equal(np.sort(np.concatenate([getattr(one, part) for part in PARTS])), np.arange(250))
            if groups is not None:
                one.check_groups(groups)
                others = np.concatenate([getattr(one, part) for part in PARTS if part != "test"])
                assert not np.isin(groups[one.test], groups[others]).any()


def test_folds_are_the_same_whatever_the_seed_and_others_in_the_next_round() -> None:
    assert np.array_equal(split(3, 1.0, place=2).test, split(99, 0.4, place=2).test)
    assert not np.array_equal(split(3, 1.0, place=2).test, split(3, 1.0, place=7).test)
    assert not np.array_equal(split(3, 1.0, place=2).train, split(99, 1.0, place=2).train)


def test_as_many_removed_images_go_to_tuning_and_to_the_oracle_as_without_folds() -> None:
    one = split(0, 0.4)
    count = 47 - int(LABELS[one.test].sum())
    assert [int(LABELS[part].sum()) for part in (one.train, one.validation)] == [
        round(0.4 * count) - round(0.2 * round(0.4 * count)),
        round(0.2 * round(0.4 * count)),
    ]
    assert len(one.tuning) == (count - round(0.4 * count)) // 2


# -- planning ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def npz(tmp_path: Path) -> Callable[..., Path]:
    def write(rare: int = 60, *, own_test: bool = False) -> Path:
        labels = np.repeat([0, 1], [200, rare])
        noise = np.random.default_rng(0).integers(0, 256, (2, len(labels), 8, 8), np.uint8)
        arrays = {"images": noise[0], "labels": labels}
        path = tmp_path / f"{rare}-{own_test}.npz"
        np.savez(path, **arrays, **({"test_images": noise[1], "test_labels": labels} if own_test else {}))  # type: ignore[arg-type]
        return path

    return write


def planned(path: Path, **changes: Any) -> Plan:
    settings = {
        "name": "x",
        "dataset": {"name": "npz", "path": str(path), "side_px": 8},
        "task": {"kind": "pair", "positive": "1", "negative": "0"},
        "test": {"folds": 5},
        "imbalance": {"keep": {"1": 1.0}},
        "arms": ["none", "class-weight"],
        "seeds": [0, 1, 2, 3, 4],
    }
    return make_plan(config.check({key: v for key, v in (settings | changes).items() if v}, where="test.yaml"))


def test_a_plan_says_which_seed_is_tested_on_which_fold(npz: Callable[..., Path]) -> None:
    plan = planned(npz(), seeds=[7, 8, 9, 10, 11, 12])
    assert plan.notes == (
        "tested by 5 folds of all images, so dataset.test_fraction holds nothing back; seed on fold: "
        "7 on 1, 8 on 2, 9 on 3, 10 on 4, 11 on 5; of another division 12 on 1",
        "6 seeds are no multiple of 5 folds: some images are tested more often",
    )
    folds = [plan.node(f"imbalance/seed-{seed}").config["fold"] for seed in (7, 11, 12)]
    assert [(fold["number"], fold["round"]) for fold in folds] == [(0, 0), (4, 0), (0, 1)]
    assert planned(npz(), seeds=[7, 8]).notes[1] == "2 seeds of 5 folds: the images of the other folds are not tested"
    assert len(planned(npz()).notes) == 1


def test_all_images_are_counted_of_which_a_seed_may_learn_from_those_of_the_other_folds(
    npz: Callable[..., Path],
) -> None:
    assert not [line for line in planned(npz()).forecast if "test images" in line]
    assert [line for line in planned(npz(45)).forecast if "test images" in line] == [
        "verdicts with caution: class '1' has 45 of the 50 test images from which error rates hold"
    ]
    few = planned(npz(), seeds=[0, 1])
    assert "verdicts with caution: class '1' has 24 of the 50 test images from which error rates hold" in few.forecast
    assert planned(npz(), imbalance={"keep": {"1": 24}}).node("imbalance/seed-0").config["keep"] == {"1": 0.5}
    with pytest.raises(ConfigError, match="the class has 48 images to train on"):
        planned(npz(), imbalance={"keep": {"1": 49}})


def test_seeds_that_are_added_leave_the_folds_of_the_others_as_they_are(npz: Callable[..., Path]) -> None:
    few, more = planned(npz()), planned(npz(), seeds=[*range(10)])
    assert {node.key for node in few.nodes if node.stage != "report"} <= {node.key for node in more.nodes}


def test_stages_without_folds_have_the_keys_and_the_record_that_they_always_had(npz: Callable[..., Path]) -> None:
    plain, folded = planned(npz(), test=None), planned(npz())
    assert "fold" not in plain.node("imbalance/seed-0").config
    assert plain.node("dataset").key == folded.node("dataset").key
    assert plain.node("imbalance/seed-0").key != folded.node("imbalance/seed-0").key


@pytest.mark.parametrize(
    ("rare", "own_test", "said"),
    [
        (60, True, "test.folds = 5: the dataset brings a test part of its own"),
        (
            19,
            False,
            "test.folds = 5: a fold has 3 images of class '1' and needs 4; take fewer folds, or give more images",
        ),
    ],
)
def test_what_cannot_be_dealt_is_refused(npz: Callable[..., Path], rare: int, own_test: bool, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        planned(npz(rare, own_test=own_test))


def test_groups_are_dealt_and_counted_whole(tmp_path: Path) -> None:
    pets(tmp_path, of_cat=20, of_dog=30)
    data = {"name": "folder", "path": str(tmp_path), "side_px": 8, "groups": PATTERN}
    task = {"kind": "pair", "positive": "cat", "negative": "dog"}
    plan = planned(tmp_path, dataset=data, task=task, imbalance={"keep": {"cat": 1.0}})
    assert "class 'cat' is split by group; images (groups): train 39 (13), validation 9 (3), test 12 (4)" in plan.notes
    with pytest.raises(ConfigError, match="a fold has 3 groups of class 'cat' and needs 4"):
        planned(tmp_path, dataset=data, task=task, imbalance={"keep": {"cat": 1.0}}, test={"folds": 6})


# -- judging -----------------------------------------------------------------------------------------------------------


def test_an_interval_over_folds_is_enlarged_by_the_images_that_seeds_share() -> None:
    rng = np.random.default_rng(1)
    point_S = rng.normal(0.1, 0.05, 10)
    values = np.column_stack([point_S, point_S[:, None] + rng.normal(0, 0.01, (10, 400))])
    mean_B = values[:, 1:].mean(axis=0)
    between = point_S.var(ddof=1) / 10
    interaction = (values[:, 1:] - mean_B).var(axis=1).sum() / 9 / 10
    variance = (1 + 10 / 4) * (between - interaction) + mean_B.var()
    found = estimate(values, folds=5)
    assert found.se**2 == pytest.approx(variance, rel=1e-6)
    assert found.df == pytest.approx(9 * max(1, variance / ((1 + 10 / 4) * between)) ** 2, rel=1e-6)
    assert found.components is not None
    assert found.components.seeds == pytest.approx((1 + 10 / 4) * (between - interaction))
    assert estimate(values).se < found.se
    assert estimate(values, folds=20).se < found.se  # folds of 20 share more, but more of the images teach


def test_choices_are_enlarged_by_no_overlap() -> None:
    values = np.full((10, 51), 0.1)
    halves = np.random.default_rng(0).normal(0.1, 0.02, 30)
    assert estimate(values, halves, folds=5).se == estimate(values, halves).se


def cells(shift: float, seeds: int = 5, *, seed: int = 0) -> dict[str, dict[int, Scores]]:
    """`none` and an arm whose margins hold that much more signal, each seed on its fold of 250 images."""
    found: dict[str, dict[int, Scores]] = {"none": {}, "arm": {}}
    rng = np.random.default_rng(seed)
    whole_T, held = rng.normal(0, 1, 250), np.repeat([0, 1], 30)
    for place in range(seeds):
        rows = split(place, 1.0).test
        labels = LABELS[rows]
        for arm, by in (("none", 1.5), ("arm", 1.5 + shift)):
            margin = by * labels + whole_T[rows] + rng.normal(0, 0.1, len(rows))
            made = scores(
                of_margin(margin), labels, held_out=of_margin(by * held + rng.normal(0, 1, 60)), held_out_labels=held
            )
            found[arm][place] = replace(made, test_rows=rows)
    return found


def judged(given: dict[str, dict[int, Scores]]) -> Analysis:
    settings = Settings(rare=(1,), deployment_prior=np.array([0.8, 0.2]))
    seeds = tuple(given["none"])
    run = Run({"none": "baseline", "arm": "cheap"}, seeds, settings, reference="arm", replicates=200, folds=5)
    return analyse(run, given, {})


def test_the_test_images_of_all_folds_are_counted_and_a_mean_is_one_over_folds() -> None:
    given = cells(0.0)
    found = judged(given)
    assert found.smallest_class == 47
    (mean, *_), values = (
        [found.arms["none"].metrics["auc"].mean],
        [found.points["none"][seed]["auc"] for seed in range(5)],
    )
    assert mean == pytest.approx(np.mean(values))
    assert len(set(values)) == 5


def test_equal_arms_are_called_equal_and_better_ones_better() -> None:
    same, better = judged(cells(0.0)), judged(cells(2.0))
    gain = same.arms["arm"].metrics["auc"].difference
    assert gain is not None
    assert gain.low is not None
    assert gain.high is not None
    assert gain.low < 0 < gain.high
    assert same.arms["arm"].finding is not None
    assert better.arms["arm"].finding is not None
    assert same.arms["arm"].finding.name in ("no difference in ranking", "no evidence")
    assert better.arms["arm"].finding.name == "helps"


def test_a_draw_is_one_of_all_images_and_leaves_no_seed_without_a_class() -> None:
    given = cells(0.0, seeds=10)
    tested = PooledTest.of(given)
    assert np.array_equal(tested.labels, LABELS)
    drawn = tested.draws(300, np.random.default_rng(0))
    assert drawn.shape == (300, 250)
    assert (drawn[:, LABELS == 1].sum(axis=1) == 47).all()
    for seed, one in given["none"].items():
        weights = tested.of_seed(seed, drawn)
        assert np.array_equal(weights, drawn[:, one.test_rows])
        assert weights[:, one.test_labels == 1].any(axis=1).all()
    few = {"none": {seed: _few(one) for seed, one in given["none"].items()}}
    assert _every_seed_has_both(PooledTest.of(few))


def _few(one: Scores) -> Scores:
    """The same with four images of each class, so that many draws lack one."""
    kept = np.concatenate([np.flatnonzero(one.test_labels == label)[:4] for label in (0, 1)])
    assert one.test_rows is not None
    return replace(one, test=one.test[:, kept], test_labels=one.test_labels[kept], test_rows=one.test_rows[kept])


def _every_seed_has_both(tested: PooledTest) -> bool:
    drawn = tested.draws(200, np.random.default_rng(0))
    assert tested.places is not None
    return all(
        drawn[:, places[tested.labels[places] == label]].any(axis=1).all()
        for places in tested.places.values()
        for label in (0, 1)
    )


def test_cells_of_one_seed_on_different_images_are_no_run() -> None:
    given = cells(0.0)
    given["arm"][1] = replace(given["arm"][1], test_rows=given["arm"][2].test_rows[: len(given["arm"][1].test_labels)])  # type: ignore[index]
    with pytest.raises(DataError, match="arm at seed 1 was tested on other images"):
        PooledTest.of(given)


def test_where_seeds_share_their_test_images_all_weights_are_everyones() -> None:
    one = replace(cells(0.0)["none"][0], test_rows=None)
    tested = PooledTest.of({"none": {0: one, 1: one}})
    weights = np.ones((3, len(one.test_labels)), np.int16)
    assert tested.places is None
    assert tested.of_seed(1, weights) is weights
