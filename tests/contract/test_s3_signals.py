"""SIGTERM during a request to a server that takes connections and never answers."""

import os
import signal
import socket
import threading
import time

import pytest

from ganbalance.errors import Stopped
from ganbalance.pipeline.outages import outlast
from ganbalance.pipeline.signals import stoppable
from ganbalance.store import open_store

SOON_S = 5.0


def test_a_signal_ends_a_request_and_is_not_taken_for_a_fault_of_the_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        timer = threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGTERM))
        timer.start()
        started = time.monotonic()
        with pytest.raises(Stopped, match=r"^stopped; go on later$"), stoppable("stopped; go on later"):
            outlast(lambda: open_store("s3://bucket"), 60)
        assert 1.0 <= time.monotonic() - started < SOON_S
