"""What is said of a cluster before anything is created there, by an API server in this process."""

import base64
import contextlib
import io
import json
from typing import Any

import pytest

from ganbalance.cli import main
from ganbalance.config import PodResources
from ganbalance.errors import ConfigError, UnavailableError
from ganbalance.k8s import connection, manifest, preflight
from ganbalance.k8s.client import Access, Cluster
from ganbalance.pipeline.rounds import Round
from ganbalance.store.doctor import Finding, findings
from tests import cluster_double, manifests, servers
from tests.cluster_double import ClusterDouble, Fault, Object

GPU = "nvidia.com/gpu"
RUN = "quick-1a2b3c4d"
KEYS = {"AWS_ACCESS_KEY_ID": "someone", "AWS_SECRET_ACCESS_KEY": "hush-hush"}
APPLIED = {"PodTemplate", "ConfigMap", "ServiceAccount"}


@pytest.fixture(scope="module")
def overlays() -> dict[str, list[Object]]:
    return {name: manifests.render(manifests.K8S / "overlays" / name) for name in ("local", "gpu")}


def node(**has: str) -> Object:
    amounts = {"cpu": "8", "memory": "32Gi", "ephemeral-storage": "200Gi"}
    given = {name.replace("gpu", GPU): amount for name, amount in has.items()}
    return {
        "kind": "Node", "metadata": {"name": "x", "labels": {"nvidia.com/gpu.present": "true"}}, "spec": {},
        "status": {"allocatable": amounts | given},
    }  # fmt: skip


def secret(**data: str) -> Object:
    encoded = {name: base64.b64encode(value.encode()).decode() for name, value in data.items()}
    return {"kind": "Secret", "metadata": {"name": "ganbalance-s3"}, "data": encoded}


def apply(double: ClusterDouble, overlay: list[Object]) -> None:
    for one in overlay:
        if one["kind"] in APPLIED:
            double.add(one | {"metadata": one["metadata"] | {"namespace": double.namespace}})
    double.add(secret(**KEYS))
    double.add(node(gpu="1"))


@pytest.fixture
def double(cluster_double: ClusterDouble, overlays: dict[str, list[Object]]) -> ClusterDouble:
    """A cluster with all that a run needs, one node with one GPU, templates that ask for one."""
    apply(cluster_double, overlays["gpu"])
    return cluster_double


def cluster_of(double: ClusterDouble) -> Cluster:
    return Cluster(Access(kubeconfig=str(double.kubeconfig)), attempts=1)


def jobs(double: ClusterDouble, **asked: Any) -> list[manifest.Manifest]:
    """The driver's Job and one of train-gan that asks for such resources."""
    templates = connection.templates(cluster_of(double))
    of = Round(job=f"{RUN}-gan-1", group="train-gan-dcgan", number=1, submission=1, stages=("a",), keys=("k",))
    stage = manifest.stage_job(RUN, of, templates["train-gan"], PodResources(**asked), parallelism=1)
    return [manifest.driver_job(RUN, 1, templates["driver"]), stage]


def look(double: ClusterDouble, wanted: list[manifest.Manifest] | None = None) -> dict[str, Finding]:
    """What each check finds, by its name; without Jobs, of the templates."""
    return {found.check: found for found in findings(preflight.checks(cluster_of(double), wanted or []))}


def failed(found: dict[str, Finding]) -> list[str]:
    return [name for name, finding in found.items() if finding.state == "FAIL"]


def change_template(double: ClusterDouble, name: str, **container: Any) -> None:
    template = double.object("PodTemplate", name)
    template["template"]["spec"]["containers"][0].update(container)
    double.add(template)


# ---- a cluster that is well ------------------------------------------------------------------------------------------


def test_a_good_cluster_passes_and_nothing_is_created(double: ClusterDouble) -> None:
    found = look(double, jobs(double))
    assert {finding.state for finding in found.values()} == {"ok"}
    assert not double.objects("Job")
    assert not double.objects("Pod")
    preflight.refuse(found.values())


def test_without_jobs_the_templates_are_looked_at_and_the_gpus_counted(double: ClusterDouble) -> None:
    found = look(double)
    assert {finding.state for finding in found.values()} == {"ok"}
    assert found["GPUs"].text == "1 nvidia.com/gpu on 1 node (1 free)"
    assert "6 Jobs" in found["jobs"].text
    assert not double.objects("Job")


