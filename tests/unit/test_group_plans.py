"""A plan says what groups of images mean for it, and refuses what cannot work."""

import re
from pathlib import Path
from typing import Any

import pytest

from ganbalance import config
from ganbalance.errors import ConfigError
from ganbalance.pipeline.plan import Plan, make_plan
from ganbalance.pipeline.stages import Stage
from tests.unit.grouped_images import PATTERN, Settings, folder, pets


def planned(path: Path, groups: Settings | None = None, **changes: Any) -> Plan:
    settings = {
        "name": "pets",
        "dataset": {"name": "folder", "path": str(path), "side_px": 8, "groups": groups or PATTERN},
        "task": {"kind": "pair", "positive": "cat", "negative": "dog"},
        "imbalance": {"keep": {"cat": 0.5}},
        "arms": ["none", "oracle"],
        "seeds": [0, 1, 2, 3, 4],
    }
    return make_plan(config.check(settings | changes, where="test.yaml"))


def test_a_plan_says_how_many_images_and_groups_each_part_gets(tmp_path: Path) -> None:
    pets(tmp_path, of_cat=20, of_dog=30)
    (tmp_path / "dog" / "d0_9.png").write_bytes((tmp_path / "dog" / "d0_0.png").read_bytes())
    about_dogs, about_cats, about_twins = planned(tmp_path).notes
    assert about_twins.startswith("twins: 2 images there more than once, 2 with the same bytes")
    assert about_cats == (
        "class 'cat' is split by group; images (groups): train 18 (6), validation 6 (2), tuning 12 (4), "
        "removed 12 (4), test 12 (4)"
    )
    assert re.fullmatch(
        r"class 'dog' is split by group; images \(groups\): train 5\d( to 5\d)? \(19\), validation 1\d( to 1\d)? "
        r"\(5\), test 1\d \(6\)",
        about_dogs,
    )


def test_images_of_classes_outside_the_task_are_not_counted(tmp_path: Path) -> None:
    files = {kind: [f"{kind}{patient}_0.png" for patient in range(20)] for kind in ("ant", "bee")}
    pets(folder(tmp_path, **files), of_cat=20, of_dog=30)
    about_dogs, about_cats = planned(tmp_path).notes
    assert "train 57 (19), validation 15 (5), test 18 (6)" in about_dogs
    assert "train 18 (6), validation 6 (2), tuning 12 (4), removed 12 (4), test 12 (4)" in about_cats


def test_a_plan_without_groups_says_nothing_of_them(tmp_path: Path) -> None:
    pets(tmp_path)
    plan = planned(tmp_path, dataset={"name": "folder", "path": str(tmp_path), "side_px": 8})
    assert not [note for note in plan.notes if "group" in note]
    assert {node.key for node in plan.nodes}.isdisjoint(
        node.key for node in planned(tmp_path).nodes if issubclass(node.kind, Stage) and node.stage != "backbone"
    )


def test_test_groups_are_counted_where_a_verdict_needs_a_number(tmp_path: Path) -> None:
    assert planned(pets(tmp_path, of_cat=100, of_dog=260)).forecast == (
        "verdicts with caution: class 'cat' has 20 of the 50 test groups from which error rates hold",
    )
    assert planned(pets(tmp_path / "few", of_cat=40, of_dog=260)).forecast[0] == (
        "no verdicts: class 'cat' has 8 of the 20 test groups that one needs"
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"imbalance": {"keep": {"cat": 0.2}}},
            "class 'cat' keeps 2 groups, too few .*raise imbalance.keep or give more gr",
        ),
        ({"imbalance": {"keep": {"cat": 6}}}, "class 'cat' keeps 2 groups, too few"),
        ({"imbalance": {"keep": {"cat": 0.01}}}, "class 'cat' keeps 0 groups, too few"),
        (
            {"imbalance": {"kind": "step", "rare": ["cat"], "ratio": 0.1}},
            "class 'cat' keeps 2 groups.*raise imbalance.ratio",
        ),
        ({"classifier": {"kind": "paper"}}, "dataset.groups: classifier.kind = paper .*choose another kind"),
    ],
)
def test_a_side_without_a_rare_group_is_refused_before_work(tmp_path: Path, change: Settings, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        planned(pets(tmp_path, of_cat=10, of_dog=20), **change)


def test_a_class_that_is_not_cut_needs_groups_on_both_sides_as_well(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="class 'dog' keeps 2 groups, too few to train on and to hold out for"):
        planned(pets(tmp_path, of_dog=3))
