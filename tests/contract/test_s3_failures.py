"""What an S3 server, the network and this machine can do to a store that it does not bear: and what a user reads."""

import datetime
import time
from collections.abc import Callable
from pathlib import Path

import botocore.exceptions
import pytest

from ganbalance.errors import ConfigError, GanbalanceError, UnavailableError
from ganbalance.store import MissingError, make_store, open_store, s3_failures
from ganbalance.store.base import Unfinished
from ganbalance.store.schemes import s3
from tests import servers

UseS3 = Callable[[servers.Server], str]


@pytest.fixture
def few_attempts(monkeypatch: pytest.MonkeyPatch, quick_retries: None) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")


def opening_error(url: str) -> GanbalanceError:
    """What opening the store ends with."""
    with pytest.raises(GanbalanceError) as caught:
        open_store(url)
    assert "\n" not in str(caught.value)
    return caught.value


def test_no_server_names_the_endpoint(few_attempts: None, moto: servers.Server, use_s3: UseS3, monkeypatch) -> None:
    url = use_s3(moto)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{servers.free_port()}")
    error = opening_error(url)
    assert isinstance(error, UnavailableError)
    assert "see that AWS_ENDPOINT_URL is right" in str(error)
    monkeypatch.setenv("GANBALANCE_S3_SERVICE", "team/minio")  # as in a command that reaches a cluster through a tunnel
    assert "see that AWS_ENDPOINT_URL of the cluster (the Service team/minio) is right" in str(opening_error(url))


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("[SSL: UNEXPECTED_EOF_WHILE_READING] EOF occurred in violation of protocol", UnavailableError),
        ("[SSL: TLSV1_ALERT_INTERNAL_ERROR] tlsv1 alert internal error", UnavailableError),
        ("[SSL: WRONG_VERSION_NUMBER] wrong version number", ConfigError),
        ("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed", ConfigError),
    ],
)
def test_a_handshake_that_is_cut_off_asks_to_try_later_and_a_wrong_certificate_does_not(
    said: str, kind: type[GanbalanceError]
) -> None:
    with pytest.raises(kind, match="AWS_"), s3_failures.translate_errors("cannot read"):
        raise botocore.exceptions.SSLError(endpoint_url="https://server", error=said)


def test_a_server_that_stays_broken_asks_to_try_later(
    few_attempts: None, seaweedfs: servers.Server, use_s3: UseS3
) -> None:
    proxy = servers.FaultyProxy(seaweedfs)
    with proxy.running() as server:
        url = use_s3(server)
        proxy.faults.extend([503] * 2)
        error = opening_error(url)
    assert isinstance(error, UnavailableError)
    assert "503" in str(error)


