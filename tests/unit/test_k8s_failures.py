"""How stages fail on a cluster, and what the driver makes of it: the right state, one clear line, and no waiting."""

import pytest

from ganbalance.k8s import diagnosis
from ganbalance.k8s.manifest import CAUSE
from tests.job_controller import EVICTED, OOM, Exits, Outcome, Runs, Unmade, Waits, exits
from tests.unit.k8s_run import BLOCKED, GAN_0, GAN_1, KubernetesRun

NO_ROOM = Waits("Unschedulable", "0/3 nodes are available: 3 Insufficient cpu")
POD_SECURITY = Unmade('pods "x" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true')
QUOTA = Unmade('pods "x" is forbidden: exceeded quota: small, requested: limits.memory=8Gi, limited: 4Gi')
STEPS_TO_SETTLE = 12


def settle(run: KubernetesRun, steps: int = STEPS_TO_SETTLE) -> bool:
    """Let a fresh driver take some steps; whether the run is settled."""
    driving = run.driver()
    return any(driving.step() for _ in range(steps))


def reason(run: KubernetesRun, group: str) -> str:
    """The reason of the condition that ended a group's Job."""
    condition = diagnosis.terminal(run.job(group))
    assert condition is not None
    return str(condition["reason"])


# ---- pods that ran -------------------------------------------------------------------------------------------------


def test_bad_configuration_ends_the_job_at_once(run: KubernetesRun) -> None:
    run.pods.fates |= {GAN_0: exits(78, "resources.device=cuda: there is no GPU"), GAN_1: Runs()}
    failed = run.drive()
    assert run.pods.ran[GAN_0] == 1
    assert reason(run, "train-gan-dcgan") == "PodFailurePolicy"
    assert failed[GAN_0] == "exit 78 (bad configuration): resources.device=cuda: there is no GPU"
    assert failed[GAN_1] == f"stopped with the rest of its Job: {failed[GAN_0]}"  # which has the same configuration
    assert "exit 78" in run.events("StagesFailed")[run.job("train-gan-dcgan")["metadata"]["name"]]


def test_bad_data_ends_its_index_at_once_and_no_other(run: KubernetesRun) -> None:
    run.pods.fates[GAN_0] = exits(65, "stages/imbalance/x is corrupt")
    failed = run.drive()
    assert run.pods.ran[GAN_0] == 1
    assert run.is_done(GAN_1)
    assert reason(run, "train-gan-dcgan") == "FailedIndexes"
    assert failed[GAN_0] == "exit 65 (bad or corrupt data): stages/imbalance/x is corrupt"


def test_a_bug_has_three_more_tries(run: KubernetesRun) -> None:
    run.pods.fates[GAN_0] = exits(1, "a bug, please report it: KeyError: 'x'")
    failed = run.drive()
    assert run.pods.ran[GAN_0] == 4
    assert failed[GAN_0] == "exit 1 (a bug): a bug, please report it: KeyError: 'x'"


@pytest.mark.parametrize("end", [Exits(1), exits(75, "the store went away"), Exits(143), OOM])
def test_what_works_in_the_end_is_no_failure(run: KubernetesRun, end: Exits) -> None:
    run.pods.fates[GAN_0] = [end] * 3
    assert run.drive() == {}
    assert run.pods.ran[GAN_0] == 4
    assert len(run.jobs()) == 16


def test_a_node_that_goes_away_does_not_count(run: KubernetesRun) -> None:
    run.pods.fates[GAN_0] = [EVICTED] * 9
    assert run.drive() == {}
    assert run.pods.ran[GAN_0] == 10


def test_out_of_memory_is_reported_with_the_limit_to_raise(run: KubernetesRun) -> None:
    run.pods.fates[GAN_0] = OOM
    assert run.drive()[GAN_0] == (
        "OOMKilled: train-gan-dcgan needs more than its memory limit of 8Gi; raise resources.pods.train-gan.memory"
    )


