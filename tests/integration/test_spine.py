"""The whole spine on a tiny experiment: every stage, every program, one store."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ganbalance import cli
from ganbalance.pipeline import request, runs
from ganbalance.store import open_store
from tests.conftest import Lab

ARMS = ["none", "threshold", "class-weight", "oversample", "dcgan", "oracle"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, finished_once: Lab) -> Lab:
    """A tiny run with everything done, shared by the tests that look, and by those that leave it as it was."""
    store = tmp_path_factory.mktemp("finished") / "store"
    shutil.copytree(finished_once.store, store)
    return Lab(finished_once.experiment, store)


def artifact(lab: Lab, tmp_path: Path, name: str) -> Any:
    state = lab.state(tmp_path)
    commit = state.commit(name)
    assert commit is not None
    return state.artifacts.open(commit)


def results(lab: Lab, tmp_path: Path) -> bytes:
    return bytes(artifact(lab, tmp_path, "report").path("results.csv").read_bytes())


def test_the_report_has_every_arm_and_seed(finished: Lab, tmp_path: Path) -> None:
    rows = list(csv.DictReader(results(finished, tmp_path).decode().splitlines()))
    assert set(rows[0]) == {"arm", "seed", "metric", "value"}
    assert {(row["arm"], row["seed"]) for row in rows} == {(arm, seed) for arm in ARMS for seed in "01"}
    assert {"auc", "average_precision", "balanced_accuracy@0.5", "f1@prior"} <= {row["metric"] for row in rows}


def test_the_report_holds_all_its_files(finished: Lab, tmp_path: Path) -> None:
    names = artifact(finished, tmp_path, "report").names
    assert {"report.html", "report.md", "results.csv", "summary.json", "predictions.npz"} <= set(names)
    assert any(name.startswith("figures/") for name in names)


def test_any_metric_can_be_recomputed_from_the_predictions(finished: Lab, tmp_path: Path) -> None:
    from sklearn.metrics import roc_auc_score

    from ganbalance.data.predictions import Predictions

    cell = Predictions.load(artifact(finished, tmp_path, "train-classifier/dcgan/seed-1").path("predictions.npz"))
    rows = csv.DictReader(results(finished, tmp_path).decode().splitlines())
    (told,) = (row["value"] for row in rows if (row["arm"], row["seed"], row["metric"]) == ("dcgan", "1", "auc"))
    assert roc_auc_score(cell.test_labels, cell.test[:, 1]) == pytest.approx(float(told), abs=1e-12)


def test_two_seeds_are_too_few_for_a_verdict(finished: Lab, tmp_path: Path) -> None:
    summary = artifact(finished, tmp_path, "report").json("summary.json")
    assert summary["arms"]["dcgan"]["verdict"]["name"] == "too few seeds"


def test_the_threshold_arm_only_moves_the_threshold(finished: Lab, tmp_path: Path) -> None:
    summary = artifact(finished, tmp_path, "report").json("summary.json")
    auc, rule = (summary["arms"]["threshold"]["metrics"][name] for name in ("auc", "balanced_accuracy@prior"))
    assert auc["difference"]["mean"] == pytest.approx(0, abs=1e-9)
    assert rule["difference"]["mean"] == pytest.approx(0, abs=1e-9)


def test_counts_before_and_after_are_told(finished: Lab, tmp_path: Path) -> None:
    counts = artifact(finished, tmp_path, "imbalance/seed-0").path("counts.csv").read_text()
    assert counts == "class,before,after,train,validation\n0,90,90,72,18\n1,60,30,24,6\n"


def test_synthetic_images_have_the_datasets_size(finished: Lab, tmp_path: Path) -> None:
    images = np.load(artifact(finished, tmp_path, "synthesize/dcgan/class-1/seed-0").path("images.npy"))
    assert images.shape == (12, 1, 16, 16)
    assert images.dtype == np.uint8


def test_the_same_seed_twice_gives_identical_results(finished: Lab, tmp_path: Path) -> None:
    again = Lab(finished.experiment, tmp_path / "other-store")
    again.run_all(tmp_path)
    assert results(again, tmp_path) == results(finished, tmp_path)


def test_a_finished_run_has_nothing_left_to_do(finished: Lab, tmp_path: Path) -> None:
    assert finished.run_all(tmp_path) == []


@pytest.mark.parametrize(
    "name",
    [
        "dataset",
        "backbone",
        "features/real",
        "imbalance/seed-0",
        "train-gan/dcgan/class-1/seed-1",
        "synthesize/dcgan/class-1/seed-1",
        "features/dcgan/class-1/seed-1",
        "train-classifier/none/seed-0",
        "train-classifier/dcgan/seed-0",
        "train-classifier/threshold/seed-1",
    ],
)
def test_a_deleted_artifact_is_made_again_and_nothing_else_when_its_bytes_are_the_same(
    finished: Lab, tmp_path: Path, name: str
) -> None:
    node = finished.plan.node(name)
    open_store(str(finished.store)).delete(f"stages/{node.stage}/{node.key}/COMMIT.json")
    assert finished.run_all(tmp_path) == [name]


def test_dependents_run_again_when_the_bytes_changed(finished_lab: Lab, tmp_path: Path) -> None:
    lab = finished_lab
    node = lab.plan.node("synthesize/dcgan/class-1/seed-0")
    state = lab.state(tmp_path)
    commit = state.commit(node.name)
    assert commit is not None
    other = tmp_path / "other"
    other.mkdir()
    for name in state.artifacts.open(commit).names:
        (other / name).write_bytes(state.artifacts.open(commit).path(name).read_bytes())
    images = np.load(other / "images.npy")
    np.save(other / "images.npy", 255 - images)
    open_store(str(lab.store)).delete(f"stages/{node.stage}/{node.key}/COMMIT.json")
    state.artifacts.commit(
        node.stage, node.key, attempt="other", folder=other, inputs=state.inputs(node).commits,
        outcome="done", metrics=commit.metrics, provenance=commit.provenance,
    )  # fmt: skip
    assert lab.run_all(tmp_path) == ["features/dcgan/class-1/seed-0", "train-classifier/dcgan/seed-0", "report"]


def test_a_corrupt_artifact_stops_its_readers_with_65_and_is_never_recomputed_silently(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lab.program("imbalance") == 0
    (images,) = lab.store.glob("stages/dataset/*/attempts/*/images.npy")
    images.write_bytes(images.read_bytes()[:-1] + b"!")
    assert lab.program("train-gan", "--seed", "0") == 65
    said = capsys.readouterr().err
    assert "corrupt" in said
    assert "Traceback" not in said
    assert not list(lab.store.glob("stages/train-gan/*/COMMIT.json"))


def test_divergence_is_a_result_that_is_carried_to_the_report(
    tiny: dict[str, Any], write: Callable[[dict[str, Any]], Path], tmp_path: Path
) -> None:
    gans = {"dcgan": tiny["gans"]["dcgan"] | {"lr": 1e30}}
    lab = Lab(write(tiny | {"arms": ["none", "dcgan"], "gans": gans, "seeds": [0]}), tmp_path / "store")
    lab.run_all(tmp_path)
    state = lab.state(tmp_path)
    for name in ("train-gan/dcgan/class-1/seed-0", "train-classifier/dcgan/seed-0"):
        commit = state.commit(name)
        assert commit is not None
        assert commit.outcome == "diverged"
    assert "diverged" in json.dumps(artifact(lab, tmp_path, "report").json("summary.json")["holes"])


def test_the_largest_class_may_be_named_rare_and_gets_no_images(
    tiny: dict[str, Any], write: Callable[[dict[str, Any]], Path], tmp_path: Path
) -> None:
    changes = {"imbalance": {"keep": {0: 1.0, 1: 0.5}}, "synthesis": {"n": "balance"}, "seeds": [0]}
    lab = Lab(write(tiny | changes), tmp_path / "store")
    lab.run_all(tmp_path)
    made = [artifact(lab, tmp_path, f"synthesize/dcgan/class-{label}/seed-0").path("labels.npy") for label in (0, 1)]
    assert [len(np.load(path)) for path in made] == [0, 72 - 24]


def test_a_report_on_half_a_run_shows_the_holes_and_a_whole_one_is_another_report(lab: Lab, tmp_path: Path) -> None:
    assert lab.program("imbalance") == 0
    assert lab.program("train-classifier", "--arm", "none") == 0
    assert lab.program("report") == 0
    holes = artifact(lab, tmp_path, "report").json("summary.json")["holes"]
    assert any("oracle" in json.dumps(hole) for hole in holes)
    lab.run_all(tmp_path)
    assert artifact(lab, tmp_path, "report").json("summary.json")["holes"] == []


@pytest.mark.parametrize("protocol", ["honest", "paper"])
def test_many_classes_and_the_papers_protocol_work_too(
    tiny: dict[str, Any], write: Callable[[dict[str, Any]], Path], tmp_path: Path, protocol: str
) -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], 30)
    images = (rng.normal(100, 40, (90, 16, 16)) + 30 * labels[:, None, None]).clip(0, 255).astype(np.uint8)
    np.savez(tmp_path / "three.npz", images=images, labels=labels)
    changes = {
        "protocol": protocol,
        "dataset": {"name": "npz", "path": str(tmp_path / "three.npz"), "side_px": 16},
        "task": {"kind": "multiclass"},
        "imbalance": {"keep": {1: 0.5, 2: 0.75}},
        "arms": ["none", "threshold", "class-weight", "dcgan", "oracle"],
        "classifier": tiny["classifier"] | {"paper": {"epochs": 1}},
        "seeds": [0],
    }
    lab = Lab(write(tiny | changes), tmp_path / "store")
    lab.run_all(tmp_path)
    summary = artifact(lab, tmp_path, "report").json("summary.json")
    assert set(summary["arms"]) == set(changes["arms"])
    html = artifact(lab, tmp_path, "report").path("report.html").read_text()
    assert ("paper protocol" in html.lower()) == (protocol == "paper")


def test_training_images_are_exported_as_png_folders(finished: Lab, tmp_path: Path) -> None:
    run = finished.plan.run
    record = runs.Record(experiment=request.experiment(finished.experiment, sets=[]), plan=finished.plan)
    runs.submit(open_store(str(finished.store)), record)
    flags = ["export", "--run", run, "--store", str(finished.store), "--seed", "0", "--to", str(tmp_path / "png")]
    assert cli.main(flags) == 0
    assert len(list((tmp_path / "png/seed-0/real/0").glob("*.png"))) == 72
    assert len(list((tmp_path / "png/seed-0/real/1").glob("*.png"))) == 24
    assert len(list((tmp_path / "png/seed-0/dcgan/1").glob("*.png"))) == 12
    assert cli.main(flags) == 78  # the folder is not empty any more
