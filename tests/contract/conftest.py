"""An S3 server whose answers can be made to go wrong."""

from collections.abc import Callable, Iterator

import pytest

from ganbalance.store.schemes import s3
from tests import servers

UseS3 = Callable[[servers.Server], str]


@pytest.fixture
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many retries, without the waits."""
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0.01)


@pytest.fixture
def proxy(seaweedfs: servers.Server, quick_retries: None) -> servers.FaultyProxy:
    return servers.FaultyProxy(seaweedfs, slow_s=1.5)


@pytest.fixture
def store(proxy: servers.FaultyProxy, use_s3: UseS3) -> Iterator[s3.S3Store]:
    """A marked store on a real server, behind a proxy with no faults yet."""
    with proxy.running() as server:
        opened = s3.S3Store(use_s3(server))
        opened.create("there", b"is something")
        proxy.seen.clear()
        yield opened