def test_a_seed_that_fails_blocks_only_what_reads_it(run: KubernetesRun) -> None:
    run.pods.fates[GAN_0] = Exits(65)
    failed = run.drive()
    assert failed.keys() == {GAN_0, *BLOCKED}
    assert {failed[stage] for stage in BLOCKED} == {f"upstream failed: {GAN_0}"}
    assert all(run.is_done(stage) for stage in run.stages - failed.keys())
    assert run.is_done("report")
    assert next(iter(failed)) == GAN_0  # what failed comes before what that blocked


def test_without_a_single_score_there_is_no_report(run: KubernetesRun) -> None:
    run.pods.fates["dataset"] = Exits(78)
    failed = run.drive()
    assert failed["dataset"].startswith("exit 78")
    assert failed.keys() == run.stages - {"backbone"}
    assert {of.group for of in run.rounds()} == {"dataset", "backbone"}


def test_a_report_that_fails_is_a_failure_of_its_own(run: KubernetesRun) -> None:
    run.pods.fates["report"] = exits(65, "a mix of two datasets")
    assert run.drive() == {"report": "exit 65 (bad or corrupt data): a mix of two datasets"}


def test_a_stage_whose_artifact_goes_while_others_run_is_reported(run: KubernetesRun) -> None:
    run.drive()
    run.delete_artifact("train-classifier/oracle/seed-0")
    failed = run.drive(run.driver())
    assert "its artifact is gone from the store; resume the run" in failed["train-classifier/oracle/seed-0"]


# ---- pods that cannot start ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "waits",
    [
        Waits("InvalidImageName", 'Failed to apply default image tag "UPPER:x": couldn\'t parse image name'),
        Waits("CreateContainerConfigError", 'secret "ganbalance-s3" not found'),
        Waits("ErrImageNeverPull", 'Container image "x" is not present with pull policy of Never'),
        POD_SECURITY,
        Unmade('pods "x-" is forbidden: error looking up service account a/b: serviceaccount "b" not found'),
    ],
    ids=["image name", "secret", "image that is not there", "Pod Security", "service account"],
)  # fmt: skip
def test_what_waiting_cannot_fix_ends_at_once(run: KubernetesRun, waits: Waits | Unmade) -> None:
    run.pods.fates[GAN_0] = run.pods.fates[GAN_1] = waits
    failed = run.drive()
    line = f"{waits.reason if isinstance(waits, Waits) else 'FailedCreate'}: {waits.message}"
    assert failed[GAN_0] == failed[GAN_1] == line
    job = run.job("train-gan-dcgan")
    assert job["metadata"]["annotations"][CAUSE] == line
    assert reason(run, "train-gan-dcgan") == "DeadlineExceeded"
    assert run.is_done("report")
    assert line in run.events("StagesFailed")[job["metadata"]["name"]]


@pytest.mark.parametrize("why", ["ErrImagePull", "ImagePullBackOff"])
def test_a_registry_has_two_minutes_to_come_back(run: KubernetesRun, why: str) -> None:
    run.pods.fates["dataset"] = Waits(why, "Back-off pulling image")
    assert not settle(run)
    run.double.pass_time(diagnosis.PULL_GRACE_S - 30)
    assert not settle(run)
    run.double.pass_time(31)
    assert settle(run)
    assert run.drive()["dataset"] == f"{why}: Back-off pulling image"


@pytest.mark.parametrize(
    ("outcome", "line"),
    [
        (NO_ROOM, "timed out after 600 s; Unschedulable: 0/3 nodes are available: 3 Insufficient cpu"),
        (QUOTA, f"timed out after 600 s; FailedCreate: {QUOTA.message}"),
        (Waits("ContainerCreating"), "timed out after 600 s; Pending"),
    ],
)
def test_what_may_change_is_waited_for_as_long_as_the_submission_says(
    run: KubernetesRun, outcome: Outcome, line: str
) -> None:
    run.pods.fates["dataset"] = outcome
    assert not settle(run)
    run.double.pass_time(560)
    assert not settle(run)
    run.double.pass_time(41)
    assert settle(run)
    assert run.drive()["dataset"] == line


