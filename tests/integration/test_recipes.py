"""A tiny experiment with an arm for every kind of part, from the file to the report."""

import csv
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from ganbalance import cli
from ganbalance.arms import filters
from ganbalance.metrics.scores import Scores
from ganbalance.pipeline import request, runs
from ganbalance.store import open_store
from jobs import synthesize
from tests.conftest import SIDE_PX, Lab, artifact, tiny_settings

Settings = dict[str, Any]

BAD_DATA = 65
ADDED = 12
HALF = {"name": "half-half", "synthetic": {"gan": "dcgan", "n": "half"}, "method": "oversample"}
BEST = {"name": "best", "synthetic": {"gan": "dcgan", "filter": {"by": "discriminator", "keep": 0.3}}}
SURE = {"name": "sure", "synthetic": {"gan": "dcgan", "filter": {"by": "classifier", "keep": 0.3}}}
MOVED = {"name": "dcgan-threshold", "synthetic": {"gan": "dcgan"}, "rescoring": "threshold"}
SAME = {"name": "same", "objective": "focal"}
FAMILIES = {
    "none": "baseline", "threshold": "exempt", "smote": "cheap", "focal": "cheap", "logit-adjustment": "cheap",
    "dcgan": "generative", "half-half": "generative", "best": "generative", "sure": "generative",
    "diffusion": "generative", "dcgan-threshold": "generative", "same": "cheap", "augment": "cheap",
    "copy-noise": "cheap", "undersample": "cheap", "borderline-smote": "cheap", "gaussian": "cheap", "mixup": "cheap",
}  # fmt: skip
ADDS = {
    "smote": 48,
    "borderline-smote": 48,
    "gaussian": 48,
    "mixup": 96,
    "undersample": -48,
    "augment": ADDED,
    "copy-noise": ADDED,
    "dcgan": ADDED,
    "half-half": 48,
    "best": ADDED,
    "sure": ADDED,
    "diffusion": ADDED,
}
"""Examples on top of the 72 + 24 images that are kept for training; half-half makes 24 and repeats 24.

A mixture of mixup is two examples, one of each label."""


def write_images(folder: Path, n: int) -> np.ndarray:
    """Image files in the folder of one seed and class; what is in them."""
    folder.mkdir(parents=True)
    images = np.random.default_rng(0).integers(0, 256, (n, SIDE_PX, SIDE_PX), np.uint8)
    for number, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{number:02d}.png")
    return images


def with_outside(folder: Path, **more: Any) -> Settings:
    return {"name": "diffusion", "synthetic": {"images": f"{folder}/made/{{seed}}/{{class}}", **more}}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny_npz: Path) -> Lab:
    folder = tmp_path_factory.mktemp("recipes")
    write_images(folder / "made/0/1", ADDED + 3)
    arms = [
        "none", "threshold", "smote", "focal", "logit-adjustment", "augment", "dcgan", HALF, BEST, SURE,
        with_outside(folder), MOVED, SAME, "copy-noise", "undersample", "borderline-smote", "gaussian", "mixup",
    ]  # fmt: skip
    classifier = {"side_px": 64, "l2": [1.0, 0.1]}  # features of larger images: at 16 px several images have the same
    settings = tiny_settings(tiny_npz) | {"arms": arms, "seeds": [0], "classifier": classifier}
    experiment = folder / "experiment.yaml"
    experiment.write_text(yaml.safe_dump(settings))
    lab = Lab(experiment, folder / "store")
    lab.run_all(folder)
    return lab


def images_of(lab: Lab, tmp_path: Path, name: str) -> np.ndarray:
    found: np.ndarray = np.load(artifact(lab, tmp_path, name).path("images.npy"))
    return found


def cell(lab: Lab, tmp_path: Path, arm: str) -> Any:
    return artifact(lab, tmp_path, lab.plan.node("report").inputs[f"cell/{arm}/0"])


def summary(lab: Lab, tmp_path: Path) -> Any:
    return artifact(lab, tmp_path, "report").json("summary.json")


def test_the_report_has_every_arm_under_its_name_in_its_family(finished: Lab, tmp_path: Path) -> None:
    assert {arm: found["family"] for arm, found in summary(finished, tmp_path)["arms"].items()} == FAMILIES
    rows = csv.DictReader(artifact(finished, tmp_path, "report").path("results.csv").read_text().splitlines())
    assert {row["arm"] for row in rows} == set(FAMILIES)
    assert summary(finished, tmp_path)["missing_results"] == []
    page = artifact(finished, tmp_path, "report").path("report.md").read_text().lower()
    assert all(arm in page for arm in FAMILIES)