def test_every_manifest_is_tried_and_every_kind_of_pod_once(double: ClusterDouble) -> None:
    wanted = jobs(double)
    other = json.loads(json.dumps(wanted[1]).replace("train-gan-dcgan", "train-gan-vanilla"))
    other["metadata"]["name"] += "-b"
    other["spec"]["template"]["spec"]["containers"][0]["args"] = ["--round", "another"]
    look(double, [*wanted, other])
    assert double.count("POST .*/jobs$") == 3
    assert double.count("POST .*/pods$") == 2
    assert all(one.query.get("dryRun") == "All" for one in double.requests if "jobs" in one.path and one.body)


def test_a_job_that_is_there_already_is_no_failure(double: ClusterDouble) -> None:
    wanted = jobs(double)
    cluster_of(double).create(wanted[1])
    assert look(double, wanted)["jobs"].state == "ok"


# ---- the cluster and the namespace -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("minor", "state"), [("33", "warn"), ("34+", "ok"), ("40", "ok")])
def test_an_older_cluster_is_a_warning(
    double: ClusterDouble, monkeypatch: pytest.MonkeyPatch, minor: str, state: str
) -> None:
    monkeypatch.setitem(cluster_double.ABOUT, "/version", {"major": "1", "minor": minor})
    assert look(double)["cluster"].state == state


def test_a_server_that_is_away_hides_the_rest_and_says_try_again(double: ClusterDouble) -> None:
    wanted = jobs(double)
    double.faults.append(Fault(status=503, only="GET /version", times=9))
    found = look(double, wanted)
    assert failed(found) == ["cluster"]
    assert {finding.state for finding in found.values()} == {"FAIL", "skipped"}
    with pytest.raises(UnavailableError, match="see that the cluster is up"):
        preflight.refuse(found.values())


def test_a_namespace_that_is_not_there_is_one_failure(double: ClusterDouble) -> None:
    wanted = jobs(double)
    double.remove("Namespace", double.namespace)
    found = look(double, wanted)
    assert failed(found) == ["namespace"]
    assert "make deploy" in found["namespace"].mend


def test_a_namespace_that_goes_away_takes_nothing(double: ClusterDouble) -> None:
    double.add(double.object("Namespace", double.namespace) | {"status": {"phase": "Terminating"}})
    assert "being deleted" in look(double)["namespace"].text


def test_missing_templates_are_named(double: ClusterDouble) -> None:
    double.remove("PodTemplate", "report")
    double.remove("PodTemplate", "driver")
    found = look(double)
    assert failed(found) == ["templates"]
    assert "report, driver" in found["templates"].text
    assert "make deploy" in found["templates"].mend
    assert found["pods"].state == "skipped"


# ---- rights ----------------------------------------------------------------------------------------------------------


def test_what_submit_lacks_is_a_failure_and_what_logs_lacks_a_warning(double: ClusterDouble) -> None:
    double.deny("get", "pods/log")
    found = look(double)["rights"]
    assert (found.state, found.text) == ("warn", "logs lacks get Pod/log")
    double.deny("create", "jobs")
    found = look(double)["rights"]
    assert found.state == "FAIL"
    assert found.text == "submit lacks create Job, logs lacks get Pod/log"
    assert "k8s/README.md" in found.mend


@pytest.mark.parametrize(
    ("verb", "plural", "check"),
    [
        ("get", "namespaces", "namespace"), ("list", "nodes", "nodes"), ("list", "nodes", "GPUs"),
        ("get", "secrets", "environment"), ("get", "serviceaccounts", "accounts"), ("create", "pods", "pods"),
        ("list", "resourcequotas", "quota"),
    ],
)  # fmt: skip
def test_what_one_may_not_see_is_a_note(double: ClusterDouble, verb: str, plural: str, check: str) -> None:
    double.deny(verb, plural)
    found = look(double)
    assert found[check].state == "note"
    assert found[check].text.startswith("not looked at, for want of a right")
    assert not failed(found)


def test_gpus_in_use_are_unknown_to_those_who_may_not_list_pods_everywhere(double: ClusterDouble) -> None:
    double.deny("list", "pods")
    assert look(double)["GPUs"].text == "1 nvidia.com/gpu on 1 node (use unknown, pods cannot be listed)"


# ---- what pods take from the namespace -------------------------------------------------------------------------------


def test_a_missing_secret_is_told_once_with_how_to_make_it(double: ClusterDouble) -> None:
    double.remove("Secret", "ganbalance-s3")
    found = look(double)
    assert failed(found) == ["environment"]
    assert found["environment"].text == f"no Secret ganbalance-s3 in namespace {double.namespace}"
    assert "k8s/README.md" in found["environment"].mend


