"""What a recipe becomes in a plan: the stages of its parts, shared where arms say the same, keyed by all they say."""

from pathlib import Path
from typing import Any

import pytest

from ganbalance import config
from ganbalance.errors import ConfigError
from ganbalance.pipeline import runs
from ganbalance.pipeline.plan import Plan, make_plan
from tests.unit.recipes import (
    BEST,
    GAN,
    HALF,
    MOVED,
    SPLIT,
    SURE,
    WEAK,
    Recipe,
    Settings,
    cell,
    key,
    names,
    of_stage,
    outside,
    planned,
)


def test_an_arm_of_half_a_balance_and_repeats_draws_half_and_repeats_the_rest(tiny: Settings) -> None:
    plan = planned(tiny, HALF)
    drawn = plan.node("synthesize/half-half/class-1/seed-0")
    assert drawn.config == {"n": "half", "class_index": 1, "keep": 1.0}
    assert drawn.inputs == {"gan": "train-gan/half-half/class-1/seed-0"} | SPLIT
    assert cell(plan, "half-half").config["method"] == "oversample"
    assert cell(plan, "half-half").inputs == SPLIT | {
        "synthetic/1": "features/half-half/class-1/seed-0",
        "features": "features/real",
    }


@pytest.mark.parametrize(
    ("arm", "reads"),
    [
        (BEST, {"gan": "train-gan/best-half/class-1/seed-0"}),
        (SURE, {"synthetic": "features/sure-half/class-1/seed-0", "features": "features/real"}),
    ],
)
def test_a_filter_stands_between_the_images_and_their_features_and_reads_what_it_needs(
    tiny: Settings, arm: Recipe, reads: dict[str, str]
) -> None:
    name, plan = arm["name"], planned(tiny, arm)
    drawn = plan.node(f"synthesize/{name}/class-1/seed-0")
    kept = plan.node(f"filter/{name}/class-1/seed-0")
    features = plan.node(f"features/filter/{name}/class-1/seed-0")
    assert drawn.config["keep"] == 0.5
    assert kept.config == {"by": arm["synthetic"]["filter"]["by"], "canvas": "pad", "n": 12, "class_index": 1}
    assert kept.inputs == {"images": drawn.name} | SPLIT | reads
    assert features.inputs == {"images": kept.name, "backbone": "backbone"}
    assert cell(plan, name).inputs["synthetic/1"] == features.name
    assert (kept.gan, kept.seed, kept.program) == ("dcgan", 0, "synthesize")


def test_two_filters_that_keep_the_same_share_choose_among_the_same_images(tiny: Settings) -> None:
    plan = planned(tiny, BEST, SURE)
    assert names(plan, "train-gan") == ["train-gan/best-half/class-1/seed-0"]
    assert names(plan, "synthesize") == ["synthesize/best-half/class-1/seed-0"]
    assert [node.inputs["images"] for node in of_stage(plan, "filter")] == names(plan, "synthesize") * 2
    other = SURE | {"synthetic": {"gan": "dcgan", "filter": {"by": "classifier", "keep": 0.25}}}
    assert len(names(planned(tiny, BEST, other), "synthesize")) == 2


def test_a_rescored_arm_reads_the_cell_of_the_arm_without_rescoring(tiny: Settings) -> None:
    plan = planned(tiny, "threshold", MOVED, "dcgan")
    assert cell(plan, "dcgan-threshold").name == "rescore/dcgan-threshold/seed-0"
    assert cell(plan, "dcgan-threshold").inputs == {"source": "train-classifier/dcgan/seed-0"}
    assert cell(plan, "threshold").inputs == {"source": "train-classifier/none/seed-0"}
    assert names(plan, "train-classifier") == ["train-classifier/none/seed-0", "train-classifier/dcgan/seed-0"]


def test_without_that_arm_it_has_a_cell_of_its_own_to_rescore(tiny: Settings) -> None:
    plan = planned(tiny, MOVED)
    assert cell(plan, "dcgan-threshold").inputs == {"source": "train-classifier/dcgan-threshold/seed-0"}
    roles = [role for role in plan.node("report").inputs if role.startswith("cell/")]
    assert roles == ["cell/none/0", "cell/dcgan-threshold/0"]


def test_arms_that_say_the_same_of_a_gan_share_its_training_and_their_inputs_say_so(tiny: Settings) -> None:
    plan = planned(tiny, "dcgan", HALF, WEAK, MOVED)
    assert names(plan, "train-gan") == [GAN, "train-gan/dcgan-weak/class-1/seed-0"]
    assert plan.node("synthesize/half-half/class-1/seed-0").inputs["gan"] == GAN
    assert plan.node("synthesize/dcgan-weak/class-1/seed-0").inputs["gan"] == "train-gan/dcgan-weak/class-1/seed-0"
    assert {node.gan for node in of_stage(plan, "train-gan")} == {"dcgan"}
    assert plan.node(GAN).config["settings"]["epochs"] == 2
    weak = plan.node("train-gan/dcgan-weak/class-1/seed-0").config["settings"]
    assert weak == plan.node(GAN).config["settings"] | {"epochs": 1}  # what `gans` says holds for the rest


