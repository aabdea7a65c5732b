"""The time left is learned from what is done, and from what running stages say of themselves."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ganbalance.pipeline.local import Estimate
from ganbalance.progress import Progress
from tests.conftest import Lab


@dataclass
class AtWork:
    seconds: float
    log: Path


def progress_log(path: Path, done: int, total: int) -> Path:
    path.write_text(
        "resuming at step 3\n" + json.dumps({"stage": "x", "done": done, "total": total}) + '\n{"stage": "x'
    )
    return path


def test_nothing_is_promised_while_nothing_is_known(lab: Lab, tmp_path: Path) -> None:
    assert Estimate(lab.state(tmp_path), 2).seconds_left({}) is None


def test_a_running_stage_promises_by_its_own_progress(lab: Lab, tmp_path: Path) -> None:
    estimate = Estimate(lab.state(tmp_path), 1)
    name = "train-gan/dcgan/class-1/seed-0"
    log = progress_log(tmp_path / "log", 25, 100)
    # 10 s for a quarter: 40 s each, less the 10 s already spent
    expected = 40 * len(lab.plan.nodes) - 10
    assert estimate.seconds_left({name: AtWork(10.0, log)}) == pytest.approx(expected)


def test_workers_share_what_is_left(lab: Lab, tmp_path: Path) -> None:
    log = progress_log(tmp_path / "log", 1, 2)
    running = {"dataset": AtWork(5.0, log)}
    one, two = (Estimate(lab.state(tmp_path), workers).seconds_left(running) for workers in (1, 2))
    assert one is not None
    assert two == pytest.approx(one / 2)


def test_a_finished_run_has_no_time_left(finished_once: Lab, tmp_path: Path) -> None:
    assert Estimate(finished_once.state(tmp_path), 2).seconds_left({}) == 0


def test_progress_is_a_json_line_per_interval_where_there_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = iter([0.0, 1.0, 6.0, 6.0, 7.0])
    monkeypatch.setattr("ganbalance.progress.time.monotonic", lambda: next(clock))
    progress = Progress("train-gan/x")
    progress(10, 100, loss=0.5)  # after 1 s: too soon
    progress(60, 100, loss=0.25)  # after 6 s
    said: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert (said["stage"], said["done"], said["total"], said["loss"]) == ("train-gan/x", 60, 100, 0.25)
