"""Every set of synthetic images whose features there are has a stage that measures it, and a control beside it."""

from typing import Any

import pytest

from ganbalance import config
from ganbalance.pipeline.plan import Node, Plan, make_plan

Settings = dict[str, Any]

BEST = {"name": "best", "synthetic": {"gan": "dcgan", "filter": {"by": "discriminator", "keep": 0.5}}}
MOVED = {"name": "moved", "synthetic": {"gan": "dcgan"}, "rescoring": "threshold"}


def plan_of(settings: Settings) -> Plan:
    return make_plan(config.check(settings, where="test.yaml"))


def measured(plan: Plan) -> dict[str, Node]:
    return {node.name: node for node in plan.nodes if node.stage == "quality"}


def test_all_synthetic_images_are_measured_at_every_seed_and_real_ones_drawn_again(tiny: Settings) -> None:
    found = measured(plan_of(tiny | {"arms": ["none", "oversample", "dcgan", BEST, "augment", "copy-noise"]}))
    arms = ["dcgan/", "best/", "augment/", "copy-noise/", ""]
    assert set(found) == {f"quality/{arm}class-1/seed-{seed}" for arm in arms for seed in (0, 1)}


def test_what_is_measured_are_the_images_and_features_that_the_classifier_learns_from(tiny: Settings) -> None:
    plan = plan_of(tiny | {"arms": ["none", BEST]})
    of_best, cell = plan.node("quality/best/class-1/seed-0"), plan.node("train-classifier/best/seed-0")
    assert of_best.inputs["synthetic"] == cell.inputs["synthetic/1"]
    assert plan.node(of_best.inputs["images"]).stage == "filter"
    assert of_best.inputs["features"] == "features/real"
    assert of_best.inputs["imbalance"] == "imbalance/seed-0"
    assert of_best.program == "report"


def test_the_control_draws_as_many_training_images_as_arms_add_and_reads_no_synthetic_ones(tiny: Settings) -> None:
    control = plan_of(tiny).node("quality/class-1/seed-0")
    assert control.config == {"class_index": 1, "drawn_again": 12}
    assert set(control.inputs) == {"dataset", "imbalance", "features"}


def test_arms_that_add_the_same_images_share_what_is_measured_of_them(tiny: Settings) -> None:
    plan = plan_of(tiny | {"arms": ["none", "dcgan", MOVED]})
    assert set(measured(plan)) == {f"quality/{arm}class-1/seed-{seed}" for arm in ("dcgan/", "") for seed in (0, 1)}
    read = plan.node("report").inputs
    assert read["quality/moved/1/0"] == read["quality/dcgan/1/0"] == "quality/dcgan/class-1/seed-0"
    assert read["quality/1/0"] == "quality/class-1/seed-0"


def test_each_rare_class_is_measured(tiny: Settings) -> None:
    ten = {
        "dataset": {"name": "fashion-mnist"},
        "task": {"kind": "multiclass"},
        "imbalance": {"keep": {1: 0.2, 6: 0.1}},
    }
    found = measured(plan_of(tiny | ten | {"seeds": [0], "arms": ["none", "dcgan", "augment"]}))
    assert set(found) == {f"quality/{arm}class-{c}/seed-0" for arm in ("dcgan/", "augment/", "") for c in (1, 6)}


@pytest.mark.parametrize("classifier", [{"kind": "paper"}, {"kind": "network", "side_px": 16}])
def test_where_no_features_are_read_nothing_is_measured(tiny: Settings, classifier: Settings) -> None:
    assert not measured(plan_of(tiny | {"classifier": classifier}))


def test_where_no_arm_adds_images_nothing_is_measured(tiny: Settings) -> None:
    assert not measured(plan_of(tiny | {"arms": ["none", "oversample", "smote", "oracle"]}))


def test_measuring_changes_no_other_key_than_the_reports(tiny: Settings) -> None:
    """Adding an arm with synthetic images leaves the keys of all that was there as they are."""
    before = {node.name: node.key for node in plan_of(tiny | {"arms": ["none", "oversample"]}).nodes}
    after = {node.name: node.key for node in plan_of(tiny | {"arms": ["none", "oversample", "dcgan"]}).nodes}
    assert {name for name in before if before[name] != after[name]} == {"report"}