def test_an_optional_secret_may_be_missing(double: ClusterDouble) -> None:
    double.remove("Secret", "ganbalance-s3")
    for name in manifests.TEMPLATES:
        sources = [
            {"configMapRef": {"name": "ganbalance-store"}}, {"secretRef": {"name": "ganbalance-s3", "optional": True}}
        ]  # fmt: skip
        change_template(double, name, envFrom=sources)
    assert look(double)["environment"].state == "ok"


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"AWS_ACCESS_KEY_ID": "someone"}, "AWS_SECRET_ACCESS_KEY is not"),
        (KEYS | {"AWS_SECRET_ACCESS_KEY": "hush-hush\n"}, "AWS_SECRET_ACCESS_KEY begins or ends with white space"),
        (KEYS | {"AWS_ACCESS_KEY_ID": ""}, "AWS_ACCESS_KEY_ID is empty"),
    ],
)
def test_keys_that_cannot_work_are_told_without_their_value(
    double: ClusterDouble, data: dict[str, str], told: str
) -> None:
    double.add(secret(**data))
    found = look(double)["environment"]
    assert found.state == "FAIL"
    assert told in found.text
    assert "hush" not in repr(found)


def test_no_keys_at_all_are_those_of_a_service_account(double: ClusterDouble) -> None:
    double.add(secret(OTHER="x"))
    assert look(double)["environment"].state == "ok"


@pytest.mark.parametrize("data", [{}, {"GANBALANCE_STORE": "/data"}])
def test_a_configmap_that_leads_to_no_store_fails(double: ClusterDouble, data: dict[str, str]) -> None:
    double.add(double.object("ConfigMap", "ganbalance-store") | {"data": data})
    found = look(double)["environment"]
    assert found.state == "FAIL"
    assert "GANBALANCE_STORE" in found.text
    assert "s3://bucket/prefix" in found.mend


def test_a_single_key_that_is_named_must_be_there(double: ClusterDouble) -> None:
    named = {"name": "AWS_SESSION_TOKEN", "valueFrom": {"secretKeyRef": {"name": "ganbalance-s3", "key": "TOKEN"}}}
    change_template(double, "report", env=[named])
    assert look(double)["environment"].text == "Secret ganbalance-s3 has no key TOKEN"


def test_a_missing_service_account_is_named(double: ClusterDouble) -> None:
    double.remove("ServiceAccount", "ganbalance-stage")
    found = look(double)
    assert failed(found) == ["accounts"]
    assert "ganbalance-stage" in found["accounts"].text
    assert found["pods"].state == "skipped"


# ---- admission -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "mend"),
    [
        ('violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false', "k8s/base"),
        ("maximum memory usage per Container is 1Gi, but limit is 8Gi", "resources.pods.train-gan of the experiment"),
        ("failed quota: small: must specify limits.cpu for: program", "a quota of the namespace wants them"),
        ("no PriorityClass with name fast was found", "kubectl get priorityclass"),
        ('admission webhook "policy.example" denied the request: no', "webhook"),
        ("nobody knows", "make deploy"),
    ],
)
def test_a_pod_that_is_refused_says_why_and_what_to_set(double: ClusterDouble, message: str, mend: str) -> None:
    wanted = jobs(double)[1:]
    told = f'pods "ganbalance-preflight-abcde" is forbidden: {message}'
    double.faults.append(Fault(status=403, reason="Forbidden", message=told, only="POST .*/pods$", times=9))
    found = look(double, wanted)
    assert failed(found) == ["pods"]
    assert found["pods"].text == f"no pod is made of train-gan: {message}"
    assert mend in found["pods"].mend


def test_pods_refused_for_one_reason_are_told_in_one_breath(double: ClusterDouble) -> None:
    told = 'pods "x" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true'
    double.faults.append(Fault(status=403, reason="Forbidden", message=told, only="POST .*/pods$", times=9))
    text = look(double)["pods"].text
    assert text.count("violates") == 1
    assert "driver, imbalance, train-gan, synthesize, train-classifier, report: violates" in text


def test_a_quota_that_is_full_now_only_makes_pods_wait(double: ClusterDouble) -> None:
    told = 'pods "x" is forbidden: exceeded quota: small, requested: pods=1, used: pods=4, limited: pods=4'
    double.faults.append(Fault(status=403, reason="Forbidden", message=told, only="POST .*/pods$", times=9))
    found = look(double)["pods"]
    assert found.state == "note"
    assert "exceeded quota: small" in found.text


def test_a_job_that_is_refused_is_named(double: ClusterDouble) -> None:
    wanted = jobs(double)
    told = (
        'Job.batch "x" is invalid: spec.template.spec.containers[0].resources.requests: Invalid value: "9Gi": too much'
    )
    double.faults.append(Fault(status=422, reason="Invalid", message=told, only="POST .*/jobs$", times=1))
    found = look(double, wanted)
    assert failed(found) == ["jobs"]
    assert wanted[0]["metadata"]["name"] in found["jobs"].text
    assert "resources.pods" in found["jobs"].mend


