"""The whole spine on a tiny experiment: every stage, every program, one store."""

import csv
import itertools
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from ganbalance import cli
from ganbalance.metrics.scores import Scores
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
    assert {"auc", "balanced_accuracy@as-trained", "balanced_accuracy@fair"} <= {row["metric"] for row in rows}


def test_the_report_holds_all_its_files(finished: Lab, tmp_path: Path) -> None:
    names = artifact(finished, tmp_path, "report").names
    assert {"report.html", "report.md", "results.csv", "summary.json", "predictions.npz"} <= set(names)
    assert any(name.startswith("figures/") for name in names)


def test_any_metric_can_be_recomputed_from_the_predictions(finished: Lab, tmp_path: Path) -> None:
    rows = csv.DictReader(results(finished, tmp_path).decode().splitlines())
    reported = {row["metric"]: float(row["value"]) for row in rows if (row["arm"], row["seed"]) == ("dcgan", "1")}
    with np.load(artifact(finished, tmp_path, "report").path("predictions.npz"), allow_pickle=False) as arrays:
        logits, labels = arrays["test/dcgan/1"], arrays["labels"]
        rule = arrays["rule/fair/dcgan/1"]
    assert roc_auc_score(labels, logits[:, 1] - logits[:, 0]) == pytest.approx(reported["auc"], abs=1e-12)
    predicted = (rule[0] * logits + rule[1:]).argmax(axis=1)
    assert balanced_accuracy_score(labels, predicted) == pytest.approx(reported["balanced_accuracy@fair"], abs=1e-12)


def test_the_predictions_are_those_of_the_cell_at_one_strength(finished: Lab, tmp_path: Path) -> None:
    cells = [
        Scores.load(artifact(finished, tmp_path, f"train-classifier/dcgan/seed-{s}").path("scores.npz")) for s in "01"
    ]
    with np.load(artifact(finished, tmp_path, "report").path("predictions.npz"), allow_pickle=False) as arrays:
        chosen = [
            [g for g, logits in enumerate(cell.test) if np.array_equal(logits, arrays[f"test/dcgan/{seed}"])]
            for seed, cell in enumerate(cells)
        ]
    assert len(chosen[0]) == 1
    assert chosen[0] == chosen[1]  # one strength per arm for the run


def test_the_deployment_prior_is_that_of_the_images_that_are_left(finished: Lab, tmp_path: Path) -> None:
    with np.load(artifact(finished, tmp_path, "report").path("predictions.npz"), allow_pickle=False) as arrays:
        assert arrays["deployment_prior"] == pytest.approx([90 / 120, 30 / 120], abs=1e-12)


def test_two_seeds_are_too_few_for_a_verdict(finished: Lab, tmp_path: Path) -> None:
    summary = artifact(finished, tmp_path, "report").json("summary.json")
    assert summary["arms"]["dcgan"]["verdict"]["name"] == "too few seeds"
    report = finished.state(tmp_path).commit("report")
    assert report is not None
    assert report.metrics["verdicts"]["dcgan"] == "too few seeds"
    assert report.metrics["missing_results"] == 0


def test_the_threshold_arm_only_moves_the_threshold(finished: Lab, tmp_path: Path) -> None:
    metrics = artifact(finished, tmp_path, "report").json("summary.json")["arms"]["threshold"]["metrics"]
    for name in ("auc", "average_precision", "balanced_accuracy@fair"):
        assert metrics[name]["difference"]["mean"] == pytest.approx(0, abs=1e-9)
    assert metrics["balanced_accuracy@as-trained"]["difference"]["mean"] > 0.01


def test_counts_before_and_after_are_reported(finished: Lab, tmp_path: Path) -> None:
    counts = artifact(finished, tmp_path, "imbalance/seed-0").path("counts.csv").read_text()
    assert counts == "class,before,after,train,validation,tuning\n0,90,90,72,18,0\n1,60,30,24,6,15\n"


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
        "rescore/threshold/seed-1",
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
    read = ["features/dcgan/class-1/seed-0", "train-classifier/dcgan/seed-0", "quality/dcgan/class-1/seed-0"]
    assert lab.run_all(tmp_path) == [*read, "report"]


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
    assert "diverged" in json.dumps(artifact(lab, tmp_path, "report").json("summary.json")["missing_results"])


