"""What is said of a cluster before anything is created there, by an API server in this process."""

import json

import pytest

from ganbalance.config import PodResources, Resources
from ganbalance.errors import ConfigError, UnavailableError
from ganbalance.k8s import connection, manifest, preflight
from tests import cluster_double, manifests
from tests.cluster_double import ClusterDouble
from tests.http_double import Fault
from tests.unit.preflighted import (
    RUN,
    change_template,
    cluster_of,
    failed,
    jobs,
    preflight_findings,
    secret,
)

# ---- a cluster that is well ------------------------------------------------------------------------------------------


def test_a_good_cluster_passes_and_nothing_is_created(double: ClusterDouble) -> None:
    found = preflight_findings(double, jobs(double))
    assert {finding.state for finding in found.values()} == {"ok"}
    assert not double.objects("Job")
    assert not double.objects("Pod")
    preflight.refuse(found.values())


def test_without_jobs_the_templates_are_checked_and_the_gpus_counted(double: ClusterDouble) -> None:
    found = preflight_findings(double)
    assert {finding.state for finding in found.values()} == {"ok"}
    assert found["GPUs"].text == "1 nvidia.com/gpu on 1 node"
    assert "6 Jobs" in found["jobs"].text
    assert not double.objects("Job")


def test_every_manifest_is_tried_and_the_pods_of_every_stage_once(double: ClusterDouble) -> None:
    wanted = jobs(double)
    other = json.loads(json.dumps(wanted[1]).replace("train-gan-dcgan", "train-gan-vanilla"))
    other["metadata"]["name"] += "-b"
    other["spec"]["template"]["spec"]["containers"][0]["args"] = ["--stages", "another"]
    preflight_findings(double, [*wanted, other])
    assert double.count("POST .*/jobs$") == 3
    assert double.count("POST .*/pods$") == 2
    assert all(one.query.get("dryRun") == "All" for one in double.requests if "jobs" in one.path and one.body)


def test_a_job_that_is_there_already_is_no_failure(double: ClusterDouble) -> None:
    wanted = jobs(double)
    cluster_of(double).create(wanted[1])
    assert preflight_findings(double, wanted)["jobs"].state == "ok"


# ---- the cluster and the namespace -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("minor", "state"), [("33", "warn"), ("34+", "ok"), ("40", "ok")])
def test_an_older_cluster_is_a_warning(
    double: ClusterDouble, monkeypatch: pytest.MonkeyPatch, minor: str, state: str
) -> None:
    monkeypatch.setitem(cluster_double.ABOUT, "/version", {"major": "1", "minor": minor})
    assert preflight_findings(double)["cluster"].state == state


def test_a_server_that_is_away_hides_the_rest_and_says_try_again(double: ClusterDouble) -> None:
    wanted = jobs(double)
    double.faults.append(Fault(status=503, only="GET /version", times=9))
    found = preflight_findings(double, wanted)
    assert failed(found) == ["cluster"]
    assert {finding.state for finding in found.values()} == {"FAIL", "skipped"}
    with pytest.raises(UnavailableError, match="see that the cluster is up"):
        preflight.refuse(found.values())


def test_a_namespace_that_is_not_there_has_no_templates(double: ClusterDouble) -> None:
    for name in manifests.TEMPLATES:
        double.remove("PodTemplate", name)
    double.remove("Namespace", double.namespace)
    found = preflight_findings(double)
    assert failed(found) == ["templates"]
    assert "apply the manifests (make deploy), or name another --namespace" in found["templates"].fix


def test_a_namespace_that_goes_away_takes_nothing(double: ClusterDouble) -> None:
    ends = f"unable to create new content in namespace {double.namespace} because it is being terminated"
    message = f'jobs.batch "x" is forbidden: {ends}'
    double.faults.append(Fault(status=403, reason="Forbidden", message=message, only="POST .*/jobs$", times=9))
    found = preflight_findings(double)["jobs"]
    assert (found.state, "being terminated" in found.text) == ("FAIL", True)
    assert "wait for the namespace's end" in found.fix


def test_missing_templates_are_named(double: ClusterDouble) -> None:
    double.remove("PodTemplate", "report")
    double.remove("PodTemplate", "driver")
    found = preflight_findings(double)
    assert failed(found) == ["templates"]
    assert "report, driver" in found["templates"].text
    assert "make deploy" in found["templates"].fix
    assert found["pods"].state == "skipped"