def test_every_arm_but_the_baseline_and_the_threshold_is_judged(finished: Lab, tmp_path: Path) -> None:
    verdicts = {arm: found["verdict"] for arm, found in summary(finished, tmp_path)["arms"].items()}
    assert {arm for arm, verdict in verdicts.items() if not verdict} == {"none", "threshold"}
    assert {verdict["name"] for verdict in verdicts.values() if verdict} == {"too few seeds"}


def test_the_report_says_of_which_images_it_does_not_know_where_they_come_from(finished: Lab, tmp_path: Path) -> None:
    note = "diffusion: its images were made elsewhere; what their generator saw is not known here"
    assert finished.plan.notes == (note,)
    assert note in json.dumps(summary(finished, tmp_path))
    assert note in artifact(finished, tmp_path, "report").path("report.md").read_text()


@pytest.mark.parametrize("arm", sorted(FAMILIES.keys() - {"threshold", "dcgan-threshold"}))
def test_an_arm_learns_from_as_many_examples_as_its_recipe_says(finished: Lab, tmp_path: Path, arm: str) -> None:
    assert cell(finished, tmp_path, arm).commit.metrics == {"images": 96 + ADDS.get(arm, 0), "converged": True}


def test_arms_differ_from_the_baseline_and_equal_recipes_do_not_differ(finished: Lab, tmp_path: Path) -> None:
    scores = {arm: Scores.load(cell(finished, tmp_path, arm).path("scores.npz")) for arm in FAMILIES}
    of_none = scores["none"].test[..., 1] - scores["none"].test[..., 0]
    for arm in FAMILIES:
        odds = scores[arm].test[..., 1] - scores[arm].test[..., 0]
        assert (np.abs(odds - of_none).max() > 1e-2) == (arm not in {"none", "threshold"}), arm
    assert np.array_equal(scores["same"].test, scores["focal"].test)
    assert cell(finished, tmp_path, "same").commit.key == cell(finished, tmp_path, "focal").commit.key


def test_threshold_and_adjusted_logits_move_the_threshold_alone(finished: Lab, tmp_path: Path) -> None:
    arms = summary(finished, tmp_path)["arms"]
    for moved, base in (("threshold", "none"), ("logit-adjustment", "none"), ("dcgan-threshold", "dcgan")):
        ranking, rule = (arms[arm]["metrics"]["auc"]["mean"] for arm in (moved, base)), "balanced_accuracy@as-trained"
        assert next(ranking) == pytest.approx(next(ranking), abs=1e-3), moved
        assert arms[moved]["metrics"][rule]["mean"] != arms[base]["metrics"][rule]["mean"]
    both = [arms[arm]["metrics"][rule]["mean"] for arm in ("threshold", "logit-adjustment")]
    assert both[0] == pytest.approx(both[1], abs=0.013)  # one of eighty images may stand on the line


def test_the_filters_keep_the_best_of_the_same_images(finished: Lab, tmp_path: Path) -> None:
    where = "class-1/seed-0"
    drawn = images_of(finished, tmp_path, f"synthesize/best/{where}")
    assert len(drawn) == 40  # of which 12 are three tenths
    place = {image.tobytes(): number for number, image in enumerate(drawn)}
    assert len(place) == 40
    kept = {}
    for arm in ("best", "sure"):
        made = artifact(finished, tmp_path, f"filter/{arm}/{where}")
        scores = np.load(made.path("scores.npy"))
        kept[arm] = [place[image.tobytes()] for image in np.load(made.path("images.npy"))]
        assert len(kept[arm]) == ADDED
        assert kept[arm] == sorted(kept[arm])
        assert scores[kept[arm]].min() > np.delete(scores, kept[arm]).max()
        assert np.load(made.path("labels.npy")).tolist() == [1] * ADDED
    assert kept["best"] != kept["sure"]
    assert len(images_of(finished, tmp_path, f"synthesize/dcgan/{where}")) == ADDED


