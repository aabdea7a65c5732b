"""Others want the same: a second driver of the run, and whoever shares the namespace's quota of Jobs."""

import re
from collections import Counter
from collections.abc import Callable

import pytest

from ganbalance.errors import ConfigError, DataError
from ganbalance.k8s import status
from ganbalance.k8s.client import QuotaError
from ganbalance.k8s.driver import Driver
from ganbalance.k8s.manifest import CAUSE, PART, driver_job
from ganbalance.pipeline import heartbeat
from tests.cluster_double import NAMESPACE
from tests.job_controller import Exits, Runs
from tests.unit.commands_bench import Bench
from tests.unit.k8s_run import BLOCKED, GAN_0, PENDING_S, KubernetesRun, template


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Have something happen while the driver waits before its second look."""

    def once(happens: Callable[[], object]) -> None:
        left = [happens]
        monkeypatch.setattr("ganbalance.k8s.driver.time.sleep", lambda seconds: left.pop()() if left else None)

    return once


# ---- two drivers ---------------------------------------------------------------------------------------------------


def test_a_driver_whose_run_another_has_taken_over_starts_nothing_more(
    run: KubernetesRun, meanwhile: Callable[[Callable[[], object]], None]
) -> None:
    run.pods.fates[GAN_0] = Exits(65)  # which the old one would try again, since its own submission has not
    old = run.driver()
    run.submit()
    meanwhile(run.driver().run)
    with pytest.raises(ConfigError, match=rf"run {run.name} is driven by .*, process \d+ since 20.*steps back") as said:
        old.run()
    assert said.value.exit_code == 78
    assert run.pods.ran == Counter(run.stages - BLOCKED)


def test_a_driver_that_is_started_again_goes_on(run: KubernetesRun) -> None:
    assert [run.driver().run(), run.driver().run()] == [{}, {}]
    run.check_ran_once()
    assert len(list(run.store.names(f"runs/{run.name}/drivers"))) == 2


def test_a_driver_ends_when_its_run_is_deleted(
    run: KubernetesRun, meanwhile: Callable[[Callable[[], object]], None]
) -> None:
    meanwhile(lambda: [run.store.delete(name) for name in list(run.store.names(f"runs/{run.name}"))])
    with pytest.raises(DataError, match=f"runs/{run.name}/drivers/000001-"):
        run.driver().run()


# ---- a quota of Jobs -----------------------------------------------------------------------------------------------

NO_ROOM = "exceeded quota: small, requested: count/jobs.batch=1, used: count/jobs.batch=3, limited: count/jobs.batch=3"
FIX = "remove the Jobs of runs that are over (ganbalance cancel --run RUN"


def driven(run: KubernetesRun) -> tuple[Driver, str]:
    """A driver that has looked once, and its Job, which does not end; there are two others."""
    job = driver_job(run.name, 1, template("driver"))
    run.double.pods = lambda of, index: Runs() if of["metadata"]["labels"][PART] == "driver" else run.pods(of, index)
    run.cluster().create(job)
    driving = run.driver()
    assert not driving.step()
    assert len(run.jobs()) == 2
    return driving, job["metadata"]["name"]


def test_a_run_waits_for_room_in_a_quota_of_jobs_and_its_status_says_which(run: KubernetesRun) -> None:
    driving, job = driven(run)
    run.double.allow_jobs(3)
    for _ in range(20):
        assert not driving.step()
    driver = status.driver_row(run.cluster(), run.name)
    assert driver.state == "running"
    assert NO_ROOM in driver.cause
    assert FIX in driver.cause
    assert run.double.count(f"PATCH .*/{job}$") == 2  # the first takes back what an older driver said
    assert len(run.jobs()) == 2

    run.double.allow_jobs(99)
    assert run.drive(driving) == {}
    assert run.pods.ran == Counter(run.stages)
    assert status.driver_row(run.cluster(), run.name).cause == ""


def test_a_driver_without_a_job_prints_which_quota_has_no_room_once(
    run: KubernetesRun, capsys: pytest.CaptureFixture[str]
) -> None:
    run.double.allow_jobs(0)
    driving = run.driver()
    for _ in range(5):
        assert not driving.step()
    assert capsys.readouterr().out.count("exceeded quota: small") == 1


def test_a_driver_that_follows_another_takes_back_what_that_said(run: KubernetesRun) -> None:
    driving, job = driven(run)
    run.double.allow_jobs(3)
    for _ in range(5):
        driving.step()
    assert CAUSE in run.double.object("Job", job)["metadata"]["annotations"]
    run.double.allow_jobs(99)
    run.driver().step()
    assert CAUSE not in run.double.object("Job", job)["metadata"]["annotations"]


def test_a_quota_that_never_has_room_is_given_up_when_nothing_has_run_for_long_enough(run: KubernetesRun) -> None:
    run.pods.fates["dataset"] = Runs()
    driving, _ = driven(run)
    run.double.allow_jobs(3)
    driving._had_room -= PENDING_S + 1
    assert not driving.step()  # one of its own may make room yet
    run.pods.fates.clear()
    for _ in range(5):
        assert not driving.step()
    driving._had_room -= PENDING_S + 1
    line = f"timed out after 600 s; cannot create the Job {run.name}-.*: {NO_ROOM}; {re.escape(FIX)}"
    with pytest.raises(QuotaError, match=line) as said:
        driving.step()
    assert said.value.exit_code == 78
    assert re.match(line, status.driver_row(run.cluster(), run.name).cause)


@pytest.mark.parametrize("room", [1, 16])
def test_a_submission_says_how_many_jobs_are_left_where_they_are_too_few(bench: Bench, room: int) -> None:
    bench.double.allow_jobs(room)
    code, said = bench.submit()
    assert (code, len(bench.driver_jobs())) == (0, 1), said
    short = f"warn: jobs: this run needs 17 Jobs, {room} are left by the quota small"
    assert f"{short}; the others wait until there is room; {FIX}" in said


def test_a_quota_without_room_for_the_driver_refuses_and_nothing_is_created(bench: Bench) -> None:
    bench.double.allow_jobs(0)
    code, said = bench.submit()
    assert code == 78
    assert f"this run needs 17 Jobs, 0 are left by the quota small -> fix: {FIX}" in said, said
    assert "Traceback" not in said
    assert (bench.double.objects("Job"), list(bench.store.names("runs"))) == ([], [])


def test_a_driver_here_needs_no_job_and_may_wait_for_the_others(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.double.allow_jobs(0)
    monkeypatch.setattr(Driver, "run", lambda driver: {})
    code, said = bench.submit("--driver", "local")
    assert (code, "this run needs 16 Jobs, 0 are left by the quota small" in said) == (0, True), said


def test_nothing_is_said_of_quotas_with_room_nor_of_those_that_nobody_may_read(bench: Bench) -> None:
    bench.double.allow_jobs(17)
    assert "left by the quota" not in bench.submit()[1]
    bench.double.remove("Job", bench.driver_jobs()[0]["metadata"]["name"])
    bench.double.allow_jobs(16)
    bench.double.deny("list", "resourcequotas")
    code, said = bench.submit()
    assert (code, "left by the quota" in said) == (0, False), said


@pytest.mark.parametrize(("namespace", "code"), [("elsewhere", 75), (NAMESPACE, 0)])
def test_a_run_that_another_namespace_drives_is_not_submitted(bench: Bench, namespace: str, code: int) -> None:
    run = bench.stopped_after(1)
    bench.type("cancel", "--run", run)
    with heartbeat.beating(bench.store, run, f"the driver in namespace {namespace}"):
        found, said = bench.type("resume", "--run", run)
    assert found == code
    assert ("the driver in namespace elsewhere" in said) == (namespace == "elsewhere")
    assert len(bench.driver_jobs()) == (code == 0)
