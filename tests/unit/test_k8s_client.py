"""The client asks again when that can help, says what to do when it cannot, and never shows a credential."""

import datetime
import ipaddress
import json
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ganbalance.errors import ConfigError, UnavailableError
from ganbalance.k8s import client
from ganbalance.k8s.client import Access, Cluster, ForbiddenError, RefusedError
from tests.cluster_double import KUEUE, NAMESPACE, ClusterDouble
from tests.http_double import Fault
from tests.job_controller import Exits, Waits

SECRET = "very-secret-value"  # noqa: S105


def config_map(name: str, **labels: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": labels}, "data": {}}


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the client wanted to wait, each time."""
    found: list[float] = []
    monkeypatch.setattr("ganbalance.k8s.client.time.sleep", found.append)
    return found


@pytest.fixture
def cluster(cluster_double: ClusterDouble, naps: list[float]) -> Cluster:
    return Cluster(Access(kubeconfig=str(cluster_double.kubeconfig)))


# ---- what it can do ------------------------------------------------------------------------------------------------


def test_a_list_has_every_page(
    cluster: Cluster, cluster_double: ClusterDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "PAGE", 3)
    for number in range(8):
        cluster_double.add(config_map(f"map-{number}", even=str(number % 2 == 0)))
    assert [one["metadata"]["name"] for one in cluster.list("ConfigMap")] == [f"map-{number}" for number in range(8)]
    assert cluster_double.count("GET .*/configmaps") == 3
    assert len(cluster.list("ConfigMap", {"even": "True"})) == 4
    assert cluster.list("ConfigMap", {"even": "neither"}) == []


def test_a_list_can_be_of_all_namespaces_and_by_field(cluster: Cluster, cluster_double: ClusterDouble) -> None:
    for home in ("one", "two"):
        cluster_double.add({"kind": "Event", "metadata": {"name": home, "namespace": home}, "type": home})
    assert cluster.list("Event") == []
    assert len(cluster.list("Event", everywhere=True)) == 2
    assert [one["type"] for one in cluster.list("Event", fields="type=one", everywhere=True)] == ["one"]


def test_what_is_there_is_not_created_again(cluster: Cluster) -> None:
    assert cluster.create(config_map("one")) is not None
    assert cluster.create(config_map("one")) is None


def test_a_dry_run_creates_nothing_and_still_meets_what_is_there(cluster: Cluster) -> None:
    assert cluster.create(config_map("one"), dry_run=True) is not None
    assert cluster.find("ConfigMap", "one") is None
    cluster.create(config_map("one"))
    assert cluster.create(config_map("one"), dry_run=True) is None


def test_a_change_is_merged(cluster: Cluster) -> None:
    cluster.create(config_map("one", a="1", b="2"))
    cluster.patch("ConfigMap", "one", {"metadata": {"labels": {"a": None, "c": "3"}}})
    found = cluster.find("ConfigMap", "one")
    assert found is not None
    assert found["metadata"]["labels"] == {"b": "2", "c": "3"}


def test_a_change_of_something_that_is_gone_or_has_changed_does_nothing(cluster: Cluster, naps: list[float]) -> None:
    cluster.patch("ConfigMap", "one", {"data": {"x": "1"}})
    cluster.create(config_map("one"))
    cluster.patch("ConfigMap", "one", {"metadata": {"resourceVersion": "0"}, "data": {"x": "1"}})
    found = cluster.find("ConfigMap", "one")
    assert found is not None
    assert found["data"] == {}
    assert naps == []


def test_with_a_job_go_its_pods(cluster: Cluster, cluster_double: ClusterDouble) -> None:
    pods = {"metadata": {}, "spec": {"containers": [{"name": "program"}]}}
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "job"}, "spec": {"template": pods}}
    cluster.create(job)
    cluster_double.tick()
    assert len(cluster.list("Pod")) == 1
    cluster.delete("Job", "job")
    assert cluster.list("Pod") == []
    (request,) = [request for request in cluster_double.requests if request.method == "DELETE"]
    assert request.body == {"propagationPolicy": "Background"}
    cluster.delete("Job", "job")


def test_a_log_is_there_from_the_start_of_the_container_on(cluster: Cluster, cluster_double: ClusterDouble) -> None:
    pods = {"metadata": {}, "spec": {"containers": [{"name": "program"}]}}
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "job"}, "spec": {"template": pods}}
    cluster_double.pods = lambda job, index: Waits("ContainerCreating")
    cluster.create(job)
    cluster_double.tick()
    (pod,) = [one["metadata"]["name"] for one in cluster_double.objects("Pod")]
    assert cluster.log(pod) is None
    cluster_double.pods = lambda job, index: Exits(log="grüße\n".encode())
    cluster_double.tick()
    cluster_double.tick()
    assert cluster.log(pod) == "grüße\n".encode()
    assert cluster.log("another") is None


def test_a_log_on_a_node_that_does_not_answer_is_one_that_nobody_knows(
    cluster: Cluster, cluster_double: ClusterDouble, naps: list[float]
) -> None:
    away = 'Get "https://10.0.0.5:10250/containerLogs/tests/one/program": dial tcp: connect: no route to host'
    cluster_double.faults.append(Fault(status=500, message=away, only="GET .*/log", times=99))
    assert cluster.log("one") is None
    assert len(naps) == 1
    cluster_double.faults[:] = [Fault(status=None, only="GET .*/log", times=99)]  # the API server itself
    with pytest.raises(UnavailableError):
        cluster.log("one")


def test_it_knows_the_version_and_its_rights(cluster: Cluster, cluster_double: ClusterDouble) -> None:
    assert cluster.version() == (1, 34)
    cluster_double.deny("create", "jobs")
    cluster_double.deny("get", "pods/log")
    assert [cluster.may("create", "Job"), cluster.may("list", "Job")] == [False, True]
    assert [cluster.may("get", "Pod/log"), cluster.may("get", "Pod"), cluster.may("list", "Node")] == [
        False,
        True,
        True,
    ]
    assert not cluster.serves("Workload")
    cluster_double.kinds |= KUEUE
    assert cluster.serves("Workload")


# ---- asking again --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [500, 502, 503, 504, None])
def test_servers_and_connections_that_break_are_asked_again(
    cluster: Cluster, cluster_double: ClusterDouble, naps: list[float], status: int | None
) -> None:
    cluster_double.faults.append(Fault(status=status, times=3))
    assert cluster.list("Job") == []
    assert len(naps) == 3
    assert all(0.25 * 2**i <= nap <= 0.5 * 2**i for i, nap in enumerate(naps))  # longer each time, and never in step


def test_a_busy_server_says_itself_when_to_ask_again(
    cluster: Cluster, cluster_double: ClusterDouble, naps: list[float]
) -> None:
    cluster_double.faults.append(Fault(status=429, retry_after=7, times=2))
    assert cluster.list("Job") == []
    assert naps == [7, 7]


def test_a_server_that_stays_away_is_given_up_without_another_wait(
    cluster: Cluster, cluster_double: ClusterDouble, naps: list[float]
) -> None:
    cluster_double.faults.append(Fault(status=503, message="apiserver not ready", times=99))
    with pytest.raises(UnavailableError, match=r"cannot list jobs: apiserver not ready; see that the cluster is up"):
        cluster.list("Job")
    assert len(cluster_double.requests) == client.ATTEMPTS
    assert len(naps) == client.ATTEMPTS - 1


def test_an_address_where_nobody_is_is_told(cluster_double: ClusterDouble, naps: list[float]) -> None:
    config = json.loads(cluster_double.kubeconfig.read_text())
    config["clusters"][0]["cluster"]["server"] = "http://127.0.0.1:1"
    cluster_double.kubeconfig.write_text(json.dumps(config))
    with pytest.raises(UnavailableError, match=r"cannot list jobs: .*refused"):
        Cluster(Access(kubeconfig=str(cluster_double.kubeconfig)), attempts=1).list("Job")
    assert naps == []


def test_two_writers_that_meet_at_a_quota_are_not_the_same_as_a_name_that_is_taken(
    cluster: Cluster, cluster_double: ClusterDouble
) -> None:
    cluster_double.faults.append(Fault(status=409, reason="Conflict", message="the quota has been modified", times=2))
    assert cluster.create(config_map("one")) is not None
    assert cluster_double.count("POST") == 3


def test_a_creation_whose_answer_was_lost_is_found_to_be_there(cluster: Cluster, cluster_double: ClusterDouble) -> None:
    cluster_double.faults.append(Fault(after=True))
    assert cluster.create(config_map("one")) is None
    assert cluster.find("ConfigMap", "one") is not None


# ---- credentials ---------------------------------------------------------------------------------------------------


def test_credentials_that_have_expired_are_read_again(cluster: Cluster, cluster_double: ClusterDouble) -> None:
    cluster.list("Job")
    cluster_double.rotate_token()
    cluster.list("Job")
    assert [request.token == cluster_double.token for request in cluster_double.requests] == [False, False, True]


def test_reading_credentials_again_is_no_attempt(cluster_double: ClusterDouble) -> None:
    cluster = Cluster(Access(kubeconfig=str(cluster_double.kubeconfig)), attempts=1)
    cluster_double.rotate_token()
    assert cluster.list("Job") == []


def test_credentials_that_are_wrong_are_told_after_one_more_try(
    cluster: Cluster, cluster_double: ClusterDouble, naps: list[float]
) -> None:
    cluster_double.token = SECRET
    with pytest.raises(ConfigError, match="Unauthorized; the credentials of this kubeconfig") as caught:
        cluster.list("Job")
    assert len(cluster_double.requests) == 2
    assert naps == []
    assert "token-0" not in str(caught.value)


@pytest.fixture
def pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a pod has of its service account, and no kubeconfig."""
    folder = tmp_path / "serviceaccount"
    folder.mkdir()
    (folder / "token").write_text("token-0")
    (folder / "namespace").write_text(NAMESPACE)
    monkeypatch.setattr(client, "IN_CLUSTER", folder)
    library = "kubernetes.config.incluster_config"
    monkeypatch.setattr(f"{library}.SERVICE_TOKEN_FILENAME", str(folder / "token"))
    monkeypatch.setattr(f"{library}.SERVICE_CERT_FILENAME", str(folder / "ca.crt"))
    return folder


def serving(folder: Path) -> ssl.SSLContext:
    """TLS for 127.0.0.1, by an authority that is its own; its certificate is ca.crt."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "double")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1)).not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    (folder / "ca.crt").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    (folder / "key").write_bytes(key.private_bytes(encoding, form, serialization.NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "ca.crt", folder / "key")
    return context


def test_in_a_pod_it_uses_the_service_account(
    pod: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, naps: list[float]
) -> None:
    with ClusterDouble(tmp_path, tls=serving(pod)) as double:
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", double.url.rpartition(":")[2])
        cluster = Cluster(Access())
        assert cluster.namespace == NAMESPACE
        assert cluster.list("Job") == []
        assert double.requests[-1].token == "token-0"  # noqa: S105
        double.token = "token-1"  # noqa: S105 - the kubelet replaces the file before a token expires
        (pod / "token").write_text("token-1")
        assert cluster.list("Job") == []


def test_in_a_pod_a_kubeconfig_that_is_named_is_still_what_counts(pod: Path, cluster_double: ClusterDouble) -> None:
    assert Cluster(Access(kubeconfig=str(cluster_double.kubeconfig))).list("Job") == []


# ---- which cluster, which namespace --------------------------------------------------------------------------------


@pytest.fixture
def change(cluster_double: ClusterDouble) -> Callable[[Callable[[dict[str, Any]], object]], Access]:
    """Change the kubeconfig."""

    def change_kubeconfig(edit: Callable[[dict[str, Any]], object]) -> Access:
        config = json.loads(cluster_double.kubeconfig.read_text())
        edit(config)
        cluster_double.kubeconfig.write_text(json.dumps(config))
        return Access(kubeconfig=str(cluster_double.kubeconfig))

    return change_kubeconfig


Change = Callable[[Callable[[dict[str, Any]], object]], Access]


def test_the_namespace_is_the_one_given_else_the_contexts_else_ours(change: Change) -> None:
    access = change(lambda config: None)
    assert Cluster(access).namespace == NAMESPACE
    assert Cluster(Access(kubeconfig=access.kubeconfig, namespace="mine")).namespace == "mine"
    access = change(lambda config: config["contexts"][0]["context"].pop("namespace"))
    assert Cluster(access).namespace == client.NAMESPACE


def test_a_context_that_is_named_needs_no_current_one(change: Change) -> None:
    def rename(config: dict[str, Any]) -> None:
        del config["current-context"]
        config["contexts"].append({"name": "other", "context": config["contexts"][0]["context"] | {"namespace": "far"}})

    path = change(rename).kubeconfig
    assert Cluster(Access(kubeconfig=path, context="other")).namespace == "far"


@pytest.mark.parametrize(
    "edit",
    [
        lambda config: config.pop("current-context"),
        lambda config: config.pop("contexts"),
        lambda config: config.pop("clusters"),
        lambda config: config["contexts"][0]["context"].pop("cluster"),
        lambda config: config.update(users=SECRET),
        lambda config: config.update(contexts=SECRET),
    ],
)
def test_a_kubeconfig_that_leads_nowhere_is_told_in_one_line(
    change: Change, edit: Callable[[dict[str, Any]], object]
) -> None:
    access = change(edit)
    with pytest.raises(ConfigError, match=r"no cluster to speak to, by .*; name one with --kubeconfig") as caught:
        Cluster(access).list("Job")
    assert "\n" not in str(caught.value)
    assert SECRET not in str(caught.value)
    assert "token-0" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["", "users: [\n  token: {very-secret-value", f"- {SECRET}", "\x00", f"token: *{SECRET}"]
)
def test_a_kubeconfig_that_is_none_is_told_in_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    for access in (Access(kubeconfig=str(path)), Access(kubeconfig=str(tmp_path / "none"))):
        with pytest.raises(ConfigError, match=r"no cluster to speak to") as caught:
            Cluster(access)
        assert "\n" not in str(caught.value)
        assert SECRET not in str(caught.value)


def test_a_kubeconfig_that_knows_no_credentials_is_told(change: Change) -> None:
    access = change(lambda config: config["users"][0].update(user={}))
    with pytest.raises(ConfigError, match="Unauthorized; the credentials of this kubeconfig"):
        Cluster(access).list("Job")


def test_files_are_named_relative_to_the_kubeconfig(change: Change, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("token-0")
    access = change(lambda config: config["users"][0].update(user={"tokenFile": "token"}))
    assert Cluster(access).list("Job") == []


def test_the_environment_names_a_kubeconfig_as_for_kubectl(
    cluster_double: ClusterDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", f"/does/not/exist:{cluster_double.kubeconfig}")
    assert Cluster(Access()).list("Job") == []


# ---- refusals ------------------------------------------------------------------------------------------------------


def test_a_missing_right_is_told_as_such(cluster: Cluster, cluster_double: ClusterDouble, naps: list[float]) -> None:
    cluster_double.deny("create", "jobs")
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "x"}, "spec": {}}
    told = r"cannot create the Job x in namespace tests: jobs.batch is forbidden: .*cannot create.*; ask whoever runs"
    with pytest.raises(ForbiddenError, match=told):
        cluster.create(job)
    assert naps == []


@pytest.mark.parametrize(
    ("status", "reason", "message"),
    [
        (403, "Forbidden", 'pods "x" is forbidden: violates PodSecurity "restricted:latest"'),
        (403, "Forbidden", 'pods "x" is forbidden: exceeded quota: small'),
        (404, "NotFound", 'namespaces "tests" not found'),
        (422, "Invalid", 'Job.batch "x" is invalid: spec.parallelism: must be greater than 0'),
        (400, "BadRequest", "unknown field"),
    ],
)
def test_what_the_server_does_not_take_is_told_in_its_words(
    cluster: Cluster, cluster_double: ClusterDouble, naps: list[float], status: int, reason: str, message: str
) -> None:
    cluster_double.faults.append(Fault(status=status, reason=reason, message=message))
    with pytest.raises(RefusedError) as caught:
        cluster.create(config_map("one"))
    assert message in str(caught.value)
    assert str(caught.value).endswith("; see k8s/README.md")
    assert not isinstance(caught.value, ForbiddenError)
    assert naps == []


def test_a_namespace_that_is_not_there_is_told(cluster_double: ClusterDouble) -> None:
    cluster = Cluster(Access(kubeconfig=str(cluster_double.kubeconfig), namespace="nowhere"))
    with pytest.raises(RefusedError, match='in namespace nowhere: namespaces "nowhere" not found'):
        cluster.create(config_map("one"))
