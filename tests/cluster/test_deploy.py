"""`make deploy` on a real cluster: namespace, credentials, MinIO, templates. Of all images it needs only MinIO's."""

import base64
import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from botocore.exceptions import ClientError

from tests import manifests
from tests.manifests import Manifest
from tests.namespaces import Namespace

(MINIO,) = re.findall(r"^ +image: (\S+)$", (manifests.K8S / "components/minio/minio.yaml").read_text(), re.MULTILINE)

# In place of the program that makes the bucket: MinIO's image, which is in the cluster anyway, saying its version.
NO_BUCKET: Manifest = {
    "target": {"kind": "Job", "name": "minio-bucket"},
    "patch": yaml.safe_dump(
        [
            {"op": "remove", "path": "/spec/template/spec/containers/0/command"},
            {"op": "add", "path": "/spec/template/spec/containers/0/args", "value": ["--version"]},
            {
                "op": "replace",
                "path": "/spec/template/spec/containers/0/image",
                "value": MINIO,
            },
        ]
    ),
}


# what `make test-cluster` may have been given, or gives to a make inside of it
NOT_OURS = {"IMAGE", "TAG", "DEVICE", "REGISTRY", "MAKEFLAGS", "MAKELEVEL", "MFLAGS"}


# a change of MinIO's pod that has nothing to do with its volume
PATIENT: Manifest = {
    "target": {"kind": "Deployment", "name": "minio"},
    "patch": yaml.safe_dump([{"op": "add", "path": "/spec/template/spec/terminationGracePeriodSeconds", "value": 31}]),
}

UNBOUND: Manifest = {
    "target": {"kind": "PersistentVolumeClaim", "name": "minio"},
    "patch": yaml.safe_dump([{"op": "add", "path": "/spec/storageClassName", "value": "there-is-none"}]),
}


def _overlay(
    folder: Path, tag: str, *patches: Manifest, minio: Sequence[str] = ("minio", "minio-ephemeral"), **more: str
) -> Path:
    names = ("ganbalance/programs", "ganbalance/report")
    manifests.render_on_top(
        folder,
        resources=["k8s/base"],
        components=[f"k8s/components/{name}" for name in ("namespace", *minio)],
        images=[{"name": name, "newName": "ganbalance", "newTag": tag} for name in names],
        patches=[NO_BUCKET, *patches],
        **more,
    )
    return folder


def _deploy(namespace: Namespace, overlay: Path, *given: str) -> subprocess.CompletedProcess[str]:
    variables = [f"NAMESPACE={namespace.name}", f"OVERLAY={overlay}", f"KUBECTL={manifests.kubectl()}", *given]
    command = ["make", "--no-print-directory", "deploy", *variables]
    plain = {name: value for name, value in os.environ.items() if name not in NOT_OURS}
    return subprocess.run(command, env=plain, capture_output=True, text=True, check=False)


@pytest.fixture
def fresh(name_only: Namespace) -> Iterator[Namespace]:
    yield name_only
    written = Path(".kustomize") / name_only.name
    (written / "kustomization.yaml").unlink(missing_ok=True)
    if written.exists():
        written.rmdir()


def _keys(namespace: Namespace) -> dict[str, str]:
    data = namespace.get("secret", "ganbalance-s3")["data"]
    return {name: base64.b64decode(value).decode() for name, value in data.items()}