def test_a_server_that_is_too_slow_asks_to_try_later(
    few_attempts: None, seaweedfs: servers.Server, use_s3: UseS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = servers.FaultyProxy(seaweedfs, slow_s=2)
    with proxy.running() as server:
        url = use_s3(server)
        monkeypatch.setattr(s3, "READ_TIMEOUT_S", 0.3)
        proxy.faults.extend(["slow"] * 2)
        started = time.monotonic()
        error = opening_error(url)
        took = time.monotonic() - started
    assert isinstance(error, UnavailableError)
    assert took < 2


def test_wrong_credentials_are_named(seaweedfs: servers.Server, use_s3: UseS3, monkeypatch) -> None:
    url = use_s3(seaweedfs)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        with monkeypatch.context() as patch:
            patch.setenv(name, "wrong")
            error = opening_error(url)
        assert isinstance(error, ConfigError)
        assert "AWS_SECRET_ACCESS_KEY" in str(error)
        assert seaweedfs.secret_key not in str(error)


def test_wrong_credentials_of_a_secret_are_named_with_it(
    seaweedfs: servers.Server, use_s3: UseS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = use_s3(seaweedfs)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    monkeypatch.setenv("GANBALANCE_S3_SECRET", "keys in namespace team")  # as in a command that reaches a cluster
    assert "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the Secret keys in namespace team to" in str(
        opening_error(url)
    )


def test_wrong_credentials_are_not_a_missing_permission_when_a_bucket_is_made(
    seaweedfs: servers.Server, use_s3: UseS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = use_s3(seaweedfs)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(ConfigError, match="AWS_SECRET_ACCESS_KEY"):
        make_store(url)


def test_missing_credentials_are_named(seaweedfs: servers.Server, use_s3: UseS3, monkeypatch) -> None:
    url = use_s3(seaweedfs)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    error = opening_error(url)
    assert isinstance(error, ConfigError)
    assert "AWS_ACCESS_KEY_ID" in str(error)


def test_an_unknown_profile_is_named(seaweedfs: servers.Server, use_s3: UseS3, monkeypatch) -> None:
    url = use_s3(seaweedfs)
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    error = opening_error(url)
    assert isinstance(error, ConfigError)
    assert "nobody" in str(error)


def test_a_missing_bucket_names_the_command_that_makes_it(seaweedfs: servers.Server, use_s3: UseS3) -> None:
    use_s3(seaweedfs)
    url = servers.new_bucket_url()
    error = opening_error(url)
    assert isinstance(error, ConfigError)
    assert "ganbalance store init" in str(error)
    assert make_store(url)
    assert not make_store(url)
    assert list(open_store(url).names("")) == []


@pytest.mark.parametrize(
    ("work", "permissions"),
    [
        (lambda store, _: store.read("there"), "s3:GetObject"),
        (lambda store, _: list(store.unfinished()), "s3:ListBucketMultipartUploads and s3:AbortMultipartUpload"),
        (lambda store, write: store.discard(write), "s3:ListBucketMultipartUploads and s3:AbortMultipartUpload"),
        (lambda store, _: make_store(store.url), "s3:ListBucket and s3:CreateBucket"),
    ],
    ids=["read", "unfinished", "discard", "make"],
)
def test_a_missing_permission_is_named(
    store: s3.S3Store, proxy: servers.FaultyProxy, work: Callable[[s3.S3Store, Unfinished], object], permissions: str
) -> None:
    write = Unfinished("begun", 0, datetime.datetime.now(datetime.UTC), handle="0")
    proxy.faults.append(403)
    with pytest.raises(ConfigError, match=f"grant these credentials {permissions}"):
        work(store, write)


def test_a_clock_that_is_twenty_minutes_off_is_named(
    store: s3.S3Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def late(*_: object, **__: object) -> datetime.datetime:
        return datetime.datetime.now(datetime.UTC).replace(tzinfo=None) + datetime.timedelta(minutes=20)

    monkeypatch.setattr("botocore.auth.get_current_datetime", late)
    (tmp_path / "file").write_bytes(b"content")
    with pytest.raises(UnavailableError, match="clock"):
        store.put("a", tmp_path / "file")


def test_a_name_that_is_not_there_is_missing_and_not_refused(store: s3.S3Store, tmp_path: Path) -> None:
    for read in (lambda: store.read("none"), lambda: store.fetch("none", tmp_path)):
        with pytest.raises(MissingError, match="none"):
            read()


@pytest.mark.parametrize(
    "url", ["s3://", "s3://a", "s3://Upper/x", "s3://bucket/a//b", "s3://bucket/../x", "s3://bucket/x?y=z", "s3:///x"]
)
def test_a_url_that_names_no_bucket_is_refused_before_any_request(url: str) -> None:
    with pytest.raises(ConfigError, match="s3://bucket/prefix"):
        open_store(url)


@pytest.mark.parametrize("endpoint", ["nonsense", "http://", "ftp://host", "http://127.0.0.1:notaport"])
def test_an_endpoint_that_is_no_address_is_named(
    moto: servers.Server, use_s3: UseS3, monkeypatch: pytest.MonkeyPatch, few_attempts: None, endpoint: str
) -> None:
    url = use_s3(moto)
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    assert "AWS_ENDPOINT_URL" in str(opening_error(url))


def test_a_password_in_an_address_is_refused_and_not_repeated(
    moto: servers.Server, use_s3: UseS3, monkeypatch: pytest.MonkeyPatch, few_attempts: None
) -> None:
    url = use_s3(moto)
    for address in ("s3://me:hush-hush@bucket/prefix", "http://me:hush-hush@server/bucket"):
        assert "hush-hush" not in str(opening_error(address))
    for port in (servers.free_port(), "notaport"):
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://me:hush-hush@127.0.0.1:{port}")
        error = opening_error(url)
        assert isinstance(error, ConfigError)
        assert "AWS_ENDPOINT_URL" in str(error)
        assert "hush-hush" not in str(error)


@pytest.mark.parametrize("attempts", ["none", "0", "-1"])
def test_a_number_of_attempts_that_is_none_is_named(moto, use_s3: UseS3, monkeypatch, attempts: str) -> None:
    url = use_s3(moto)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", attempts)
    assert "AWS_MAX_ATTEMPTS" in str(opening_error(url))
