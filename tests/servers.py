"""Real S3 servers on this machine for tests: moto (fast, in this process) and SeaweedFS (a server of its own)."""

import logging
import os
import secrets
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
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


def new_prefix_url() -> str:
    """The URL of a store with a prefix of its own in a bucket that all share: SeaweedFS has room for few buckets."""
    return f"s3://tests/{secrets.token_hex(6)}/a/prefix"


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
def seaweedfs(folder: Path, *flags: str) -> Iterator[Server]:
    """SeaweedFS' single-process server, from pip."""
    s3, master, volume, filer, admin = _ports_in_pairs(5)
    server = Server(f"http://127.0.0.1:{s3}")
    command = [
        str(Path(sys.executable).with_name("weed")), "mini", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
        f"-s3.port={s3}", f"-master.port={master}", f"-volume.port={volume}", f"-filer.port={filer}",
        f"-admin.port={admin}", "-admin.ui=false", "-webdav=false",
        "-s3.port.iceberg=0", "-s3.port.lance=0",  # at fixed ports, where servers side by side would meet
        "-master.volumeSizeLimitMB=64", "-volume.max=64",  # by the free disk, there may be room for two buckets
        *flags,
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
            process.kill()  # an orderly end takes some servers seconds, for data that nobody will read
            process.wait(timeout=30)


def _wait_for(server: Server, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(server.endpoint, timeout=2).close()  # noqa: S310 - the address is ours
            return
        except urllib.error.HTTPError as error:
            error.close()
            if error.code < 500:  # it knows us not, but it is there
                return
        except OSError:
            pass
        time.sleep(0.2)
    raise AssertionError(f"{server.endpoint} does not answer:\n{log.read_text(errors='replace')[-2000:]}")


def _ports_in_pairs(n: int) -> list[int]:
    """Free ports p where p + 10,000 is free too: SeaweedFS listens at both. Tests side by side have their own range."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    found: list[int] = []
    while len(found) < n:
        port = 10_000 + 1000 * (worker % 10) + secrets.randbelow(1000)  # below what the system hands out by itself
        if port not in found and _is_free(port) and _is_free(port + 10_000):
            found.append(port)
    return found


def _is_free(port: int) -> bool:
    with socket.socket() as probe, suppress(OSError):
        probe.bind(("127.0.0.1", port))
        return True
    return False


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class FaultyProxy:
    """Stands before an S3 server and does to the next answers what networks and busy servers do.

    `faults` are taken one per request: a number is answered in the server's place, "drop" closes the connection
    before the request is passed on, "lose" after it, "cut" breaks the answer's body off half way, "flip" damages
    a byte of it, "slow" waits `slow_s` first. `strip` names headers that never reach the server.
    """

    def __init__(self, upstream: Server, *, strip: Collection[str] = (), slow_s: float = 1.0) -> None:
        self.faults: deque[str | int] = deque()
        self.seen: list[tuple[str, str]] = []  # method and path of every request
        self.strip = {name.lower() for name in strip}
        self.slow_s = slow_s
        self.upstream = upstream

    @contextmanager
    def running(self) -> Iterator[Server]:
        """The upstream server, as seen through this proxy."""
        handler = type("Handler", (_ProxyHandler,), {"proxy": self})
        with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield replace(self.upstream, endpoint=f"http://127.0.0.1:{server.server_address[1]}")
            server.shutdown()


class _ProxyHandler(BaseHTTPRequestHandler):
    proxy: FaultyProxy
    protocol_version = "HTTP/1.1"

    def handle_one_request(self) -> None:
        with suppress(ConnectionError):
            super().handle_one_request()

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        proxy = self.proxy
        proxy.seen.append((self.command, self.path))
        fault = proxy.faults.popleft() if proxy.faults else None
        if fault == "drop":
            self._close()
        elif isinstance(fault, int):
            self._send(fault, {}, b"")
        else:
            if fault == "slow":
                time.sleep(proxy.slow_s)
            self._pass_on(body, fault)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _answer

    def _pass_on(self, body: bytes, fault: object) -> None:
        dropped = self.proxy.strip | {"expect"}  # answered here already
        headers = {name: value for name, value in self.headers.items() if name.lower() not in dropped}
        upstream = HTTPConnection(self.proxy.upstream.endpoint.removeprefix("http://"))
        try:
            upstream.request(self.command, self.path, body, headers)
            answer = upstream.getresponse()
            content = answer.read()
        finally:
            upstream.close()
        if fault == "lose":
            self._close()
        else:
            self._send(answer.status, dict(answer.getheaders()), content, fault)

    def _send(self, status: int, headers: dict[str, str], content: bytes, fault: object = None) -> None:
        self.send_response_only(status)
        dropped = {"connection", "transfer-encoding"} | ({"content-length"} if self.command != "HEAD" else set())
        for name, value in headers.items():
            if name.lower() not in dropped:
                self.send_header(name, value)
        if self.command != "HEAD":
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if fault == "flip":
            content = content[:-1] + bytes([content[-1] ^ 1])
        self.wfile.write(content[: len(content) // 2] if fault == "cut" else content)
        if fault == "cut":
            self._close()

    def _close(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that http.server gives it
        """Say nothing."""
