"""The commands of examples/README.md, on small images: split, images of a generator of one's own, report."""

import csv
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ganbalance import cli, config
from ganbalance.pipeline.plan import make_plan
from ganbalance.reporting.summary import Summary
from jobs import imbalance

SCRIPT = Path("examples/gaussian_mixture.py").resolve()
EXAMPLE = Path("examples/gaussian-mixture.yaml")
Write = Callable[[dict[str, Any]], Path]


def drawn(*arguments: Path | str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, SCRIPT, *arguments], capture_output=True, text=True, check=False)


@pytest.fixture
def split(tiny: dict[str, Any], write: Write, tmp_path: Path) -> Path:
    """What `ganbalance export --split` writes of both seeds of the tiny experiment, 24 and 72 images of its classes."""
    store, to = str(tmp_path / "store"), tmp_path / "split"
    assert imbalance.main(["--experiment", str(write(tiny)), "--store", store]) == 0
    (run,) = (path.name for path in (tmp_path / "store/runs").iterdir())
    assert cli.main(["export", "--run", run, "--split", "--to", str(to), "--store", store]) == 0
    return to


def test_images_of_a_generator_of_ones_own_are_judged_beside_the_others(
    split: Path, tiny: dict[str, Any], write: Write, tmp_path: Path
) -> None:
    done = drawn(split, tmp_path / "made")
    assert done.stdout == "seed 0: 48 images of 1, from 24\nseed 1: 48 images of 1, from 24\n", done.stderr
    mixture = {"name": "mixture", "synthetic": {"images": f"{tmp_path}/made/{{seed}}/{{class}}", "n": 48}}
    experiment = write(tiny | {"arms": ["none", mixture, "oracle"]})
    flags = ("--store", str(tmp_path / "store"), "--out", str(tmp_path / "out"), "--workers", "2")
    assert cli.main(["run", str(experiment), *flags]) == 0

    (report,) = (tmp_path / "out").iterdir()
    summary = Summary.read(report / "summary.json")
    assert [arm for arm, found in summary.arms.items() if found.family == "generative"] == ["mixture"]
    page = (report / "report.md").read_text()
    assert "mixture: its images were made elsewhere; what their generator saw is not known here" in page


def test_what_is_drawn_is_new_like_the_class_and_the_same_again(split: Path, tmp_path: Path) -> None:
    for place in ("made", "again"):
        assert drawn(split, tmp_path / place).returncode == 0
    made, again = (pixels(tmp_path / place / "0/1") for place in ("made", "again"))
    assert np.array_equal(made, again)
    assert not np.array_equal(made, pixels(tmp_path / "made/1/1"))
    own, other = (pixels(split / "seed-0/real" / name) for name in "10")
    assert not {image.tobytes() for image in made} & {image.tobytes() for image in own}

    def away(images: np.ndarray) -> float:
        return float(np.linalg.norm(made.mean(axis=0) - images.mean(axis=0)))

    assert away(own) < away(other) / 3


def test_a_generator_sees_what_the_list_says_and_nothing_else(split: Path, tmp_path: Path) -> None:
    stray = next((split / "seed-0/real/0").iterdir()).read_bytes()
    for number in range(9):
        (split / f"seed-0/real/1/stray-{number}.png").write_bytes(stray)
    assert drawn(split, tmp_path / "made", "1").stdout.startswith("seed 0: 48 images of 1, from 24\n")

    with (split / "seed-0/split.csv").open(newline="") as table:
        listed = next(row["file"] for row in csv.DictReader(table) if row["class"] == "1")
    (split / "seed-0" / listed).write_bytes(stray)
    done = drawn(split, tmp_path / "again", "1")
    assert done.returncode == 1
    assert done.stderr == f"{split}/seed-0/{listed} is not the image that split.csv lists; export the split anew\n"


@pytest.mark.parametrize(("where", "said"), [("missing", "holds no seeds"), ("split", "is there already")])
def test_a_wrong_folder_is_named_in_one_line(split: Path, tmp_path: Path, where: str, said: str) -> None:
    done = drawn(tmp_path / where, split)
    assert done.returncode == 2
    assert said in done.stderr.splitlines()[-1]


def test_but_for_its_own_arm_the_example_is_the_quick_preset() -> None:
    example, quick = (config.read(path) for path in (EXAMPLE, Path("jobs/experiments/quick.yaml")))
    assert [arm["name"] for arm in example["arms"] if isinstance(arm, dict)] == ["mixture"]
    example["arms"] = [arm for arm in example["arms"] if isinstance(arm, str)]
    planned, known = (make_plan(config.check(one, where="")) for one in (example, quick))
    assert {node.key for node in planned.nodes if node.stage != "report"} == {
        node.key for node in known.nodes if node.stage != "report"
    }


def pixels(folder: Path) -> np.ndarray:
    return np.stack([np.asarray(Image.open(file), np.float64) for file in sorted(folder.glob("*.png"))])