def test_images_made_elsewhere_are_the_first_by_name(finished: Lab, tmp_path: Path) -> None:
    made = images_of(finished, tmp_path, "outside-images/diffusion/class-1/seed-0")
    files = sorted((finished.experiment.parent / "made/0/1").iterdir())
    assert len(files) == ADDED + 3
    assert np.array_equal(made[:, 0], np.stack([np.asarray(Image.open(file)) for file in files[:ADDED]]))


def test_a_finished_run_has_nothing_left_to_do(finished: Lab, tmp_path: Path) -> None:
    assert finished.run_all(tmp_path) == []


def test_the_images_of_two_arms_of_one_gan_are_exported_apart(finished: Lab, tmp_path: Path) -> None:
    record = runs.Record(experiment=request.experiment(finished.experiment, sets=[]), plan=finished.plan)
    run = runs.submit(open_store(str(finished.store)), record)
    to = tmp_path / "png"
    assert cli.main(["export", "--run", run, "--store", str(finished.store), "--seed", "0", "--to", str(to)]) == 0
    count = {folder.name: len(list(folder.rglob("*.png"))) for folder in (to / "seed-0").iterdir()}
    made = dict.fromkeys(("copy-noise", "dcgan", "best", "sure", "diffusion"), ADDED)
    assert count == made | {"real": 96, "augment": 96 + ADDED, "half-half": 24}


# ---- the odd cases -------------------------------------------------------------------------------------------------


def ran(lab: Lab, *stages: str) -> None:
    """Run the stages up to and including these kinds."""
    for node in lab.plan.nodes:
        if node.stage in stages:
            assert lab.run(node) == 0


TO_DRAWN = ("dataset", "backbone", "features", "imbalance", "train-gan", "synthesize", "filter")


def test_a_filter_of_no_images_keeps_none(tiny: Settings, write: Callable[[Settings], Path], tmp_path: Path) -> None:
    changes = {"imbalance": {"keep": {0: 1.0}}, "synthesis": {"n": "balance"}, "seeds": [0]}
    lab = Lab(write(tiny | changes | {"arms": ["none", BEST, SURE]}), tmp_path / "store")
    ran(lab, *TO_DRAWN)
    for arm in ("best", "sure"):
        made = artifact(lab, tmp_path, f"filter/{arm}/class-0/seed-0")
        assert np.load(made.path("images.npy")).shape == (0, 1, SIDE_PX, SIDE_PX)
        assert np.load(made.path("scores.npy")).shape == (0,)


@pytest.fixture
def two_kinds_of_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A filter in a file of its own that tells dark from bright and nothing else; its name."""
    (tmp_path / "filters").mkdir()
    (tmp_path / "filters" / "bright.py").write_text("""
import numpy as np
from ganbalance.arms.base import Filter

class Bright(Filter):
    above: float = 0.5

    def score(self, candidates):
        levels = candidates.images.reshape(len(candidates.images), -1).mean(axis=1)
        return (levels > np.quantile(levels, self.above)).astype(np.float64)
