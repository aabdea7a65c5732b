"""What is measured of synthetic images in a whole run, from the file to the report."""

from pathlib import Path
from typing import Any

from tests.conftest import Lab

ADDED, TRAINING = 12, 24
REFERENCE = 36  # 6 rare images to validate with, 30 removed ones


def read(lab: Lab, tmp_path: Path, name: str, file: str) -> Any:
    found = lab.state(tmp_path).artifact(name)
    assert found
    return found.json(file)


def test_what_a_gan_draws_is_measured_beside_real_images_that_it_never_saw(finished_once: Lab, tmp_path: Path) -> None:
    found = read(finished_once, tmp_path, "quality/dcgan/class-1/seed-0", "quality.json")
    assert (found["synthetic"], found["training"], found["reference"]) == (ADDED, TRAINING, REFERENCE)
    assert all(isinstance(found[name], float) for name in ("kid", "fid", "precision", "two_sample", "synthetic_auc"))
    assert found["kid"] > 3 * found["kid_se"]  # two epochs draw noise


def test_training_images_drawn_again_are_copies_in_every_way_and_what_a_gan_draws_is_not(
    finished_once: Lab, tmp_path: Path
) -> None:
    control, of_gan = (
        read(finished_once, tmp_path, f"quality/{arm}class-1/seed-0", "quality.json") for arm in ("", "dcgan/")
    )
    copies = ("copies", "memorised", "nearer")
    assert [control[name] for name in copies] == [1.0, 1.0, 1.0]
    assert max(of_gan[name] for name in copies) < 1
    assert control["synthetic"] == ADDED
    assert control["real_auc"] == of_gan["real_auc"]  # of the same real images


def test_the_report_shows_the_quality_of_every_set_beside_its_gain(finished_once: Lab, tmp_path: Path) -> None:
    found = read(finished_once, tmp_path, "report", "summary.json")["quality"]
    assert {(one["arm"], one["seed"]) for one in found["sets"]} == {(arm, s) for arm in ("dcgan", None) for s in (0, 1)}
    assert {(one["arm"], one["seed"]) for one in found["points"]} == {("dcgan", 0), ("dcgan", 1)}
    report = finished_once.state(tmp_path).artifact("report")
    assert report
    assert "Quality of synthetic images" in report.path("report.md").read_text()
    assert "figures/quality.png" in report.names
