"""What is said of a real cluster before a run: its own admission answers. Nothing here starts a pod."""

import contextlib
import re
from pathlib import Path
from typing import Any

import pytest

from ganbalance.config import PodResources
from ganbalance.errors import ConfigError
from ganbalance.k8s import connection, manifest, preflight
from ganbalance.k8s.client import Access, Cluster, RefusedError
from ganbalance.maintenance.doctor import Finding, findings
from tests import manifests
from tests.manifests import Manifest
from tests.namespaces import Namespace

RUN = "quick-1a2b3c4d"
NO_SUCH_GPU = "example.com/gpu"


@pytest.fixture
def deployed(name_only: Namespace, tmp_path: Path) -> Namespace:
    """A namespace that enforces `restricted`, with the base applied and a Secret."""
    name_only.make()
    base = manifests.render_on_top(tmp_path / "base", namespace=name_only.name, resources=["k8s/base"])
    name_only.kubectl("apply", "-f", "-", manifest=base)
    keys = {"AWS_ACCESS_KEY_ID": "someone", "AWS_SECRET_ACCESS_KEY": "hush-hush"}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "ganbalance-s3"}, "stringData": keys}
    name_only.kubectl("apply", "-f", "-", manifest=secret)
    return name_only


def _change(namespace: Namespace, template: str, change: Manifest, **metadata: Any) -> None:
    """Change the container of a template as an overlay would."""
    found = namespace.get("podtemplate", template)
    found["template"]["spec"]["containers"][0] |= change
    found["metadata"] |= metadata
    namespace.kubectl("replace", "-f", "-", manifest=found)


def _jobs(cluster: Cluster, **asked: Any) -> list[Manifest]:
    templates = connection.templates(cluster)
    of = manifest.Round(f"{RUN}-gan-1", "train-gan-dcgan", number=1, submission=1, stages=("a",))
    stage = manifest.stage_job(RUN, of, templates["train-gan"], PodResources(**asked), parallelism=1)
    return [manifest.driver_job(RUN, 1, templates["driver"]), stage]


def _findings(namespace: Namespace, **asked: Any) -> dict[str, Finding]:
    cluster = Cluster(Access(namespace=namespace.name))
    wanted = preflight.checks(cluster, _jobs(cluster, cpu="1", memory="1Gi") if not asked else _jobs(cluster, **asked))
    return {found.check: found for found in findings(wanted)}


def _failure(found: dict[str, Finding]) -> Finding:
    """The one check that failed; it stops a submission."""
    (failed,) = [finding for finding in found.values() if finding.state == "FAIL"]
    with pytest.raises(ConfigError, match="the cluster cannot run this, and nothing was submitted"):
        preflight.refuse(found.values())
    return failed


def test_a_good_namespace_passes_and_nothing_is_created(deployed: Namespace) -> None:
    found = _findings(deployed)
    assert {finding.state for finding in found.values()} <= {"ok", "warn", "note"}, found
    passed = ("cluster", "templates", "environment", "jobs", "pods")
    assert {found[name].state for name in passed} == {"ok"}
    assert deployed.kubectl("get", "jobs,pods", "--output", "name").stdout == ""


def test_a_template_that_violates_pod_security_is_reported_with_what_is_missing(deployed: Namespace) -> None:
    _change(deployed, "train-gan", {"securityContext": {"readOnlyRootFilesystem": True}})
    failed = _failure(_findings(deployed))
    assert failed.check == "pods"
    assert "train-gan: violates PodSecurity" in failed.text
    assert "allowPrivilegeEscalation" in failed.text
    assert "pod template" in failed.fix


def test_a_quota_that_is_too_small_for_good_fails(deployed: Namespace) -> None:
    deployed.kubectl("create", "quota", "small", "--hard=limits.memory=768Mi")
    deployed.kubectl("wait", "resourcequota/small", "--for=jsonpath={.status.hard}", "--timeout=60s")
    failed = _failure(_findings(deployed))
    assert failed.check == "pods"
    amounts = "requested: limits.memory=1Gi, used: limits.memory=0, limited: limits.memory=768Mi"
    assert f"driver, train-gan: exceeded quota: small, {amounts}" in failed.text
    assert "raise the quota (kubectl describe quota)" in failed.fix


def test_a_quota_that_is_used_up_now_is_a_warning_and_stops_nothing(deployed: Namespace) -> None:
    deployed.kubectl("create", "quota", "full", "--hard=limits.memory=3Gi")
    deployed.kubectl("wait", "resourcequota/full", "--for=jsonpath={.status.hard}", "--timeout=60s")
    assert _findings(deployed)["pods"].state == "ok"
    pod = deployed.get("podtemplate", "report")["template"]
    pod["spec"] |= {"nodeSelector": {"no-such": "node"}}  # it uses the quota and never starts
    pod["spec"]["containers"][0]["resources"] = {"limits": {"memory": "2560Mi"}}
    deployed.kubectl(
        "create", "-f", "-", manifest=pod | {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "user"}}
    )
    deployed.kubectl(
        "wait", "resourcequota/full", "--for=jsonpath={.status.used.limits\\.memory}=2560Mi", "--timeout=60s"
    )
    found = _findings(deployed)
    assert found["pods"].state == "warn"
    used = "requested: limits.memory=1Gi, used: limits.memory=2560Mi, limited: limits.memory=3Gi"
    assert f"exceeded quota: full, {used}" in found["pods"].text
    preflight.refuse(found.values())


