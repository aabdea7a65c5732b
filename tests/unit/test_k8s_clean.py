"""A run is cleaned away by `ganbalance clean` unless somebody works on it whom the command would not stop first."""

import os
import re
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from ganbalance.maintenance import gc as garbage
from ganbalance.pipeline import heartbeat, runs
from ganbalance.store.artifacts import new_attempt
from tests import servers
from tests.job_controller import Runs
from tests.unit.commands_bench import Bench

TRY_AGAIN, STOPPED = 75, 143
RUNNING = (0.5, 60.0)  # seconds between two looks, and until one gives up


def test_a_run_that_nobody_works_on_is_cleaned_and_nothing_of_it_is_left(bench: Bench) -> None:
    bench.submit()
    run = bench.run
    bench.step(run)
    code, said = bench.type("clean", "--run", run)
    assert code == 0, said
    assert re.search(rf"^cleaned {run}: \d+ Jobs, \d+ artifacts? \(.*\) and its record are gone", said, re.MULTILINE)
    assert list(bench.store.names("")) == ["store.json"]
    assert bench.double.objects("Job") == []


def test_a_run_that_a_driver_elsewhere_works_on_is_refused_before_anything_is_touched(bench: Bench) -> None:
    bench.submit()
    run = bench.run
    bench.step(run)
    before = set(bench.store.names(""))
    with heartbeat.beating(bench.store, run, "the driver in namespace team-b"):
        code, said = bench.type("clean", "--run", run)
        assert (code, said.count("\n")) == (TRY_AGAIN, 1)
        assert f"run {run} in the store {bench.store.url} is in use by the driver in namespace team-b (" in said
        assert re.search(
            r"\), since \d{4}-\d\d-\d\d \d\d:\d\d UTC, last seen \d s ago; nothing was deleted: stop", said
        )
        assert before <= set(bench.store.names(""))
        assert len(bench.driver_jobs()) == 1
    assert bench.type("clean", "--run", run)[0] == 0


def test_several_who_work_on_it_are_counted(bench: Bench) -> None:
    bench.submit()
    with heartbeat.beating(bench.store, bench.run, "one"), heartbeat.beating(bench.store, bench.run, "another"):
        assert re.search(r"is in use by one \(.*\) and 1 other, since", bench.type("clean", "--run", bench.run)[1])


def test_pods_of_this_namespace_are_stopped_and_so_refuse_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.pods.fates["dataset"] = Runs()
    bench.submit()
    run = bench.run
    bench.step(run)
    bench.double.tick()
    (name,) = [one["metadata"]["name"] for one in bench.double.objects("Pod") if "-dataset-" in one["metadata"]["name"]]
    monkeypatch.setenv(heartbeat.POD, name)
    with heartbeat.beating(bench.store, run, "the stage dataset"):
        monkeypatch.delenv(heartbeat.POD)
        code, said = bench.type("clean", "--run", run)
    assert code == 0, said


def test_two_who_clean_one_run_do_not_meet(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.submit()
    run = bench.run
    said: list[str] = []
    of_run = garbage.of_run

    def meanwhile(*arguments: Any) -> Any:
        if not said:
            said.append("")
            said[:] = [bench.type("clean", "--run", run)[1]]
        return of_run(*arguments)

    monkeypatch.setattr(garbage, "of_run", meanwhile)
    assert bench.type("clean", "--run", run)[0] == 0
    assert f"run {run} in the store {bench.store.url} is in use by ganbalance clean (" in said[0]


def test_what_is_written_meanwhile_stays_and_so_does_the_record(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a version of ganbalance that has no heartbeat, for instance."""
    bench.submit()
    run = bench.run
    for _ in range(4):
        bench.step(run)
    of_run = garbage.of_run

    def meanwhile(*arguments: Any) -> garbage.ScanResults:
        found = of_run(*arguments)
        bench.store.create(f"{found.old[0].what}/attempts/{new_attempt()}/checkpoints/000000000001", b"")
        return found

    monkeypatch.setattr(garbage, "of_run", meanwhile)
    code, said = bench.type("clean", "--run", run)
    assert code == TRY_AGAIN
    assert f"1 artifact of run {run} changed meanwhile: kept, with its record; " in said
    assert "cleaned" not in said
    monkeypatch.undo()
    assert runs.load(bench.store, run)


def test_a_commit_that_is_unreadable_is_said_to_stay(bench: Bench) -> None:
    run = bench.stopped_after(4)
    (commit, *_) = [name for name in bench.store.names("stages") if name.endswith("COMMIT.json")]
    bench.store.delete(commit)
    bench.store.create(commit, b"{")
    code, said = bench.type("clean", "--run", run)
    assert code == 0, said
    assert re.search(rf"^left alone: {commit} in the store .* is corrupt", said, re.MULTILINE)


def test_a_run_of_this_machine_on_the_same_store_loses_nothing(
    bench: Bench, tiny: dict[str, Any], moto: servers.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`ganbalance run`, for real, in a process of its own; then it is stopped, and cleaned."""
    changes = {"arms": ["none", "dcgan"], "seeds": [0], "gans": {"dcgan": tiny["gans"]["dcgan"] | {"epochs": 4000}}}
    bench.experiment.write_text(yaml.safe_dump(tiny | changes))
    argv = ["run", str(bench.experiment), "--store", bench.store.url, "--out", str(tmp_path / "out"), "--workers", "1"]
    here = subprocess.Popen(
        [sys.executable, "-m", "ganbalance.cli", *argv], env=os.environ | moto.environment, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        beats = wait_for(bench, "heartbeats/")
        wait_for(bench, "/COMMIT.json")
        before = set(bench.store.names("stages"))
        run = beats.split("/")[1]
        code, said = bench.type("clean", "--run", run)
        assert (code, here.poll()) == (TRY_AGAIN, None), said
        assert f"is in use by ganbalance run ({os.uname().nodename}, process {here.pid})" in said
        assert before <= set(bench.store.names("stages"))
    finally:
        here.send_signal(signal.SIGTERM)
        assert here.wait(60) == STOPPED
    monkeypatch.setattr(heartbeat, "DEAD_AFTER", timedelta(seconds=1))  # a stage that was killed leaves its own behind
    time.sleep(2)
    code, said = bench.type("clean", "--run", run)
    assert code == 0, said
    assert list(bench.store.names("")) == ["store.json"]


def wait_for(bench: Bench, part: str) -> str:
    """The first name in the store that has this in it."""
    every_s, until_s = RUNNING
    deadline = time.monotonic() + until_s
    while not (found := [name for name in bench.store.names("") if part in name]):
        assert time.monotonic() < deadline, f"no {part}"
        time.sleep(every_s)
    return found[0]
