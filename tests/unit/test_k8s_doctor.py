"""What `ganbalance doctor` says of a cluster and of the store its pods use."""

import contextlib
import io
import json
from typing import Any

import pytest

from ganbalance.cli import main
from tests import servers
from tests.cluster_double import ClusterDouble


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
    assert said["states"]["GPUs"] == said["states"]["store"] == said["states"]["clock"] == "ok"
    assert said["states"]["bucket"] == "FAIL"
    assert said["verdict"].startswith("the cluster cannot be used: fix bucket")
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
    assert "--kubeconfig" in said["checks"][0]["fix"]
