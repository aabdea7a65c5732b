"""A plan is a pure function of the experiment: what matters changes keys, what does not does not."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ganbalance import config
from ganbalance.errors import ConfigError
from ganbalance.frozen import dump, parse
from ganbalance.pipeline import request
from ganbalance.pipeline.plan import Plan, make_plan
from tests.loading import loaded_by

Settings = dict[str, Any]
Change = Callable[[Settings], Settings]


def plan_of(settings: Settings) -> Plan:
    return make_plan(config.check(settings, where="test.yaml"))


def keys(settings: Settings) -> dict[str, str]:
    return {node.name: node.key for node in plan_of(settings).nodes}


def changed(before: Settings, after: Settings) -> set[str]:
    """The stages, without seeds, whose keys differ."""
    old, new = keys(before), keys(after)
    return {name.partition("/seed-")[0] for name in old if new.get(name) != old[name]}


def test_equal_experiments_have_equal_plans(tiny: Settings) -> None:
    assert plan_of(tiny) == plan_of(tiny)


def test_a_plan_survives_being_written_down(tiny: Settings) -> None:
    assert parse(Plan, dump(plan_of(tiny)), where="run.json") == plan_of(tiny)


def test_inputs_come_before_what_reads_them(tiny: Settings) -> None:
    seen: set[str] = set()
    for node in plan_of(tiny).nodes:
        assert set(node.inputs.values()) <= seen
        seen.add(node.name)


def test_real_features_are_one_stage_whatever_the_seeds(tiny: Settings) -> None:
    assert keys(tiny)["features/real"] == keys(tiny | {"seeds": [7, 8, 9]})["features/real"]


@pytest.mark.parametrize(
    ("change", "stages"),
    [
        ({"resources": {"threads": 2, "device": "cpu"}}, set()),
        ({"statistics": {"replicates": 300}}, {"report"}),
        ({"statistics": {"margin": 0.01}}, {"report"}),
        ({"statistics": {"margin": {"share": 0.2}}}, {"report"}),
        ({"statistics": {"precision_levels": [0.7]}}, {"report"}),
        ({"statistics": {"recall_levels": [0.7]}}, {"report"}),
        ({"statistics": {"reference": "oversample"}}, {"report"}),
        ({"note": "other"}, {"report"}),
        ({"cost": {"cpu_hour": 0.04, "accelerator_hour": 2.5, "currency": "EUR"}}, {"report"}),
        (
            {"synthesis": {"n": 13}},
            {
                "synthesize/dcgan/class-1",
                "features/dcgan/class-1",
                "train-classifier/dcgan",
                "quality/dcgan/class-1",
                "quality/class-1",
                "report",
            },
        ),
        (
            {"gans": {"dcgan": {"epochs": 3}}},
            {
                "train-gan/dcgan/class-1",
                "synthesize/dcgan/class-1",
                "features/dcgan/class-1",
                "train-classifier/dcgan",
                "quality/dcgan/class-1",
                "report",
            },
        ),
    ],
)  # fmt: skip
def test_a_setting_changes_the_keys_of_the_stages_it_reaches_and_no_others(
    tiny: Settings, change: Settings, stages: set[str]
) -> None:
    base = tiny | {"gans": {"dcgan": {"epochs": 2}}}
    assert changed(base, base | change) == stages


def test_the_grid_of_penalties_reaches_every_cell_and_the_report(tiny: Settings) -> None:
    other = tiny | {"classifier": tiny["classifier"] | {"l2": [1.0, 0.1, 0.01]}}
    trained = {f"train-classifier/{arm}" for arm in tiny["arms"] if arm != "threshold"}
    assert changed(tiny, other) == trained | {"rescore/threshold", "report"}


def test_how_many_images_a_gan_adds_reaches_the_cell_of_the_matched_oracle_and_of_no_other_real_arm(
    tiny: Settings,
) -> None:
    base = tiny | {"arms": [*tiny["arms"], "oracle-matched"]}
    reached = changed(base, base | {"synthesis": {"n": 13}})
    assert {name for name in reached if name.startswith("train-classifier")} == {
        "train-classifier/dcgan",
        "train-classifier/oracle-matched",
    }
    matched = {node.arm: node.config["matched"] for node in plan_of(base).nodes if node.stage == "train-classifier"}
    assert {arm for arm, n in matched.items() if n is not None} == {"oracle-matched"}
    assert matched["oracle-matched"] == base["synthesis"]["n"]


def test_a_cell_knows_the_columns_of_the_rare_classes() -> None:
    ten = config.read(Path("jobs/experiments/ten-class.yaml"), sets=["imbalance.keep={shirt: 0.2, 1: 0.1}"], seeds="0")
    assert plan_of(ten).node("train-classifier/none/seed-0").config["rare"] == [1, 6]


def test_the_backbone_reaches_all_features_and_no_gan(tiny: Settings) -> None:
    other = tiny | {"classifier": tiny["classifier"] | {"backbone": "resnet18"}}
    reached = changed(tiny, other)
    assert {"backbone", "features/real", "features/dcgan/class-1", "train-classifier/none"} <= reached
    assert not {"dataset", "imbalance", "train-gan/dcgan/class-1", "synthesize/dcgan/class-1"} & reached


def test_the_keep_ratio_reaches_everything_but_the_data_itself(tiny: Settings) -> None:
    reached = changed(tiny, tiny | {"imbalance": {"keep": {1: 0.4}}})
    assert not {"dataset", "backbone", "features/real"} & reached
    assert {"imbalance", "train-gan/dcgan/class-1", "train-classifier/none"} <= reached


def test_other_resources_are_the_same_run(tiny: Settings) -> None:
    assert plan_of(tiny).run == plan_of(tiny | {"resources": {"threads": 4}}).run
    assert plan_of(tiny).run != plan_of(tiny | {"seeds": [0]}).run


def test_every_rare_class_gets_its_own_gan(tiny: Settings, tmp_path: Path) -> None:
    ten = config.read(Path("jobs/experiments/ten-class.yaml"), sets=["imbalance.keep={1: 0.2, shirt: 0.1}"], seeds="0")
    names = {node.name for node in plan_of(ten).nodes}
    assert {"train-gan/dcgan/class-1/seed-0", "train-gan/dcgan/class-6/seed-0"} <= names
    cell = next(node for node in plan_of(ten).nodes if node.name == "train-classifier/dcgan/seed-0")
    assert {"synthetic/1", "synthetic/6"} <= set(cell.inputs)


def test_a_conditional_gan_is_trained_once_for_all_rare_classes() -> None:
    changes = ["imbalance.keep={1: 0.2, shirt: 0.1}", "arms=[none, cdcgan]"]
    ten = config.read(Path("jobs/experiments/ten-class.yaml"), sets=changes, seeds="0,1")
    nodes = {node.name: node for node in plan_of(ten).nodes}
    trained = [name for name in nodes if name.startswith("train-gan/")]
    assert trained == ["train-gan/cdcgan/seed-0", "train-gan/cdcgan/seed-1"]
    assert nodes[trained[0]].config["class_index"] is None
    for label in (1, 6):
        assert nodes[f"synthesize/cdcgan/class-{label}/seed-0"].inputs["gan"] == trained[0]


def test_the_paper_protocol_trains_on_images_and_holds_nothing_out(tiny: Settings) -> None:
    plan = plan_of(tiny | {"classifier": {"kind": "paper"}})
    stages = {node.stage for node in plan.nodes}
    assert "train-paper-classifier" in stages
    assert not {"features", "train-classifier"} & stages
    assert next(node for node in plan.nodes if node.stage == "imbalance").config["validation"] == 0
    assert next(node for node in plan.nodes if node.stage == "train-gan").config["canvas"] == "resize"


def test_where_nothing_is_removed_there_is_no_oracle_and_the_plan_says_so(tiny: Settings) -> None:
    arms = [*tiny["arms"], "oracle-matched"]
    plan = plan_of(tiny | {"imbalance": {"keep": {1: 1.0}}, "arms": arms})
    assert not any(node.arm in {"oracle", "oracle-matched"} for node in plan.nodes)
    assert [note.partition(":")[0] for note in plan.notes[:2]] == ["no oracle", "no oracle-matched"]
    assert "removes no images" in plan.notes[0]
    removing = plan_of(tiny | {"arms": arms})
    assert {node.arm for node in removing.nodes} >= {"oracle", "oracle-matched"}
    assert not any("oracle" in note for note in removing.notes)


def test_a_plan_says_where_the_classifier_sees_fewer_pixels_than_the_images_have(tiny: Settings) -> None:
    def said(side_px: int) -> list[str]:
        plan = plan_of(tiny | {"dataset": tiny["dataset"] | {"side_px": side_px}})
        return [note for note in plan.notes if "side_px" in note]

    assert said(16) == []
    assert said(32) == ["images have 32 px, and the classifier sees 16 of them: classifier.side_px"]


def test_the_papers_protocol_keeps_its_oracle_and_knows_no_matched_one(tiny: Settings) -> None:
    paper = tiny | {"classifier": {"kind": "paper"}}
    assert any(node.arm == "oracle" for node in plan_of(paper).nodes)
    with pytest.raises(
        ConfigError, match=r"oracle-matched, whose part 'removed: matched' does not go with classifier\.kind = paper"
    ) as caught:
        plan_of(paper | {"arms": ["none", "dcgan", "oracle-matched"]})
    assert "\n" not in str(caught.value)


def with_test_images(tmp_path: Path, *counts: int) -> Settings:
    """A dataset whose classes have these numbers of test images."""
    labels, tested = np.repeat(np.arange(len(counts)), 30), np.repeat(np.arange(len(counts)), counts)
    images = np.zeros((max(len(labels), len(tested)), 8, 8), np.uint8)
    np.savez(
        tmp_path / "data.npz", images=images[: len(labels)], labels=labels, test_images=images[: len(tested)],
        test_labels=tested,
    )  # fmt: skip
    return {"dataset": {"name": "npz", "path": str(tmp_path / "data.npz")}, "seeds": [0, 1, 2, 3, 4]}


@pytest.mark.parametrize(
    ("counts", "forecast"),
    [
        ((50, 50), []),
        ((50, 49), ["verdicts with caution: class '1' has 49 of the 50 test images from which error rates hold"]),
        ((20, 50), ["verdicts with caution: class '0' has 20 of the 50 test images from which error rates hold"]),
        ((50, 19), ["no verdicts: class '1' has 19 of the 20 test images that one needs"]),
        ((1, 50), ["no verdicts: class '0' has 1 of the 20 test images that one needs"]),
    ],
)
def test_a_class_with_few_test_images_is_noted_before_hours_are_spent(
    tiny: Settings, tmp_path: Path, counts: tuple[int, ...], forecast: list[str]
) -> None:
    assert list(plan_of(tiny | with_test_images(tmp_path, *counts)).forecast) == forecast


def test_a_class_that_the_task_does_not_tell_apart_needs_no_test_images(tiny: Settings, tmp_path: Path) -> None:
    three = tiny | with_test_images(tmp_path, 60, 60, 3)
    assert not plan_of(three).forecast
    assert "class '2' has 3" in plan_of(three | {"task": {"kind": "multiclass"}}).forecast[0]


@pytest.mark.parametrize(("seeds", "said"), [(1, True), (4, True), (5, False), (6, False)])
def test_too_few_seeds_for_a_verdict_are_noted_before_hours_are_spent(
    tiny: Settings, tmp_path: Path, seeds: int, said: bool
) -> None:
    forecast = plan_of(tiny | with_test_images(tmp_path, 60, 60) | {"seeds": list(range(seeds))}).forecast
    assert list(forecast) == [f"no verdicts: {seeds} of the 5 seeds that one needs"] * said


def test_the_presets_but_that_of_the_paper_have_enough_of_everything() -> None:
    members = [m for path in Path("jobs/experiments").glob("*.yaml") for m in request.experiments(path, sets=[])]
    assert {m.experiment.name for m in members if make_plan(m.experiment).forecast} == {"paper"}


def test_arms_may_be_listed_in_any_order(tiny: Settings) -> None:
    assert changed(tiny, tiny | {"arms": tiny["arms"][::-1]}) == {"report"}  # which keeps their order


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"arms": ["none", "smoke"]}, "no arm 'smoke'; choose among"),
        ({"gans": {"dcgam": {}}}, "gans.dcgam: there is no such GAN"),
        ({"gans": {"dcgan": {"epochs": 0}}}, "gans.dcgan: epochs = 0"),
        ({"gans": {"dcgan": {"epoch": 5}}}, "unknown key 'epoch'"),
        ({"gans": {"dcgan": {"epochs": 5, "steps": 5}}}, "gans.dcgan: a GAN trains for .* not both"),
        ({"imbalance": {"keep": {11: 0.5}}}, "no such class; its classes are 0 0, 1 1"),
        ({"task": {"kind": "pair", "positive": 1, "negative": 1}}, "the same class"),
        ({"classifier": {"backbone": "vgg"}}, "no backbone 'vgg'"),
        ({"gans": {"vanilla": {"epcohs": 5}}}, "gans.vanilla: unknown key 'epcohs'"),
        (
            {"statistics": {"reference": "class-wieght"}},
            "statistics.reference = 'class-wieght': there is no such arm; choose among adasyn, augment, ",
        ),
        ({"classifier": {"kind": "paper"}, "arms": ["none", "oracle-matched"]}, "oracle-matched.*kind to linear-head"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_runs(tiny: Settings, change: Settings, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        plan_of(tiny | change)


def test_a_keep_ratio_of_a_class_outside_the_task_is_refused() -> None:
    quick = config.read(Path("jobs/experiments/quick.yaml"), sets=["imbalance.keep={bag: 0.2}"])
    with pytest.raises(ConfigError, match="which the task does not tell apart"):
        plan_of(quick)


def test_a_class_named_twice_is_refused() -> None:
    quick = config.read(Path("jobs/experiments/quick.yaml"), sets=["imbalance.keep={shirt: 0.2, 6: 0.9}"])
    with pytest.raises(ConfigError, match="twice, by name and by number"):
        plan_of(quick)


def test_where_class_names_are_numbers_a_number_is_a_name(tiny: Settings, tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", images=np.zeros((30, 16, 16), np.uint8), labels=np.repeat([1, 2, 3], 10))
    own = tiny | {"dataset": {"name": "npz", "path": str(tmp_path / "data.npz")}, "imbalance": {"keep": {2: 0.5}}}
    pair = {"kind": "pair", "positive": 2, "negative": 3}
    assert plan_of(own | {"task": pair}).node("dataset").config["class_names"] == ["3", "2"]
    with pytest.raises(ConfigError, match="no such class; its classes are 0 1, 1 2, 2 3"):
        plan_of(own | {"task": pair | {"positive": 0}})


def test_classes_go_by_name_or_by_number() -> None:
    quick = Path("jobs/experiments/quick.yaml")
    assert keys(config.read(quick)) == keys(config.read(quick, sets=["task.positive=6", "imbalance.keep={6: 0.01}"]))


@pytest.mark.parametrize(
    ("arms", "result"),
    [
        (["none", "dcgan", "oracle"], ["none", "vanilla", "wgan-gp", "oracle"]),
        (["none", "vanilla", "class-weight", "dcgan"], ["none", "vanilla", "wgan-gp", "class-weight"]),
        (["none", "oracle"], ["none", "vanilla", "wgan-gp", "oracle"]),
        (["none"], ["none", "vanilla", "wgan-gp"]),
    ],
)
def test_named_gans_replace_the_experiments_in_place(
    tiny: Settings, write: Callable[[Settings], Path], arms: list[str], result: list[str]
) -> None:
    path = write(tiny | {"arms": arms})
    found = request.experiment(path, sets=[], only_gans=["vanilla", "wgan-gp"])
    assert dump(found)["arms"] == result


def test_an_unknown_gan_on_the_command_line_lists_the_known_ones(
    tiny: Settings, write: Callable[[Settings], Path]
) -> None:
    with pytest.raises(ConfigError, match=r"choose among .*dcgan"):
        request.experiment(write(tiny), sets=[], only_gans=["biggan"])


@pytest.mark.parametrize("module", ["jobs.report", "ganbalance.reporting.tables", "ganbalance.pipeline.runs"])
def test_reports_and_run_records_need_no_torch(module: str) -> None:
    assert "torch" not in loaded_by(f"import {module}")


def test_what_a_pod_gets_is_named_by_a_program_or_a_stage(tiny: Settings) -> None:
    pods = {"features": {"gpus": 1}, "train-gans": {"gpus": 1}}
    with pytest.raises(ConfigError, match=r"^resources.pods.train-gans: no program or stage; choose among augment, "):
        plan_of(tiny | {"resources": {"pods": pods}})


@pytest.mark.parametrize("name", ["report", "backbone"])
def test_a_gpu_for_what_uses_none_is_refused(tiny: Settings, name: str) -> None:
    with pytest.raises(ConfigError, match=rf"^resources.pods.{name}.gpus: it uses none; these do: features, filter, "):
        plan_of(tiny | {"resources": {"pods": {name: {"gpus": 1}}}})
    assert plan_of(tiny | {"resources": {"pods": {name: {"gpus": 0}, "train-classifier": {"gpus": 1}}}})


def test_what_a_stage_leaves_open_is_said_by_its_program(tiny: Settings) -> None:
    pods = {"train-classifier": {"cpu": "2", "gpus": 1}, "features": {"gpus": 0}}
    resources = config.check(tiny | {"resources": {"pods": pods}}, where="test.yaml").resources
    assert resources.of_pods("features", "train-classifier") == config.PodResources(cpu="2", gpus=0)
    assert resources.of_pods("rescore", "train-classifier") == config.PodResources(cpu="2", gpus=1)
    assert resources.of_pods("train-gan", "train-gan") == config.PodResources()