def test_balance_makes_as_many_images_as_the_largest_class_has_more_and_none_of_it_itself(
    tiny: dict[str, Any], write: Callable[[dict[str, Any]], Path], tmp_path: Path
) -> None:
    changes = {
        "imbalance": {"keep": {0: 1.0, 1: 0.8}}, "synthesis": {"n": "balance"}, "seeds": [0],
        "arms": ["none", "dcgan", "oracle", "oracle-matched"],
    }  # fmt: skip
    lab = Lab(write(tiny | changes), tmp_path / "store")
    lab.run_all(tmp_path)
    for label, n in ((0, 0), (1, 72 - 38)):
        made = artifact(lab, tmp_path, f"synthesize/dcgan/class-{label}/seed-0")
        assert np.load(made.path("images.npy")).shape == (n, 1, 16, 16)
        assert np.load(made.path("labels.npy")).tolist() == [label] * n
    # the images of `none`, and for the matched oracle the six removed ones that are not for tuning, fewer than 34
    learned = {arm: lab.state(tmp_path).commit(f"train-classifier/{arm}/seed-0") for arm in changes["arms"]}
    images = {arm: commit.metrics["images"] for arm, commit in learned.items() if commit}
    assert images == {"none": 72 + 38, "dcgan": 72 + 72, "oracle": 72 + 44, "oracle-matched": 72 + 44}


def test_where_enough_was_removed_the_matched_oracle_gets_as_many_images_as_balance_makes(
    tiny: dict[str, Any], write: Callable[[dict[str, Any]], Path], tmp_path: Path
) -> None:
    labels = np.repeat([0, 1], [20, 60])
    images = np.random.default_rng(0).integers(0, 256, (80, 16, 16), np.uint8)
    np.savez(tmp_path / "rare.npz", images=images, labels=labels)
    dataset = {"name": "npz", "path": str(tmp_path / "rare.npz"), "side_px": 16}
    changes = {
        "dataset": dataset, "imbalance": {"keep": {1: 0.125}}, "synthesis": {"n": "balance"}, "seeds": [0],
        "arms": ["none", "oracle-matched", "oracle"],
    }  # fmt: skip
    lab = Lab(write(tiny | changes), tmp_path / "store")
    for node in lab.plan.nodes[:-1]:
        assert lab.run(node) == 0
    commits = (lab.state(tmp_path).commit(f"train-classifier/{arm}/seed-0") for arm in changes["arms"])
    # of 48 rare training images 6 are kept, one for validation, 21 are for tuning and 21 are left
    assert [commit.metrics["images"] for commit in commits if commit] == [13 + 5, 13 + 13, 13 + 5 + 21]


def test_a_report_on_half_a_run_lists_what_is_missing_and_a_whole_one_is_another(lab: Lab, tmp_path: Path) -> None:
    assert lab.program("imbalance") == 0
    assert lab.program("train-classifier", "--arm", "none") == 0
    assert lab.program("report") == 0
    missing = artifact(lab, tmp_path, "report").json("summary.json")["missing_results"]
    assert any("oracle" in json.dumps(one) for one in missing)
    lab.run_all(tmp_path)
    assert artifact(lab, tmp_path, "report").json("summary.json")["missing_results"] == []


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
    for seed, arm in itertools.product(changes["seeds"], changes["arms"]):
        stage = "rescore" if arm == "threshold" else "train-classifier"
        scores = Scores.load(artifact(lab, tmp_path, f"{stage}/{arm}/seed-{seed}").path("scores.npz"))
        assert scores.classes == 3
        assert list(scores.pairs) == [(0, 1), (0, 2), (1, 2)]
        for (low, high), pair in scores.pairs.items():
            of_two = scores.test[:, np.isin(scores.test_labels, (low, high))]
            within = np.array_equal(pair.test, of_two[..., high] - of_two[..., low])
            assert within == (protocol == "paper")  # which has no heads of two classes
        assert np.isnan(scores.strengths).all() == (protocol == "paper")
        assert bool(len(scores.held_out_labels)) == (protocol == "honest")
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
