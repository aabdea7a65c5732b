"""The S3 servers that compose.yaml starts."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.containers import ROOT, Project, docker


@pytest.fixture
def weed(project: Project) -> Iterator[str]:
    """An image of the SeaweedFS that the tests have from pip."""
    name = "ganbalance-test-seaweedfs"
    program = Path(sys.executable).with_name("weed")
    layer = ["tar", "--create", "--directory", str(program.parent), "--transform", "s,^,usr/bin/,", program.name]
    with subprocess.Popen(layer, stdout=subprocess.PIPE) as tar:
        made = docker("import", "-", name, stdin=tar.stdout)
    assert made.returncode == 0, made.stderr
    yield name
    project.compose("--profile=seaweedfs", "rm", "--stop", "--force", "seaweedfs")
    docker("image", "rm", name)


def test_minio_keeps_every_promise_of_a_store(project: Project) -> None:
    up = project.compose("up", "--detach", "minio")
    assert up.returncode == 0, up.stderr
    made = project.compose("run", "--rm", "bucket")  # waits until it answers
    assert made.returncode == 0, made.stderr
    assert "made the store s3://ganbalance" in made.stdout
    given = {
        "GANBALANCE_TEST_S3_ENDPOINT": project.server.endpoint,
        "GANBALANCE_TEST_S3_ACCESS_KEY": project.server.access_key,
        "GANBALANCE_TEST_S3_SECRET_KEY": project.server.secret_key,
    }
    suite = [sys.executable, "-m", "pytest", "-q", "-k", "given", "tests/contract/test_stores.py"]
    done = subprocess.run(suite, cwd=ROOT, env=os.environ | given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-5000:]
    assert " passed" in done.stdout


def test_seaweedfs_takes_the_place_of_minio(project: Project, weed: str) -> None:
    instead = {
        "SEAWEEDFS_IMAGE": weed, "COMPOSE_PROFILES": "seaweedfs", "S3_ENDPOINT": "http://seaweedfs:8333",
    }  # fmt: skip
    for said in ("made the store s3://ganbalance", "the store s3://ganbalance is there already"):
        made = project.compose("run", "--rm", "bucket", **instead)
        assert made.returncode == 0, made.stderr
        assert said in made.stdout
    planned = project.compose("run", "--rm", "plan", **instead)
    assert planned.returncode == 0, planned.stderr
    assert "0 done" in planned.stdout
