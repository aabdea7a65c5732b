"""What images made elsewhere, the paper classifier and a named GAN make of the arms in a plan."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ganbalance.errors import ConfigError, DataError
from ganbalance.frozen import dump
from ganbalance.pipeline import request
from jobs import train_gan
from tests.unit.recipes import (
    BEST,
    HALF,
    MOVED,
    NARROW,
    SPLIT,
    SURE,
    WEAK,
    Settings,
    cell,
    key,
    names,
    of_stage,
    outside,
    planned,
)


@pytest.mark.parametrize(
    ("arm", "part"),
    [
        ("oracle-matched", "removed: matched"),
        ("smote", "method: smote"),
        ("borderline-smote", "method: borderline-smote"),
        ("adasyn", "method: adasyn"),
        ("gaussian", "method: gaussian"),
        ("mixup", "method: mixup"),
        ({"name": "mine", "method": {"name": "smote", "k_neighbors": 3}}, "method: .*smote.*"),
        ("focal", "objective: focal"),
        ("logit-adjustment", "objective: logit-adjustment"),
        (SURE, "synthetic.filter"),
    ],
    ids=str,
)
def test_the_papers_protocol_refuses_what_needs_a_linear_head(tiny: Settings, arm: Any, part: str) -> None:
    name = arm if isinstance(arm, str) else arm["name"]
    with pytest.raises(
        ConfigError,
        match=rf"^arms names {name}, whose part '{part}' does not go with classifier.kind = paper; .*to linear-head$",
    ) as caught:
        planned(tiny, arm, classifier={"kind": "paper"})
    assert "\n" not in str(caught.value)
    planned(tiny, arm)


def test_the_papers_protocol_knows_all_that_works_on_images(tiny: Settings, tmp_path: Path) -> None:
    made = {"name": "diffusion", "synthetic": {"images": outside(tmp_path, "0/1")}}
    plan = planned(
        tiny,
        "threshold",
        "class-weight",
        "undersample",
        "copy-noise",
        "oracle",
        HALF,
        BEST,
        WEAK,
        MOVED,
        made,
        classifier={"kind": "paper"},
    )
    assert cell(plan, "best-half").inputs["synthetic/1"] == "filter/best-half/class-1/seed-0"
    assert cell(plan, "diffusion").inputs["synthetic/1"] == "outside-images/diffusion/class-1/seed-0"
    assert cell(plan, "half-half").config["method"] == "oversample"
    assert not of_stage(plan, "features")


def test_images_made_elsewhere_take_the_place_of_a_gan(tiny: Settings, tmp_path: Path) -> None:
    made = {"name": "diffusion", "synthetic": {"images": outside(tmp_path, "0/1"), "n": "half"}}
    plan = planned(tiny, made)
    node = plan.node("outside-images/diffusion/class-1/seed-0")
    assert (node.program, node.inputs, node.gan, node.arm) == ("synthesize", SPLIT, None, "diffusion")
    assert (node.config["n"], node.config["class_index"]) == ("half", 1)
    features = plan.node("features/outside-images/diffusion/class-1/seed-0")
    assert features.inputs == {"images": node.name, "backbone": "backbone"}
    assert cell(plan, "diffusion").inputs["synthetic/1"] == features.name
    assert not of_stage(plan, "train-gan")
    assert plan.notes == ("diffusion: its images were made elsewhere; what their generator saw is not known here",)


def test_their_pixels_are_in_the_key_and_their_place_is_not(tiny: Settings, tmp_path: Path) -> None:
    here = {"name": "diffusion", "synthetic": {"images": outside(tmp_path / "here", "0/1")}}
    there = {"name": "diffusion", "synthetic": {"images": outside(tmp_path / "there", "0/1")}}
    assert key(tiny, here) == key(tiny, there)
    Image.fromarray(np.zeros((16, 16), np.uint8)).save(tmp_path / "there/0/1/0.png")
    assert key(tiny, here) != key(tiny, there)


def test_a_folder_that_is_missing_for_one_seed_is_reported_before_anything_runs(tiny: Settings, tmp_path: Path) -> None:
    made = {"name": "diffusion", "synthetic": {"images": outside(tmp_path, "0/1")}}
    planned(tiny, made)
    with pytest.raises(DataError, match=r"1/1 is no folder of images"):
        planned(tiny, made, seeds=[0, 1])


def test_a_pattern_without_the_seed_is_refused(tiny: Settings, tmp_path: Path) -> None:
    outside(tmp_path, "1")
    with pytest.raises(ConfigError, match=r"every seed has other training images.*write \{seed\}"):
        planned(tiny, {"name": "diffusion", "synthetic": {"images": f"{tmp_path}/{{class}}"}})


def test_a_pattern_without_the_class_is_refused_where_several_are_rare(tiny: Settings, tmp_path: Path) -> None:
    outside(tmp_path, "0")
    made = {"name": "diffusion", "synthetic": {"images": f"{tmp_path}/{{seed}}"}}
    assert names(planned(tiny, made), "outside-images")
    with pytest.raises(ConfigError, match=r"diffusion, whose images = .* all 2 rare classes; write \{class\}"):
        planned(tiny, made, imbalance={"keep": {0: 0.5, 1: 0.5}})


@pytest.mark.parametrize(
    ("arms", "result"),
    [
        (["none", HALF, "smote", "oracle"], ["none", "vanilla", "smote", "oracle"]),
        (["none", "smote", BEST, "dcgan"], ["none", "smote", "vanilla"]),
        (["none", {"name": "vanilla", "synthetic": {"gan": "vanilla"}}], ["none", "vanilla"]),
        (["none", NARROW, "oracle"], ["none", NARROW, "vanilla", "oracle"]),
    ],
    ids=str,
)  # fmt: skip
def test_a_named_gan_replaces_recipes_of_gans_too(
    tiny: Settings, write: Any, arms: list[Any], result: list[Any]
) -> None:
    found = request.experiment(write(tiny | {"arms": arms}), sets=[], only_gans=["vanilla"])
    assert dump(found)["arms"] == result


@pytest.mark.parametrize(
    ("arms", "gan", "listed"),
    [
        (["none", "dcgan", "vanilla"], "dcgan", {"dcgan", "vanilla"}),
        (["none", WEAK, "vanilla"], "dcgan", {"dcgan-weak", "vanilla"}),
        (["none", WEAK, "dcgan"], "vanilla", {"vanilla"}),
    ],
    ids=["shorthand", "recipe", "other"],
)
def test_a_program_changes_the_arms_only_for_a_gan_that_none_of_them_has(
    tiny: Settings, write: Any, arms: list[Any], gan: str, listed: set[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert train_gan.main(["--experiment", str(write(tiny | {"arms": arms})), "--gan", gan, "--dry-run"]) == 0
    said = capsys.readouterr().out
    gans = {name for name in ("dcgan", "dcgan-weak", "vanilla") if f"- {name}\n" in said or f"name: {name}\n" in said}
    assert gans == listed
