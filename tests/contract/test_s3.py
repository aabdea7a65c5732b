"""What an S3 server and the network can do to a store that it bears, and what becomes of large files."""

import datetime
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ganbalance.errors import ConfigError, DataError, UnavailableError
from ganbalance.store import transfer
from ganbalance.store.artifacts import Artifacts, Commit
from ganbalance.store.schemes import s3
from ganbalance.store.schemes.s3 import MIB
from tests import servers

UseS3 = Callable[[servers.Server], str]


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


def test_an_answer_that_keeps_breaking_off_is_asked_for_as_often_as_is_set(
    store: s3.S3Store, proxy: servers.FaultyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "3")
    opened = s3.S3Store(store.url)
    proxy.faults.extend(["cut"] * 3)
    with pytest.raises(UnavailableError):
        opened.read("there")
    assert not proxy.faults


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
    for n_bytes in (64 * MIB, 320 * MIB):
        command = [sys.executable, "-c", PEAK, url, str(tmp_path), str(n_bytes)]
        peaks.append(int(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    assert peaks[1] - peaks[0] < 64 * MIB


def test_what_ends_a_transfer_of_several_files_ends_those_under_way(
    store: s3.S3Store, proxy: servers.FaultyProxy, tmp_path: Path
) -> None:
    """A signal must not wait until gigabytes are there."""
    with (large := tmp_path / "large").open("wb") as file:
        file.truncate(64 * MIB)
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
