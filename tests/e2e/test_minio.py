"""The contract of stores, held by the server that compose.yaml starts."""

import os
import subprocess
import sys

from tests.containers import ROOT, Project


def test_the_server_of_compose_keeps_every_promise_of_a_store(project: Project) -> None:
    up = project.compose("up", "--detach", "minio", "bucket")
    assert up.returncode == 0, up.stderr
    waited = project.compose("wait", "bucket")
    assert project.exit_code("bucket") == 0, waited.stderr
    given = {
        "GANBALANCE_TEST_S3_ENDPOINT": project.server.endpoint,
        "GANBALANCE_TEST_S3_ACCESS_KEY": project.server.access_key,
        "GANBALANCE_TEST_S3_SECRET_KEY": project.server.secret_key,
    }
    suite = [sys.executable, "-m", "pytest", "-q", "-k", "given", "tests/contract/test_stores.py"]
    done = subprocess.run(suite, cwd=ROOT, env=os.environ | given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-5000:]
    assert " passed" in done.stdout
