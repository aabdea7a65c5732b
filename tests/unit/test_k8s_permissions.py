"""What somebody reads who may not do all that a command needs: which permission, and the Role that has it."""

from pathlib import Path

import pytest

from ganbalance.k8s import connection
from ganbalance.k8s.client import Access, Cluster, ForbiddenError
from tests.unit.commands_bench import Bench

REFUSED = (
    'error: error upgrading connection: pods "minio-1" is forbidden: User "ann" cannot create resource '
    '"pods/portforward" in API group "" in the namespace "tests"'
)


def reach(bench: Bench) -> str:
    with connection.reach(Cluster(Access(kubeconfig=str(bench.double.kubeconfig)))) as url:
        return url


def test_a_port_forward_that_is_forbidden_names_the_permission_and_the_role(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "kubectl").write_text(f"#!/bin/sh\necho '{REFUSED}' >&2\nexit 1\n")
    (tmp_path / "kubectl").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    bench.double.add(
        {
            "kind": "ConfigMap", "metadata": {"name": "store"},
            "data": {"GANBALANCE_STORE": "s3://b", "AWS_ENDPOINT_URL": "http://minio:9000"},
        }
    )  # fmt: skip
    with pytest.raises(ForbiddenError, match=r'cannot create resource "pods/portforward".*Role ganbalance-viewer') as e:
        reach(bench)
    assert "its pod runs" not in str(e.value)


@pytest.fixture
def nobody(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Somebody who may not read the Secret, and has no credentials here."""
    bench.double.deny("get", "secrets")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return bench


def test_a_secret_that_may_not_be_read_is_named_where_there_are_no_credentials_here(nobody: Bench) -> None:
    expected = "you may not read Secret keys in namespace tests.*set AWS_ACCESS_KEY_ID.*ask for the Role ganbalance-sub"
    with pytest.raises(ForbiddenError, match=expected):
        reach(nobody)


def test_ones_own_credentials_do_in_place_of_the_secret(nobody: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "mine")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    assert reach(nobody).startswith("s3://")
