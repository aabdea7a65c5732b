"""What `ganbalance doctor` says of networks, certificates, clocks and servers that are none."""

import json
import re
import socketserver
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests import doctoring, servers
from tests.doctoring import Relay, certificate, diagnose, failed, found_by

UseS3 = Callable[[servers.Server], str]


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    doctoring.forget_surroundings(monkeypatch)


def test_a_certificate_that_nobody_signed_names_the_setting_and_passes_once_it_is_set(
    moto: servers.Server, use_s3: UseS3, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    url = use_s3(moto)
    pem = certificate(tmp_path / "server.pem")
    with Relay(moto, certificate=pem).running() as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.endpoint)
        said = diagnose(url)
        assert (failed(said)["check"], said["exit_code"]) == ("endpoint", 78)
        assert "AWS_CA_BUNDLE" in failed(said)["fix"]
        monkeypatch.setenv("AWS_CA_BUNDLE", str(pem))
        said = diagnose(url)
        assert (said["exit_code"], said["states"]["endpoint"]) == (0, "ok")


@pytest.mark.parametrize(
    ("made", "fix"),
    [
        ({"days": -1}, "renew the server's certificate"),
        ({"address": "127.0.0.9"}, "as its certificate does"),
    ],
    ids=["expired", "of another server"],
)
def test_a_certificate_with_a_fault_is_reported_by_its_fault(
    moto: servers.Server,
    use_s3: UseS3,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    made: dict[str, Any],
    fix: str,
) -> None:
    url = use_s3(moto)
    pem = certificate(tmp_path / "server.pem", **made)
    with Relay(moto, certificate=pem).running() as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.endpoint)
        monkeypatch.setenv("AWS_CA_BUNDLE", str(pem))
        said = diagnose(url)
    assert (failed(said)["check"], said["exit_code"]) == ("endpoint", 78)
    assert fix in failed(said)["fix"]


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_bundle_that_holds_no_certificates_is_named(
    moto: servers.Server,
    use_s3: UseS3,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    content: str | None,
) -> None:
    url = use_s3(moto)
    if content:
        (tmp_path / "bundle").write_text(content)
    with Relay(moto, certificate=certificate(tmp_path / "server.pem")).running() as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.endpoint)
        monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "bundle"))
        said = diagnose(url)
    assert (failed(said)["check"], said["exit_code"]) == ("endpoint", 78)
    assert f"AWS_CA_BUNDLE (now {tmp_path / 'bundle'})" in failed(said)["fix"]


def test_https_at_a_port_without_tls_names_the_scheme(
    moto: servers.Server, use_s3: UseS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = use_s3(moto)
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto.endpoint.replace("http:", "https:"))
    said = diagnose(url)
    assert (failed(said)["check"], said["exit_code"]) == ("endpoint", 78)
    assert "http://" in failed(said)["fix"]


def test_http_at_a_port_with_tls_names_the_scheme(
    moto: servers.Server, use_s3: UseS3, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    url = use_s3(moto)
    with Relay(moto, certificate=certificate(tmp_path / "server.pem")).running() as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.endpoint.replace("https:", "http:"))
        said = diagnose(url)
    assert (failed(said)["check"], said["exit_code"]) == ("endpoint", 75)
    assert "https://" in failed(said)["fix"]


@pytest.mark.parametrize(
    ("ahead_s", "state", "told_as"),
    [(1200, "FAIL", "20 min ahead of"), (-1200, "FAIL", "20 min behind"), (90, "warn", r"(89|90|91) s ahead of")],
)
def test_clocks_that_disagree_are_reported_by_how_much(
    seaweedfs: servers.Server,
    use_s3: UseS3,
    monkeypatch: pytest.MonkeyPatch,
    ahead_s: float,
    state: str,
    told_as: str,
) -> None:
    url = use_s3(seaweedfs)
    with Relay(seaweedfs, ahead_s=ahead_s).running() as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.endpoint)
        said = diagnose(url)
    clock = found_by("clock", said)
    assert (clock["state"], said["exit_code"]) == (state, 75 if state == "FAIL" else 0)
    assert re.search(told_as, clock["text"])
    assert "NTP" in clock["fix"]
    assert "clock" in said["verdict"]


def test_a_dead_endpoint_is_reported_at_once_although_the_store_itself_would_try_long(
    moto: servers.Server, use_s3: UseS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = use_s3(moto)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{servers.free_port()}")
    began = time.monotonic()
    said = diagnose(url)
    assert time.monotonic() - began < 5
    assert (failed(said)["check"], said["exit_code"]) == ("endpoint", 75)
    assert "Connection refused" in failed(said)["text"]
    assert "AWS_ENDPOINT_URL" in failed(said)["fix"]
    assert said["states"]["credentials"] == "ok"
    assert said["states"]["delete"] == "skipped"


def test_a_server_that_fails_once_is_not_asked_again(moto: servers.Server, use_s3: UseS3) -> None:
    proxy = servers.FaultyProxy(moto)
    with proxy.running() as server:
        url = use_s3(server)
        proxy.seen.clear()
        proxy.faults.extend(["pass", 503, 503])
        said = diagnose(url)
    assert (failed(said)["check"], said["exit_code"]) == ("bucket", 75)
    assert len(proxy.seen) == 2


def test_a_name_that_nobody_knows_is_reported_as_such(
    moto: servers.Server, use_s3: UseS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = use_s3(moto)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://no-such-host.invalid:9000")
    said = diagnose(url)
    assert (failed(said)["check"], said["exit_code"]) == ("endpoint", 75)
    assert "Failed to resolve 'no-such-host.invalid'" in failed(said)["text"]


@pytest.mark.parametrize("status", [200, 404, 502])
def test_a_server_that_speaks_no_s3_is_not_an_empty_store(
    moto: servers.Server, use_s3: UseS3, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(b"<html><h1>Console</h1></html>")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    url = use_s3(moto)
    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as page:
        threading.Thread(target=page.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{page.server_address[1]}")
        said = diagnose(url)
        page.shutdown()
    assert (failed(said)["check"], said["exit_code"]) == ("endpoint", 75 if status == 502 else 78)
    assert f"{status} (text/html)" in failed(said)["text"]
    assert "AWS_ENDPOINT_URL" in failed(said)["fix"]


def test_a_port_that_speaks_no_http_is_reported(
    moto: servers.Server, use_s3: UseS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Banner(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.sendall(b"220 mail.example ESMTP\r\n")
            self.request.recv(1000)

    url = use_s3(moto)
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Banner) as mail:
        threading.Thread(target=mail.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{mail.server_address[1]}")
        said = diagnose(url)
        mail.shutdown()
    assert (failed(said)["check"], said["exit_code"]) == ("endpoint", 75)
    assert "AWS_ENDPOINT_URL" in failed(said)["fix"]


def test_a_proxy_of_the_environment_is_used_and_named_without_its_password(
    moto: servers.Server, use_s3: UseS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = use_s3(moto)
    monkeypatch.setenv("http_proxy", f"http://me:hush-hush@127.0.0.1:{servers.free_port()}")
    monkeypatch.setenv("no_proxy", "")
    said = diagnose(url)
    assert (failed(said)["check"], said["exit_code"]) == ("endpoint", 75)
    assert "to proxy" in failed(said)["text"]
    assert "@127.0.0.1:" in failed(said)["text"]
    assert "http_proxy" in failed(said)["fix"]
    assert "hush-hush" not in json.dumps(said)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert diagnose(url)["exit_code"] == 0
