"""How runs fail on a real cluster: the right state, one line that says why and what to change, and an end.

Jobs, pods and the driver are real. The programs of the first stages are scripts, in the image of the report, which
holds no torch. What takes long is submitted first and checked last.
"""

import re
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from ganbalance.k8s import diagnosis, preflight
from ganbalance.k8s.client import Access, Cluster
from ganbalance.k8s.manifest import GPU_RESOURCE, PART
from ganbalance.maintenance.doctor import Finding
from ganbalance.pipeline.heartbeat import DEAD_AFTER
from tests import manifests
from tests.cluster.deployment import RUN_LABEL, Deployment
from tests.cluster.lab import BACKBONE, BLOCKED, FIRST, SEED_0, SEED_1, SMALL, Lab, script
from tests.manifests import Manifest
from tests.namespaces import Namespace

GPU = "example.com/gpu"  # that no node has
NOWHERE = "registry.invalid/ganbalance:none"
SOON = "short-lived"  # a Secret that goes after the submission
PENDING_S = 15
SLEEP = "exec sleep 900"


def ends(code: int, last_line: str) -> str:
    return f"echo 'something else'; echo '{last_line}'; exit {code}"


def by_index(first: str, others: str) -> Manifest:
    """One script for the backbone and seed 0, another for seed 1."""
    return script(f'if [ "$JOB_COMPLETION_INDEX" = 0 ]; then {first}; else {others}; fi')


# run -> how the container of its first stages differs, in the order of submission
FAILING: dict[str, Manifest] = {
    "no-image": script(SLEEP, image=NOWHERE),
    "oom": script("echo allocating; exec python3 -c 'b\"x\" * 10**9'"),
    "bad-name": script(SLEEP, image="Not/A:Good:Name"),
    "never-pulled": script(SLEEP, image=NOWHERE, imagePullPolicy="Never"),
    "no-secret": script(SLEEP, envFrom=[{"secretRef": {"name": SOON}}]),
    "bad-config": by_index(ends(78, "resources.device=cuda: there is no GPU"), SLEEP),
    "no-bucket": {
        "command": ["report"],
        "env": [{"name": "GANBALANCE_STORE", "value": "s3://no-such-bucket"}],
        "resources": SMALL | {"limits": {"memory": "512Mi"}},
    },
    "late": script(SLEEP, activeDeadlineSeconds=5),
    "disk-full": script(f"head -c 100M /dev/zero >/tmp/full; {SLEEP}"),
    "data-or-bug": by_index(ends(65, "stages/dataset/x is corrupt"), ends(1, "KeyError: a bug")),
}


@pytest.fixture(scope="module")
def lab(namespace: Namespace, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """MinIO, its bucket, and everything else as `make deploy` leaves it."""
    Deployment(namespace).deploy()
    return Lab(namespace, tmp_path_factory.mktemp("lab"))


@pytest.fixture(scope="module")
def failing(lab: Lab) -> dict[str, str]:
    """Runs that fail by what their pods are: as named above -> their full names."""
    lab.namespace.kubectl("create", "secret", "generic", SOON, "--from-literal=key=value")
    submitted = {}
    for name, change in FAILING.items():
        with pytest.MonkeyPatch.context() as patch:
            if name == "no-secret":
                after_the_checks(patch, lambda: lab.namespace.kubectl("delete", "secret", SOON))
            submitted[name] = lab.submitted(name, change)
    return submitted


def after_the_checks(patch: pytest.MonkeyPatch, happens: Callable[[], Any]) -> None:
    """Have something happen when a submission has passed its checks and has no driver yet."""
    refuse = preflight.refuse

    def refuse_or_continue(found: Iterable[Finding]) -> None:
        refuse(found)
        happens()

    patch.setattr(preflight, "refuse", refuse_or_continue)


@pytest.fixture
def neighbour(lab: Lab, name_only: Namespace, tmp_path: Path) -> Lab:
    """Another namespace, that has nothing yet but the manifests and the credentials; its store is the first one's."""
    name_only.make()
    name, _, tag = lab.image.rpartition(":")
    images = [{"name": f"ganbalance/{one}", "newName": name, "newTag": tag} for one in ("report", "programs")]
    base = manifests.render_on_top(tmp_path / "base", namespace=name_only.name, resources=["k8s/base"], images=images)
    store, keys = lab.namespace.get("configmap", "ganbalance-store"), lab.namespace.get("secret", "ganbalance-s3")
    store["data"]["AWS_ENDPOINT_URL"] = f"http://minio.{lab.namespace.name}.svc:9000"
    for one in (store, keys):
        one["metadata"] = {"name": one["metadata"]["name"], "namespace": name_only.name}
    name_only.kubectl("apply", "-f", "-", manifest=[*base, store, keys])
    return Lab(name_only, lab.folder)


def test_a_stage_that_is_tried_again_says_how_it_ended_before(lab: Lab, failing: dict[str, str]) -> None:
    run = failing["data-or-bug"]
    said = lab.deployed.wait_for("another try", lambda: _if_starts(lab.causes(run)[SEED_1], "try "), run)
    assert re.fullmatch(r"try [2-4]; before: exit 1 \(a bug\): KeyError: a bug", said)


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("late", r"DeadlineExceeded: \S+ was not done within 5 s; raise activeDeadlineSeconds in the PodTemplate .*"),
        ("disk-full", r"Evicted: Pod ephemeral .* containers 64Mi; raise resources\.pods\.\S+\.ephemeral_storage$"),
    ],
    ids=["a deadline", "a full disk"],
)
def test_a_limit_that_ends_a_pod_is_reported_with_its_setting(
    lab: Lab, failing: dict[str, str], name: str, cause: str
) -> None:
    found = lab.wait_for_causes(failing[name], rf"(try [2-4]; before: )?{cause}")
    assert found.keys() == FIRST


