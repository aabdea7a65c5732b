"""The driver starts what can run, within its budget, runs again what is missing, and says what happens."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ganbalance.k8s.client import Access, Cluster
from ganbalance.k8s.manifest import GROUP, INDEXES, QUEUE, SUBMISSION, TEMPLATES
from ganbalance.k8s.status import JOB_NAME
from ganbalance.pipeline import heartbeat, runs
from ganbalance.pipeline.runs import log_folder
from tests.cluster_double import ClusterDouble
from tests.job_controller import EVICTED, OOM, Exits, Object, Runs
from tests.unit.k8s_run import BLOCKED, CELL_0, FEATURES_0, GAN_0, GAN_1, KubernetesRun, plan_record, template

MakeRun = Callable[..., KubernetesRun]


@pytest.fixture
def make_run(tiny: dict[str, Any], tmp_path: Path, cluster_double: ClusterDouble, no_waiting: None) -> MakeRun:
    """A run of the tiny experiment with other settings."""
    return lambda **settings: KubernetesRun.new(plan_record(tiny | settings), tmp_path, cluster_double)


def test_a_group_starts_when_all_that_it_reads_has_come_to_rest(run: KubernetesRun) -> None:
    assert run.drive() == {}
    run.check_ran_once()
    started = [request.body["metadata"]["name"] for request in run.double.requests if str(request).endswith("/jobs")
               and request.method == "POST"]  # fmt: skip
    place = {job: i for i, job in enumerate(started)}
    home = {stage: of.job for of in run.rounds() for stage in of.stages}
    for node in run.record.plan.nodes:
        for parent in node.inputs.values():
            assert place[home[parent]] < place[home[node.name]]


def test_a_stage_that_is_still_running_holds_back_only_what_reads_it(run: KubernetesRun) -> None:
    run.pods.fates[GAN_0] = Runs()
    driving = run.driver()
    for _ in range(40):
        assert not driving.step()
    assert run.is_done("train-classifier/oracle/seed-0")
    assert run.is_done(GAN_1)
    assert not run.is_done("synthesize/dcgan/class-1/seed-1")  # the whole group waits, so that it is one Job
    assert not run.is_done("report")
    run.pods.fates[GAN_0] = Exits()
    assert run.drive(driving) == {}


def test_a_run_that_is_complete_creates_no_job(run: KubernetesRun) -> None:
    run.drive()
    run.submit()
    asked = run.double.count("POST .*/jobs")
    assert run.driver().run() == {}
    assert run.double.count("POST .*/jobs") == asked
    assert not [job for job in run.jobs() if job["metadata"]["labels"][SUBMISSION] == "2"]


def test_two_runs_share_what_is_committed(make_run: MakeRun, run: KubernetesRun, tiny: dict[str, Any]) -> None:
    run.drive()
    other = KubernetesRun(plan_record(tiny | {"note": "other"}), run.store, run.folder, run.double, run.pods)
    runs.submit(run.store, other.record)
    other.submit()
    assert other.drive() == {}
    assert run.pods.ran == Counter(run.stages) + Counter(["report"])
    assert {of.group for of in other.rounds()} == {"report"}


# ---- again ---------------------------------------------------------------------------------------------------------


def test_an_artifact_that_was_deleted_is_made_again_and_no_more_while_its_bytes_are_the_same(
    run: KubernetesRun,
) -> None:
    run.drive()
    run.delete_artifact("imbalance/seed-0")
    run.submit()
    assert run.drive() == {}
    assert run.pods.ran == Counter(run.stages) + Counter(["imbalance/seed-0"])
    run.check_records()
    assert run.events("StagesFailed") == {}


def test_what_reads_an_artifact_that_has_other_bytes_now_runs_again(run: KubernetesRun) -> None:
    run.drive()
    run.delete_artifact("imbalance/seed-0")
    run.pods.bytes["imbalance/seed-0"] = b"other"
    run.submit()
    assert run.drive() == {}
    readers = {node.name for node in run.record.plan.nodes if "imbalance/seed-0" in node.inputs.values()}
    assert CELL_0 in readers
    assert GAN_0 in readers
    assert FEATURES_0 not in readers  # it reads what the readers made, which is the same as before
    assert run.pods.ran == Counter(run.stages) + Counter({"imbalance/seed-0", *readers})


def test_a_new_submission_runs_again_what_failed_and_what_that_blocked(run: KubernetesRun) -> None:
    run.pods.fates[GAN_0] = Exits(65)
    assert set(run.drive()) == {GAN_0, *BLOCKED}
    run.pods.fates.clear()
    assert run.driver().run() != []  # the same submission does not
    run.submit()
    assert run.drive() == {}
    again = {GAN_0, "report"}  # the report has more to show now, and another key
    assert run.pods.ran == Counter(run.stages) + Counter(again)
    assert [of.stages for of in run.rounds() if of.group == "train-gan-dcgan"] == [(GAN_0, GAN_1), (GAN_0,)]
    assert {job["metadata"]["labels"][SUBMISSION] for job in run.jobs()} == {"1", "2"}


def test_a_job_that_an_older_submission_left_is_waited_for(run: KubernetesRun) -> None:
    run.pods.fates["dataset"] = Runs()
    run.driver().step()
    run.submit()
    driving = run.driver()
    for _ in range(5):
        assert not driving.step()
    assert [of.group for of in run.rounds() if of.stages == ("dataset",)] == ["dataset"]
    run.pods.fates.clear()
    assert run.drive(driving) == {}
    run.check_ran_once()
    assert run.events("StagesDone")[runs.job_name(run.name, "dataset", 1)] == "1 stage of dataset done"


def test_a_job_that_somebody_deleted_is_made_again(run: KubernetesRun) -> None:
    run.pods.fates["dataset"] = Runs()
    driving = run.driver()
    driving.step()
    run.double.remove("Job", run.job("dataset")["metadata"]["name"])
    run.pods.fates.clear()
    assert run.drive(driving) == {}
    run.check_ran_once()


def test_a_job_of_that_name_that_is_not_ours_is_no_business_of_the_driver(run: KubernetesRun) -> None:
    name = runs.job_name(run.name, "dataset", 1)
    run.double.add({"kind": "Job", "metadata": {"name": name}, "spec": {"completions": 1, "parallelism": 1},
                    "status": {"conditions": [{"type": "Complete", "status": "True"}]}})  # fmt: skip
    with pytest.raises(Exception, match=f"another Job {name}.*kubectl delete job {name}"):
        run.drive()


# ---- how much at a time --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("parallel", [1, 3, 7])
def test_there_are_never_more_pods_at_a_time_than_asked_for(make_run: MakeRun, parallel: int) -> None:
    run = make_run(seeds=[0, 1, 2, 3, 4], arms=["none", "class-weight", "oversample"])
    run.submit(parallel=parallel)
    assert run.drive() == {}
    assert run.double.most_at_once == parallel
    created = [request.body for request in run.double.requests if request.method == "POST"]
    assert all(one["spec"]["parallelism"] > 0 for one in created if one["kind"] == "Job")
    run.check_ran_once()


def test_what_one_job_leaves_of_the_budget_goes_to_the_others(make_run: MakeRun) -> None:
    run = make_run(seeds=[0, 1, 2, 3, 4], arms=["none", "class-weight"])
    run.submit(parallel=6)
    slow = {f"train-classifier/none/seed-{seed}" for seed in range(5)}
    run.pods.fates |= dict.fromkeys(slow, Runs())
    driving = run.driver()
    other = runs.job_name(run.name, "train-classifier-class-weight", 1)
    while not any(job["metadata"]["name"] == other for job in run.jobs()):
        assert not driving.step()
    assert run.double.object("Job", other)["spec"]["parallelism"] == 1
    run.pods.fates |= {f"train-classifier/class-weight/seed-{seed}": Runs() for seed in range(5)}
    run.pods.fates |= {stage: Exits() for stage in list(slow)[:3]}
    for _ in range(6):
        assert not driving.step()
    assert run.double.object("Job", other)["spec"]["parallelism"] == 4
    assert run.double.most_at_once == 6
    run.pods.fates.clear()
    assert run.drive(driving) == {}
    assert run.double.most_at_once == 6


def test_where_jobs_queue_the_queue_says_how_many_pods_run(make_run: MakeRun) -> None:
    run = make_run(seeds=[0, 1, 2], arms=["none", "class-weight"])
    queued = {name: template(name) for name in TEMPLATES}
    for one in queued.values():
        one["metadata"]["labels"][QUEUE] = "team"
    run.submit(parallel=3, templates=queued)
    assert run.drive() == {}
    widths = {job["metadata"]["labels"][GROUP]: job["spec"]["parallelism"] for job in run.jobs()}
    assert widths["train-classifier-none"] == widths["train-classifier-class-weight"] == 3
    assert run.double.count("PATCH") == run.double.count("PATCH .*-driver-2")  # the driver's own, where it says things


def test_a_driver_with_an_old_view_takes_no_pod_away(make_run: MakeRun) -> None:
    """Two drivers at a time: what the slower one meant to give is less than what the other gave meanwhile."""
    run = make_run(seeds=[0, 1, 2, 3, 4], arms=["none"])
    run.submit(parallel=2)
    run.pods.fates |= {f"imbalance/seed-{seed}": Runs() for seed in range(5)} | {"features/real": Runs()}
    job = runs.job_name(run.name, "imbalance", 1)

    class Slow(Cluster):
        def patch(self, kind: str, name: str, change: Object) -> None:
            if name == job:
                run.double.add(wider(run.double.object("Job", job)))
            super().patch(kind, name, change)

    driving = run.driver(cluster=Slow(Access(kubeconfig=str(run.double.kubeconfig))))
    while not any(one["metadata"]["name"] == job for one in run.jobs()):
        driving.step()
    run.pods.fates["features/real"] = Exits()
    for _ in range(6):
        driving.step()
    assert run.double.count(f"PATCH .*/{job}") > 0
    assert run.double.object("Job", job)["spec"]["parallelism"] == 5


def wider(job: Object) -> Object:
    return job | {"spec": job["spec"] | {"parallelism": 5}}


# ---- what is shown -------------------------------------------------------------------------------------------------


def test_events_on_the_jobs_tell_of_milestones(run: KubernetesRun) -> None:
    run.pods.fates[GAN_0] = OOM
    run.drive()
    gan = run.job("train-gan-dcgan")["metadata"]["name"]
    assert run.events("Started").keys() == {job["metadata"]["name"] for job in run.jobs()}
    assert run.events("Started")[gan] == f"train-gan-dcgan, round 1: 2 stages: 0={GAN_0}, 1={GAN_1}"
    assert run.job("train-gan-dcgan")["metadata"]["annotations"][INDEXES] == f"0={GAN_0}\n1={GAN_1}"
    assert run.events("StagesFailed").keys() == {gan}
    assert run.events("StagesFailed")[gan].startswith(f"1 of 2 stages failed; {GAN_0}: OOMKilled: ")
    assert run.events("StagesDone").keys() == run.events("Started").keys() - {gan}
    event = next(one for one in run.double.objects("Event") if one["reason"] == "StagesFailed")
    assert event["type"] == "Warning"
    assert event["involvedObject"]["uid"] == run.job("train-gan-dcgan")["metadata"]["uid"]


def test_an_event_too_short_for_all_stages_says_where_they_stand(run: KubernetesRun) -> None:
    run.drive()
    job = run.job("dataset")
    job["metadata"]["name"] = "wide"
    run.driver()._emit(job, "Started", ", ".join(f"{n}=stage" for n in range(200)))
    said = run.events("Started")["wide"]
    assert said.startswith("0=stage, 1=stage, ")
    assert said.endswith("… (annotation ganbalance.io/stages)")
    assert len(said) <= 1000


def test_another_driver_does_not_tell_it_again(run: KubernetesRun) -> None:
    run.drive()
    events = run.double.objects("Event")
    run.drive(run.driver())
    assert run.double.objects("Event") == events


def test_the_record_says_when_the_driver_started_and_how_it_ended(run: KubernetesRun) -> None:
    run.pods.fates["imbalance/seed-1"] = Exits(78)
    run.driver().run()
    notes = [run.store.read(name).decode() for name in run.store.names(f"runs/{run.name}/events")]
    assert any("driver started" in note for note in notes)
    assert any("driver ended" in note and "exit 78 (bad configuration)" in note for note in notes)


@pytest.mark.parametrize("end", [OOM, EVICTED, Exits(1)])
def test_the_logs_of_pods_that_ended_are_kept_once(run: KubernetesRun, end: Exits) -> None:
    died = Exits(end.code, reason=end.reason, disrupted=end.disrupted, log=b"step 7\n")
    run.pods.fates[GAN_0] = [died, died, Exits(log=b"done\n")]
    assert run.drive() == {}
    logs = [run.store.read(name) for name in run.store.names(log_folder(run.name, GAN_0))]
    assert sorted(logs) == [b"done\n", b"step 7\n", b"step 7\n"]
    assert run.double.count("GET .*/log$") == len(run.double.objects("Pod"))


def test_the_log_of_a_pod_that_has_to_leave_is_kept_while_it_can_be_had(run: KubernetesRun) -> None:
    run.pods.fates["dataset"] = Runs()
    driving = run.driver()
    driving.step()
    driving.step()
    (pod,) = [one for one in run.double.objects("Pod") if one["metadata"]["name"].startswith(f"{run.name}-dataset-1-")]
    assert run.double.count("GET .*/log$") == 0
    pod["metadata"]["deletionTimestamp"] = pod["metadata"]["creationTimestamp"]
    run.double.add(pod)
    for said in (b"step 7\n", b"step 7\nstopped\n"):
        run.double.logs[pod["metadata"]["name"]] = said
        driving.step()
        (kept,) = run.store.names(log_folder(run.name, "dataset"))
        assert run.store.read(kept) == said


def test_a_driver_keeps_its_own_log(run: KubernetesRun, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["--run", run.name, "--submission", "1"]
    container = {"name": "program", "args": arguments}
    metadata = {"name": "driver-a", "labels": {JOB_NAME: "driver"}, "annotations": {}}
    status = {"phase": "Running", "startTime": "2026-01-01T00:00:00Z"}
    run.double.add({"kind": "Pod", "metadata": metadata, "spec": {"containers": [container]}, "status": status})
    run.double.logs["driver-a"] = b"Started\n"
    monkeypatch.setenv(heartbeat.POD, "driver-a")
    assert run.driver().run() == {}
    assert run.store.read(f"runs/{run.name}/logs/driver/driver-a.log") == b"Started\n"