# ---- room ------------------------------------------------------------------------------------------------------------


def test_gpus_that_no_node_has_are_told_with_the_setting(double: ClusterDouble) -> None:
    found = look(double, jobs(double, gpus=2))
    assert failed(found) == ["nodes"]
    assert found["nodes"].text == "train-gan: no node has nvidia.com/gpu >= 2; the most is 1 on node x"
    assert "resources.pods.train-gan of the experiment" in found["nodes"].mend
    with pytest.raises(ConfigError, match="nothing was submitted:\n  nodes: train-gan: no node"):
        preflight.refuse(found.values())


def test_a_pool_may_grow_a_node_that_is_not_there(double: ClusterDouble) -> None:
    pooled = node(gpu="1")
    pooled["metadata"]["labels"]["karpenter.sh/nodepool"] = "cpu"
    double.add(pooled)
    assert look(double, jobs(double, gpus=2))["nodes"].state == "warn"


def test_a_cordoned_node_is_a_warning(double: ClusterDouble) -> None:
    double.add(node(gpu="1") | {"spec": {"unschedulable": True}})
    found = look(double)["nodes"]
    assert found.state == "warn"
    assert "uncordon" in found.mend


def test_what_a_daemon_set_takes_of_a_node_is_not_free(double: ClusterDouble) -> None:
    daemon = {"containers": [{"name": "a", "resources": {"requests": {"cpu": "500m"}}}], "nodeName": "x"}
    metadata = {"name": "d", "namespace": "kube-system", "ownerReferences": [{"kind": "DaemonSet", "uid": "u"}]}
    double.ticks_on_list = False
    double.add({"kind": "Pod", "metadata": metadata, "spec": daemon, "status": {"phase": "Running"}})
    found = look(double, jobs(double, cpu="8"))["nodes"]
    assert found.text == "train-gan: no node has cpu >= 8; the most is 7.5 on node x"


def quota(hard: dict[str, str], used: dict[str, str] | None = None, **more: Any) -> Object:
    return {
        "kind": "ResourceQuota", "metadata": {"name": "small"}, "spec": {"hard": hard, **more},
        "status": {"used": used or {}},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("hard", "used", "state", "told"),
    [
        ({"limits.memory": "100Gi"}, {}, "ok", "room in small"),
        ({"limits.memory": "4Gi"}, {}, "FAIL", "of limits.memory quota small allows 4Gi"),
        ({"limits.memory": "8Gi"}, {}, "FAIL", "a pod of train-gan beside the driver's needs 9Gi"),
        ({"limits.memory": "9Gi"}, {}, "ok", "room in small"),
        ({"limits.memory": "9Gi"}, {"limits.memory": "1Mi"}, "note", "allows 9Gi and has 9215Mi left"),
        ({"memory": "2Gi"}, {}, "FAIL", "of memory quota small allows 2Gi"),
        ({"requests.nvidia.com/gpu": "0"}, {}, "FAIL", "of requests.nvidia.com/gpu quota small allows 0"),
        ({"requests.nvidia.com/gpu": "1"}, {"requests.nvidia.com/gpu": "1"}, "note", "has 0 left"),
        ({"pods": "1"}, {}, "FAIL", "of pods quota small allows 1, and a pod of train-gan beside the driver's needs 2"),
        ({"count/jobs.batch": "1"}, {}, "FAIL", "quota small allows 1 Jobs, and the run has 2"),
        ({"services": "0"}, {}, "ok", "room in small"),
    ],
)
def test_a_quota_that_is_too_small_for_good_is_told_from_one_in_use(
    double: ClusterDouble, hard: dict[str, str], used: dict[str, str], state: str, told: str
) -> None:
    double.add(quota(hard, used))
    found = look(double, jobs(double))["quota"]
    assert (found.state, told in found.text) == (state, True), found
    assert ("kubectl edit quota small" in found.mend) == (state == "FAIL")