def _if_starts(cause: str, start: str) -> str | None:
    return cause if cause.startswith(start) else None


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("bad-name", r"InvalidImageName: .*Not/A:Good:Name.*; name another in the overlay, or by IMAGE, TAG and .*"),
        ("never-pulled", rf"ErrImageNeverPull: .*{NOWHERE}.*; copy it into the nodes \(make load\), or .*"),
        ("no-secret", rf'CreateContainerConfigError: secret "{SOON}" not found; make what is missing .*README.md\)'),
    ],
    ids=["a name that is none", "an image that is never pulled", "a Secret that has gone"],
)
def test_what_waiting_cannot_fix_ends_at_once(lab: Lab, failing: dict[str, str], name: str, cause: str) -> None:
    run = failing[name]
    for said in lab.failed(run).values():
        assert re.fullmatch(cause, said)
    assert lab.lasted_s(run, "imbalance") < diagnosis.PULL_GRACE_S


def test_a_bad_configuration_ends_all_of_its_job_at_once(lab: Lab, failing: dict[str, str]) -> None:
    run = failing["bad-config"]
    cause = "exit 78 (bad configuration): resources.device=cuda: there is no GPU"
    assert lab.failed(run) == {
        BACKBONE: cause, SEED_0: cause, SEED_1: f"stopped with the rest of its Job: {cause}",
    }  # fmt: skip
    assert lab.tries(run, "imbalance")["0"] == lab.tries(run, "backbone")["0"] == 1
    condition = diagnosis.terminal(lab.job(run, "imbalance"))
    assert condition
    assert condition["reason"] == "PodFailurePolicy"
    described = lab.namespace.kubectl("describe", "job", lab.job(run, "imbalance")["metadata"]["name"]).stdout
    assert re.search(rf"Warning +StagesFailed .*2 of 2 stages failed; {SEED_0}: {re.escape(cause)}", described)


def test_a_pod_that_finds_no_bucket_ends_its_job_at_once_and_says_so(lab: Lab, failing: dict[str, str]) -> None:
    run = failing["no-bucket"]
    cause = r"exit 78 \(bad configuration\): .* store s3://no-such-bucket .* does not exist; make the bucket with .*"
    for said in lab.failed(run).values():
        assert re.fullmatch(rf"(stopped with the rest of its Job: )?{cause}", said)
    assert set(lab.tries(run, "imbalance").values()) == {1}


def _skip_where_nodes_come_and_go() -> None:
    if preflight.may_grow(Cluster(Access()).list("Node")):
        pytest.skip("this cluster may grow a node that has one")


def _on_a_gpu() -> Manifest:
    return script(SLEEP, resources=SMALL | {"limits": SMALL["limits"] | {GPU: "1"}})


def test_a_gpu_that_no_node_has_is_refused_with_the_most_there_is(lab: Lab) -> None:
    _skip_where_nodes_come_and_go()
    said = lab.submit("gpu-refused", _on_a_gpu(), **{GPU_RESOURCE: GPU})
    assert said.code == 78
    assert "the cluster cannot run this, and nothing was submitted:" in said.err
    assert re.search(rf"GPUs: .*no node has {GPU} >= 1; the most is 0 -> fix: ask for less in resources.pods", said.err)
    assert "submitted" not in said.out