# ---- permissions -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verb", "plural", "check"), [("create", "jobs", "jobs"), ("list", "podtemplates", "templates")]
)
def test_what_submit_may_not_do_is_a_failure_in_the_servers_words(
    double: ClusterDouble, verb: str, plural: str, check: str
) -> None:
    wanted = jobs(double)
    double.deny(verb, plural)
    found = preflight_findings(double, wanted)
    assert failed(found) == [check]
    assert f'User "tester" cannot {verb} resource "{plural}"' in found[check].text
    assert found[check].fix.startswith("ask whoever runs the cluster for it")


@pytest.mark.parametrize(
    ("verb", "plural", "check"),
    [
        ("list", "nodes", "GPUs"), ("get", "secrets", "environment"), ("create", "pods", "pods"),
    ],
)  # fmt: skip
def test_what_one_may_not_see_is_a_note(double: ClusterDouble, verb: str, plural: str, check: str) -> None:
    double.deny(verb, plural)
    found = preflight_findings(double)
    assert found[check].state == "note"
    assert found[check].text.startswith("not checked, permission denied")
    assert not failed(found)


# ---- what pods take from the namespace -------------------------------------------------------------------------------


def test_a_missing_secret_is_named_once_with_how_to_make_it(double: ClusterDouble) -> None:
    double.remove("Secret", "ganbalance-s3")
    found = preflight_findings(double)
    assert failed(found) == ["environment"]
    assert found["environment"].text == f"no Secret ganbalance-s3 in namespace {double.namespace}"
    assert "k8s/README.md" in found["environment"].fix


def test_an_optional_secret_may_be_missing(double: ClusterDouble) -> None:
    double.remove("Secret", "ganbalance-s3")
    for name in manifests.TEMPLATES:
        sources = [
            {"configMapRef": {"name": "ganbalance-store"}}, {"secretRef": {"name": "ganbalance-s3", "optional": True}}
        ]  # fmt: skip
        change_template(double, name, envFrom=sources)
    assert preflight_findings(double)["environment"].state == "ok"


def test_without_credentials_a_service_account_provides_them(double: ClusterDouble) -> None:
    double.add(secret(OTHER="x"))
    assert preflight_findings(double)["environment"].state == "ok"


@pytest.mark.parametrize("data", [{}, {"GANBALANCE_STORE": "/data"}])
def test_a_configmap_that_leads_to_no_store_is_reported(double: ClusterDouble, data: dict[str, str]) -> None:
    double.add(double.object("ConfigMap", "ganbalance-store") | {"data": data})
    with (
        pytest.raises(ConfigError, match=r"GANBALANCE_STORE=.*the store of a cluster is s3://bucket/prefix"),
        connection.reach(cluster_of(double)),
    ):
        pass


def test_a_single_key_that_is_named_must_be_there(double: ClusterDouble) -> None:
    named = {"name": "AWS_SESSION_TOKEN", "valueFrom": {"secretKeyRef": {"name": "ganbalance-s3", "key": "TOKEN"}}}
    change_template(double, "report", env=[named])
    assert preflight_findings(double)["environment"].text == "Secret ganbalance-s3 has no key TOKEN"


def test_a_missing_service_account_is_named(double: ClusterDouble) -> None:
    double.remove("ServiceAccount", "ganbalance-stage")
    found = preflight_findings(double)
    assert failed(found) == ["pods"]
    assert (
        "imbalance, train-gan, synthesize, train-classifier, report: error looking up service account"
        in found["pods"].text
    )
    assert 'serviceaccount "ganbalance-stage" not found' in found["pods"].text
    assert "make deploy" in found["pods"].fix


# ---- admission -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "fix"),
    [
        ('violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false', "k8s/base"),
        ("maximum memory usage per Container is 1Gi, but limit is 8Gi", "resources.pods.train-gan of the experiment"),
        ("failed quota: small: must specify limits.cpu for: program", "a quota of the namespace wants them"),
        ("no PriorityClass with name fast was found", "kubectl get priorityclass"),
        ('admission webhook "policy.example" denied the request: no', "webhook"),
        ("nobody knows", "make deploy"),
    ],
)
def test_a_pod_that_is_refused_says_why_and_what_to_set(double: ClusterDouble, message: str, fix: str) -> None:
    wanted = jobs(double)[1:]
    answer = f'pods "ganbalance-preflight-abcde" is forbidden: {message}'
    double.faults.append(Fault(status=403, reason="Forbidden", message=answer, only="POST .*/pods$", times=9))
    found = preflight_findings(double, wanted)
    assert failed(found) == ["pods"]
    assert found["pods"].text == f"no pod is made of train-gan: {message}"
    assert fix in found["pods"].fix