def test_a_quota_that_wants_limits_is_reported_by_the_server(deployed: Namespace) -> None:
    _change(deployed, "train-gan", {"resources": {"requests": {"cpu": "1"}, "limits": {"memory": "1Gi"}}})
    deployed.kubectl("create", "quota", "strict", "--hard=limits.cpu=100")
    deployed.kubectl("wait", "resourcequota/strict", "--for=jsonpath={.status.hard}", "--timeout=60s")
    failed = _failure(_findings(deployed, memory="1Gi"))
    assert failed.check == "pods"
    assert "must specify limits.cpu" in failed.text
    assert "a quota of the namespace wants them" in failed.fix


def test_a_limit_range_is_reported_with_the_setting(deployed: Namespace) -> None:
    limits = [{"type": "Container", "max": {"memory": "1Gi"}}]
    manifest = {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "small"}, "spec": {"limits": limits}}
    deployed.kubectl("apply", "-f", "-", manifest=manifest)
    failed = _failure(_findings(deployed, cpu="1", memory="2Gi"))
    assert failed.check == "pods"
    assert "maximum memory usage per Container is 1Gi" in failed.text
    assert "resources.pods.train-gan of the experiment" in failed.fix


def test_a_gpu_that_no_node_has_fails_with_the_most_there_is(deployed: Namespace) -> None:
    _change(deployed, "train-gan", {}, annotations={manifest.GPU_RESOURCE: NO_SUCH_GPU})
    found = _findings(deployed, gpus=2)
    assert found["GPUs"].text.startswith(f"train-gan: no node has {NO_SUCH_GPU} >= 2; the most is 0")
    assert "resources.pods.train-gan of the experiment" in found["GPUs"].fix
    if preflight.may_grow(Cluster(Access()).list("Node")):
        assert found["GPUs"].state == "warn"
    else:
        assert _failure(found).check == "GPUs"


def test_a_missing_secret_fails_with_how_to_make_it(deployed: Namespace) -> None:
    deployed.kubectl("delete", "secret", "ganbalance-s3")
    failed = _failure(_findings(deployed))
    assert (failed.check, failed.text) == ("environment", f"no Secret ganbalance-s3 in namespace {deployed.name}")
    assert "make deploy" in failed.fix


def test_a_missing_service_account_fails_with_how_to_make_it(deployed: Namespace) -> None:
    deployed.kubectl("delete", "serviceaccount", "ganbalance-stage")
    failed = _failure(_findings(deployed))
    assert failed.check == "pods"
    assert 'serviceaccount "ganbalance-stage" not found' in failed.text
    assert "make deploy" in failed.fix


def test_a_job_that_the_server_refuses_is_reported_with_its_words(deployed: Namespace) -> None:
    cluster = Cluster(Access(namespace=deployed.name))
    wanted = _jobs(cluster)
    wanted[1]["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"]["memory"] = "999Gi"
    found = {finding.check: finding for finding in findings(preflight.checks(cluster, wanted))}
    assert found["jobs"].state == "FAIL"
    assert "must be less than or equal to memory limit" in found["jobs"].text
    assert "resources.pods" in found["jobs"].fix


def test_a_queue_without_kueue_fails(deployed: Namespace) -> None:
    with contextlib.suppress(RefusedError):
        Cluster(Access()).list("LocalQueue")
        pytest.skip("this cluster has Kueue")
    labels = {"kueue.x-k8s.io/queue-name": "mine"}
    _change(deployed, "train-gan", {}, labels=labels)
    failed = _failure(_findings(deployed))
    assert failed.check == "queue"
    assert "install or upgrade Kueue" in failed.fix


def test_without_jobs_the_templates_are_looked_at(deployed: Namespace) -> None:
    cluster = Cluster(Access(namespace=deployed.name))
    found = {finding.check: finding for finding in findings(preflight.checks(cluster, []))}
    assert found["pods"].text == "the API server takes 6 kinds of pods (dry run)"
    assert found["GPUs"].state in ("ok", "note")


# ---- those who may do less -------------------------------------------------------------------------------------------


def _as_account(namespace: Namespace, folder: Path, role: str | None) -> Cluster:
    """The cluster as a service account sees it that has a Role in the namespace, or none."""
    return Cluster(Access(namespace=namespace.name, kubeconfig=str(namespace.account(folder, role))))


def test_the_role_submitter_is_enough_and_what_it_cannot_see_is_a_note(deployed: Namespace, tmp_path: Path) -> None:
    deployed.kubectl("apply", "-k", str(manifests.K8S / "components/roles"))
    cluster = _as_account(deployed, tmp_path, "ganbalance-submitter")
    found = {finding.check: finding for finding in findings(preflight.checks(cluster, []))}
    assert not [finding for finding in found.values() if finding.state == "FAIL"], found
    assert found["GPUs"].state == "note"
    assert {found[name].state for name in ("environment", "jobs", "pods")} == {"ok"}


def test_missing_permissions_are_named(deployed: Namespace, tmp_path: Path) -> None:
    cluster = _as_account(deployed, tmp_path, None)
    wanted = _jobs(Cluster(Access(namespace=deployed.name)))
    found = {finding.check: finding for finding in findings(preflight.checks(cluster, wanted))}
    for check in ("templates", "jobs"):
        assert found[check].state in ("FAIL", "skipped")
    assert re.search(r"cannot (list resource \"podtemplates\"|create resource \"jobs\")", found["templates"].text)
    assert "ask whoever runs the cluster for it" in found["templates"].fix
