"""A training that is killed goes on where it was and ends in the very same bytes."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ganbalance.store import open_store
from tests.conftest import Lab

Settings = dict[str, Any]
TRAINING = "train-gan/dcgan/class-1/seed-0"
RUNS_TO_END = 8


@pytest.fixture
def long(tiny: Settings, write: Callable[[Settings], Path], tmp_path: Path) -> Path:
    """Some seconds of training, with a checkpoint every fraction of one."""
    gans = {"dcgan": tiny["gans"]["dcgan"] | {"epochs": 120, "g_widths": [16, 8, 8], "d_widths": [8, 8, 8]}}
    changes = {"gans": gans, "seeds": [0], "resources": {"checkpoint_every_s": 0.2, "device": "cpu"}}
    return write(tiny | changes)


def process(lab: Lab) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "jobs.train_gan", "--experiment", str(lab.experiment), "--store", str(lab.store)]
    pipe = subprocess.PIPE
    return subprocess.Popen([*command, "--stage", TRAINING], text=True, stdout=pipe, stderr=pipe)


def training_files(lab: Lab, tmp_path: Path) -> dict[str, str]:
    commit = lab.state(tmp_path).commit(TRAINING)
    assert commit is not None
    return {file.path: file.sha256 for file in commit.files}


def checkpoints(lab: Lab) -> list[Path]:
    return list(lab.store.glob("stages/train-gan/*/attempts/*/checkpoints/*"))


def wait_for_a_newer_checkpoint(lab: Lab, running: subprocess.Popen[str]) -> None:
    before = {path.name for path in checkpoints(lab)}
    deadline = time.monotonic() + 60
    while {path.name for path in checkpoints(lab)} <= before and running.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("kill", [signal.SIGTERM, signal.SIGKILL], ids=["SIGTERM", "SIGKILL"])
def test_a_killed_training_ends_in_the_bytes_of_one_that_was_left_alone(
    long: Path, tmp_path: Path, kill: signal.Signals
) -> None:
    alone, killed = Lab(long, tmp_path / "alone"), Lab(long, tmp_path / "killed")
    for lab in (alone, killed):
        assert lab.program("imbalance") == 0
    assert alone.program("train-gan", "--stage", TRAINING) == 0

    moments = random.Random(0)  # noqa: S311 - moments, not secrets
    kills = 0
    for _ in range(RUNS_TO_END):
        running = process(killed)
        wait_for_a_newer_checkpoint(killed, running)
        time.sleep(moments.uniform(0, 0.3))
        if kills < 2 and running.poll() is None:
            running.send_signal(kill)
            kills += 1
        out, err = running.communicate(timeout=120)
        if running.returncode == 0:
            break
        assert running.returncode == (143 if kill == signal.SIGTERM else -signal.SIGKILL), err
        assert "Traceback" not in err
    assert kills >= 2
    assert "resuming at step" in out
    assert training_files(killed, tmp_path) == training_files(alone, tmp_path)
    assert checkpoints(killed) == []


def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(long: Path, tmp_path: Path) -> None:
    lab, alone = Lab(long, tmp_path / "store"), Lab(long, tmp_path / "alone")
    for each in (lab, alone):
        assert each.program("imbalance") == 0
    running = process(lab)
    while len(checkpoints(lab)) < 2 and running.poll() is None:
        time.sleep(0.02)
    running.kill()
    running.communicate(timeout=60)
    *_, newest = sorted(checkpoints(lab), key=lambda path: path.name)
    newest.write_bytes(newest.read_bytes()[:-7])
    resumed = process(lab)
    out, err = resumed.communicate(timeout=120)
    assert resumed.returncode == 0
    assert "passed over a checkpoint" in err
    assert "resuming at step" in out
    assert alone.program("train-gan", "--stage", TRAINING) == 0
    assert training_files(lab, tmp_path) == training_files(alone, tmp_path)


def test_ctrl_c_on_a_run_leaves_one_that_the_same_command_finishes(
    tiny: Settings, write: Callable[[Settings], Path], tmp_path: Path
) -> None:
    gans = {"dcgan": tiny["gans"]["dcgan"] | {"epochs": 400}}
    changes = {"gans": gans, "resources": {"checkpoint_every_s": 0.2}, "arms": ["none", "dcgan"], "seeds": [0]}
    lab = Lab(write(tiny | changes), tmp_path / "store")
    command = [
        sys.executable, "-m", "ganbalance.cli", "run", str(lab.experiment),
        "--store", str(lab.store), "--out", str(tmp_path / "out"), "--workers", "2",
    ]  # fmt: skip
    pipe = subprocess.PIPE
    first = subprocess.Popen(command, text=True, stdout=pipe, stderr=pipe, start_new_session=True)
    wait_for_a_newer_checkpoint(lab, first)
    first.send_signal(signal.SIGINT)
    _, err = first.communicate(timeout=60)
    assert first.returncode == 143
    assert "the same command goes on from there" in err
    assert "Traceback" not in err

    second = subprocess.run(command, capture_output=True, text=True, check=False, timeout=180)
    assert second.returncode == 0, second.stderr
    log = next((tmp_path / "out").glob("*/logs/train-gan.dcgan.class-1.seed-0.log")).read_text()
    assert "resuming at step" in log

    third = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert "everything was done already" in third.stdout


def test_one_failure_does_not_hide_the_others_and_the_report_shows_the_hole(
    tiny: Settings, write: Callable[[Settings], Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from ganbalance import cli

    lab = Lab(write(tiny | {"seeds": [0]}), tmp_path / "store")
    assert lab.program("imbalance") == 0
    assert lab.program("train-gan") == 0
    (weights,) = lab.store.glob("stages/train-gan/*/attempts/*/generator.safetensors")
    whole = weights.read_bytes()
    weights.write_bytes(b"damaged")
    capfd.readouterr()
    flags = ["run", str(lab.experiment), "--store", str(lab.store), "--out", str(tmp_path / "out")]
    assert cli.main(flags) == 65
    said = capfd.readouterr()
    assert "failed: synthesize/dcgan/class-1/seed-0 (exit 65)" in said.err
    assert "corrupt" in said.err
    assert "1 failed, 2 held back" in said.err
    (summary,) = (tmp_path / "out").glob("*/summary.json")
    assert json.loads(summary.read_text())["holes"]
    done = {path.parts[-3] for path in lab.store.glob("stages/*/*/COMMIT.json")}
    assert {"train-classifier", "rescore", "report"} <= done

    weights.write_bytes(whole)
    assert cli.main(flags) == 0
    assert json.loads(summary.read_text())["holes"] == []


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_a_run_that_is_stopped_while_it_starts_its_first_stage_stops(lab: Lab, tmp_path: Path, stop: int) -> None:
    command = [
        sys.executable, "-m", "ganbalance.cli", "run", str(lab.experiment),
        "--store", str(lab.store), "--out", str(tmp_path / "out"),
    ]  # fmt: skip
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, text=True, stdout=pipe, stderr=pipe, start_new_session=True, env=os.environ | {"PYTHONUNBUFFERED": "1"}
    ) as run:
        assert run.stdout is not None
        assert run.stdout.readline().startswith("run tiny-")
        time.sleep(0.5)  # the process that stages are forked from is loading its programs
        if stop == signal.SIGINT:
            os.killpg(run.pid, stop)  # as a terminal does
        else:
            run.send_signal(stop)
        _, err = run.communicate(timeout=60)
    assert run.returncode == 143, err
    assert "Traceback" not in err
    assert "the same command goes on from there" in err


def test_a_checkpoint_of_other_data_is_not_resumed(
    tiny: Settings, write: Callable[[Settings], Path], tmp_path: Path
) -> None:
    images = dict(np.load(tiny["dataset"]["path"]))
    own = tmp_path / "own.npz"
    np.savez(own, **images)
    gans = {"dcgan": tiny["gans"]["dcgan"] | {"epochs": 4000}}
    resources = {"checkpoint_every_s": 0.1, "device": "cpu"}
    changes = {"dataset": tiny["dataset"] | {"path": str(own)}, "gans": gans, "resources": resources}
    lab = Lab(write(tiny | changes), tmp_path / "store")
    assert lab.program("imbalance") == 0
    running = process(lab)
    wait_for_a_newer_checkpoint(lab, running)
    running.send_signal(signal.SIGTERM)
    running.communicate(timeout=60)
    assert running.returncode == 143

    # the same key over other bytes: what a dataset stage that is not reproducible would leave
    state = lab.state(tmp_path)
    split = state.commit("imbalance/seed-0")
    assert split is not None
    other = tmp_path / "other"
    other.mkdir()
    for name in state.artifacts.open(split).names:
        (other / name).write_bytes(state.artifacts.open(split).path(name).read_bytes())
    (other / "more.txt").write_text("other bytes")
    open_store(str(lab.store)).delete(f"stages/imbalance/{split.key}/COMMIT.json")
    dataset = state.commit("dataset")
    assert dataset is not None
    state.artifacts.commit(
        "imbalance", split.key, attempt="other", folder=other, inputs={"dataset": dataset},
        outcome="done", metrics=split.metrics, provenance=split.provenance,
    )  # fmt: skip
    resumed = process(lab)
    wait_for_a_newer_checkpoint(lab, resumed)
    resumed.send_signal(signal.SIGTERM)
    out, err = resumed.communicate(timeout=60)
    assert "resuming" not in out
    assert "passed over a checkpoint" in err
