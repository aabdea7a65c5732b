"""Runs whose classifier is a network: from the experiment file to an exported model."""

import csv
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image
from scipy.special import softmax

from ganbalance import cli
from ganbalance.metrics.scores import Scores
from ganbalance.pipeline import request, runs
from ganbalance.store import open_store
from ganbalance.store.artifacts import Artifact
from ganbalance.training import loop
from tests.conftest import Lab

Settings = dict[str, Any]
NETWORK = {"kind": "network", "side_px": 16, "lr": [1e-2, 1e-3], "weight_decay": [0.1]} | {
    "training": {"steps": 6, "batch_size": 8}
}


def artifact(lab: Lab, scratch: Path, name: str) -> Artifact:
    state = lab.state(scratch)
    commit = state.commit(name)
    assert commit is not None
    return state.artifacts.open(commit)


@pytest.fixture(scope="module")
def finished(tiny_npz: Path, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    from tests.conftest import tiny_settings

    folder = tmp_path_factory.mktemp("network")
    experiment = folder / "experiment.yaml"
    experiment.write_text(yaml.safe_dump(tiny_settings(tiny_npz) | {"classifier": NETWORK}))
    lab = Lab(experiment, folder / "store")
    record = runs.Record(experiment=request.experiment(experiment, sets=[]), plan=lab.plan)
    runs.submit(open_store(str(lab.store)), record)
    lab.run_all(folder)
    return lab


def test_a_cell_has_the_scores_of_every_setting(finished: Lab, tmp_path: Path) -> None:
    whole = Scores.load(artifact(finished, tmp_path, "grid/oversample/seed-1").path("scores.npz"))
    assert whole.strengths.tolist() == [1, 2]
    assert len(whole.held_out_labels) > 0
    for number in (1, 2):
        one = artifact(finished, tmp_path, f"train-network/oversample/seed-1/setting-{number}")
        with np.load(one.path("logits.npz")) as arrays:
            logits = arrays["logits"]
        assert np.array_equal(np.concatenate([whole.test, whole.held_out], axis=1)[number - 1], logits)
    assert not np.array_equal(whole.test[0], whole.test[1])


def test_what_an_arm_decides_for_is_what_its_network_learned(finished: Lab, tmp_path: Path) -> None:
    def prior(name: str) -> list[float]:
        found: list[float] = Scores.load(artifact(finished, tmp_path, name).path("scores.npz")).prior.tolist()
        return found

    assert prior("grid/none/seed-0") == pytest.approx([72 / 96, 24 / 96])
    assert prior("grid/class-weight/seed-0") == pytest.approx([0.5, 0.5])
    assert prior("rescore/threshold/seed-0") == pytest.approx([0.5, 0.5])


def test_the_report_names_the_network_and_its_settings(finished: Lab, tmp_path: Path) -> None:
    report = artifact(finished, tmp_path, "report")
    summary, text = report.json("summary.json"), report.path("report.md").read_text()
    assert summary["classifier"] == {
        "kind": "network", "backbone": "small-cnn", "train": "scratch",
        "settings": ["learning rate 0.001, weight decay 0.1", "learning rate 0.01, weight decay 0.1"],
    }  # fmt: skip
    assert "small-cnn trained from scratch" in text.lower()
    assert "Learning rate and weight decay" in text
    assert "learning rate 0.01, weight decay 0.1" in text
    assert "end of the grid" not in text
    assert "Settings and fair thresholds are chosen on" in text
    assert summary["provenance"]["seconds"]["train-network"] > 0


def test_an_exported_network_predicts_what_it_did_in_the_run(finished: Lab, tiny_npz: Path, tmp_path: Path) -> None:
    flags = ["--run", finished.plan.run, "--store", str(finished.store), "--arm", "dcgan", "--seed", "1"]
    assert cli.main(["export", *flags, "--model", str(tmp_path / "model")]) == 0
    with np.load(tiny_npz) as data:
        images = data["test_images"]
    files = []
    for number, image in enumerate(images):
        files.append(tmp_path / f"{number:03d}.png")
        Image.fromarray(image).save(files[-1])
    to = tmp_path / "predictions.csv"
    assert cli.main(["predict", str(tmp_path / "model"), *map(str, files), "--to", str(to), "--rule", "fair"]) == 0
    with to.open(newline="") as file:
        said = [float(row["P(1)"]) for row in csv.DictReader(file)]
    with np.load(artifact(finished, tmp_path, "report").path("predictions.npz")) as arrays:
        scale, *offsets = arrays["rule/fair/dcgan/1"]
        expected = softmax(scale * arrays["test/dcgan/1"] + offsets, axis=1)[:, 1]
    assert said == pytest.approx(expected.tolist(), abs=1e-9)
    readme = (tmp_path / "model" / "README.md").read_text()
    assert "network small-cnn, trained with it from scratch" in readme


@pytest.mark.parametrize(
    ("kind", "stage"),
    [(NETWORK, "train-network/none/seed-0/setting-1"), ({"kind": "paper"}, "train-classifier/none/seed-0")],
    ids=["network", "paper"],
)
def test_a_stopped_training_goes_on_to_the_same_bytes(
    tiny: Settings,
    write: Callable[[Settings], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    kind: Settings,
    stage: str,
) -> None:
    training = kind.get("training", {"epochs": 1, "batch_size": 16})
    classifier = kind | {"side_px": 16, "training": training}
    experiment = write(tiny | {"arms": ["none"], "seeds": [0], "classifier": classifier})
    alone, stopped = Lab(experiment, tmp_path / "alone"), Lab(experiment, tmp_path / "stopped")
    for lab in (alone, stopped):
        for node in lab.plan.nodes:
            if node.name == stage:
                break
            assert lab.run(node) == 0
    assert alone.program("train-classifier", "--stage", stage) == 0

    run = loop.run

    def evicted(training: loop.Training, **resumable: Any) -> None:
        learn = training.learn

        def learn_and_be_told_to_stop() -> loop.Row | None:
            losses = learn()
            if training.step == 3:
                signal.raise_signal(signal.SIGTERM)
            return losses

        training.learn = learn_and_be_told_to_stop  # type: ignore[method-assign]
        run(training, **resumable)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "run", evicted)
        assert stopped.program("train-classifier", "--stage", stage) == 143
    assert "stopped after step 3 of" in capsys.readouterr().err
    assert stopped.program("train-classifier", "--stage", stage) == 0
    assert "resuming at step 3" in capsys.readouterr().out

    files = [
        {file.path: file.sha256 for file in lab.state(tmp_path).commit(stage).files}  # type: ignore[union-attr]
        for lab in (alone, stopped)
    ]
    assert files[0] == files[1]


def test_a_network_starts_from_published_weights_and_its_last_block_is_trained(
    tiny: Settings, write: Callable[[Settings], Path], tmp_path: Path
) -> None:
    classifier = NETWORK | {"backbone": "efficientnet-lite0", "train": "last-block", "side_px": 32, "lr": [1e-3]}
    lab = Lab(write(tiny | {"arms": ["none"], "seeds": [0], "classifier": classifier}), tmp_path / "store")
    lab.run_all(tmp_path)
    from ganbalance.training import weights

    published = weights.load(artifact(lab, tmp_path, "backbone").path("backbone.safetensors"))
    trained = weights.load(artifact(lab, tmp_path, "train-network/none/seed-0/setting-1").path("backbone.safetensors"))
    moved = {name.split(".")[0] for name in published if not published[name].equal(trained[name])}
    assert moved == {"blocks", "conv_head", "bn2"}
    assert not any(name.startswith("blocks.5") for name in published if not published[name].equal(trained[name]))


def test_a_setting_that_diverges_ranks_nothing_and_is_counted(
    tiny: Settings, write: Callable[[Settings], Path], tmp_path: Path
) -> None:
    classifier = NETWORK | {"lr": [1e-2, 1e30]}
    lab = Lab(write(tiny | {"arms": ["none", "oracle"], "seeds": [0], "classifier": classifier}), tmp_path / "store")
    lab.run_all(tmp_path)
    found = artifact(lab, tmp_path, "grid/none/seed-0")
    scores = Scores.load(found.path("scores.npz"))
    assert np.ptp(scores.test[0]) > 0
    assert not scores.test[1].any()
    assert found.commit.outcome == "done"
    summary = artifact(lab, tmp_path, "report").json("summary.json")
    assert summary["arms"]["none"]["unsolved"] == 1
    assert summary["arms"]["none"]["sensitivity"]["chosen"] == 1
