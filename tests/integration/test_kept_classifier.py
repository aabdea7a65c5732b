"""The classifier that a run leaves: exported, it says of an image what it said in the run, with or without us."""

import csv
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image
from safetensors.numpy import load_file
from scipy.special import softmax

from ganbalance import cli
from ganbalance.data.listing import image_files
from ganbalance.keys import sha256_file
from ganbalance.pipeline import request, runs
from ganbalance.store import open_store
from tests.conftest import Lab

Said = pytest.CaptureFixture[str]
CLASSES = {"shirt": 6, "T-shirt": 0}
ALIKE = 1e-6
ROUNDED = 1e-4
"""An image alone takes other convolutions, which round float32 in another way."""


def write_folders(images: Any, folder: Path, *, train: int, test: int) -> Path:
    """FashionMNIST's test images of two classes as PNG files, the first of each class to train on."""
    for name, label in CLASSES.items():
        rows = images.n_train + np.flatnonzero(images.labels[images.n_train :] == label)
        for number, row in enumerate(rows[: train + test]):
            path = folder / ("train" if number < train else "test") / name / f"{number:04d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(images.images[row, 0]).save(path)
    return folder


def submitted(settings: dict[str, Any], folder: Path) -> Lab:
    """A run with everything done, and its record."""
    path = folder / "experiment.yaml"
    path.write_text(yaml.safe_dump(settings))
    lab = Lab(path, folder / "store")
    lab.run_all(folder)
    runs.submit(open_store(str(lab.store)), runs.Record(experiment=request.experiment(path, sets=[]), plan=lab.plan))
    return lab