@contextmanager
def _forwarded(namespace: Namespace) -> Iterator[str]:
    command = [manifests.kubectl(), "--namespace", namespace.name, "port-forward", "service/minio", ":9000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        (port,) = re.findall(r"127\.0\.0\.1:(\d+)", process.stdout.readline())
        yield f"http://127.0.0.1:{port}"
        process.terminate()


def test_deploy_from_nothing_and_again_with_other_images(fresh: Namespace, tmp_path: Path) -> None:
    first = _deploy(fresh, _overlay(tmp_path / "first", "v1"))
    assert first.returncode == 0, first.stderr
    assert first.stdout.splitlines()[-1].startswith(f"namespace {fresh.name} is ready")
    labels = fresh.get("namespace", fresh.name)["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    keys = _keys(fresh)
    assert not [key for key in keys.values() if key in first.stdout + first.stderr]

    second = _deploy(fresh, _overlay(tmp_path / "second", "v2"))
    assert second.returncode == 0, second.stderr
    assert _keys(fresh) == keys
    assert fresh.get("podtemplate", "train-gan")["template"]["spec"]["containers"][0]["image"] == "ganbalance:v2"

    with _forwarded(fresh) as endpoint:
        _minio_knows(endpoint, keys["AWS_ACCESS_KEY_ID"], keys["AWS_SECRET_ACCESS_KEY"])
        with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
            _minio_knows(endpoint, keys["AWS_ACCESS_KEY_ID"], "another")


def _minio_knows(endpoint: str, access: str, secret: str) -> None:
    with _client(endpoint, access, secret) as client:
        client.create_bucket(Bucket="test")


@contextmanager
def _client(endpoint: str, access: str, secret: str) -> Iterator[Any]:
    client = boto3.client(
        "s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id=access, aws_secret_access_key=secret
    )
    try:
        yield client
    finally:
        client.close()


@contextmanager
def _minio(namespace: Namespace) -> Iterator[Any]:
    """A client of the namespace's MinIO."""
    keys = _keys(namespace)
    with (
        _forwarded(namespace) as endpoint,
        _client(endpoint, keys["AWS_ACCESS_KEY_ID"], keys["AWS_SECRET_ACCESS_KEY"]) as client,
    ):
        yield client


def _buckets(namespace: Namespace) -> list[str]:
    with _minio(namespace) as client:
        return [bucket["Name"] for bucket in client.list_buckets()["Buckets"]]


def test_artifacts_outlive_every_repeated_deployment_but_one_that_plainly_gives_them_up(
    fresh: Namespace, tmp_path: Path
) -> None:
    overlay = _overlay(tmp_path / "own", "v1", minio=("minio",))
    assert _deploy(fresh, overlay, "COMPONENTS=minio-ephemeral").returncode == 0
    with _minio(fresh) as client:
        client.create_bucket(Bucket="artifacts")

    again = _deploy(fresh, overlay)
    assert again.returncode == 0, again.stderr
    assert "COMPONENTS as before: minio-ephemeral" in again.stdout
    assert _buckets(fresh) == ["artifacts"]

    more = _deploy(fresh, overlay, "COMPONENTS=minio-ephemeral quota")
    assert more.returncode == 0, more.stderr
    shown, _, applied = more.stdout.partition("resourcequota/ganbalance created")
    assert "COMPONENTS were 'minio-ephemeral', will be 'minio-ephemeral quota'" in shown
    assert "+kind: ResourceQuota" in shown
    assert applied
    assert _buckets(fresh) == ["artifacts"]

    changed = _overlay(tmp_path / "changed", "v1", PATIENT, minio=("minio",))
    outside = _overlay(tmp_path / "outside", "v1", minio=())
    for asked, given, becomes in (
        (overlay, ["COMPONENTS="], "the claim minio"),
        (changed, [], "a new pod"),
        (outside, ["COMPONENTS="], "no volume"),
    ):
        refused = _deploy(fresh, asked, *given)
        line, ended = refused.stderr.splitlines()
        assert f"has its artifacts in its pod (emptyDir) and would get {becomes}" in line
        assert "deploy as before (COMPONENTS='minio-ephemeral quota')" in line
        assert ended.endswith("Error 78")
        assert _buckets(fresh) == ["artifacts"]

    assert _deploy(fresh, changed, "REPLACE_VOLUME=1").returncode == 0
    assert _buckets(fresh) == []


def test_a_claim_that_nothing_binds_gives_way_to_a_volume_in_the_pod(fresh: Namespace, tmp_path: Path) -> None:
    """The way out where there is no StorageClass; deploy refuses such a claim, kubectl does not."""
    waiting = _overlay(tmp_path / "waiting", "v1", UNBOUND, minio=("minio",), namespace=fresh.name)
    refused = _deploy(fresh, waiting)
    assert "MinIO would get no volume: the cluster has no StorageClass there-is-none; nothing was dep" in refused.stderr
    assert fresh.kubectl("get", "pvc,secret", "--output", "name").stdout == ""
    fresh.kubectl("apply", "-k", str(waiting))
    done = _deploy(fresh, _overlay(tmp_path / "own", "v1", minio=("minio",)), "COMPONENTS=minio-ephemeral")
    assert done.returncode == 0, done.stderr
    assert _buckets(fresh) == []


def test_a_bucket_job_that_fails_is_reported_with_its_log(fresh: Namespace, tmp_path: Path) -> None:
    overlay = _overlay(tmp_path / "own", "v1")
    settings = yaml.safe_load((overlay / "kustomization.yaml").read_text())
    settings["patches"].append(
        {
            "target": {"kind": "Job", "name": "minio-bucket"},
            "patch": yaml.safe_dump(
                [
                    {"op": "replace", "path": "/spec/template/spec/containers/0/args", "value": ["--no-such-flag"]},
                    {"op": "replace", "path": "/spec/backoffLimit", "value": 0},
                ]
            ),
        }
    )
    (overlay / "kustomization.yaml").write_text(yaml.safe_dump(settings))
    done = _deploy(fresh, overlay)
    assert done.returncode != 0
    assert "MinIO or its bucket is not there" in done.stderr
    assert "no-such-flag" in done.stderr
