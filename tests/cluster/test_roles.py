"""The Roles for people on a real cluster: each types commands of the README, and may do what its row says, no more."""

import base64
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import manifests
from tests.cluster.deployment import Deployment
from tests.namespaces import Namespace

PEOPLE = ("viewer", "submitter", "deployer")
FORBIDDEN = 78


class Person:
    """Somebody with a kubeconfig of their own."""

    def __init__(self, namespace: Namespace, kubeconfig: Path) -> None:
        self.namespace, self.kubeconfig = namespace, kubeconfig

    def _run(self, *command: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        with pytest.MonkeyPatch.context() as patch:
            for name in [name for name in os.environ if name.startswith("AWS_")]:
                patch.delenv(name)
            for name, value in {"KUBECONFIG": str(self.kubeconfig), **environment}.items():
                patch.setenv(name, value)
            return subprocess.run(command, capture_output=True, text=True, check=False, timeout=420)

    def make(self, target: str, *variables: str) -> "subprocess.CompletedProcess[str]":
        given = (f"NAMESPACE={self.namespace.name}", f"KUBECTL={manifests.kubectl()}", *variables)
        return self._run("make", "--no-print-directory", target, *given)

    def ganbalance(self, *words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        return self._run(".venv/bin/ganbalance", *words, "--namespace", self.namespace.name, **environment)

    def may(self, verb: str, what: str) -> bool:
        command = (manifests.kubectl(), "--namespace", self.namespace.name, "auth", "can-i", verb, *what.split())
        return self._run(*command).stdout.strip() == "yes"


@pytest.fixture(scope="module")
def people(namespace: Namespace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Person]]:
    """Those whom somebody who runs the cluster bound, in a namespace that was made by hand; nothing else is there."""
    namespace.kubectl("apply", "-k", str(manifests.K8S / "components/roles"))
    folder = tmp_path_factory.mktemp("people")
    yield {name: Person(namespace, namespace.account(folder, f"ganbalance-{name}")) for name in PEOPLE}
    shutil.rmtree(Path(".kustomize") / namespace.name, ignore_errors=True)


# verb, what, and from whom on it is allowed
RIGHTS = [
    ("list", "podtemplates", "viewer"),
    ("get", "pods --subresource=log", "viewer"),
    ("create", "pods --subresource=portforward", "viewer"),
    ("create", "jobs.batch", "submitter"),
    ("delete", "jobs.batch", "submitter"),
    ("get", "secrets/ganbalance-s3", "submitter"),
    ("patch", "podtemplates", "deployer"),
    ("create", "secrets", "deployer"),
    ("patch", "resourcequotas/ganbalance", "deployer"),
    ("patch", "resourcequotas/of-the-team", None),
    ("get", "secrets/another", None),
    ("list", "secrets", None),
    ("create", "pods --subresource=exec", None),
    ("patch", "namespaces", None),
    ("list", "nodes", None),
]


@pytest.mark.parametrize(("verb", "what", "first"), RIGHTS)
def test_what_each_may(people: dict[str, Person], verb: str, what: str, first: str | None) -> None:
    expected = PEOPLE[PEOPLE.index(first) :] if first else ()
    assert tuple(name for name in PEOPLE if people[name].may(verb, what)) == expected


def test_a_deployer_deploys_a_submitter_submits_and_a_viewer_looks(people: dict[str, Person]) -> None:
    viewer, submitter, deployer = (people[name] for name in PEOPLE)
    namespace = deployer.namespace
    components = "roles quota"

    if not Deployment(namespace).has_storage():
        refused = deployer.make("deploy", f"COMPONENTS={components}")
        assert f"nothing was deployed: say COMPONENTS='{components} minio-ephemeral'" in refused.stderr
        left = namespace.kubectl("get", "pvc,deployments,secrets,podtemplates", "--output", "name").stdout
        assert left == ""
        components += " minio-ephemeral"
    labels = namespace.get("namespace", namespace.name)["metadata"]["labels"]
    for given in ([f"COMPONENTS={components}"], []):
        deployed = deployer.make("deploy", *given)
        assert deployed.returncode == 0, deployed.stderr
        assert "is ready; next: make submit" in deployed.stdout
    assert namespace.get("namespace", namespace.name)["metadata"]["labels"] == labels

    denied = submitter.make("deploy")
    assert "ask whoever runs the cluster for the Role ganbalance-deployer" in denied.stderr
    submitted = submitter.make("submit", "GAN=dcgan", "SEEDS=0")
    assert submitted.returncode == 0, submitted.stdout + submitted.stderr
    (run,) = re.findall(r"^run (\S+):", submitted.stdout, re.MULTILINE)
    assert submitter.make("status").returncode == 0

    without = viewer.ganbalance("status")
    assert without.returncode == FORBIDDEN
    assert "you may not read Secret ganbalance-s3" in without.stderr
    assert f"run {run}:" in without.stdout  # what Jobs and pods tell
    keys = {
        key: base64.b64decode(one).decode() for key, one in namespace.get("secret", "ganbalance-s3")["data"].items()
    }
    shown = viewer.ganbalance("status", **keys)
    assert (shown.returncode, f"run {run}:" in shown.stdout) == (0, True), shown.stderr
    cancelled = viewer.ganbalance("cancel", "--run", run, **keys)
    assert cancelled.returncode == FORBIDDEN
    assert 'cannot delete resource "jobs"' in cancelled.stderr

    namespace.kubectl(
        "create", "role", "half", "--verb=get,list", "--resource=podtemplates,configmaps,services,pods,events,jobs"
    )
    half = Person(namespace, namespace.account(viewer.kubeconfig.parent, "half")).ganbalance("status", **keys)
    assert half.returncode == FORBIDDEN
    assert re.search(r'cannot create resource "pods/portforward".* ask for the Role ganbalance-viewer', half.stderr)
    assert f"run {run}:" in half.stdout  # what Jobs and pods tell

    assert submitter.make("cancel", f"RUN={run}").returncode == 0
    cleaned = submitter.make("clean-run", f"RUN={run}")
    assert cleaned.returncode == 0, cleaned.stderr
