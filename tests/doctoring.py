"""What `ganbalance doctor` says, and servers that are a little unwell."""

import contextlib
import datetime
import io
import ipaddress
import json
import re
import select
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from ganbalance.cli import main
from tests import servers


def diagnose(url: str) -> dict[str, Any]:
    """What doctor says of a store, as data, with the state of each check; the exit code is the one it gave."""
    with contextlib.redirect_stdout(io.StringIO()) as output:
        code = main(["doctor", "--store", url, "--json"])
    said: dict[str, Any] = json.loads(output.getvalue())
    assert said["exit_code"] == code
    return said | {"states": {check["check"]: check["state"] for check in said["checks"]}}


def failed(said: dict[str, Any]) -> dict[str, Any]:
    """The one check that failed."""
    (found,) = [check for check in said["checks"] if check["state"] == "FAIL"]
    return dict(found)


def found_by(check: str, said: dict[str, Any]) -> dict[str, Any]:
    """What one check found."""
    (found,) = [each for each in said["checks"] if each["check"] == check]
    return dict(found)


def forget_surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    """What this machine is set up for is not under test."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "AWS_MAX_ATTEMPTS", "GANBALANCE_S3_ADDRESSING"):
        monkeypatch.delenv(name, raising=False)


class Relay(socketserver.ThreadingTCPServer):
    """Passes bytes on to a server: out of TLS if it has a certificate, with the server's clock moved by `ahead_s`."""

    daemon_threads = True

    def __init__(self, upstream: servers.Server, *, certificate: Path | None = None, ahead_s: float = 0) -> None:
        super().__init__(("127.0.0.1", 0), _Relayed)
        at = urlsplit(upstream.endpoint)
        self.upstream, self.ahead_s = (at.hostname, at.port), ahead_s
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if certificate else None
        if self.context and certificate:
            self.context.load_cert_chain(certificate)

    @contextlib.contextmanager
    def running(self) -> Iterator[servers.Server]:
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        with self:
            yield servers.Server(f"{'https' if self.context else 'http'}://127.0.0.1:{self.server_address[1]}")
            self.shutdown()


class _Relayed(socketserver.BaseRequestHandler):
    server: Relay

    def handle(self) -> None:
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            near: socket.socket = self.request
            if self.server.context:
                near = stack.enter_context(self.server.context.wrap_socket(near, server_side=True))
            far = stack.enter_context(socket.create_connection(self.server.upstream))
            while True:
                waiting = isinstance(near, ssl.SSLSocket) and near.pending()
                for source in [near] if waiting else select.select([near, far], [], [])[0]:
                    data = source.recv(65536)
                    if not data:
                        return
                    (far if source is near else near).sendall(data if source is near else self._later(data))

    def _later(self, data: bytes) -> bytes:
        if not self.server.ahead_s:
            return data
        then = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=self.server.ahead_s)
        return re.sub(rb"(?im)^Date: [^\r]+", f"Date: {format_datetime(then, usegmt=True)}".encode(), data)


def certificate(path: Path, *, days: float = 90, address: str = "127.0.0.1") -> Path:
    """A certificate that signs itself, with its key, in one PEM file."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a test's server")])
    end = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(end - datetime.timedelta(days=365))
        .not_valid_after(end)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    path.write_bytes(private + made.public_bytes(pem))
    return path
