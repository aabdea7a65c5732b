"""Bad input ends with one clear line and the right exit code; nothing runs and nothing is lost."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ganbalance import cli
from ganbalance.config import GPUS
from ganbalance.pipeline import request, runs
from ganbalance.store import open_store
from jobs import imbalance
from tests.conftest import Lab

Settings = dict[str, Any]
BAD_CONFIG, BAD_DATA = 78, 65


def with_dataset(path: str, **other: Any) -> Settings:
    return {"dataset": {"name": "npz", "path": path, "side_px": 16} | other}


# what is changed in a good experiment, the exit code, and what the one line must hold
TABLE: dict[str, tuple[Settings, int, str]] = {
    "unknown key": ({"epochs": 3}, BAD_CONFIG, r"unknown key 'epochs' \(allowed:"),
    "unknown nested key": ({"classifier": {"backbon": "x"}}, BAD_CONFIG, r"unknown key 'classifier\.backbon'"),
    "wrong type": ({"seeds": "all"}, BAD_CONFIG, r"seeds = 'all'"),
    "keep ratio 0": ({"imbalance": {"keep": {1: 0}}}, BAD_CONFIG, r"imbalance\.keep\.1 = 0.*greater than 0"),
    "keep ratio 1.5": ({"imbalance": {"keep": {1: 1.5}}}, BAD_CONFIG, r"imbalance\.keep\.1 = 1\.5.*a share up to 1"),
    "keep too little": ({"imbalance": {"keep": {1: 0.01}}}, BAD_CONFIG, r"class '1' keeps 1 images, too few"),
    "class 11": ({"imbalance": {"keep": {11: 0.5}}}, BAD_CONFIG, r"'11'.*its classes are 0 0, 1 1"),
    "no steps": ({"gans": {"dcgan": {"epochs": 0}}}, BAD_CONFIG, r"gans\.dcgan: epochs = 0.*greater than 0"),
    "unknown arm": ({"arms": ["none", "hope"]}, BAD_CONFIG, r"no arm 'hope'; choose among"),
    "no baseline": ({"arms": ["oracle"]}, BAD_CONFIG, r"the arm 'none'"),
    "duplicate seeds": ({"seeds": [1, 1]}, BAD_CONFIG, r"given twice: 1"),
    "infinite number": ({"statistics": {"margin": float("inf")}}, BAD_CONFIG, r"statistics\.margin"),
    "cuda without a device": ({"resources": {"device": "cuda"}}, BAD_CONFIG, r"cuda"),
    "missing dataset": (with_dataset("/no/such.npz"), BAD_DATA, r"'/no/such\.npz': there is no such file"),
    "missing folder": ({"dataset": {"name": "folder", "path": "/no/such"}}, BAD_DATA, r"'/no/such': there is no"),
    "missing FashionMNIST": (
        {"dataset": {"name": "fashion-mnist", "folder": "/no/such"}},
        BAD_DATA,
        r"was not found.*/no/such.*make data",
    ),
    "missing weights": (
        {"classifier": {"weights": "/no/such.pth", "side_px": 16}},
        BAD_DATA,
        r"classifier\.weights = '/no/such\.pth': there is no such file",
    ),
}

EVERY_PROGRAM_KNOWS = [name for name, row in TABLE.items() if row[1] == BAD_CONFIG]


def one_line(said: str) -> str:
    lines = [line for line in said.splitlines() if line.strip()]
    assert len(lines) == 1, said
    assert "Traceback" not in said
    return lines[0]


@pytest.mark.parametrize("case", TABLE)
def test_a_bad_experiment_is_refused_in_one_line(
    case: str, tiny: Settings, write: Callable[[Settings], Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    change, code, pattern = TABLE[case]
    store = tmp_path / "store"
    flags = ["run", str(write(tiny | change)), "--store", str(store), "--out", str(tmp_path / "out"), "--workers", "1"]
    found = cli.main(flags)
    said = capfd.readouterr().err
    if "failed:" in said:  # only a stage could know
        said = next(line for line in said.splitlines() if line.startswith("failed:"))
    assert found == code
    assert re.search(pattern, one_line(said))
    assert not list(store.glob("stages/train-classifier/*/COMMIT.json"))


@pytest.mark.parametrize("case", EVERY_PROGRAM_KNOWS)
def test_a_job_program_refuses_the_same_with_the_same_code(
    case: str, tiny: Settings, write: Callable[[Settings], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change, code, pattern = TABLE[case]
    lab = Lab(write(tiny | change), tmp_path / "store")
    lab.program("imbalance")
    capsys.readouterr()
    assert lab.program("train-gan", "--gan", "dcgan", "--seed", "1") == code
    assert re.search(pattern, one_line(capsys.readouterr().err))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [1", "is not valid YAML"),
        ("- just\n- a list\n", "holds no settings"),
        ("", "holds no settings"),
        ("seeds: [0]\nseeds: [1]\n", "'seeds' is given twice"),
        ("{{x}}: 1\n", "a key is a word"),
    ],
)
def test_an_unreadable_experiment_is_reported(
    text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(text)
    assert cli.main(["plan", str(path), "--store", str(tmp_path / "store")]) == BAD_CONFIG
    assert said in one_line(capsys.readouterr().err)


def test_a_missing_experiment_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["plan", str(tmp_path / "none.yaml"), "--store", str(tmp_path / "s")]) == BAD_CONFIG
    assert "none.yaml" in one_line(capsys.readouterr().err)


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ([], "COMMAND"),
        (["run", "--seed"], "see ganbalance"),
        (["run", "--workers", "0"], "whole number"),
        (["plan", "--seeds", "few"], "0,1,2"),
        (["plan", "--seeds", "5..2"], "rising range"),
        (["plan", "--seeds", "-1"], "from 0 up"),
        (["plan", "--seeds", ""], "0,1,2"),
        (["plan", "--gan", " "], "names no GAN"),
        (["plan", "--store", ""], "local folder"),
        (["plan", "--set", "note=2020-13-45"], None),
        (["table", "no-such.json"], "no-such.json is not a summary.json"),
        (["plan", "--set", "seeds"], "key.key=value"),
        (["plan", "--gan", "biggan"], "choose among"),
        (["export", "--run", "none", "--to", "x"], "no run 'none'"),
    ],
)
def test_a_wrong_command_line_is_a_configuration_error(
    argv: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GANBALANCE_STORE", str(tmp_path / "store"))
    assert cli.main(argv) == (BAD_CONFIG if said else 0)
    assert not said or said in one_line(capsys.readouterr().err)


def test_a_store_of_another_version_is_refused(lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lab.store.mkdir()
    (lab.store / "store.json").write_text('{"ganbalance_store": 2}')
    assert lab.program("imbalance") == BAD_CONFIG
    assert "format 2" in one_line(capsys.readouterr().err)


def test_a_store_in_the_place_of_a_file_is_refused(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lab.store.write_text("a file")
    assert lab.program("imbalance") == BAD_CONFIG
    assert "choose another store" in one_line(capsys.readouterr().err)


def test_weights_with_another_hash_are_refused(
    tiny: Settings, write: Callable[[Settings], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.pth"
    other.write_bytes(b"not the published weights")
    lab = Lab(write(tiny | {"classifier": {"weights": str(other), "side_px": 16}}), tmp_path / "store")
    assert lab.program("train-classifier", "--stage", "backbone") == BAD_DATA
    assert re.search(r"other\.pth has sha256 .* expected 579344248a93", one_line(capsys.readouterr().err))


def test_a_stage_before_its_inputs_says_what_to_run_first(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    assert lab.program("synthesize", "--seed", "0") == BAD_DATA
    assert "run the train-gan program first" in one_line(capsys.readouterr().err)


def test_a_corrupt_commit_loses_nothing(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    assert lab.program("imbalance") == 0
    (commit,) = lab.store.glob("stages/dataset/*/COMMIT.json")
    whole = commit.read_bytes()
    commit.write_bytes(whole[:100])
    capsys.readouterr()
    assert lab.program("train-gan", "--seed", "0") == BAD_DATA
    assert "COMMIT.json" in one_line(capsys.readouterr().err)
    commit.write_bytes(whole)
    assert lab.program("train-gan", "--seed", "0") == 0


@pytest.mark.parametrize(("pod", "code"), [({}, 75), ({"GANBALANCE_POD": "pod-7"}, 74)], ids=["here", "in a pod"])
def test_a_full_disk_asks_to_try_again(
    lab: Lab, capsys: pytest.CaptureFixture[str], pod: dict[str, str], code: int
) -> None:
    """A real refusal of the kernel: no file of this process may grow past 20 kB."""
    open_store(str(lab.store))
    limited = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); import jobs.imbalance; "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)); sys.exit(jobs.imbalance.main(sys.argv[1:]))"
    )
    flags = ["--experiment", str(lab.experiment), "--store", str(lab.store), "--stage", "dataset"]
    done = subprocess.run(
        [sys.executable, "-c", limited, *flags], env=os.environ | pod, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    assert "space" in one_line(done.stderr)
    assert not list(lab.store.glob("stages/dataset/*/COMMIT.json"))
    assert lab.program("imbalance", "--stage", "dataset") == 0


def test_an_npz_that_lies_about_its_shape_is_reported(
    tiny: Settings, write: Callable[[Settings], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(tmp_path / "bad.npz", images=np.zeros((80, 8, 8, 5), np.uint8), labels=np.tile([0, 1], 40))
    lab = Lab(write(tiny | with_dataset(str(tmp_path / "bad.npz"))), tmp_path / "store")
    assert lab.program("imbalance") == BAD_DATA
    assert "must be numbers of shape" in one_line(capsys.readouterr().err)


def test_files_that_changed_after_the_plan_are_noticed(
    tiny: Settings, write: Callable[[Settings], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arrays = dict(np.load(tiny["dataset"]["path"]))
    np.savez(tmp_path / "own.npz", **arrays)
    lab = Lab(write(tiny | with_dataset(str(tmp_path / "own.npz"))), tmp_path / "store")
    record = runs.Record(experiment=request.experiment(lab.experiment, sets=[]), plan=lab.plan)
    run = runs.submit(open_store(str(lab.store)), record)
    np.savez(tmp_path / "own.npz", **arrays | {"images": 255 - arrays["images"]})
    assert imbalance.main(["--run", run, "--store", str(lab.store)]) == BAD_DATA
    assert "changed since the run was planned" in one_line(capsys.readouterr().err)


def test_a_container_that_asks_for_a_gpu_and_sees_none_trains_on_nothing(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv(GPUS, "1")
    assert lab.program("imbalance") == 0  # it computes on none
    capsys.readouterr()
    assert lab.program("train-gan") == BAD_CONFIG
    assert re.search(r"^train-gan: device = 'auto' in a container that asks for a GPU: ", capsys.readouterr().err, re.M)


def test_a_class_without_test_images_is_reported_before_anything_trains(
    tiny: Settings, write: Callable[[Settings], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arrays = dict(np.load(tiny["dataset"]["path"]))
    common = arrays["test_labels"] == 0
    arrays |= {"test_images": arrays["test_images"][common], "test_labels": arrays["test_labels"][common]}
    np.savez(tmp_path / "own.npz", **arrays)
    lab = Lab(write(tiny | with_dataset(str(tmp_path / "own.npz"))), tmp_path / "store")
    assert lab.program("imbalance") == BAD_DATA
    assert "class '1' has 60 images, none to test on" in one_line(capsys.readouterr().err)


def test_dry_run_prints_the_resolved_settings_and_stops(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    assert lab.program("train-gan", "--gan", "dcgan", "--seed", "0", "--dry-run") == 0
    said = capsys.readouterr().out
    assert "validation: 0.2" in said
    assert "train-gan/dcgan/class-1/seed-0" in said
    assert not lab.store.exists()


@pytest.mark.parametrize("program", ["imbalance", "train_gan", "synthesize", "train_classifier", "report"])
def test_every_program_has_a_help_page_with_a_command_to_try(program: str, capsys: pytest.CaptureFixture[str]) -> None:
    import importlib

    with pytest.raises(SystemExit) as ended:
        importlib.import_module(f"jobs.{program}").main(["--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert f"python -m jobs.{program}" in said
    assert "--dry-run" in said
    assert "Exit" in said
