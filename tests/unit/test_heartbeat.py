"""Whoever works on a run has a heartbeat in its store, and nobody else has."""

import os
import time
from datetime import timedelta
from pathlib import Path

import pytest

from ganbalance.errors import DataError, UnavailableError
from ganbalance.pipeline import heartbeat
from ganbalance.store import Store, open_store
from tests.conftest import Lab
from tests.unit.k8s_run import KubernetesRun

RUN = "quick-1a2b3c4d"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "store"))


def beats(store: Store, run: str = RUN) -> list[str]:
    return list(store.names(f"runs/{run}/heartbeats"))


def at_work(store: Store, run: str = RUN) -> list[str]:
    """What the others say that they are."""
    with heartbeat.beating(store, run, "this test") as mine:
        return [worker.what for worker, _ in heartbeat.others(store, run, mine)]


def test_who_works_on_a_run_is_seen_from_the_first_on_and_only_while_it_lasts(store: Store) -> None:
    with heartbeat.beating(store, RUN, "the first"), heartbeat.beating(store, RUN, "the second"):
        assert at_work(store) == ["the first", "the second"]
        assert at_work(store, "another-run") == []
    assert beats(store) == []


def test_an_error_ends_it_too(store: Store) -> None:
    with pytest.raises(RuntimeError), heartbeat.beating(store, RUN, "what fails"):
        raise RuntimeError
    assert beats(store) == []


def test_a_pod_is_named_and_any_other_process_by_its_host(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with heartbeat.beating(store, RUN, "a process"):
        monkeypatch.setenv(heartbeat.POD, "quick-driver-1-abcde")
        with heartbeat.beating(store, RUN, "a pod"), heartbeat.beating(store, RUN, "this test") as mine:
            (process, _), (in_a_pod, _) = heartbeat.others(store, RUN, mine)
    assert ", process " in process.process
    assert in_a_pod.process == "quick-driver-1-abcde"


def test_it_is_written_anew_until_it_ends(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "EVERY_S", 0.02)
    monkeypatch.setattr(heartbeat, "DEAD_AFTER", timedelta(seconds=2))
    with heartbeat.beating(store, RUN, "at work"):
        time.sleep(3)
        assert at_work(store) == ["at work"]
    assert at_work(store) == []


def test_a_store_that_is_away_for_a_while_does_not_end_it(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "EVERY_S", 0.02)
    tries: list[str] = []

    def away(name: str, *arguments: object) -> None:
        tries.append(name)
        raise UnavailableError("away")

    with heartbeat.beating(store, RUN, "at work"):
        with monkeypatch.context() as outage:
            outage.setattr(store, "put", away)
            while len(tries) < 3:
                time.sleep(0.01)
        (before,) = store.entries(f"runs/{RUN}/heartbeats")
        deadline = time.monotonic() + 10
        while before in store.entries(f"runs/{RUN}/heartbeats"):
            assert time.monotonic() < deadline


@pytest.mark.parametrize(("seen_s_ago", "dead"), [(110, False), (130, True)])
def test_one_that_was_killed_counts_as_dead_two_minutes_later(store: Store, seen_s_ago: int, dead: bool) -> None:
    with heartbeat.beating(store, RUN, "what is killed") as name:
        os.utime(Path(store.url) / name, (time.time() - seen_s_ago,) * 2)
        assert at_work(store) == ([] if dead else ["what is killed"])


def test_the_stores_clock_may_be_hours_ahead_or_behind(store: Store) -> None:
    for ahead_s in (-7200, 7200):
        with heartbeat.beating(store, RUN, "at work") as name, heartbeat.beating(store, RUN, "this test") as mine:
            for one in (name, mine):
                os.utime(Path(store.url) / one, (time.time() + ahead_s,) * 2)
            assert [worker.what for worker, _ in heartbeat.others(store, RUN, mine)] == ["at work"]


def test_one_that_is_unreadable_is_not_taken_for_none(store: Store) -> None:
    store.create(f"runs/{RUN}/heartbeats/other.json", b"{}")
    with pytest.raises(DataError, match=r"heartbeats/other\.json in the store .* is corrupt or of another version"):
        at_work(store)


def test_a_driver_has_one_while_it_drives(run: KubernetesRun, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []
    driver = run.driver()
    step = driver.step

    def watched() -> bool:
        seen.append(at_work(run.store, run.name))
        return step()

    monkeypatch.setattr(driver, "step", watched)
    assert driver.run() == {}
    assert {tuple(names) for names in seen} == {("the driver in namespace tests",)}
    assert beats(run.store, run.name) == []


def test_a_stage_has_one_while_it_runs(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    store, run = open_store(str(lab.store)), lab.plan.run
    seen: list[str] = []

    def check(*arguments: object) -> None:
        seen.extend(at_work(store, run))

    monkeypatch.setattr("ganbalance.pipeline.job._check_inputs_stand", check)
    assert lab.program("imbalance", "--stage", "dataset") == 0
    assert seen == ["the stage dataset"]
    assert beats(store, run) == []
