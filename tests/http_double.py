"""HTTP in front of a double: requests are counted, answers can be made to fail, connections to break."""

import json
import re
import socket
import struct
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

Object = dict[str, Any]


@dataclass(frozen=True)
class Request:
    """What came in."""

    method: str
    path: str
    query: dict[str, str]
    body: Object
    token: str

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@dataclass
class Fault:
    """An error in place of an answer, `times` times, to requests whose "METHOD /path" the pattern `only` is found in.

    Without a status the connection is reset. `after`: the request takes effect first. `every`: 2 spares every other of
    such requests.
    """

    status: int | None = None
    reason: str = "InternalError"
    message: str = "something went wrong"
    retry_after: int | None = None
    only: str = ""
    times: int = 1
    after: bool = False
    every: int = 1
    _met: int = 0

    def takes(self, request: Request) -> bool:
        """Whether this request gets it."""
        if not self.times or not re.search(self.only, str(request)):
            return False
        self._met += 1
        if self._met % self.every:
            return False
        self.times -= 1
        return True

    def body(self) -> Object:
        return status_body(self.status or 0, self.reason, self.message)


class ApiError(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status, self.reason, self.message = status, reason, message


def status_body(status: int, reason: str, message: str) -> Object:
    return {
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message,
        "reason": reason, "code": status,
    }  # fmt: skip


class Answering(Protocol):
    """What stands behind the server. `answer` is called by one thread at a time."""

    lock: threading.RLock
    requests: list[Request]
    faults: list[Fault]

    def answer(self, request: Request) -> tuple[int, Object | bytes]: ...


class Server(ThreadingHTTPServer):
    daemon_threads = True
    double: Answering

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away in the middle is no error."""


@dataclass
class _Answer:
    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: Server

    def handle_one(self) -> None:
        double = self.server.double
        request = self._read()
        with double.lock:
            double.requests.append(request)
            fault = next((one for one in double.faults if one.takes(request)), None)
            if fault is None or fault.after:
                answer = self._answer(request)
        if fault is not None:
            if fault.status is None:
                self._reset()
                return
            headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
            answer = _Answer(fault.status, json.dumps(fault.body()).encode(), headers)
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)
        self.wfile.flush()

    do_GET = do_POST = do_PATCH = do_DELETE = handle_one

    def _read(self) -> Request:
        address = urlsplit(self.path)
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return Request(
            method=self.command,
            path=address.path,
            query={name: values[-1] for name, values in parse_qs(address.query).items()},
            body=json.loads(raw) if raw else {},
            token=self.headers.get("Authorization", "").partition(" ")[2],
        )

    def _answer(self, request: Request) -> _Answer:
        if request.method == "PATCH" and self.headers.get("Content-Type") != "application/merge-patch+json":
            said = "the body of the request was in an unknown format"
            return _Answer(415, json.dumps(status_body(415, "UnsupportedMediaType", said)).encode())
        try:
            status, body = self.server.double.answer(request)
        except ApiError as error:
            return _Answer(error.status, json.dumps(status_body(error.status, error.reason, error.message)).encode())
        return _Answer(status, body if isinstance(body, bytes) else json.dumps(body).encode())

    def _reset(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def log_message(self, *args: Any) -> None:
        """Nothing to print."""
