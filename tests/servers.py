"""Real S3 servers on this machine for tests: moto (fast, in this process) and SeaweedFS (a server of its own)."""

import logging
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

READY_S = 60


@dataclass(frozen=True)
class Server:
    """An S3 server that answers."""

    endpoint: str
    access_key: str = "testing"
    secret_key: str = "testing-secret"  # noqa: S105 - of a server that lives as long as the tests

    @property
    def environment(self) -> dict[str, str]:
        """What a program needs to use it, and nothing that this machine has set for another one."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": "us-east-1",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }


def new_bucket_url() -> str:
    """The URL of a store in a bucket that nobody else has."""
    return f"s3://test-{secrets.token_hex(6)}/a/prefix"


@contextmanager
def moto() -> Iterator[Server]:
    """moto's server in a thread."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield Server(f"http://{host}:{port}")
    finally:
        server.stop()


@contextmanager
def seaweedfs(folder: Path) -> Iterator[Server]:
    """SeaweedFS' single-process server, from pip."""
    server = Server(f"http://127.0.0.1:{free_port()}")
    command = [
        str(Path(sys.executable).with_name("weed")), "mini", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
        f"-s3.port={server.endpoint.rpartition(':')[2]}", f"-master.port={free_port()}",
        f"-volume.port={free_port()}", f"-filer.port={free_port()}", "-admin.ui=false", "-webdav=false",
    ]  # fmt: skip
    with running(command, server, log=folder / "log"):
        yield server


@contextmanager
def minio(folder: Path) -> Iterator[Server]:
    """MinIO's server program, where it is on the PATH."""
    program = shutil.which("minio")
    assert program, "the program minio is not on the PATH"
    server = Server(f"http://127.0.0.1:{free_port()}")
    address = server.endpoint.removeprefix("http://")
    secrets_ = {"MINIO_ROOT_USER": server.access_key, "MINIO_ROOT_PASSWORD": server.secret_key}
    command = [program, "server", str(folder / "data"), "--address", address]
    with running(command, server, log=folder / "log", environment=secrets_):
        yield server


@contextmanager
def running(
    command: list[str], server: Server, *, log: Path, environment: dict[str, str] | None = None
) -> Iterator[None]:
    """A server process from when it answers until the end of the block."""
    given = os.environ | server.environment | (environment or {})
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=given, cwd=log.parent)
        try:
            _wait_for(server, process, log)
            yield
        finally:
            process.terminate()
            process.wait(timeout=30)


def _wait_for(server: Server, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(server.endpoint, timeout=2).close()
            return
        except urllib.error.HTTPError as error:
            error.close()
            if error.code < 500:  # it knows us not, but it is there
                return
        except OSError:
            pass
        time.sleep(0.2)
    raise AssertionError(f"{command_name(process)} does not answer:\n{log.read_text(errors='replace')[-2000:]}")


def command_name(process: subprocess.Popen[bytes]) -> str:
    assert isinstance(process.args, list)
    return str(process.args[0])


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