def test_pods_are_named_by_their_stage_as_their_resources_are_set(double: ClusterDouble) -> None:
    templates = connection.templates(cluster_of(double))
    settings = Resources(pods={"train-classifier": PodResources(gpus=0, cpu="2"), "features": PodResources(gpus=2)})
    made = [manifest.driver_job(RUN, 1, templates["driver"])]
    for stage, group in (("backbone", "backbone"), ("features", "features-dcgan")):
        of = manifest.Round(f"{RUN}-{group}-1", group, number=1, submission=1, stages=("a",))
        asked = settings.of_pods(stage, "train-classifier")
        made.append(manifest.stage_job(RUN, of, templates["train-classifier"], asked, parallelism=1))
    found = preflight_findings(double, made)
    assert found["pods"].text == "the API server takes 3 kinds of pods (dry run)"
    assert found["GPUs"].text == "features: no node has nvidia.com/gpu >= 2; the most is 1"
    assert found["GPUs"].fix.startswith("ask for less in resources.pods.features of the experiment")


def test_pods_refused_for_one_reason_share_a_message(double: ClusterDouble) -> None:
    message = 'pods "x" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true'
    double.faults.append(Fault(status=403, reason="Forbidden", message=message, only="POST .*/pods$", times=9))
    text = preflight_findings(double)["pods"].text
    assert text.count("violates") == 1
    assert "driver, imbalance, train-gan, synthesize, train-classifier, report: violates" in text


@pytest.mark.parametrize(
    ("amounts", "state"),
    [
        ("requested: limits.cpu=1,limits.memory=8Gi, used: limits.cpu=0,limits.memory=0, "
         "limited: limits.cpu=2,limits.memory=4Gi", "FAIL"),
        ("requested: limits.cpu=1,limits.memory=2Gi, used: limits.cpu=0,limits.memory=3Gi, "
         "limited: limits.cpu=2,limits.memory=4Gi", "warn"),
        ("requested: pods=1, used: pods=5, limited: pods=5", "warn"),
    ],
)  # fmt: skip
def test_a_quota_that_one_pod_can_never_have_fails_and_one_that_is_used_up_now_is_a_warning(
    double: ClusterDouble, amounts: str, state: str
) -> None:
    message = f'pods "x" is forbidden: exceeded quota: small, {amounts}'
    double.faults.append(Fault(status=403, reason="Forbidden", message=message, only="POST .*/pods$", times=9))
    found = preflight_findings(double)
    assert found["pods"].state == state
    assert f"report: exceeded quota: small, {amounts}" in found["pods"].text
    assert "raise the quota (kubectl describe quota)" in found["pods"].fix


def test_a_quota_whose_amounts_are_still_counted_is_a_warning(double: ClusterDouble) -> None:
    message = 'pods "x" is forbidden: status unknown for quota: small, resources: pods'
    double.faults.append(Fault(status=403, reason="Forbidden", message=message, only="POST .*/(pods|jobs)$", times=99))
    found = preflight_findings(double)
    assert found["pods"].state == "warn"
    assert [one for one in failed(found) if one != "jobs"] == []  # the driver's own must not wait


def test_a_quota_hides_no_other_refusal(double: ClusterDouble) -> None:
    for message, times in (("exceeded quota: small", 1), ("violates PodSecurity", 9)):
        said = f'pods "x" is forbidden: {message}'
        double.faults.append(Fault(status=403, reason="Forbidden", message=said, only="POST .*/pods$", times=times))
    found = preflight_findings(double)
    assert failed(found) == ["pods"]
    assert found["pods"].fix.startswith("set what it names")


def test_a_job_that_is_refused_is_named(double: ClusterDouble) -> None:
    wanted = jobs(double)
    message = (
        'Job.batch "x" is invalid: spec.template.spec.containers[0].resources.requests: Invalid value: "9Gi": too much'
    )
    double.faults.append(Fault(status=422, reason="Invalid", message=message, only="POST .*/jobs$", times=1))
    found = preflight_findings(double, wanted)
    assert failed(found) == ["jobs"]
    assert wanted[0]["metadata"]["name"] in found["jobs"].text
    assert "resources.pods" in found["jobs"].fix
