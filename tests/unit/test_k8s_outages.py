"""Outages use up no try and have an end; a try that got further uses up none either."""

import json
from datetime import timedelta
from typing import Any

import pytest

from ganbalance import cli
from ganbalance.errors import UnavailableError
from ganbalance.k8s import diagnosis
from ganbalance.k8s.manifest import CAUSE
from ganbalance.k8s.status import ClusterSnapshot
from ganbalance.pipeline import runs
from ganbalance.pipeline.runs import AWAY_S, Submission
from ganbalance.store import open_store
from tests.http_double import Fault
from tests.job_controller import Exits, Runs, Waits, exits
from tests.unit.k8s_run import GAN_0, GAN_1, KubernetesRun
from tests.unit.outage import Outage
from tests.unit.test_k8s_diagnosis import NOW, ended, pod
from tests.unit.test_k8s_failures import settle

AWAY = exits(75, "no answer")
BUG = exits(1, "a bug")
NO_ANSWER = "exit 75 (the store or the node went away): no answer"
GAVE_UP = f"timed out after {AWAY_S:.0f} s; {NO_ANSWER}"
GANS = "train-gan-dcgan"


# ---- a stage's store -----------------------------------------------------------------------------------------------


def test_a_store_that_is_away_uses_up_no_try(run: KubernetesRun) -> None:
    run.pods.fates[GAN_0] = [AWAY, BUG, AWAY, AWAY, BUG, AWAY, AWAY, AWAY, BUG, AWAY]
    assert run.drive() == {}
    assert run.pods.ran[GAN_0] == 11
    assert len([of for of in run.rounds() if of.group == GANS]) == 1


def test_a_store_that_stays_away_is_given_up_when_the_budget_is_over(run: KubernetesRun) -> None:
    run.pods.fates[GAN_0] = run.pods.fates[GAN_1] = AWAY
    assert not settle(run, 40)
    run.double.pass_time(AWAY_S - 60)
    assert not settle(run, 20)
    run.double.pass_time(61)
    failed = run.drive()
    assert failed[GAN_0] == failed[GAN_1] == GAVE_UP
    assert run.is_done("report")


def test_a_stage_whose_store_is_away_does_not_end_one_of_its_job_that_runs(run: KubernetesRun) -> None:
    run.pods.fates |= {GAN_0: AWAY, GAN_1: Runs()}
    assert not settle(run, 40)
    run.double.pass_time(2 * AWAY_S)
    assert not settle(run, 20)
    run.pods.fates[GAN_1] = Exits()
    assert run.drive()[GAN_0] == GAVE_UP
    assert run.is_done(GAN_1)


def fails(code: int, age_s: float) -> dict[str, Any]:
    made = pod("Failed", age_s=age_s, state=ended(code))
    made["status"]["containerStatuses"][0]["state"]["terminated"]["finishedAt"] = made["metadata"]["creationTimestamp"]
    return made


@pytest.mark.parametrize(
    ("pods", "ago_s"),
    [
        ([fails(75, 300), fails(75, 200), fails(75, 100)], 300),
        ([fails(75, 100), fails(75, 300), fails(1, 200)], 100),
        ([fails(75, 300), fails(143, 100)], None),
        ([fails(75, 300), pod("Running", age_s=100)], None),
        ([fails(75, 300), pod("Pending", age_s=100)], None),
        ([], None),
    ],
    ids=["without a break", "since another end", "ended otherwise", "runs", "waits", "not started"],
)
def test_the_store_is_away_since_the_first_pod_that_only_its_like_followed(
    pods: list[dict[str, Any]], ago_s: float | None
) -> None:
    assert diagnosis.away_since(pods) == (None if ago_s is None else NOW - timedelta(seconds=ago_s))


def test_a_job_is_away_when_all_of_its_indexes_are_that_began_and_are_not_over() -> None:
    pods = [fails(75, 300), pod("Running", age_s=100)]
    for index, one in enumerate(pods):
        one["metadata"]["annotations"] = {"batch.kubernetes.io/job-completion-index": str(index)}
    job: dict[str, Any] = {"metadata": {"name": "job"}, "spec": {"completions": 3}, "status": {}}
    assert ClusterSnapshot({"job": job}, {"job": []}).away_since(job) is None
    assert ClusterSnapshot({"job": job}, {"job": pods}).away_since(job) is None
    assert ClusterSnapshot({"job": job}, {"job": pods[:1]}).away_since(job) == NOW - timedelta(seconds=300)
    job["status"]["completedIndexes"] = "1"
    assert ClusterSnapshot({"job": job}, {"job": pods}).away_since(job) == NOW - timedelta(seconds=300)


