"""What the API server says to k8s/: schemas, Pod Security, permissions. Nothing here starts a pod."""

import copy
import json
import re
from pathlib import Path

import pytest

from tests import manifests
from tests.manifests import TEMPLATES, Manifest
from tests.namespaces import Namespace

VARIANTS = [*manifests.OVERLAYS, *(f"local+{one}" for one in manifests.COMPONENTS if one not in {"minio", "namespace"})]


def _render(variant: str, namespace: str, folder: Path) -> list[Manifest]:
    overlay, _, component = variant.partition("+")
    components = [f"k8s/components/{component}"] if component else []
    resources = [f"k8s/overlays/{overlay}"]
    return manifests.render_on_top(folder, namespace=namespace, resources=resources, components=components)


@pytest.fixture(scope="module")
def deployed(namespace: Namespace, tmp_path_factory: pytest.TempPathFactory) -> Namespace:
    """The base, applied: accounts and permissions are there, and no pod."""
    base = manifests.render_on_top(tmp_path_factory.mktemp("base"), namespace=namespace.name, resources=["k8s/base"])
    namespace.kubectl("apply", "-f", "-", manifest=base)
    return namespace


def _pods(deployed: Namespace, variant: str, folder: Path) -> dict[str, Manifest]:
    return {
        where: {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {**pod["metadata"], "generateName": "test-", "namespace": deployed.name},
            "spec": {"restartPolicy": "Always", **pod["spec"]},
        }
        for where, pod in manifests.pod_templates(_render(variant, deployed.name, folder))
    }


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_api_server_takes_all_of_an_overlay_without_a_warning(
    namespace: Namespace, variant: str, tmp_path: Path
) -> None:
    objects = _render(variant, namespace.name, tmp_path / "it")
    done = namespace.kubectl("apply", "--dry-run=server", "-f", "-", manifest=objects)
    assert len(done.stdout.splitlines()) == len(objects)
    missing = "missing the kubectl.kubernetes.io/last-applied-configuration"  # of the namespace that the test made
    assert not [line for line in done.stderr.splitlines() if line and missing not in line]


@pytest.mark.parametrize("variant", VARIANTS)
def test_pod_security_takes_a_pod_of_every_template(deployed: Namespace, variant: str, tmp_path: Path) -> None:
    pods = _pods(deployed, variant, tmp_path / "it")
    assert {f"PodTemplate {name}" for name in TEMPLATES} <= set(pods)
    for pod in pods.values():
        deployed.kubectl("create", "--dry-run=server", "-f", "-", manifest=pod)


@pytest.mark.parametrize("field", ["allowPrivilegeEscalation", "capabilities"])
def test_pod_security_refuses_a_pod_with_more_permissions(deployed: Namespace, field: str, tmp_path: Path) -> None:
    pod = copy.deepcopy(_pods(deployed, "local", tmp_path / "it")["PodTemplate report"])
    del pod["spec"]["containers"][0]["securityContext"][field]
    refused = deployed.kubectl("create", "--dry-run=server", "-f", "-", manifest=pod, check=False)
    assert refused.returncode != 0
    assert 'violates PodSecurity "restricted' in refused.stderr


def test_only_the_pod_of_the_driver_is_given_a_token(deployed: Namespace, tmp_path: Path) -> None:
    for where, pod in _pods(deployed, "local", tmp_path / "it").items():
        made = deployed.kubectl("create", "--dry-run=server", "--output", "json", "-f", "-", manifest=pod)
        volumes = json.loads(made.stdout)["spec"]["volumes"]
        tokens = [one for one in volumes if "serviceAccountToken" in json.dumps(one.get("projected", {}))]
        assert bool(tokens) == (where == "PodTemplate driver"), where


def _may(namespace: Namespace, account: str, *what: str) -> bool:
    who = f"--as=system:serviceaccount:{namespace.name}:{account}"
    return namespace.kubectl("auth", "can-i", *what, who, check=False).stdout.strip() == "yes"


ALLOWED = {
    "jobs.batch": {"create", "get", "list", "patch"},
    "pods": {"get", "list"},
    "pods/log": {"get"},
    "events": {"create", "list"},
}
VERBS = ("create", "get", "list", "watch", "update", "patch", "delete", "deletecollection")
RESOURCES = (
    *ALLOWED, "secrets", "configmaps", "serviceaccounts", "podtemplates", "pods/exec", "services", "deployments.apps",
    "roles.rbac.authorization.k8s.io", "rolebindings.rbac.authorization.k8s.io",
)  # fmt: skip


@pytest.mark.parametrize("resource", RESOURCES)
def test_the_driver_may_do_this_and_nothing_else(deployed: Namespace, resource: str) -> None:
    kind, _, sub = resource.partition("/")
    more = [f"--subresource={sub}"] if sub else []
    may = {verb for verb in VERBS if _may(deployed, "ganbalance-driver", verb, kind, *more)}
    assert may == ALLOWED.get(resource, set())


def test_the_permissions_of_the_driver_are_listed_completely_above(deployed: Namespace) -> None:
    who = f"--as=system:serviceaccount:{deployed.name}:ganbalance-driver"
    rows = deployed.kubectl("auth", "can-i", "--list", "--no-headers", who).stdout.splitlines()
    found = {row.split()[0]: set(re.findall(r"\w+", row.rpartition("[")[2])) for row in rows if row[0].isalpha()}
    everybody = {name for name in found if name.startswith("self")}  # reviews of one's own permissions
    assert {name: verbs for name, verbs in found.items() if name not in everybody} == ALLOWED


@pytest.mark.parametrize(
    "what",
    [
        ["get", "nodes"], ["list", "namespaces"], ["create", "clusterrolebindings"], ["get", "clusterroles"],
        ["list", "jobs.batch", "--namespace=kube-system"], ["create", "jobs.batch", "--namespace=default"],
        ["get", "pods", "--all-namespaces"], ["impersonate", "users"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_the_driver_may_do_nothing_elsewhere(deployed: Namespace, what: list[str]) -> None:
    assert not _may(deployed, "ganbalance-driver", *what)


@pytest.mark.parametrize("resource", [*ALLOWED, "secrets", "configmaps"])
def test_a_stage_may_do_nothing(deployed: Namespace, resource: str) -> None:
    assert not [verb for verb in VERBS if _may(deployed, "ganbalance-stage", verb, resource)]


def test_a_template_that_changed_is_updated(deployed: Namespace, tmp_path: Path) -> None:
    settings = {"namespace": deployed.name, "resources": ["k8s/base"]}
    image = {"name": "ganbalance/report", "newName": "other.example/report", "newTag": "7"}
    changed = manifests.render_on_top(tmp_path / "it", **settings, images=[image])
    deployed.kubectl("apply", "-f", "-", manifest=changed)
    found = deployed.get("podtemplate", "report")
    assert found["template"]["spec"]["containers"][0]["image"] == "other.example/report:7"