@pytest.mark.parametrize(
    ("more", "state"),
    [
        ({"scopes": ["NotTerminating"]}, "ok"),  # stages have a deadline, and the driver fits
        ({"scopes": ["Terminating"]}, "FAIL"),
        ({"scopes": ["BestEffort"]}, "ok"),
        ({"scopes": ["NotBestEffort"]}, "FAIL"),
        ({"scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "Exists"}]}}, "ok"),
        (
            {"scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "DoesNotExist"}]}},
            "FAIL",
        ),
    ],
)
def test_a_quota_of_other_pods_is_none(double: ClusterDouble, more: dict[str, Any], state: str) -> None:
    double.add(quota({"limits.memory": "4Gi"}, **more))
    assert look(double, jobs(double))["quota"].state == state


# ---- images and queues -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("image", "policy", "told"),
    [
        ("registry.example/team/ganbalance:1.2", "IfNotPresent", ""),
        ("registry.example/team/ganbalance@sha256:0f", "Always", ""),
        ("registry.example:5000/ganbalance", "IfNotPresent", "whatever was pushed last"),
        ("registry.example/ganbalance:latest", "IfNotPresent", "whatever was pushed last"),
        ("registry.example/ganbalance:1.2", "Always", "asked for at registry.example at every start"),
        ("ganbalance:1.2", "Always", "pulled from docker.io at every start"),
        ("ganbalance:1.2", "IfNotPresent", "on no node, so looked for at docker.io: ganbalance:1.2"),
        ("ganbalance:local-report", "IfNotPresent", ""),
    ],
)
def test_images_are_warned_of_by_what_will_happen(double: ClusterDouble, image: str, policy: str, told: str) -> None:
    has = node(gpu="1")
    names = ["docker.io/library/ganbalance:local-report", "docker.io/library/ganbalance:local-cuda"]
    has["status"]["images"] = [{"names": [name]} for name in names]
    double.add(has)
    change_template(double, "report", image=image, imagePullPolicy=policy)
    found = look(double)["images"]
    assert found.state == ("warn" if told else "ok"), found
    assert told in found.text
    assert bool(found.mend) == bool(told)


def test_a_queue_without_kueue_and_without_the_queue_fails(double: ClusterDouble) -> None:
    template = double.object("PodTemplate", "train-gan")
    template["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] = "mine"
    double.add(template)
    found = look(double)["queue"]
    assert found.state == "FAIL"
    assert "install or upgrade Kueue" in found.mend
    double.kinds |= cluster_double.KUEUE
    found = look(double)["queue"]
    assert (found.state, found.text) == ("FAIL", f"namespace {double.namespace} has no LocalQueue mine")
    queue = {"kind": "LocalQueue", "metadata": {"name": "mine"}}
    double.add(queue)
    assert look(double)["queue"].state == "ok"
    stopped = {"type": "Active", "status": "False", "message": "Can't submit new workloads to clusterQueue"}
    double.add(queue | {"status": {"conditions": [stopped]}})
    assert look(double)["queue"].state == "warn"


# ---- ganbalance doctor -----------------------------------------------------------------------------------------------


def doctor(*flags: str) -> dict[str, Any]:
    with contextlib.redirect_stdout(io.StringIO()) as output:
        code = main(["doctor", "--json", *flags])
    said: dict[str, Any] = json.loads(output.getvalue())
    assert said["exit_code"] == code
    return said | {"states": {one["check"]: one["state"] for one in said["checks"]}}


def test_doctor_looks_at_the_cluster_and_then_at_its_store(
    double: ClusterDouble, moto: servers.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "a-profile-of-the-user")
    bucket = servers.new_bucket_url()
    data = {"GANBALANCE_STORE": bucket, "AWS_ENDPOINT_URL": moto.endpoint, "AWS_REGION": "us-east-1"}
    double.add(double.object("ConfigMap", "ganbalance-store") | {"data": data})
    said = doctor("--kubeconfig", str(double.kubeconfig))
    assert said["store"] == bucket
    assert said["namespace"] == double.namespace
    assert said["states"]["nodes"] == said["states"]["store"] == said["states"]["sign-in"] == "ok"
    assert said["states"]["bucket"] == "FAIL"
    assert said["verdict"].startswith("the cluster cannot be used: mend bucket")
    assert "hush" not in json.dumps(said)


def test_doctor_says_what_hides_the_store(double: ClusterDouble) -> None:
    double.remove("Secret", "ganbalance-s3")
    said = doctor("--kubeconfig", str(double.kubeconfig), "--namespace", double.namespace)
    assert said["states"]["store"] == "skipped"
    assert "bucket" not in said["states"]
    assert f"--namespace {double.namespace}" in said["verdict"]


def test_doctor_without_a_kubeconfig_says_how_to_name_one(tmp_path: Any) -> None:
    said = doctor("--cluster", "--kubeconfig", str(tmp_path / "none"))
    assert said["states"] == {"cluster": "FAIL"}
    assert said["exit_code"] == 78
    assert "--kubeconfig" in said["checks"][0]["mend"]