# ---- the driver's --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("requests", [1, 5, 60])
def test_a_driver_outlasts_a_store_that_is_away(run: KubernetesRun, requests: int) -> None:
    store = Outage(run.store.url)
    driver = run.driver(store=store)
    store.left = requests
    assert driver.run() == {}
    assert store.left == 0
    run.check_ran_once()


def test_a_driver_outlasts_an_api_server_that_is_away(run: KubernetesRun) -> None:
    run.double.faults.append(Fault(status=503, times=100))
    assert run.driver().run() == {}
    run.check_ran_once()


def test_a_driver_that_has_waited_for_long_enough_leaves_nothing_that_is_tried_for_ever(run: KubernetesRun) -> None:
    run.submit(away_s=0.2)
    waiting = "train-classifier/oracle/seed-0"
    run.pods.fates |= {GAN_0: Runs(), GAN_1: Runs(), waiting: Waits("ContainerCreating")}
    assert not settle(run, 40)
    store = Outage(run.store.url)
    driver = run.driver(store=store)
    store.part, store.left = "/logs/", 10**9
    run.pods.fates[GAN_0] = BUG
    with pytest.raises(UnavailableError, match="no answer"):
        driver.run()
    assert "activeDeadlineSeconds" not in run.job(GANS)["spec"]  # its other pod runs, and may still commit
    job = run.job("train-classifier-oracle")
    assert job["metadata"]["annotations"][CAUSE] == "timed out after 0 s; no answer"
    for _ in range(3):
        run.double.tick()
    assert diagnosis.is_failed(run.job("train-classifier-oracle"))


def test_a_driver_waits_for_its_record(run: KubernetesRun, monkeypatch: pytest.MonkeyPatch) -> None:
    left = [UnavailableError("no answer")] * 3

    def opened(url: str) -> object:
        if left:
            raise left.pop()
        return open_store(url)

    monkeypatch.setattr("ganbalance.cli.submissions.open_store", opened)
    monkeypatch.setenv("KUBECONFIG", str(run.double.kubeconfig))
    assert cli.main(["drive", "--run", run.name, "--submission", "1", "--store", run.store.url]) == 0
    run.check_ran_once()


def test_a_submission_from_before_there_was_a_budget_has_the_usual_one(run: KubernetesRun) -> None:
    record = json.loads(runs.written(runs.load_submission(run.store, run.name, 1)))
    del record["away_s"]
    assert Submission.model_validate_json(json.dumps(record)).away_s == AWAY_S


# ---- progress ------------------------------------------------------------------------------------------------------


def reaches(run: KubernetesRun, step: int, end: Exits = BUG) -> Exits:
    """A try that ends so after it has written the checkpoint of a step."""
    node, checkpoint = run.record.plan.node(GAN_0), run.folder / "checkpoint"
    checkpoint.write_bytes(b"state")

    def save() -> None:
        run.state().artifacts.save_checkpoint(node.stage, node.key, "attempt", step, checkpoint)

    return Exits(end.code, message=end.message, reason=end.reason, work=save)


def tries(run: KubernetesRun) -> list[tuple[str, ...]]:
    """The stages of each round of the GANs."""
    return [of.stages for of in run.rounds() if of.group == GANS]


def test_a_stage_whose_checkpoint_moved_has_another_round(run: KubernetesRun) -> None:
    run.pods.fates[GAN_0] = [reaches(run, 10), BUG, BUG, BUG, BUG, BUG, reaches(run, 20), BUG, BUG]
    assert run.drive() == {}
    assert tries(run) == [(GAN_0, GAN_1), (GAN_0,), (GAN_0,)]
    assert run.pods.ran[GAN_0] == 10
    assert run.pods.ran[GAN_1] == 1


def test_a_stage_whose_checkpoint_moves_no_more_is_given_up(run: KubernetesRun) -> None:
    run.pods.fates[GAN_0] = [reaches(run, 10), *[BUG] * 20]
    assert run.drive()[GAN_0] == "exit 1 (a bug): a bug"
    assert tries(run) == [(GAN_0, GAN_1), (GAN_0,)]
    assert run.pods.ran[GAN_0] == 8


def test_a_checkpoint_from_before_is_no_progress(run: KubernetesRun) -> None:
    work = reaches(run, 10).work
    assert work is not None
    work()
    run.pods.fates[GAN_0] = [reaches(run, 10), *[BUG] * 20]
    assert run.drive()[GAN_0] == "exit 1 (a bug): a bug"
    assert run.pods.ran[GAN_0] == 4


@pytest.mark.parametrize("code", [65, 78])
def test_what_another_try_cannot_change_has_none_however_far_it_got(run: KubernetesRun, code: int) -> None:
    run.pods.fates[GAN_0] = reaches(run, 10, exits(code, "no use"))
    assert run.drive()[GAN_0].endswith("no use")
    assert run.pods.ran[GAN_0] == 1
    assert tries(run) == [(GAN_0, GAN_1)]