def test_an_arm_of_its_own_has_the_same_stages_as_one_that_shares_them(tiny: Settings) -> None:
    alone, shared = planned(tiny, HALF), planned(tiny, "dcgan", HALF)
    assert alone.node("train-gan/half-half/class-1/seed-0").key == shared.node(GAN).key
    assert cell(alone, "half-half").key == cell(shared, "half-half").key


def test_equal_recipes_of_two_names_share_their_cells_and_are_both_reported(tiny: Settings) -> None:
    plan = planned(tiny, "smote", {"name": "again", "method": "smote"})
    assert cell(plan, "again") == cell(plan, "smote") == plan.node("train-classifier/smote/seed-0")
    assert plan.node("report").config["families"] == [["none", "baseline"], ["smote", "cheap"], ["again", "cheap"]]


@pytest.mark.parametrize(
    "change",
    [
        {"synthetic": {"gan": "vanilla"}},
        {"synthetic": {"gan": "dcgan", "settings": {"epochs": 1}}},
        {"synthetic": {"gan": "dcgan", "settings": {"lr": 1e-3}}},
        {"synthetic": {"gan": "dcgan", "n": "half"}},
        {"synthetic": {"gan": "dcgan", "n": 13}},
        {"synthetic": BEST["synthetic"]},
        {"synthetic": SURE["synthetic"]},
        {"synthetic": {"gan": "dcgan", "filter": {"by": "discriminator", "keep": 0.25}}},
        {"removed": "all"},
        {"removed": "matched"},
        {"method": "class-weight"},
        {"method": {"name": "smote", "k_neighbors": 3}},
        {"objective": "focal"},
        {"objective": {"name": "focal", "gamma": 1.0}},
        {"objective": {"name": "logit-adjustment", "tau": 0.5}},
        {"rescoring": "threshold"},
        {"synthetic": {"augment": {}}},
        {"synthetic": {"noise": {}}},
        {"method": {"name": "mixup", "alpha": 0.4}},
        {"synthetic": {"gan": "dcgan"}, "method": "none"},  # the same said otherwise
    ],
    ids=str,
)
def test_every_part_of_a_recipe_reaches_the_key_of_its_cell(tiny: Settings, change: Recipe) -> None:
    base = {"name": "mine", "synthetic": {"gan": "dcgan"}, "method": "smote", "objective": "logit-adjustment"}
    changed = base | change
    assert key(tiny, changed) != key(tiny, base)
    assert key(tiny, changed) == key(tiny, changed)


def test_noise_is_a_change_of_copies_whose_strength_reaches_the_key(tiny: Settings) -> None:
    def noisy(**settings: float) -> Any:
        return {"name": "noisy", "synthetic": {"noise": settings}}

    (node,) = of_stage(planned(tiny, noisy()), "augment")
    assert (node.name, node.config["augment"]) == ("augment/noisy/class-1/seed-0", {"sd_levels": 2.0})
    assert key(tiny, noisy()) == key(tiny, noisy(sd_levels=2.0)) == cell(planned(tiny, "copy-noise"), "copy-noise").key
    assert key(tiny, noisy(sd_levels=4.0)) != key(tiny, noisy())


def test_under_a_head_augment_has_copies_of_every_class_and_more_of_the_rare_one_at_each_dose(tiny: Settings) -> None:
    arm = {"name": "turned", "synthetic": {"augment": {}, "n": [6, 12]}}
    plan = planned(tiny, arm)
    common, *rare = of_stage(plan, "augment")  # the common class is the same at both doses
    assert (common.config["n"], common.config["class_index"]) == (None, 0)
    assert [(one.config["n"], one.config["class_index"]) for one in rare] == [(6, 1), (12, 1)]
    assert all(one.config["replaces"] for one in (common, *rare))
    for trained in (one for one in of_stage(plan, "train-classifier") if one.arm == "turned"):
        assert trained.config["replaces"]
        assert {"synthetic/0", "synthetic/1"} < trained.inputs.keys()
    network = planned(
        tiny | {"classifier": {"kind": "network", "side_px": 16}}, {"name": "x", "synthetic": {"augment": {}}}
    )
    (copied,) = of_stage(network, "augment")  # it changes every image that it sees by itself
    assert (copied.config["class_index"], "replaces" in copied.config) == (1, False)


def test_the_name_of_a_recipe_reaches_the_report_alone(tiny: Settings) -> None:
    one, other = (planned(tiny, BEST | {"name": name}) for name in ("one", "other"))
    assert {node.key for node in one.nodes[:-1]} == {node.key for node in other.nodes[:-1]}
    assert one.nodes[-1].key != other.nodes[-1].key


def test_the_settings_of_one_arm_reach_no_other_arm(tiny: Settings) -> None:
    before = {node.name: node.key for node in planned(tiny, "dcgan", "smote").nodes}
    after = {node.name: node.key for node in planned(tiny, "dcgan", "smote", WEAK, HALF, BEST).nodes}
    assert {name for name in before if after[name] != before[name]} == {"report"}


