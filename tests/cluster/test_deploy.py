"""`make deploy` on a real cluster: namespace, credentials, MinIO, templates. Of all images it needs only MinIO's."""

import base64
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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


def _overlay(folder: Path, tag: str) -> Path:
    names = ("ganbalance/programs", "ganbalance/report")
    manifests.render_on_top(
        folder,
        resources=["k8s/base"],
        components=["k8s/components/namespace", "k8s/components/minio", "k8s/components/minio-ephemeral"],
        images=[{"name": name, "newName": "ganbalance", "newTag": tag} for name in names],
        patches=[NO_BUCKET],
    )
    return folder


def _deploy(namespace: Namespace, overlay: Path) -> subprocess.CompletedProcess[str]:
    variables = [f"NAMESPACE={namespace.name}", f"OVERLAY={overlay}", f"KUBECTL={manifests.kubectl()}"]
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
    client = boto3.client(
        "s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id=access, aws_secret_access_key=secret
    )
    try:
        client.create_bucket(Bucket="test")
    finally:
        client.close()


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
