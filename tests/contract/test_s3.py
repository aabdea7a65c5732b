"""What an S3 server, the network and this machine can do to a store, and what a user is told."""

import datetime
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ganbalance.errors import ConfigError, DataError, GanbalanceError, UnavailableError
from ganbalance.store import MissingError, make_store, open_store, s3, transfer
from ganbalance.store.artifacts import Artifacts, Commit
from ganbalance.store.base import Unfinished
from tests import servers

UseS3 = Callable[[servers.Server], str]


@pytest.fixture
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many retries, without the waits."""
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0.01)
    monkeypatch.setattr(s3, "_wait_s", lambda _: 0.01)


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


def a_file(tmp_path: Path, content: bytes = b"content") -> Path:
    path = tmp_path / "source"
    path.write_bytes(content)
    return path


def commit(artifacts: Artifacts, folder: Path, attempt: str = "attempt") -> Commit:
    return artifacts.commit(
        "stage", "k", attempt=attempt, folder=folder, inputs={}, outcome="done", metrics={}, provenance={}
    )


# ── what passes ──────────────────────────────────────────────────────────────


@pytest.mark.parametrize("fault", [500, 503, 429, "drop", "lose"])
def test_a_server_that_fails_for_a_while_is_waited_for(
    store: s3.S3Store, proxy: servers.FaultyProxy, tmp_path: Path, fault: str | int
) -> None:
    for work in (
        lambda: store.put("a", a_file(tmp_path)),
        lambda: store.read("a"),
        lambda: store.fetch("a", tmp_path),
        lambda: list(store.names("")),
        lambda: store.delete("a"),
    ):
        proxy.faults.extend([fault] * 3)
        work()
        assert not proxy.faults
    assert list(store.names("")) == ["store.json", "there"]


def test_a_slow_server_is_waited_for(store: s3.S3Store, proxy: servers.FaultyProxy) -> None:
    proxy.faults.append("slow")
    started = time.monotonic()
    assert store.read("there") == b"is something"
    assert time.monotonic() - started >= proxy.slow_s


@pytest.mark.parametrize("cuts", [1, 3])
def test_an_answer_that_breaks_off_is_asked_for_again(
    store: s3.S3Store, proxy: servers.FaultyProxy, tmp_path: Path, cuts: int
) -> None:
    content = bytes(range(256)) * 400
    store.put("a", a_file(tmp_path, content))
    proxy.faults.extend(["cut"] * cuts)
    assert store.read("a") == content
    proxy.faults.extend(["cut"] * cuts)
    assert store.fetch("a", tmp_path).read_bytes() == content
    assert not proxy.faults
    assert not [path for method, path in proxy.seen if method == "HEAD"]  # a refusal of it has no body that says why


def test_an_answer_that_keeps_breaking_off_is_asked_for_as_often_as_is_set_with_waits(
    store: s3.S3Store, proxy: servers.FaultyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[int] = []
    monkeypatch.setattr(s3, "_wait_s", lambda failed: waited.append(failed) or 0)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "3")
    opened = s3.S3Store(store.url)
    proxy.faults.extend(["cut"] * 3)
    with pytest.raises(UnavailableError):
        opened.read("there")
    assert not proxy.faults
    assert waited == [1, 2]


@pytest.mark.parametrize(("failed", "longest_s"), [(1, 1), (4, 8), (60, s3.LONGEST_WAIT_S)])
def test_waits_double_up_to_a_limit(monkeypatch: pytest.MonkeyPatch, failed: int, longest_s: int) -> None:
    monkeypatch.setattr("random.uniform", lambda _, most: most)
    assert s3._wait_s(failed) == longest_s


def test_bytes_that_were_damaged_on_the_way_get_one_more_chance(
    store: s3.S3Store, proxy: servers.FaultyProxy, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "file").write_bytes(b"content")
    made = commit(Artifacts(store, tmp_path), folder)
    proxy.faults.append("flip")
    assert Artifacts(store, tmp_path).open(made).path("file").read_bytes() == b"content"
    proxy.faults.extend(["flip", "flip"])
    with pytest.raises(DataError, match=r"corrupt.*delete stages/stage/k/COMMIT.json"):
        Artifacts(store, tmp_path).open(made).path("file")


def test_a_commit_whose_answer_was_lost_is_still_ours(
    store: s3.S3Store, proxy: servers.FaultyProxy, tmp_path: Path
) -> None:
    """The retry meets our own COMMIT and is refused: that is no lost race."""
    folder = tmp_path / "folder"
    folder.mkdir()
    assert store.conditional_writes
    proxy.faults.append("lose")
    made = commit(Artifacts(store, tmp_path), folder)  # no files: the first request writes COMMIT.json
    assert made.attempt == "attempt"
    assert Artifacts(store, tmp_path).find("stage", "k") == made


def test_a_conflict_of_two_writers_is_tried_again(store: s3.S3Store, proxy: servers.FaultyProxy) -> None:
    assert store.conditional_writes
    proxy.faults.extend([409, 409])
    assert store.create("a", b"1")
    assert not store.create("a", b"2")


def test_a_server_without_conditional_writes_is_noticed(moto: servers.Server, use_s3: UseS3) -> None:
    with servers.FaultyProxy(moto, strip=["If-None-Match"]).running() as server:
        store = s3.S3Store(use_s3(server))
        assert not store.conditional_writes
        assert store.create("a", b"1")
        assert not store.create("a", b"2")
        assert store.read("a") == b"1"


def test_a_server_that_refuses_the_header_is_noticed(store: s3.S3Store, proxy: servers.FaultyProxy) -> None:
    fresh = s3.S3Store(store.url)
    proxy.faults.append(501)
    proxy.faults.append("none")
    assert not fresh.conditional_writes


# ── what does not pass: the exit code, and the setting to change ─────────────


@pytest.fixture
def few_attempts(monkeypatch: pytest.MonkeyPatch, quick_retries: None) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")


def told(url: str) -> GanbalanceError:
    """What opening the store ends with."""
    with pytest.raises(GanbalanceError) as caught:
        open_store(url)
    assert "\n" not in str(caught.value)
    return caught.value


def test_no_server_names_the_endpoint(few_attempts: None, moto: servers.Server, use_s3: UseS3, monkeypatch) -> None:
    url = use_s3(moto)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{servers.free_port()}")
    error = told(url)
    assert isinstance(error, UnavailableError)
    assert "AWS_ENDPOINT_URL" in str(error)


def test_a_server_that_stays_broken_asks_to_try_later(
    few_attempts: None, seaweedfs: servers.Server, use_s3: UseS3
) -> None:
    proxy = servers.FaultyProxy(seaweedfs)
    with proxy.running() as server:
        url = use_s3(server)
        proxy.faults.extend([503] * 2)
        error = told(url)
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
        error = told(url)
        took = time.monotonic() - started
    assert isinstance(error, UnavailableError)
    assert took < 2


def test_a_wrong_key_names_the_keys(seaweedfs: servers.Server, use_s3: UseS3, monkeypatch) -> None:
    url = use_s3(seaweedfs)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        with monkeypatch.context() as patch:
            patch.setenv(name, "wrong")
            error = told(url)
        assert isinstance(error, ConfigError)
        assert "AWS_SECRET_ACCESS_KEY" in str(error)
        assert seaweedfs.secret_key not in str(error)


def test_a_wrong_key_is_told_from_a_missing_right_when_a_bucket_is_made(
    seaweedfs: servers.Server, use_s3: UseS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = use_s3(seaweedfs)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(ConfigError, match="AWS_SECRET_ACCESS_KEY"):
        make_store(url)


def test_no_key_at_all_names_the_keys(seaweedfs: servers.Server, use_s3: UseS3, monkeypatch) -> None:
    url = use_s3(seaweedfs)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    error = told(url)
    assert isinstance(error, ConfigError)
    assert "AWS_ACCESS_KEY_ID" in str(error)


def test_an_unknown_profile_is_named(seaweedfs: servers.Server, use_s3: UseS3, monkeypatch) -> None:
    url = use_s3(seaweedfs)
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    error = told(url)
    assert isinstance(error, ConfigError)
    assert "nobody" in str(error)


def test_a_missing_bucket_names_the_command_that_makes_it(seaweedfs: servers.Server, use_s3: UseS3) -> None:
    use_s3(seaweedfs)
    url = servers.new_bucket_url()
    error = told(url)
    assert isinstance(error, ConfigError)
    assert "ganbalance store init" in str(error)
    assert make_store(url)
    assert not make_store(url)
    assert list(open_store(url).names("")) == []


@pytest.mark.parametrize(
    ("work", "rights"),
    [
        (lambda store, _: store.read("there"), "s3:GetObject"),
        (lambda store, _: list(store.unfinished()), "s3:ListBucketMultipartUploads and s3:AbortMultipartUpload"),
        (lambda store, write: store.discard(write), "s3:ListBucketMultipartUploads and s3:AbortMultipartUpload"),
        (lambda store, _: make_store(store.url), "s3:ListBucket and s3:CreateBucket"),
    ],
    ids=["read", "unfinished", "discard", "make"],
)
def test_a_missing_right_is_named(
    store: s3.S3Store, proxy: servers.FaultyProxy, work: Callable[[s3.S3Store, Unfinished], object], rights: str
) -> None:
    write = Unfinished("begun", 0, datetime.datetime.now(datetime.UTC), handle="0")
    proxy.faults.append(403)
    with pytest.raises(ConfigError, match=f"allow this key {rights}"):
        work(store, write)


def test_a_clock_that_is_twenty_minutes_off_is_named(
    store: s3.S3Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def late(*_: object, **__: object) -> datetime.datetime:
        return datetime.datetime.now(datetime.UTC).replace(tzinfo=None) + datetime.timedelta(minutes=20)

    monkeypatch.setattr("botocore.auth.get_current_datetime", late)
    with pytest.raises(UnavailableError, match="clock"):
        store.put("a", a_file(tmp_path))


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
    assert "AWS_ENDPOINT_URL" in str(told(url))


def test_a_password_in_an_address_is_refused_and_not_repeated(
    moto: servers.Server, use_s3: UseS3, monkeypatch: pytest.MonkeyPatch, few_attempts: None
) -> None:
    url = use_s3(moto)
    for address in ("s3://me:hush-hush@bucket/prefix", "http://me:hush-hush@server/bucket"):
        assert "hush-hush" not in str(told(address))
    for port in (servers.free_port(), "notaport"):
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://me:hush-hush@127.0.0.1:{port}")
        error = told(url)
        assert isinstance(error, ConfigError)
        assert "AWS_ENDPOINT_URL" in str(error)
        assert "hush-hush" not in str(error)


@pytest.mark.parametrize("attempts", ["none", "0", "-1"])
def test_a_number_of_attempts_that_is_none_is_named(moto, use_s3: UseS3, monkeypatch, attempts: str) -> None:
    url = use_s3(moto)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", attempts)
    assert "AWS_MAX_ATTEMPTS" in str(told(url))


# ── settings ─────────────────────────────────────────────────────────────────


def test_a_custom_endpoint_is_addressed_by_path_and_amazon_as_it_likes(
    moto: servers.Server, use_s3: UseS3, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use_s3(moto)
    client = s3._client()
    assert client.meta.config.s3["addressing_style"] == "path"
    assert client.meta.config.request_checksum_calculation == "when_required"
    monkeypatch.setenv("GANBALANCE_S3_ADDRESSING", "virtual")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://s3.example:9000")
    assert s3._client().meta.config.s3["addressing_style"] == "virtual"
    signed = s3._client().generate_presigned_url("get_object", Params={"Bucket": "bucket", "Key": "key"})
    assert signed.startswith("http://bucket.s3.example:9000/key")
    monkeypatch.setenv("GANBALANCE_S3_ADDRESSING", "sideways")
    with pytest.raises(ConfigError, match="path or virtual"):
        s3._client()
    monkeypatch.delenv("GANBALANCE_S3_ADDRESSING")
    (tmp_path / "config").write_text("[default]\ns3 =\n  addressing_style = virtual\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    assert s3._client().meta.config.s3["addressing_style"] == "virtual"
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    client = s3._client()
    assert client.meta.config.s3["addressing_style"] == "auto"
    assert client.meta.region_name == "eu-central-1"
    assert client.meta.config.request_checksum_calculation == "when_supported"
    assert client.meta.config.response_checksum_validation == "when_required"  # else each download begins with a HEAD


def test_settings_that_are_empty_count_as_not_there(
    moto: servers.Server, use_s3: UseS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compose passes what nobody set as empty."""
    use_s3(moto)
    for name in ("AWS_ENDPOINT_URL", "AWS_SESSION_TOKEN", "GANBALANCE_S3_ADDRESSING"):
        monkeypatch.setenv(name, "")
    signed = s3._client().generate_presigned_url("get_object", Params={"Bucket": "bucket", "Key": "key"})
    assert signed.startswith("https://bucket.s3.amazonaws.com/key?")
    assert "token" not in signed.lower()