def test_a_pod_that_no_node_is_large_enough_for_says_so_and_is_given_up_in_the_end(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    _skip_where_nodes_come_and_go()
    monkeypatch.setattr(preflight, "refuse", lambda found: None)  # as where nobody may list nodes
    run = lab.submitted("gpu-pending", _on_a_gpu(), f"--pending={PENDING_S}")  # which the template does not call one
    cause = (
        rf"Unschedulable: .* Insufficient {GPU}.*; ask for less in resources.pods of the experiment, or add a node.*"
    )
    lab.wait_for_causes(run, cause)
    for said in lab.failed(run).values():
        assert re.fullmatch(rf"timed out after {PENDING_S} s; {cause}", said)


def test_a_pod_that_selects_nodes_which_are_not_there_says_so_and_is_given_up_in_the_end(lab: Lab) -> None:
    run = lab.submitted("selector", script(SLEEP, nodeSelector={"no-such": "node"}), f"--pending={PENDING_S}")
    cause = r"Unschedulable: .* didn't match Pod's node affinity/selector.*; label a node \(kubectl label node\), or .*"
    lab.wait_for_causes(run, cause)
    for said in lab.failed(run).values():
        assert re.fullmatch(rf"timed out after {PENDING_S} s; {cause}", said)


def test_a_quota_that_can_never_hold_the_pods_is_refused(neighbour: Lab) -> None:
    _make_quota(neighbour, "48Mi")
    said = neighbour.submit("quota-refused", script(SLEEP))
    assert said.code == 78
    assert re.search(r"pods: no pod is made of .*exceeded quota: small, .*limited: limits.memory=48Mi", said.err)
    assert said.err.count("kubectl describe quota") == 1  # though it is too small for several pods
    assert neighbour.is_empty()


def test_a_quota_that_has_no_room_beside_the_driver_is_reported_and_given_up_in_the_end(neighbour: Lab) -> None:
    _make_quota(neighbour, "1056Mi")  # for the driver and half a stage
    alone = "--set=resources.pods.report.memory=64Mi"  # each fits; what does not fit alone is refused
    run = neighbour.submitted("quota-later", script(SLEEP), f"--pending={PENDING_S}", alone)
    cause = r"FailedCreate: .*exceeded quota: small, requested: .*=64Mi, .*limited: .*=1056Mi; ask for less in .*"
    neighbour.wait_for_causes(run, cause)
    for said in neighbour.failed(run).values():
        assert re.fullmatch(rf"timed out after {PENDING_S} s; {cause}", said)


def _make_quota(lab: Lab, memory: str) -> None:
    lab.namespace.kubectl("create", "quota", "small", f"--hard=limits.memory={memory}")
    lab.namespace.kubectl("wait", "resourcequota/small", "--for=jsonpath={.status.hard}", "--timeout=60s")


def test_a_secret_that_a_template_names_and_is_not_there_is_refused(lab: Lab) -> None:
    said = lab.submit("secret-refused", script(SLEEP, envFrom=[{"secretRef": {"name": "nowhere"}}]))
    assert said.code == 78
    assert f"environment: no Secret nowhere in namespace {lab.namespace.name} -> fix: " in said.err


def test_without_credentials_for_the_store_nothing_is_submitted(neighbour: Lab) -> None:
    neighbour.namespace.kubectl("delete", "secret", "ganbalance-s3")
    said = neighbour.submit("keys-refused", script(SLEEP))
    assert said.code == 78
    assert f"no Secret ganbalance-s3 in namespace {neighbour.namespace.name}; make it (k8s/README.md), or " in said.err
    assert neighbour.is_empty()


def test_without_the_bucket_nothing_is_submitted(neighbour: Lab) -> None:
    change = '{"data": {"GANBALANCE_STORE": "s3://no-such-bucket"}}'
    neighbour.namespace.kubectl("patch", "configmap", "ganbalance-store", "--patch", change)
    said = neighbour.submit("bucket-refused", script(SLEEP))
    assert said.code == 78
    assert re.search(r"store s3://no-such-bucket .*does not exist; make the bucket with 'ganbalance store", said.err)
    assert neighbour.is_empty()


def test_what_happens_to_a_run_leaves_the_other_in_the_namespace_alone(lab: Lab) -> None:
    mine, other = (lab.submitted(name, script(SLEEP)) for name in ("mine", "other"))
    for run in (mine, other):
        lab.deployed.wait_for("a driver and three stages that run", lambda run=run: len(_running(lab, run)) == 4, run)
    before = _running(lab, other)
    said = lab.ganbalance("cancel", "--run", mine)
    assert said.code == 0
    assert said.out.startswith(f"cancelled {mine}: 3 Jobs deleted, what is committed is kept")
    assert not lab.deployed.pods(mine)
    assert not lab.deployed.jobs(mine)
    assert {state for name, state in _states(lab, mine).items() if name != "dataset"} == {"not started"}

    said = lab.ganbalance("clean", "--run", mine)
    assert said.code == 0
    assert "what other runs need is kept" in said.out
    assert lab.ganbalance("status", "--run", mine).code == 78
    assert _running(lab, other) == before
    assert _states(lab, other) == (
        {"dataset": "done"} | dict.fromkeys(FIRST, "running") | dict.fromkeys(BLOCKED, "not started")
    )  # fmt: skip

    assert lab.ganbalance("clean", "--run", other).code == 0
    assert not lab.deployed.pods(other)


def test_a_run_is_not_cleaned_from_another_namespace_before_its_driver_is_dead(lab: Lab, neighbour: Lab) -> None:
    run = lab.submitted("shared-store", script(SLEEP))
    lab.deployed.wait_for("a driver and three stages that run", lambda: len(_running(lab, run)) == 4, run)
    before, states = _running(lab, run), _states(lab, run)
    in_use = f"in use by the driver in namespace {lab.namespace.name} ({run}-driver-1-"
    said = neighbour.ganbalance("clean", "--run", run)
    assert (said.code, said.err.count("\n"), in_use in said.err) == (75, 1, True), said
    assert (_running(lab, run), _states(lab, run)) == (before, states)

    (driver,) = lab.deployed.pods(run, **{PART: "driver"})
    lab.namespace.kubectl("exec", driver["metadata"]["name"], "--", "sh", "-c", "kill -9 -1", check=False)
    lab.namespace.kubectl("delete", "jobs", "--selector", f"{RUN_LABEL}={run}", "--grace-period=1")
    said = neighbour.ganbalance("clean", "--run", run)
    assert (said.code, in_use in said.err) == (75, True), said
    killed = time.monotonic()
    lab.deployed.wait_for("its death", lambda: neighbour.ganbalance("clean", "--run", run).code == 0)
    assert time.monotonic() - killed < DEAD_AFTER.total_seconds() + 15
    assert neighbour.ganbalance("status", "--run", run).code == 78


def _running(lab: Lab, run: str) -> set[str]:
    pods = lab.deployed.pods(run)
    return {pod["metadata"]["uid"] for pod in pods if pod["status"]["phase"] == "Running"}


def _states(lab: Lab, run: str) -> dict[str, str]:
    return {row["stage"]: row["state"] for row in lab.deployed.status(run)["stages"]}


def test_bad_data_ends_its_stage_at_once_and_anything_else_after_three_more_tries(
    lab: Lab, failing: dict[str, str]
) -> None:
    run = failing["data-or-bug"]
    cause = "exit 65 (bad or corrupt data): stages/dataset/x is corrupt"
    assert lab.failed(run) == {BACKBONE: cause, SEED_0: cause, SEED_1: "exit 1 (a bug): KeyError: a bug"}
    assert lab.tries(run, "imbalance") == {"0": 1, "1": 4}


def test_a_pod_that_takes_too_much_memory_is_reported_with_its_limit_and_its_log_outlives_it(
    lab: Lab, failing: dict[str, str]
) -> None:
    run = failing["oom"]
    for name, said in lab.failed(run).items():
        group = name.partition("/")[0]
        assert re.fullmatch(
            rf"OOMKilled: {group} needs more than its memory limit of 64Mi; raise resources.pods.{group}.memory", said
        )
    assert lab.tries(run, "imbalance") == {"0": 4, "1": 4}
    lab.namespace.kubectl("delete", "pods", "--selector", f"{RUN_LABEL}={run},{PART}=stage")
    assert lab.ganbalance("logs", "--run", run, "--stage", SEED_0).out.count("allocating") == 4


def test_an_image_that_is_nowhere_is_given_up_when_its_registry_had_time_to_come_back(
    lab: Lab, failing: dict[str, str]
) -> None:
    run = failing["no-image"]
    for said in lab.failed(run).values():
        assert re.fullmatch(rf"(ErrImagePull|ImagePullBackOff): .*{NOWHERE}.*; copy it into the nodes .*", said)
    assert lab.lasted_s(run, "imbalance") >= diagnosis.PULL_GRACE_S


def test_all_of_this_happens_where_restricted_pod_security_is_enforced(lab: Lab) -> None:
    labels = lab.namespace.get("namespace", lab.namespace.name)["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
