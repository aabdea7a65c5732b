"""An arm that tunes its dose of synthetic images, from the file to the report and the classifier that is kept."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from ganbalance import cli
from ganbalance.metrics.scores import Scores
from ganbalance.training import saved_head
from ganbalance.training.saved_head import LinearHead
from tests.conftest import Lab, artifact, tiny_settings

DOSED: dict[str, Any] = {"name": "dosed", "synthetic": {"gan": "dcgan", "n": [6, 24], "weight": [0.5, 1.0]}}
LAST = {"name": "last", "synthetic": {"gan": "dcgan", "n": 24}}
SEEDS = (0, 1)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny_npz: Path) -> Lab:
    folder = tmp_path_factory.mktemp("doses")
    classifier = {"side_px": 64, "l2": [1.0, 0.1]}
    settings = tiny_settings(tiny_npz) | {"arms": ["none", DOSED, LAST], "seeds": [*SEEDS], "classifier": classifier}
    experiment = folder / "experiment.yaml"
    experiment.write_text(yaml.safe_dump(settings))
    lab = Lab(experiment, folder / "store")
    lab.run_all(folder)
    return lab


def scores(lab: Lab, tmp_path: Path, name: str) -> Scores:
    return Scores.load(artifact(lab, tmp_path, name).path("scores.npz"))


def test_the_last_dose_is_the_arm_that_has_it_alone(finished: Lab, tmp_path: Path) -> None:
    for seed in SEEDS:
        inputs = finished.plan.node("report").inputs
        joined, alone = (scores(finished, tmp_path, inputs[f"cell/{arm}/{seed}"]) for arm in ("dosed", "last"))
        assert joined.strengths.tolist() == [1.0, 0.1] * 4
        assert np.array_equal(joined.test[6:], alone.test)
        assert np.array_equal(joined.prior[7], alone.prior)


def test_a_synthetic_image_of_half_the_weight_counts_half_in_the_classes_shares(finished: Lab, tmp_path: Path) -> None:
    shares = scores(finished, tmp_path, "doses/dosed/seed-0").prior[::2, 1]
    assert shares == pytest.approx([(24 + 3) / (96 + 3), (24 + 6) / (96 + 6), (24 + 12) / (96 + 12), 48 / 120])


def test_few_images_are_the_first_of_many(finished: Lab, tmp_path: Path) -> None:
    few, many = (
        np.load(artifact(finished, tmp_path, f"synthesize/dosed/dose-{dose}/class-1/seed-0").path("images.npy"))
        for dose in (1, 3)
    )
    assert (len(few), len(many)) == (6, 24)
    assert np.array_equal(few[:-1], many[:5])  # torch fills the last few numbers of a draw in another way


def test_the_report_says_which_dose_was_chosen_and_how_the_others_did(finished: Lab, tmp_path: Path) -> None:
    report = artifact(finished, tmp_path, "report")
    found = report.json("summary.json")["arms"]["dosed"]
    assert [(dose["n"], dose["images"], dose["weight"]) for dose in found["doses"]] == [
        ("6", 6, 0.5), ("6", 6, 1.0), ("24", 24, 0.5), ("24", 24, 1.0),
    ]  # fmt: skip
    tuned = found["sensitivity"]
    assert tuned["dose"] == 1 + int(np.argmax([dose["tuning"] for dose in tuned["doses"]]))
    assert tuned["strengths"] == [1.0, 0.1]
    page = report.path("report.md").read_text()
    chosen = found["doses"][tuned["dose"] - 1]
    assert f"{chosen['images']} images of weight {chosen['weight']:g}" in page
    assert "Doses of dosed" in page
    assert "doses.png" in page


def test_the_classifier_that_is_kept_is_that_of_the_chosen_dose(finished: Lab, tmp_path: Path) -> None:
    run, folder = finished.plan.run, tmp_path / "kept"
    words = ["export", "--run", run, "--store", str(finished.store), "--model", str(folder), "--arm", "dosed"]
    assert cli.main(words) == 0
    tuned = artifact(finished, tmp_path, "report").json("summary.json")["arms"]["dosed"]["sensitivity"]
    model = json.loads((folder / "model.json").read_text())
    assert model["strength"] == tuned["all_classes"]
    cell = artifact(finished, tmp_path, f"train-classifier/dosed/dose-{tuned['dose']}/seed-0")
    wanted = saved_head.load(cell.path("head.safetensors"), tuned["all_classes"])
    assert np.array_equal(LinearHead.load(folder / "head.safetensors").weights, wanted.weights)


def test_exported_images_of_each_number_have_a_folder(finished: Lab, tmp_path: Path) -> None:
    words = ["export", "--run", finished.plan.run, "--store", str(finished.store), "--seed", "0", "--to"]
    assert cli.main([*words, str(tmp_path / "images")]) == 0
    folders = {path.name: len(list(path.rglob("*.png"))) for path in (tmp_path / "images/seed-0").iterdir()}
    assert {name: count for name, count in folders.items() if name != "real"} == {"dosed-6": 6, "dosed-24": 24}