def test_a_region_of_the_environment_wins_over_the_profiles(
    moto: servers.Server, use_s3: UseS3, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use_s3(moto)
    (tmp_path / "config").write_text("[default]\nregion = us-west-2\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    assert s3._client().meta.region_name == "eu-central-1"
    monkeypatch.delenv("AWS_REGION")
    assert s3._client().meta.region_name == "us-west-2"


# ── large files ──────────────────────────────────────────────────────────────

PEAK = """
import resource, sys
from pathlib import Path
from ganbalance.store import open_store
url, folder, n = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
store = open_store(url)
source = folder / "source"
with source.open("wb") as file:
    file.truncate(n)
store.put("large", source)
assert store.fetch("large", folder).stat().st_size == n
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


def test_memory_does_not_grow_with_the_file(seaweedfs: servers.Server, use_s3: UseS3, tmp_path: Path) -> None:
    url = use_s3(seaweedfs)
    peaks = []
    for n_bytes in (64 * s3.MIB, 320 * s3.MIB):
        command = [sys.executable, "-c", PEAK, url, str(tmp_path), str(n_bytes)]
        peaks.append(int(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    assert peaks[1] - peaks[0] < 64 * s3.MIB


def test_what_ends_a_transfer_of_several_files_ends_those_under_way(
    store: s3.S3Store, proxy: servers.FaultyProxy, tmp_path: Path
) -> None:
    """A signal must not wait until gigabytes are there."""
    with (large := tmp_path / "large").open("wb") as file:
        file.truncate(64 * s3.MIB)
    proxy.faults.append("slow")
    with pytest.raises(ConfigError, match="key of"):
        transfer.put_all(store, {"large": large, "x" * 1100: large}, "files")
    assert list(store.names("")) == ["store.json", "there"]
    assert list(store.unfinished()) == []


def test_an_upload_that_was_killed_is_found_and_can_be_discarded(store: s3.S3Store, tmp_path: Path) -> None:
    begun = store.client.create_multipart_upload(Bucket=store.bucket, Key=f"{store.prefix}/x/large")
    (found,) = store.unfinished()
    assert (found.name, found.handle) == ("x/large", begun["UploadId"])
    assert abs(datetime.datetime.now(datetime.UTC) - found.modified) < datetime.timedelta(minutes=1)
    store.discard(found)
    assert list(store.unfinished()) == []


@pytest.mark.parametrize("status", [405, 501])
def test_a_server_that_cannot_list_unfinished_uploads_counts_as_one_without(
    store: s3.S3Store, proxy: servers.FaultyProxy, status: int
) -> None:
    proxy.faults.append(status)
    assert list(store.unfinished()) == []
    assert not proxy.faults
