"""A model's folder: what predict makes of it and of images, and every refusal. Its weights are random."""

import csv
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ganbalance import cli
from ganbalance.data.listing import image_files
from ganbalance.models import backbones
from ganbalance.training import model_folder, weights
from ganbalance.training.saved_head import LinearHead
from tests.unit.known_models import described

Said = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that nobody changes."""
    folder, rng = tmp_path_factory.mktemp("model"), np.random.default_rng(0)
    backbone = backbones.find("efficientnet-lite0")
    weights.save(folder / "weights", backbone.build().state_dict())
    rule = model_folder.DecisionRule(scale=1.0, offsets=(0.0, 0.5))
    model = described(
        backbone=model_folder.Network(
            name="efficientnet-lite0",
            sha256=backbone.sha256,
            trained="frozen",
            side_px=32,
            mean=backbone.mean,
            std=backbone.std,
        ),
        rules={"fair": rule, "as-trained": rule},
    )
    head = LinearHead(np.zeros(1280), np.ones(1280), rng.normal(size=(2, 1280)), np.zeros(2))
    model_folder.write(folder / "kept", model, head, folder / "weights")
    return folder / "kept"


@pytest.fixture
def changed(kept: Path, tmp_path: Path) -> Path:
    """The same, to be changed by a test."""
    shutil.copytree(kept, tmp_path / "changed")
    return tmp_path / "changed"


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photographs of noise."""
    folder, rng = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    for number in range(5):
        Image.fromarray(rng.integers(0, 256, (40, 40, 3), np.uint8)).save(folder / f"{number}.png")
    return folder


def refused(capsys: Said, *words: Any) -> tuple[int, str]:
    """The exit code and the line that the command ends with."""
    code = cli.main([str(word) for word in words])
    (line,) = capsys.readouterr().err.splitlines()
    return code, line


def test_a_folder_stands_for_the_images_in_it(kept: Path, images: Path, tmp_path: Path) -> None:
    (tmp_path / "mixed" / "deeper").mkdir(parents=True)
    for name in ("b.png", "a.PNG", "deeper/c.png", ".hidden.png", "notes.txt"):
        (tmp_path / "mixed" / name).write_bytes(image_files(images)[0].read_bytes())
    one, folder, to = image_files(images)[1], tmp_path / "mixed", tmp_path / "predictions.csv"
    assert cli.main(["predict", str(kept), str(one), str(folder), "--to", str(to)]) == 0
    with to.open(newline="") as file:
        named = [row["file"] for row in csv.DictReader(file)]
    assert named == [str(path) for path in (one, folder / "a.PNG", folder / "b.png", folder / "deeper/c.png")]


def test_without_a_file_the_table_is_all_that_is_printed(kept: Path, images: Path, capsys: Said) -> None:
    assert cli.main(["predict", str(kept), str(images)]) == 0
    printed = capsys.readouterr()
    rows = list(csv.DictReader(printed.out.splitlines()))
    assert len(rows) == 5
    assert list(rows[0]) == ["file", "class", "P(cat)", "P(dog)"]
    assert printed.err == ""


def test_images_that_are_none_are_reported_in_one_line(kept: Path, images: Path, tmp_path: Path, capsys: Said) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.png").write_text("no image")
    known = image_files(images)[0]
    to = tmp_path / "predictions.csv"
    for path, message in (
        (tmp_path / "empty", "holds no images (.apng, "),
        (tmp_path / "none.png", "there is no such file or folder"),
        (tmp_path / "text.png", "is not a readable image"),
    ):
        code, line = refused(capsys, "predict", kept, known, path, "--to", to)
        assert code == 65
        assert str(path) in line
        assert message in line
        assert not to.exists()


def test_a_table_needs_a_folder_to_lie_in(kept: Path, images: Path, tmp_path: Path, capsys: Said) -> None:
    code, line = refused(capsys, "predict", kept, images, "--to", tmp_path / "no" / "predictions.csv")
    assert code == 78
    assert line.endswith(f"there is no folder {tmp_path / 'no'}")


def test_a_folder_that_is_no_model_is_reported(images: Path, capsys: Said) -> None:
    code, line = refused(capsys, "predict", images, images)
    assert code == 65
    assert "is no model: it has no model.json; 'ganbalance export --run RUN --model FOLDER' writes one" in line


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 1}, "is of format 1, and this ganbalance reads format 3; export the model again, or predict with"),
        ({"format": None}, "is of format None"),
        ({"classes": ["one"]}, "a rule has one offset for each class"),
        ({"seed": "first"}, "seed = 'first'"),
        ({"extra": 1}, "unknown key 'extra'"),
        ({"backbone": {}}, "key 'backbone.name' is missing"),
    ],
)
def test_another_format_and_a_changed_model_are_refused(
    changed: Path, images: Path, capsys: Said, change: dict[str, Any], message: str
) -> None:
    given = json.loads((changed / "model.json").read_text()) | change
    (changed / "model.json").write_text(json.dumps(given))
    code, line = refused(capsys, "predict", changed, images)
    assert code == 65
    assert message in line


@pytest.mark.parametrize("content", ["{", "[]", "\xff"])
def test_a_damaged_model_is_refused(changed: Path, images: Path, capsys: Said, content: str) -> None:
    (changed / "model.json").write_bytes(content.encode("latin-1"))
    code, line = refused(capsys, "predict", changed, images)
    assert code == 65
    assert "model.json is " in line
    assert "export the model again" in line


@pytest.mark.parametrize("name", ["head.safetensors", "backbone.safetensors"])
def test_weights_of_another_model_are_refused(changed: Path, images: Path, capsys: Said, name: str) -> None:
    (changed / name).write_bytes((changed / name).read_bytes()[:-1] + b"\1")
    assert "is not the file that model.json was written with" in refused(capsys, "predict", changed, images)[1]
    (changed / name).unlink()
    assert refused(capsys, "predict", changed, images)[0] == 65


def test_a_rule_that_a_model_lacks_is_reported(kept: Path, images: Path, capsys: Said) -> None:
    code, line = refused(capsys, "predict", kept, images, "--rule", "deployment")
    assert (code, line) == (78, "ganbalance: --rule deployment: the model has no such rule, only fair, as-trained")


def test_where_there_is_no_torch_predict_says_so(
    kept: Path, images: Path, monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "ganbalance.training.model_folder", raising=False)
    message = "ganbalance: torch is not installed here; install ganbalance[train]"
    assert refused(capsys, "predict", kept, images) == (78, message)