""")
    monkeypatch.setattr(filters, "__path__", [*filters.__path__, str(tmp_path / "filters")])
    yield "bright"
    sys.modules.pop("ganbalance.arms.filters.bright", None)


def test_a_filter_in_a_new_file_works_and_of_images_that_score_alike_the_first_stay(
    two_kinds_of_images: str, tiny: Settings, write: Callable[[Settings], Path], tmp_path: Path
) -> None:
    by = {"name": two_kinds_of_images, "above": 0.75}
    arm = {"name": "bright-half", "synthetic": {"gan": "dcgan", "filter": {"by": by, "keep": 0.5}}}
    lab = Lab(write(tiny | {"arms": ["none", arm], "seeds": [0]}), tmp_path / "store")
    ran(lab, "dataset", "imbalance", "train-gan", "synthesize", "filter")
    made = artifact(lab, tmp_path, "filter/bright-half/class-1/seed-0")
    scores, drawn = np.load(made.path("scores.npy")), images_of(lab, tmp_path, "synthesize/bright-half/class-1/seed-0")
    bright, dark = np.flatnonzero(scores == 1), np.flatnonzero(scores == 0)
    assert 0 < len(bright) < ADDED < len(drawn)
    kept = np.sort(np.concatenate([bright, dark[: ADDED - len(bright)]]))
    assert np.array_equal(np.load(made.path("images.npy")), drawn[kept])


UNCHANGED = {"flip": False, "shift": 0.0, "rotate_deg": 0.0}


def test_every_training_image_has_a_changed_copy_and_the_rare_ones_have_more(
    tiny: Settings, write: Callable[[Settings], Path], tmp_path: Path
) -> None:
    arm = {"name": "copies", "synthetic": {"augment": UNCHANGED, "n": 200}}
    lab = Lab(write(tiny | {"arms": ["none", arm], "seeds": [0]}), tmp_path / "store")
    ran(lab, "dataset", "imbalance", "augment")
    row_of = {image.tobytes(): row for row, image in enumerate(images_of(lab, tmp_path, "dataset"))}
    labels = np.load(artifact(lab, tmp_path, "dataset").path("labels.npy"))
    with np.load(artifact(lab, tmp_path, "imbalance/seed-0").path("split.npz")) as split:
        train = split["train"]
    for c, more in ((0, 0), (1, 200)):
        used = [row_of[image.tobytes()] for image in images_of(lab, tmp_path, f"augment/copies/class-{c}/seed-0")]
        own = [row for row in train if labels[row] == c]
        assert used[: len(own)] == own
        assert len(used) == len(own) + more
        assert set(used) == set(own)


@pytest.mark.parametrize("weight", [1.0, 0.25])
def test_copies_that_are_not_changed_teach_what_the_images_and_copies_of_them_do(
    tiny: Settings, write: Callable[[Settings], Path], tmp_path: Path, weight: float
) -> None:
    """Were the images learned from beside their copies, or weighed as copies, one arm would learn something else."""
    dose = {"n": 60, "weight": weight}
    copies = {"name": "copies", "synthetic": {"augment": UNCHANGED} | dose}
    added = {"name": "added", "synthetic": {"noise": {"sd_levels": 1e-6}} | dose}
    lab = Lab(write(tiny | {"arms": ["none", copies, added], "seeds": [0]}), tmp_path / "store")
    ran(lab, "dataset", "imbalance", "augment", "backbone", "features", "train-classifier")
    found = {}
    for arm in ("copies", "added"):
        with np.load(artifact(lab, tmp_path, f"train-classifier/{arm}/seed-0").path("scores.npz")) as arrays:
            found[arm] = arrays["test"]
    assert found["copies"] == pytest.approx(found["added"], abs=1e-3)


def test_noisy_copies_are_of_the_images_that_augmentation_draws_and_as_far_from_them_as_the_noise_says(
    tiny: Settings, write: Callable[[Settings], Path], tmp_path: Path
) -> None:
    copies = {"name": "copies", "synthetic": {"augment": UNCHANGED, "n": 200}}
    noisy = {"name": "noisy", "synthetic": {"noise": {"sd_levels": 5.0}, "n": 200}}
    lab = Lab(write(tiny | {"arms": ["none", copies, noisy], "seeds": [0]}), tmp_path / "store")
    ran(lab, "dataset", "imbalance", "augment")
    before, after = (
        images_of(lab, tmp_path, f"augment/{arm}/class-1/seed-0")[-200:].astype(np.float64)
        for arm in ("copies", "noisy")
    )
    inside = (before > 30) & (before < 225)  # where nothing is cut off
    assert inside.any()
    assert (after - before)[inside].mean() == pytest.approx(0, abs=0.1)
    assert (after - before)[inside].std() == pytest.approx(5, rel=0.05)


@pytest.mark.parametrize("n", [4, 15])
def test_as_many_images_that_were_made_elsewhere_are_taken_as_were_asked_for(
    tiny: Settings, write: Callable[[Settings], Path], tmp_path: Path, n: int
) -> None:
    write_images(tmp_path / "made/0/1", 15)
    lab = Lab(write(tiny | {"arms": ["none", with_outside(tmp_path, n=n)], "seeds": [0]}), tmp_path / "store")
    ran(lab, "dataset", "imbalance", "outside-images")
    assert len(images_of(lab, tmp_path, "outside-images/diffusion/class-1/seed-0")) == n


@pytest.mark.parametrize(("n", "asked"), [("balance", 48), ("half", 24), (40, 40)])
def test_fewer_images_made_elsewhere_than_asked_for_are_refused_with_both_numbers(
    tiny: Settings, write: Callable[[Settings], Path], tmp_path: Path, n: Any, asked: int,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    write_images(tmp_path / "made/0/1", 15)
    lab = Lab(write(tiny | {"arms": ["none", with_outside(tmp_path, n=n)], "seeds": [0]}), tmp_path / "store")
    ran(lab, "dataset", "imbalance")
    assert lab.run(lab.plan.node("outside-images/diffusion/class-1/seed-0")) == 65
    assert f"holds 15 images, and {asked} are asked for" in one_line(capsys.readouterr().err)


def one_line(text: str) -> str:
    (line,) = [line for line in text.splitlines() if line.startswith("synthesize: ")]
    return line


@pytest.mark.parametrize("part", ["validation", "tuning", "test", "removed"])
def test_images_that_no_generator_may_see_stop_the_run_with_their_numbers(
    tiny: Settings, write: Callable[[Settings], Path], tmp_path: Path, part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "made/0/1"
    write_images(folder, 5)
    lab = Lab(write(tiny | {"arms": ["none", with_outside(tmp_path)], "seeds": [0]}), tmp_path / "store")
    ran(lab, "dataset", "imbalance")
    with np.load(artifact(lab, tmp_path, "imbalance/seed-0").path("split.npz")) as split:
        row = split[part][-1]
    Image.fromarray(images_of(lab, tmp_path, "dataset")[row, 0]).save(folder / "03.png")
    capsys.readouterr()
    assert lab.program("synthesize", "--stage", "outside-images/diffusion/class-1/seed-0") == BAD_DATA
    assert f"1 of 5 images that were made elsewhere are copies of validation, tuning, test or removed images " \
           f"(first: number 3 by name, row {row} of the dataset)" in one_line(capsys.readouterr().err)  # fmt: skip
    assert not list(lab.store.glob("stages/outside-images/*/COMMIT.json"))


def test_files_that_changed_after_the_plan_are_noticed(
    tiny: Settings, write: Callable[[Settings], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_images(tmp_path / "made/0/1", 15)
    lab = Lab(write(tiny | {"arms": ["none", with_outside(tmp_path)], "seeds": [0]}), tmp_path / "store")
    ran(lab, "dataset", "imbalance")
    record = runs.Record(experiment=request.experiment(lab.experiment, sets=[]), plan=lab.plan)
    run = runs.submit(open_store(str(lab.store)), record)
    Image.fromarray(np.zeros((SIDE_PX, SIDE_PX), np.uint8)).save(tmp_path / "made/0/1/99.png")
    assert synthesize.main(["--run", run, "--store", str(lab.store)]) == BAD_DATA
    assert "changed since the run was planned; start it again" in one_line(capsys.readouterr().err)


def test_smote_of_one_rare_image_is_reported_in_one_line(
    tiny: Settings, write: Callable[[Settings], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = np.repeat([0, 1], [60, 60])
    images = np.random.default_rng(0).integers(0, 256, (120, SIDE_PX, SIDE_PX), np.uint8)
    np.savez(tmp_path / "few.npz", images=images, labels=labels)
    few = {
        "dataset": {"name": "npz", "path": str(tmp_path / "few.npz"), "side_px": SIDE_PX},
        "imbalance": {"keep": {1: 0.0625}, "validation": 0.5},  # of 48 rare images three, of which two are validation
        "arms": ["none", "smote"], "seeds": [0],
    }  # fmt: skip
    lab = Lab(write(tiny | few), tmp_path / "store")
    ran(lab, "dataset", "backbone", "features", "imbalance")
    assert lab.program("train-classifier", "--arm", "smote") == BAD_DATA
    assert "smote draws lines between images of a class, and one class has 1 to train on" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["discriminator", "outside"])
def test_the_papers_protocol_trains_on_filtered_images_and_on_those_made_elsewhere(
    tiny: Settings, write: Callable[[Settings], Path], tmp_path: Path, kind: str
) -> None:
    write_images(tmp_path / "made/0/1", ADDED)
    arm = BEST if kind == "discriminator" else with_outside(tmp_path)
    classifier = {"kind": "paper", "side_px": 16, "training": {"epochs": 1}}
    changes = {"arms": ["none", arm], "seeds": [0], "classifier": classifier}
    lab = Lab(write(tiny | changes), tmp_path / "store")
    for node in lab.plan.nodes[:-1]:
        assert lab.run(node) == 0
    images = {name: cell(lab, tmp_path, name).commit.metrics["images"] for name in ("none", arm["name"])}
    assert images == {"none": 120, arm["name"]: 120 + ADDED}
