"""Advice about a cluster's store names the Secret, the Service and the commands that decide there."""

import os
from contextlib import nullcontext
from pathlib import Path

import pytest

from ganbalance.k8s import connection
from ganbalance.k8s.client import Access, Cluster, ForbiddenError
from ganbalance.k8s.manifest import container_of, driver_job
from ganbalance.store.s3_failures import CONNECTION, CREDENTIALS, completed
from ganbalance.store.schemes import s3
from tests.unit.commands_bench import Bench
from tests.unit.k8s_run import template


def advice_inside(bench: Bench, advice: str) -> str:
    """Advice as completed while this process has the settings of the cluster."""
    with connection.reach(Cluster(Access(kubeconfig=str(bench.double.kubeconfig)))):
        return completed(advice)


def test_credentials_of_a_secret_are_put_right_there(bench: Bench) -> None:
    assert advice_inside(bench, CREDENTIALS).startswith(
        "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the Secret keys in namespace tests to credentials that "
    )
    assert completed(CREDENTIALS).startswith("set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, to ")


def test_credentials_from_single_keys_of_a_secret_are_put_right_there_too(bench: Bench) -> None:
    keys = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    bench.change_template(
        envFrom=[{"configMapRef": {"name": "store"}}],
        env=[{"name": key, "valueFrom": {"secretKeyRef": {"name": "keys", "key": key}}} for key in keys],
    )
    assert " in the Secret keys in namespace tests to " in advice_inside(bench, CREDENTIALS)


def test_where_the_secret_may_not_be_read_ones_own_credentials_decide(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.double.deny("get", "secrets")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "mine")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "my secret")
    assert ", or AWS_PROFILE, to credentials" in advice_inside(bench, CREDENTIALS)


def test_a_pod_names_its_secret_unless_it_has_an_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    found = template("driver")
    (program,) = found["template"]["spec"]["containers"]
    assert "env" not in container_of(driver_job("tiny-1a2b3c4d", 1, found)["spec"]["template"])
    program["envFrom"] = [{"configMapRef": {"name": "store"}}, {"secretRef": {"name": "keys"}}]
    (given,) = container_of(driver_job("tiny-1a2b3c4d", 1, found)["spec"]["template"])["env"]
    monkeypatch.setenv(given["name"], given["value"])
    assert " in the Secret keys to credentials" in completed(CREDENTIALS)


def test_commands_that_put_a_clusters_store_right_lead_to_it(bench: Bench) -> None:
    said = advice_inside(bench, "'{init}', '{doctor}'")
    flags = f"--namespace tests --kubeconfig {bench.double.kubeconfig}"
    assert said == f"'ganbalance store init {flags}', 'ganbalance doctor {flags}'"
    assert completed("'{init}', '{doctor}'") == "'ganbalance store init', 'ganbalance doctor'"


def behind_a_tunnel(bench: Bench, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put the store behind a Service; returns a file that is there once a tunnel to it was opened."""
    forward, opened = folder / "kubectl", folder / "opened"
    forward.write_text(f"#!/bin/sh\ntouch {opened}\necho 'Forwarding from 127.0.0.1:1234 -> 9000'\nexec sleep 60\n")
    forward.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    store = bench.double.object("ConfigMap", "store")
    store["data"]["AWS_ENDPOINT_URL"] = "http://minio:9000"
    bench.double.add(store)
    return opened


@pytest.mark.parametrize("has_credentials", [True, False])
def test_who_has_no_credentials_for_a_store_opens_no_tunnel_to_it(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, has_credentials: bool
) -> None:
    bench.double.deny("get", "secrets")
    monkeypatch.setattr(s3, "credentials_source", lambda: "env" if has_credentials else None)
    opened = behind_a_tunnel(bench, tmp_path, monkeypatch)
    with nullcontext() if has_credentials else pytest.raises(ForbiddenError, match="no credentials for the store"):
        advice_inside(bench, CREDENTIALS)
    assert opened.exists() == has_credentials


def test_a_store_behind_a_tunnel_is_named_by_its_service(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "see that AWS_ENDPOINT_URL is right" in advice_inside(bench, CONNECTION[""])
    behind_a_tunnel(bench, tmp_path, monkeypatch)
    said = advice_inside(bench, CONNECTION[""])
    assert said.startswith("see that AWS_ENDPOINT_URL of the cluster (the Service tests/minio) is right and the server")
