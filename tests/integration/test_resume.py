"""A training that is killed goes on where it was and ends in the very same bytes."""

import json
import os
import random
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ganbalance import cli
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


def flags(lab: Lab) -> list[str]:
    return ["--experiment", str(lab.experiment), "--store", str(lab.store), "--stage", TRAINING]


def attempts_before(lab: Lab, stage: str) -> list[dict[str, Any]]:
    """What the one commit of a stage says of attempts that ended without one."""
    (commit,) = lab.store.glob(f"stages/{stage}/*/COMMIT.json")
    found: list[dict[str, Any]] = json.loads(commit.read_text())["provenance"]["ended"]
    return found


class Training:
    """train-gan in a process of its own, forked from one that has loaded it, as the runner does it."""

    def __init__(self, lab: Lab) -> None:
        self._said = tuple(lab.store.with_name(f"{secrets.token_hex(4)}.{name}") for name in ("out", "err"))
        self._process = get_context("forkserver").Process(target=_train, args=(flags(lab), *self._said))
        self._process.start()

    def is_over(self) -> bool:
        return self.exit_code is not None

    @property
    def exit_code(self) -> int | None:
        """None while it runs; -n when signal n ended it."""
        return self._process.exitcode

    def send_signal(self, number: signal.Signals) -> None:
        assert self._process.pid is not None
        os.kill(self._process.pid, number)

    def end(self) -> tuple[str, str]:
        """Wait for its end; what it wrote to stdout and to stderr."""
        self._process.join(timeout=120)
        assert self.exit_code is not None
        return self._said[0].read_text(), self._said[1].read_text()


def _train(argv: list[str], out: Path, err: Path) -> None:
    from jobs import train_gan

    for number, path in ((1, out), (2, err)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
    sys.exit(train_gan.main(argv))


def training_files(lab: Lab, tmp_path: Path) -> dict[str, str]:
    commit = lab.state(tmp_path).commit(TRAINING)
    assert commit is not None
    return {file.path: file.sha256 for file in commit.files}


def checkpoints(lab: Lab) -> list[Path]:
    return list(lab.store.glob("stages/train-gan/*/attempts/*/checkpoints/*"))


def wait_for_a_newer_checkpoint(lab: Lab, is_over: Callable[[], bool]) -> None:
    before = {path.name for path in checkpoints(lab)}
    deadline = time.monotonic() + 60
    while {path.name for path in checkpoints(lab)} <= before and not is_over():
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
        running = Training(killed)
        wait_for_a_newer_checkpoint(killed, running.is_over)
        time.sleep(moments.uniform(0, 0.3))
        if kills < 2 and not running.is_over():
            running.send_signal(kill)
            kills += 1
        out, err = running.end()
        if running.exit_code == 0:
            break
        assert running.exit_code == (143 if kill == signal.SIGTERM else -signal.SIGKILL), err
        assert "Traceback" not in err
    assert kills >= 2
    assert "resuming at step" in out
    assert training_files(killed, tmp_path) == training_files(alone, tmp_path)
    assert checkpoints(killed) == []
    stopped = attempts_before(killed, "train-gan")
    assert len(stopped) == (kills if kill == signal.SIGTERM else 0)  # who is killed outright cannot leave a record
    assert all(0 < one["kept_seconds"] <= one["seconds"] for one in stopped)


def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(long: Path, tmp_path: Path) -> None:
    lab, alone = Lab(long, tmp_path / "store"), Lab(long, tmp_path / "alone")
    for each in (lab, alone):
        assert each.program("imbalance") == 0
    running = Training(lab)
    while len(checkpoints(lab)) < 2 and not running.is_over():
        time.sleep(0.02)
    running.send_signal(signal.SIGKILL)
    running.end()
    *_, newest = sorted(checkpoints(lab), key=lambda path: path.name)
    newest.write_bytes(newest.read_bytes()[:-7])
    resumed = Training(lab)
    out, err = resumed.end()
    assert resumed.exit_code == 0
    assert "skipped a checkpoint" in err
    assert "resuming at step" in out
    command = [sys.executable, "-m", "jobs.train_gan", *flags(alone)]
    assert subprocess.run(command, check=False).returncode == 0
    assert training_files(lab, tmp_path) == training_files(alone, tmp_path)


def test_ctrl_c_on_a_run_leaves_one_that_the_same_command_finishes(
    tiny: Settings, write: Callable[[Settings], Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    gans = {"dcgan": tiny["gans"]["dcgan"] | {"epochs": 400}}
    changes = {"gans": gans, "resources": {"checkpoint_every_s": 0.2}, "arms": ["none", "dcgan"], "seeds": [0]}
    lab = Lab(write(tiny | changes), tmp_path / "store")
    argv = ["run", str(lab.experiment), "--store", str(lab.store), "--out", str(tmp_path / "out"), "--workers", "2"]
    pipe = subprocess.PIPE
    first = subprocess.Popen(
        [sys.executable, "-m", "ganbalance.cli", *argv], text=True, stdout=pipe, stderr=pipe, start_new_session=True
    )
    wait_for_a_newer_checkpoint(lab, lambda: first.poll() is not None)
    first.send_signal(signal.SIGINT)
    _, err = first.communicate(timeout=60)
    assert first.returncode == 143
    assert "the same command goes on from there" in err
    assert "Traceback" not in err

    assert cli.main(argv) == 0
    log = next((tmp_path / "out").glob("*/logs/train-gan.dcgan.class-1.seed-0.log")).read_text()
    assert "resuming at step" in log

    capfd.readouterr()
    assert cli.main(argv) == 0
    assert "everything was done already" in capfd.readouterr().out


def test_one_failure_does_not_hide_the_others_and_the_report_shows_the_hole(
    tiny: Settings, write: Callable[[Settings], Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    lab = Lab(write(tiny | {"seeds": [0]}), tmp_path / "store")
    assert lab.program("imbalance") == 0
    assert lab.program("train-gan") == 0
    (weights,) = lab.store.glob("stages/train-gan/*/attempts/*/generator.safetensors")
    whole = weights.read_bytes()
    weights.write_bytes(b"damaged")
    capfd.readouterr()
    argv = ["run", str(lab.experiment), "--store", str(lab.store), "--out", str(tmp_path / "out")]
    assert cli.main(argv) == 65
    said = capfd.readouterr()
    assert "failed: synthesize/dcgan/class-1/seed-0 (exit 65)" in said.err
    assert "corrupt" in said.err
    assert "1 failed, 3 blocked" in said.err
    (summary,) = (tmp_path / "out").glob("*/summary.json")
    assert json.loads(summary.read_text())["missing_results"]
    done = {path.parts[-3] for path in lab.store.glob("stages/*/*/COMMIT.json")}
    assert {"train-classifier", "rescore", "report"} <= done

    weights.write_bytes(whole)
    assert cli.main(argv) == 0
    assert json.loads(summary.read_text())["missing_results"] == []
    (failed,) = attempts_before(lab, "synthesize")
    assert failed["kept_seconds"] == 0
    assert json.loads(summary.read_text())["cost"]["run"]["lost_seconds"] == failed["seconds"]


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
    running = Training(lab)
    wait_for_a_newer_checkpoint(lab, running.is_over)
    running.send_signal(signal.SIGTERM)
    running.end()
    assert running.exit_code == 143

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
    resumed = Training(lab)
    wait_for_a_newer_checkpoint(lab, resumed.is_over)
    resumed.send_signal(signal.SIGTERM)
    out, err = resumed.end()
    assert "resuming" not in out
    assert "skipped a checkpoint" in err