def test_another_length_replaces_the_one_in_gans_whatever_its_unit(tiny: Settings) -> None:
    steps = WEAK | {"synthetic": {"gan": "dcgan", "settings": {"steps": 7}}}
    (node,) = of_stage(planned(tiny, steps), "train-gan")
    assert (node.config["settings"]["steps"], node.config["settings"]["batch_size"]) == (7, 16)
    assert "epochs" not in node.config["settings"]
    kept = WEAK | {"synthetic": {"gan": "dcgan", "settings": {"batch_size": 8}}}
    (node,) = of_stage(planned(tiny, kept), "train-gan")
    assert (node.config["settings"]["epochs"], node.config["settings"]["batch_size"]) == (2, 8)


def test_an_amount_of_its_own_goes_before_that_of_the_experiment(tiny: Settings) -> None:
    own = {"name": "mine", "synthetic": {"gan": "dcgan", "n": 5}}
    amounts = [node.config["n"] for node in of_stage(planned(tiny, "dcgan", own), "synthesize")]
    assert amounts == [12, 5]
    assert key(tiny, own) == key(tiny, own, synthesis={"n": 13})


def test_every_rare_class_is_filtered_by_itself() -> None:
    changes = ["imbalance.keep={1: 0.2, shirt: 0.1}"]
    ten = config.read(Path("jobs/experiments/ten-class.yaml"), sets=changes, seeds="0") | {"arms": ["none", SURE]}
    plan = make_plan(config.check(ten, where="ten"))
    assert names(plan, "filter") == ["filter/sure-half/class-1/seed-0", "filter/sure-half/class-6/seed-0"]
    assert [node.config["class_index"] for node in of_stage(plan, "filter")] == [1, 6]
    assert cell(plan, "sure-half").inputs["synthetic/6"] == "features/filter/sure-half/class-6/seed-0"


def everything(tiny: Settings, tmp_path: Path) -> Plan:
    made = {"name": "diffusion", "synthetic": {"images": outside(tmp_path, "0/1", "1/1")}}
    return planned(
        tiny, "threshold", "smote", "dcgan", HALF, BEST, SURE, WEAK, MOVED, made, "oracle-matched", seeds=[0, 1]
    )  # fmt: skip


def test_inputs_come_before_what_reads_them(tiny: Settings, tmp_path: Path) -> None:
    seen: set[str] = set()
    for node in everything(tiny, tmp_path).nodes:
        assert set(node.inputs.values()) <= seen
        seen.add(node.name)


def test_no_two_stages_have_one_name_or_one_key(tiny: Settings, tmp_path: Path) -> None:
    nodes = everything(tiny, tmp_path).nodes
    assert len({node.name for node in nodes}) == len({node.key for node in nodes}) == len(nodes)


def test_the_jobs_of_a_cluster_come_after_all_jobs_that_they_read(tiny: Settings, tmp_path: Path) -> None:
    seen: set[str] = set()
    for group, nodes in runs.groups(everything(tiny, tmp_path)).items():
        own = {node.name for node in nodes}
        read = {parent for node in nodes for parent in node.inputs.values()}
        assert read <= seen, group
        seen |= own


@pytest.mark.parametrize("arm", [HALF, BEST, SURE, MOVED, {"name": "d", "synthetic": {"gan": "dcgan"}}])
def test_an_arm_of_a_gan_that_is_not_there_or_has_wrong_settings_is_refused(tiny: Settings, arm: Recipe) -> None:
    for synthetic, said in (
        ({"gan": "dcgam"}, "gans.dcgam: there is no such GAN; choose among"),
        ({"gan": "dcgan", "settings": {"epoch": 3}}, "gans.dcgan: unknown key 'epoch'"),
        ({"gan": "dcgan", "settings": {"epochs": 3, "steps": 3}}, "gans.dcgan: a GAN trains for .* not both"),
    ):
        with pytest.raises(ConfigError, match=said):
            planned(tiny, arm | {"synthetic": arm["synthetic"] | synthetic})


def test_a_recipe_may_be_the_reference(tiny: Settings) -> None:
    statistics = tiny["statistics"] | {"reference": "half-half"}
    assert planned(tiny, HALF, statistics=statistics).node("report").config["statistics"]["reference"] == "half-half"
    with pytest.raises(ConfigError, match=r"statistics.reference = 'half-half': there is no such arm"):
        planned(tiny, statistics=statistics)


def test_where_nothing_is_removed_a_recipe_of_removed_images_is_left_out_with_a_note(tiny: Settings) -> None:
    more = {"name": "more", "removed": "all", "method": "oversample"}
    plan = planned(tiny, more, HALF, imbalance={"keep": {1: 1.0}})
    assert plan.notes == ("no more: imbalance removes no images, so there are none to give back",)
    assert [arm for arm, _ in plan.node("report").config["families"]] == ["none", "half-half"]
