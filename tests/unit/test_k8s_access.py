"""How a cluster is found and who one is there; no credential is ever shown."""

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

from ganbalance.errors import ConfigError
from ganbalance.k8s import client
from ganbalance.k8s.client import Access, Cluster
from tests.cluster_double import NAMESPACE, ClusterDouble

SECRET = "very-secret-value"  # noqa: S105


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


def test_credentials_that_are_wrong_are_reported_after_one_more_try(
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
def test_a_kubeconfig_that_leads_nowhere_is_reported_in_one_line(
    change: Change, edit: Callable[[dict[str, Any]], object]
) -> None:
    access = change(edit)
    with pytest.raises(ConfigError, match=r"no cluster to connect to, by .*; name one with --kubeconfig") as caught:
        Cluster(access).list("Job")
    assert "\n" not in str(caught.value)
    assert SECRET not in str(caught.value)
    assert "token-0" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["", "users: [\n  token: {very-secret-value", f"- {SECRET}", "\x00", f"token: *{SECRET}"]
)
def test_a_kubeconfig_that_is_none_is_reported_in_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    for access in (Access(kubeconfig=str(path)), Access(kubeconfig=str(tmp_path / "none"))):
        with pytest.raises(ConfigError, match=r"no cluster to connect to") as caught:
            Cluster(access)
        assert "\n" not in str(caught.value)
        assert SECRET not in str(caught.value)


def test_a_kubeconfig_that_knows_no_credentials_is_reported(change: Change) -> None:
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