@pytest.fixture(scope="module")
def images(fashion_mnist: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folders(fashion_mnist.load(), tmp_path_factory.mktemp("images"), train=90, test=150)


@pytest.fixture(scope="module")
def lab(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    settings = {
        "name": "kept",
        "note": "A run of a test.",
        "dataset": {"name": "folder", "path": str(images), "side_px": 28},
        "task": {"kind": "pair", "positive": "shirt", "negative": "T-shirt"},
        "imbalance": {"keep": {"shirt": 0.3}},
        "arms": ["none", "threshold", "class-weight", "oracle"],
        "classifier": {"l2": [10.0, 0.1, 1e-3, 1e-4]},
        "statistics": {"replicates": 200},
        "seeds": [3, 4],
    }
    return submitted(settings, tmp_path_factory.mktemp("kept"))


def flags(lab: Lab, folder: Path, *others: str) -> list[str]:
    return ["export", "--run", lab.plan.run, "--store", str(lab.store), "--model", str(folder), *others]


@pytest.fixture(scope="module")
def export(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Export a classifier of the run."""

    def run(*others: str) -> Path:
        folder = tmp_path_factory.mktemp("model") / "kept"
        assert cli.main(flags(lab, folder, *others)) == 0
        return folder

    return run


@pytest.fixture(scope="module")
def kept(export: Callable[..., Path]) -> Path:
    """An exported classifier, which nobody changes."""
    return export("--arm", "class-weight", "--seed", "4")


@pytest.fixture
def changed(kept: Path, tmp_path: Path) -> Path:
    """The exported classifier, to be changed by a test."""
    shutil.copytree(kept, tmp_path / "changed")
    return tmp_path / "changed"


@pytest.fixture(scope="module")
def reported(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The arrays and the summary that the report wrote."""
    state = lab.state(tmp_path_factory.mktemp("report"))
    commit = state.commit("report")
    assert commit is not None
    with np.load(state.artifacts.open(commit).path("predictions.npz"), allow_pickle=False) as arrays:
        return dict(arrays) | {"summary": state.artifacts.open(commit).json("summary.json")}


def in_the_run(reported: dict[str, Any], arm: str, seed: int, rule: str) -> np.ndarray:
    """Probabilities of the test images as the report has them: T-shirts first, each class by the names of its files."""
    scale, *offsets = reported[f"rule/{rule}/{arm}/{seed}"]
    probabilities: np.ndarray = softmax(scale * reported[f"test/{arm}/{seed}"] + offsets, axis=1)
    return probabilities


def predicted(model: Path, images: list[Path], folder: Path, *others: str) -> list[dict[str, str]]:
    to = folder / "predictions.csv"
    assert cli.main(["predict", str(model), *map(str, images), "--to", str(to), *others]) == 0
    with to.open(newline="") as file:
        return list(csv.DictReader(file))


def probabilities(rows: list[dict[str, str]]) -> np.ndarray:
    return np.array([[float(row["P(T-shirt)"]), float(row["P(shirt)"])] for row in rows])


@pytest.mark.parametrize(
    ("arm", "seed"), [("none", 3), ("none", 4), ("threshold", 3), ("class-weight", 4), ("oracle", 3)]
)
@pytest.mark.parametrize("rule", ["fair", "as-trained", "deployment"])
def test_an_image_has_the_probabilities_that_it_had_in_the_run(
    arm: str,
    seed: int,
    rule: str,
    export: Callable[..., Path],
    images: Path,
    reported: dict[str, Any],
    tmp_path: Path,
) -> None:
    model = export("--arm", arm, "--seed", str(seed))
    ordered = image_files(images / "test/T-shirt") + image_files(images / "test/shirt")
    rows = predicted(model, ordered, tmp_path, "--rule", rule)
    expected = in_the_run(reported, arm, seed, rule)
    assert [row["file"] for row in rows] == [str(path) for path in ordered]
    assert np.abs(probabilities(rows) - expected).max() < ALIKE
    assert [row["class"] for row in rows] == [("T-shirt", "shirt")[c] for c in expected.argmax(axis=1)]
    assert 0.01 < expected.min(axis=1).mean() < 0.4  # no image was certain anyway


def test_an_image_has_the_same_probabilities_alone_and_in_company(kept: Path, images: Path, tmp_path: Path) -> None:
    files = image_files(images / "test")
    together = probabilities(predicted(kept, [images / "test"], tmp_path))
    assert len(together) == 300
    for number in (0, 177, 299):
        alone = probabilities(predicted(kept, [files[number]], tmp_path))
        assert np.abs(alone - together[number]).max() < ALIKE


def lines(model: Path) -> str:
    """The Python in the README of an exported classifier."""
    (code,) = re.findall(r"```python\n(.*?)```", (model / "README.md").read_text(), re.DOTALL)
    assert "ganbalance" not in code
    return str(code)


def printed(said: str, names: tuple[str, ...]) -> list[float]:
    found = dict(re.findall(r"'([^']+)': ([0-9.e-]+)", said))
    return [float(found[name]) for name in names]


def test_the_lines_in_the_readme_predict_without_this_project(
    changed: Path, images: Path, reported: dict[str, Any]
) -> None:
    shutil.copyfile(image_files(images / "test/shirt")[7], changed / "image.png")
    # isolated from PYTHONPATH, which leads to this project
    command = [sys.executable, "-I", "-c", lines(changed)]
    done = subprocess.run(command, cwd=changed, capture_output=True, text=True, check=True)
    expected = in_the_run(reported, "class-weight", 4, "fair")[150 + 7]
    assert printed(done.stdout, ("T-shirt", "shirt")) == pytest.approx(expected, abs=ROUNDED)


def test_a_model_says_what_it_is(kept: Path, lab: Lab, reported: dict[str, Any]) -> None:
    model = json.loads((kept / "model.json").read_text())
    assert (model["format"], model["arm"], model["seed"], model["seeds"]) == (3, "class-weight", 4, [3, 4])
    assert model["classes"] == ["T-shirt", "shirt"]
    assert model["task"] == {"kind": "pair", "positive": "shirt", "negative": "T-shirt"}
    assert model["image"] == {"side_px": 28, "channels": 1, "fit": "pad"}
    assert model["backbone"]["name"] == "efficientnet-lite0"
    assert model["backbone"]["sha256"].startswith("579344248a93")
    assert (model["backbone"]["side_px"], model["backbone"]["mean"], model["backbone"]["std"]) == (
        32,
        [0.5] * 3,
        [0.5] * 3,
    )
    assert model["run"] == lab.plan.run
    assert model["verdict"] == "too few seeds"
    assert "a verdict needs 5" in model["evidence"]
    assert model["caveat"].startswith(
        "The verdict on class-weight, “too few seeds”, is about all seeds together, 3 and 4."
    )
    assert model["note"] == "A run of a test."
    assert model["strength"] == reported["summary"]["arms"]["class-weight"]["sensitivity"]["all_classes"]
    for rule in ("fair", "as-trained", "deployment"):
        scale, *offsets = reported[f"rule/{rule}/class-weight/4"]
        assert model["rules"][rule] == {"scale": scale, "offsets": offsets}
    weights = {name: sha256_file(kept / name) for name in ("head.safetensors", "backbone.safetensors")}
    assert model["files"] == weights


def test_a_model_holds_one_head_and_nothing_else(kept: Path) -> None:
    names = {"model.json", "head.safetensors", "backbone.safetensors", "README.md"}
    assert {path.name for path in kept.iterdir()} == names
    shapes = {name: array.shape for name, array in load_file(kept / "head.safetensors").items()}
    assert shapes == {"mean": (1280,), "scale": (1280,), "weights": (2, 1280), "biases": (2,)}


def test_a_rescored_arm_is_the_head_of_its_source_with_a_rule_of_its_own(export: Callable[..., Path]) -> None:
    source, rescored = export("--arm", "none"), export("--arm", "threshold")
    assert (source / "head.safetensors").read_bytes() == (rescored / "head.safetensors").read_bytes()
    rules = [json.loads((folder / "model.json").read_text())["rules"] for folder in (source, rescored)]
    assert rules[0]["as-trained"]["scale"] == rules[1]["as-trained"]["scale"]
    assert (
        rules[0]["as-trained"]["offsets"][1] + 0.5 < rules[1]["as-trained"]["offsets"][1]
    )  # the rare class more often


def test_without_an_arm_that_helps_it_is_the_baseline_at_the_first_seed(lab: Lab, tmp_path: Path, capsys: Said) -> None:
    assert cli.main(flags(lab, tmp_path / "kept")) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "none at seed 3: no arm is shown to help, so the baseline with the fair threshold"
    assert "A run of a test." in said
    assert json.loads((tmp_path / "kept/model.json").read_text())["verdict"] is None


def refused(capsys: Said, *words: Any) -> tuple[int, str]:
    """The exit code and the line that the command ends with."""
    capsys.readouterr()
    code = cli.main([str(word) for word in words])
    (line,) = capsys.readouterr().err.splitlines()
    return code, line


@pytest.mark.parametrize(
    ("others", "code", "message"),
    [
        (
            ("--arm", "hope"),
            78,
            "--arm hope: the run has no such arm; choose among none, threshold, class-weight, oracle",
        ),
        (("--seed", "9"), 78, "--seed 9: the run has no such seed, only 3, 4"),
        (("--split",), 78, "--gan and --split choose images; name their folder with --to"),
        (("--gan", "dcgan"), 78, "--gan and --split choose images; name their folder with --to"),
    ],
)
def test_what_cannot_be_exported_is_reported_in_one_line(
    lab: Lab, tmp_path: Path, capsys: Said, others: tuple[str, ...], code: int, message: str
) -> None:
    assert refused(capsys, *flags(lab, tmp_path / "kept", *others)) == (code, f"ganbalance: {message}")
    assert not (tmp_path / "kept").exists()


def test_a_folder_that_holds_something_is_left_alone(lab: Lab, kept: Path, capsys: Said) -> None:
    code, line = refused(capsys, *flags(lab, kept))
    assert (code, line) == (78, f"ganbalance: --model {kept}: it is not an empty folder; name a new one")


def test_model_onnx_says_what_predict_does(
    lab: Lab, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    model, files = tmp_path / "kept", image_files(images / "test")
    assert cli.main(flags(lab, model, "--onnx", "--arm", "class-weight")) == 0
    assert f"wrote {model} with model.onnx; next: ganbalance predict" in capsys.readouterr().out
    pixels = np.stack([np.array(Image.open(path))[None] for path in files])
    _, found = onnxruntime.InferenceSession(model / "model.onnx").run(None, {"images": pixels})
    expected = probabilities(predicted(model, [images / "test"], tmp_path))
    assert np.abs(found - expected).max() < ROUNDED
    assert np.ptp(expected) > 0.9
    shutil.copyfile(files[7], model / "image.png")
    _, code = re.findall(r"```python\n(.*?)```", (model / "README.md").read_text(), re.DOTALL)
    monkeypatch.chdir(model)
    capsys.readouterr()
    exec(code, {})  # noqa: S102 - of this project
    assert printed(capsys.readouterr().out, ("T-shirt", "shirt")) == pytest.approx(expected[7], abs=ROUNDED)


def test_without_its_packages_onnx_is_refused_before_a_run_is_looked_for(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    command = ["export", "--run", "none", "--store", tmp_path / "none", "--model", tmp_path / "kept", "--onnx"]
    message = "--onnx: the package onnxscript is not installed here; install ganbalance[onnx]"
    assert refused(capsys, *command) == (78, f"ganbalance: {message}")
    assert list(tmp_path.iterdir()) == []


def test_images_and_a_classifier_are_exported_one_at_a_time(lab: Lab, tmp_path: Path, capsys: Said) -> None:
    run = ["export", "--run", lab.plan.run, "--store", lab.store]
    for folders in ([], ["--to", tmp_path / "a", "--model", tmp_path / "b"]):
        code, line = refused(capsys, *run, *folders)
        assert code == 78
        assert line.endswith("name one folder, with --to or with --model")
    code, line = refused(capsys, *run, "--to", tmp_path / "a", "--arm", "none")
    assert (code, line) == (78, "ganbalance: --arm chooses a classifier; name its folder with --model")
    code, line = refused(capsys, *run, "--to", tmp_path / "a", "--onnx")
    assert (code, line) == (78, "ganbalance: --onnx writes a classifier; name its folder with --model")


def recorded(settings: dict[str, Any], folder: Path) -> list[str]:
    """The command that exports a classifier of a run of which nothing is done."""
    path = folder / "experiment.yaml"
    path.write_text(yaml.safe_dump(settings))
    lab = Lab(path, folder / "store")
    runs.submit(open_store(str(lab.store)), runs.Record(experiment=request.experiment(path, sets=[]), plan=lab.plan))
    return flags(lab, folder / "kept")


def test_the_papers_protocol_leaves_no_classifier(tiny: dict[str, Any], tmp_path: Path, capsys: Said) -> None:
    code, line = refused(capsys, *recorded(tiny | {"classifier": {"kind": "paper"}}, tmp_path))
    assert code == 78
    assert "has classifier.kind = paper, which keeps no network" in line


def test_a_run_without_a_report_leaves_no_classifier_yet(tiny: dict[str, Any], tmp_path: Path, capsys: Said) -> None:
    code, line = refused(capsys, *recorded(tiny, tmp_path))
    assert code == 65
    assert re.search(r"report of run tiny-\w+ is not done; run the experiment first", line)


def test_a_cell_from_before_heads_were_kept_is_reported(lab: Lab, tmp_path: Path, capsys: Said) -> None:
    shutil.copytree(lab.store, tmp_path / "store")
    node = lab.plan.node("train-classifier/none/seed-3")
    path = tmp_path / "store" / "stages" / node.stage / node.key / "COMMIT.json"
    commit = json.loads(path.read_text())
    commit["files"] = [file for file in commit["files"] if file["path"] != "head.safetensors"]
    path.write_text(json.dumps(commit))
    code, line = refused(capsys, *flags(Lab(lab.experiment, tmp_path / "store"), tmp_path / "kept"))
    assert code == 65
    assert "train-classifier/none/seed-3 was trained before heads were kept; run the experiment again" in line


def test_many_classes_in_colour_are_kept_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Said) -> None:
    rng = np.random.default_rng(0)
    for label, name in enumerate(("a", "b", "c")):
        (tmp_path / "images" / name).mkdir(parents=True)
        for number in range(30):
            pixels = rng.normal(90 + 40 * (np.arange(3) == label), 60, (20, 20, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "images" / name / f"{number:02d}.png")
    settings = {
        "name": "colours",
        "dataset": {"name": "folder", "path": str(tmp_path / "images"), "side_px": 16, "channels": 3},
        "task": {"kind": "multiclass"},
        "imbalance": {"keep": {"b": 0.5}},
        "arms": ["none"],
        "classifier": {"side_px": 32, "l2": [1.0, 0.1]},
        "statistics": {"replicates": 200},
        "seeds": [0],
    }
    lab = submitted(settings, tmp_path)
    assert cli.main(flags(lab, tmp_path / "kept")) == 0
    state = lab.state(tmp_path)
    commit = state.commit("report")
    assert commit is not None
    with np.load(state.artifacts.open(commit).path("predictions.npz"), allow_pickle=False) as arrays:
        scale, *offsets = arrays["rule/fair/none/0"]
        expected = softmax(scale * arrays["test/none/0"] + offsets, axis=1)
    rows = predicted(tmp_path / "kept", [tmp_path / "images"], tmp_path)
    found = np.array([[float(row[f"P({name})"]) for name in "abc"] for row in rows])
    assert found.sum(axis=1) == pytest.approx(np.ones(90))
    for one in expected:  # some of the images are the test images
        assert np.abs(found - one).max(axis=1).min() < ALIKE
    shutil.copyfile(tmp_path / "images/c/29.png", tmp_path / "kept/image.png")
    monkeypatch.chdir(tmp_path / "kept")
    capsys.readouterr()
    exec(lines(tmp_path / "kept"), {})  # noqa: S102 - of this project
    assert printed(capsys.readouterr().out, ("a", "b", "c")) == pytest.approx(found[-1], abs=ROUNDED)