def test_what_comes_in_time_is_no_failure(run: KubernetesRun) -> None:
    run.pods.fates |= {"dataset": NO_ROOM, "backbone": Waits("ErrImagePull")}
    assert not settle(run)
    run.double.pass_time(100)
    assert not settle(run)
    run.pods.fates.clear()
    assert run.drive() == {}


def test_a_pod_that_waits_for_room_may_wait_for_the_others_of_its_run(run: KubernetesRun) -> None:
    """Four pods on a cluster with room for three is no reason to end the fourth, or the Job that it is of."""
    run.pods.fates |= {GAN_0: Runs(), GAN_1: NO_ROOM, "train-classifier/oracle/seed-0": QUOTA}
    assert not settle(run, 40)
    run.double.pass_time(7200)
    assert not settle(run)
    assert run.job("train-gan-dcgan")["spec"].get("activeDeadlineSeconds") is None
    run.pods.fates.clear()
    assert run.drive() == {}


def test_the_wait_for_room_begins_when_the_last_pod_ends(run: KubernetesRun) -> None:
    run.pods.fates |= {"dataset": NO_ROOM, "backbone": Runs()}
    assert not settle(run)
    run.double.pass_time(7200)
    run.pods.fates["backbone"] = Exits()
    assert not settle(run)
    run.double.pass_time(601)
    assert settle(run)
    assert run.is_done("backbone")
    assert "Unschedulable" in run.drive()["dataset"]


def test_a_job_that_has_run_for_long_is_not_ended_between_two_tries(run: KubernetesRun) -> None:
    """It has no pod then, and the event about the quota that it once waited for is still there."""
    run.pods.fates["dataset"] = QUOTA
    assert not settle(run)
    run.pods.fates["dataset"] = Runs()
    assert not settle(run)
    run.double.pass_time(3000)
    run.pods.fates["dataset"] = [Exits(1)]
    assert run.drive() == {}
    assert run.pods.ran["dataset"] == 2
    assert len([of for of in run.rounds() if of.group == "dataset"]) == 1


def test_a_pod_that_cannot_start_does_not_end_one_of_its_job_that_runs(run: KubernetesRun) -> None:
    run.pods.fates |= {GAN_0: Runs(), GAN_1: Waits("ImagePullBackOff", "this node has no way to the registry")}
    assert not settle(run, 40)
    run.double.pass_time(7200)
    assert not settle(run)
    run.pods.fates[GAN_0] = Exits()
    assert run.drive()[GAN_1] == "ImagePullBackOff: this node has no way to the registry"
    assert run.is_done(GAN_0)


def test_what_failed_by_itself_is_reported_so_also_when_the_rest_of_its_job_is_given_up(run: KubernetesRun) -> None:
    run.pods.fates |= {GAN_0: exits(65, "corrupt"), GAN_1: NO_ROOM}
    assert not settle(run, 40)
    run.double.pass_time(601)
    failed = run.drive()
    assert failed[GAN_0] == "exit 65 (bad or corrupt data): corrupt"
    assert failed[GAN_1].startswith("timed out after 600 s; Unschedulable")
    assert {failed[stage] for stage in BLOCKED} == {f"upstream failed: {GAN_0}"}


def test_a_volume_that_cannot_be_mounted_is_reported_with_the_event_about_it(run: KubernetesRun) -> None:
    run.pods.fates["dataset"] = Waits("ContainerCreating")
    assert not settle(run)
    (pod,) = [one for one in run.double.objects("Pod") if "-dataset-" in one["metadata"]["name"]]
    run.double.warn(pod, "FailedMount", 'MountVolume.SetUp failed for volume "ca": configmap "ca" not found')
    run.double.pass_time(601)
    assert settle(run)
    line = 'FailedMount: MountVolume.SetUp failed for volume "ca": configmap "ca" not found'
    assert run.drive()["dataset"] == f"timed out after 600 s; {line}"
