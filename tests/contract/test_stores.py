"""Every store keeps the same promises."""

import itertools
import os
import random
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from ganbalance.errors import ConfigError, DataError
from ganbalance.store import MissingError, Store, open_store, transfer
from ganbalance.store.artifacts import Artifacts, Commit, new_attempt
from tests import servers

GIVEN = "GANBALANCE_TEST_S3_ENDPOINT"  # one more server to hold to the contract, with ..._ACCESS_KEY and ..._SECRET_KEY
STORES = ["local", "moto", "moto-unconditional", "seaweedfs", *(["given"] if GIVEN in os.environ else [])]


@pytest.fixture(params=STORES)
def url(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    use_s3: Callable[[servers.Server], str],
    unconditional: servers.Server,
) -> str:
    """An empty store of every kind in turn."""
    if request.param == "local":
        return str(tmp_path / "store")
    if request.param == "moto-unconditional":
        return use_s3(unconditional)
    if request.param == "given":
        keys = (os.environ[GIVEN.replace("ENDPOINT", name)] for name in ("ACCESS_KEY", "SECRET_KEY"))
        return use_s3(servers.Server(os.environ[GIVEN], *keys))
    return use_s3(request.getfixturevalue(request.param))


@pytest.fixture(scope="session")
def unconditional(moto: servers.Server) -> Iterator[servers.Server]:
    """A server that knows nothing of conditional writes."""
    with servers.FaultyProxy(moto, strip=["If-None-Match"]).running() as server:
        yield server


@pytest.fixture
def store(url: str) -> Store:
    return open_store(url)


@pytest.fixture
def artifacts(store: Store, tmp_path: Path) -> Artifacts:
    return Artifacts(store, tmp_path)


def a_file(tmp_path: Path, content: bytes = b"content") -> Path:
    path = tmp_path / "source"
    path.write_bytes(content)
    return path


def a_folder(tmp_path: Path, **files: bytes) -> Path:
    folder = tmp_path / f"folder-{new_attempt()}"
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def commit(
    artifacts: Artifacts, folder: Path, key: str = "k", inputs: dict[str, Commit] | None = None, took: float = 1.0
) -> Commit:
    return artifacts.commit(
        "stage",
        key,
        attempt=new_attempt(),
        folder=folder,
        inputs=inputs or {},
        outcome="done",
        metrics={},
        provenance={"seconds": took},
    )


def test_what_is_put_is_read_back(store: Store, tmp_path: Path) -> None:
    store.put("a/b c/ü.bin", a_file(tmp_path, b"\0\1"))
    assert store.read("a/b c/ü.bin") == b"\0\1"
    assert store.fetch("a/b c/ü.bin", tmp_path).read_bytes() == b"\0\1"


def test_putting_again_replaces(store: Store, tmp_path: Path) -> None:
    store.put("a", a_file(tmp_path, b"old"))
    store.put("a", a_file(tmp_path, b"new"))
    assert store.read("a") == b"new"


def test_a_name_is_created_once(store: Store) -> None:
    assert store.create("abc", b"another name")
    assert store.create("a", b"first")
    assert not store.create("a", b"second")
    assert store.read("a") == b"first"
    assert store.create("ab", b"another name")


def test_a_missing_name_is_a_typed_error_that_names_it(store: Store, tmp_path: Path) -> None:
    for read in (lambda: store.read("no/such"), lambda: store.fetch("no/such", tmp_path)):
        with pytest.raises(MissingError, match="no/such"):
            read()


def test_names_are_listed_under_their_folder_in_order(store: Store, tmp_path: Path) -> None:
    for name in ("x/2", "x/1/y", "xx/3"):
        store.put(name, a_file(tmp_path))
    assert list(store.names("x")) == sorted(["x/1/y", "x/2"])
    assert list(store.names("nothing")) == []


def test_deleting_forgets_and_deleting_again_is_no_error(store: Store) -> None:
    store.create("a", b"")
    store.delete("a")
    store.delete("a")
    with pytest.raises(MissingError):
        store.read("a")


def test_a_store_of_another_format_is_refused_by_name(url: str, tmp_path: Path) -> None:
    open_store(url).put("store.json", a_file(tmp_path, b'{"ganbalance_store": 99}'))
    with pytest.raises(ConfigError, match="format 99"):
        open_store(url)


def test_an_artifact_does_not_exist_before_its_commit(artifacts: Artifacts, tmp_path: Path) -> None:
    artifacts.store.put("stages/stage/k/attempts/a/file", a_file(tmp_path))
    assert artifacts.find("stage", "k") is None


def test_a_committed_artifact_is_read_back_with_its_files(artifacts: Artifacts, tmp_path: Path) -> None:
    commit(artifacts, a_folder(tmp_path, one=b"1", two=b"22"))
    found = artifacts.find("stage", "k")
    assert found is not None
    artifact = artifacts.open(found)
    assert artifact.names == ["one", "two"]
    assert artifact.path("two").read_bytes() == b"22"
    with pytest.raises(DataError, match="no file three"):
        artifact.path("three")


def test_the_digest_names_the_bytes_and_not_the_time_they_took(artifacts: Artifacts, tmp_path: Path) -> None:
    one = commit(artifacts, a_folder(tmp_path, file=b"same"), "k1", took=1)
    two = commit(artifacts, a_folder(tmp_path, file=b"same"), "k2", took=2)
    other = commit(artifacts, a_folder(tmp_path, file=b"other"), "k3")
    assert one.digest == two.digest != other.digest


@pytest.mark.parametrize("damage", [b"", b"conten", b"Content"], ids=["emptied", "truncated", "flipped"])
def test_a_corrupt_file_is_a_typed_error_that_says_what_to_delete(
    artifacts: Artifacts, tmp_path: Path, damage: bytes
) -> None:
    made = commit(artifacts, a_folder(tmp_path, file=b"content"))
    artifacts.store.put(f"stages/stage/k/attempts/{made.attempt}/file", a_file(tmp_path, damage))
    with pytest.raises(DataError, match=r"corrupt.*delete stages/stage/k/COMMIT.json"):
        artifacts.open(made).path("file")


def test_a_vanished_file_is_a_typed_error(artifacts: Artifacts, tmp_path: Path) -> None:
    made = commit(artifacts, a_folder(tmp_path, file=b"content"))
    artifacts.store.delete(f"stages/stage/k/attempts/{made.attempt}/file")
    with pytest.raises(DataError, match="is missing"):
        artifacts.open(made).path("file")


def test_an_unreadable_commit_is_a_typed_error(artifacts: Artifacts) -> None:
    artifacts.store.create("stages/stage/k/COMMIT.json", b'{"stage": ')
    with pytest.raises(DataError, match=r"COMMIT.json"):
        artifacts.find("stage", "k")


def test_the_loser_of_a_race_adopts_the_winner(artifacts: Artifacts, tmp_path: Path) -> None:
    first = commit(artifacts, a_folder(tmp_path, file=b"first"))
    second = commit(artifacts, a_folder(tmp_path, file=b"second"))
    assert second == first == artifacts.find("stage", "k")


def test_a_commit_from_other_inputs_is_replaced(artifacts: Artifacts, tmp_path: Path) -> None:
    old, new = (commit(artifacts, a_folder(tmp_path, file=text), text.decode()) for text in (b"old", b"new"))
    child = commit(artifacts, a_folder(tmp_path, file=b"1"), inputs={"parent": old})
    assert child.inputs == {"parent": old.ref()}
    again = commit(artifacts, a_folder(tmp_path, file=b"2"), inputs={"parent": new})
    assert again.inputs == {"parent": new.ref()}
    assert artifacts.find("stage", "k") == again


def _race(url: str, folder: Path, environment: dict[str, str], number: int, start: Any) -> str:
    os.environ.update(environment)
    (folder / "file").write_text(str(number))
    artifacts = Artifacts(open_store(url), folder)
    start.wait()
    return commit(artifacts, folder).attempt


def test_racing_processes_end_with_one_and_the_same_valid_artifact(url: str, tmp_path: Path) -> None:
    """The prize goes to one of eight; where the store cannot refuse the others, readers still agree afterwards."""
    aws = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    processes = get_context("forkserver")
    with processes.Manager() as manager, processes.Pool(8) as pool:
        start = manager.Barrier(8)
        adopted = set(pool.starmap(_race, [(url, a_folder(tmp_path), aws, number, start) for number in range(8)]))
    read = [Artifacts(open_store(url), tmp_path / str(reader)) for reader in range(3)]
    found = [artifacts.find("stage", "k") for artifacts in read]
    assert found[0] is not None
    assert found[0] == found[1] == found[2]
    assert found[0].attempt in adopted
    assert len({artifacts.open(found[0]).path("file").read_bytes() for artifacts in read}) == 1
    if getattr(open_store(url), "conditional_writes", True):
        assert adopted == {found[0].attempt}


def test_a_reader_during_writes_sees_one_of_the_whole_files(store: Store, tmp_path: Path) -> None:
    contents = [letter * 3_000_000 for letter in (b"a", b"b")]
    sources = [tmp_path / "a", tmp_path / "b"]
    for source, content in zip(sources, contents, strict=True):
        source.write_bytes(content)
    store.put("name", sources[0])
    stop = threading.Event()

    def write() -> None:
        for source in itertools.cycle(sources):
            store.put("name", source)
            if stop.is_set():
                return

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        seen = [store.fetch("name", tmp_path / str(turn)).read_bytes() for turn in range(8)]
        seen += [store.read("name") for _ in range(8)]
        stop.set()
        writing.result()
    assert all(content in contents for content in seen)


def _die_before_the_commit(url: str, folder: Path, environment: dict[str, str]) -> None:
    os.environ.update(environment)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "create", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
        commit(Artifacts(open_store(url), folder), folder)


def test_a_crash_between_the_files_and_the_commit_leaves_no_artifact_and_the_next_attempt_makes_one(
    url: str, tmp_path: Path
) -> None:
    aws = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    dying = get_context("forkserver").Process(
        target=_die_before_the_commit, args=(url, a_folder(tmp_path, file=b"lost"), aws)
    )
    dying.start()
    dying.join()
    assert dying.exitcode == -signal.SIGKILL
    artifacts = Artifacts(open_store(url), tmp_path)
    assert [name for name in artifacts.store.names("stages") if name.endswith("/file")]
    assert artifacts.find("stage", "k") is None
    made = commit(artifacts, a_folder(tmp_path, file=b"kept"))
    assert artifacts.open(made).path("file").read_bytes() == b"kept"


def test_all_files_of_an_artifact_are_fetched_together(artifacts: Artifacts, tmp_path: Path) -> None:
    made = commit(artifacts, a_folder(tmp_path, **{f"file-{number}": bytes([number]) for number in range(20)}))
    paths = Artifacts(artifacts.store, tmp_path / "other").open(made).paths()
    assert {name: path.read_bytes() for name, path in paths.items()} == {
        f"file-{number}": bytes([number]) for number in range(20)
    }


def test_a_file_of_several_parts_keeps_its_bytes_and_its_progress_adds_up(store: Store, tmp_path: Path) -> None:
    content = random.Random(0).randbytes(40 * 1024**2 + 1)  # noqa: S311 - any bytes do
    moved: list[int] = []
    store.put("large", a_file(tmp_path, content), moved.append)
    assert sum(moved) == len(content)
    moved.clear()
    assert store.fetch("large", tmp_path, moved.append).read_bytes() == content
    assert sum(moved) == len(content)


@pytest.mark.parametrize(
    "name", ["ä/日本語/😀", "a b+c%d&e=f?g#h/~!*'()", f"{'long-' * 40}/{'name-' * 40}/{'x' * 200}", "a/.hidden", "a/-"]
)
def test_any_name_is_kept_as_it_is(store: Store, tmp_path: Path, name: str) -> None:
    store.put(name, a_file(tmp_path, b"put"))
    assert store.read(name) == b"put"
    assert store.fetch(name, tmp_path).read_bytes() == b"put"
    assert name in store.names("")
    assert list(store.names(name.rpartition("/")[0])) == [name]
    store.delete(name)
    assert store.create(name, b"created")
    assert store.read(name) == b"created"


def test_a_name_that_is_too_long_is_refused_with_what_to_change(store: Store, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"store .*; "):
        store.put("/".join(["x" * 300] * 5), a_file(tmp_path))


def test_every_file_has_a_size_and_the_time_it_was_written(store: Store, tmp_path: Path) -> None:
    store.put("folder/file", a_file(tmp_path, b"12345"))
    (entry,) = store.entries("folder")
    assert (entry.name, entry.size) == ("folder/file", 5)
    assert abs(datetime.now(UTC) - entry.modified) < timedelta(minutes=1)


@pytest.mark.parametrize("url", [name for name in STORES if "moto" not in name], indirect=True)  # moto writes slowly
def test_more_artifacts_than_fit_on_a_page_are_listed_whole_and_in_order(store: Store) -> None:
    names = [f"stages/stage/{number:05d}/COMMIT.json" for number in range(2_500)]  # S3 lists a thousand at a time
    transfer.side_by_side(lambda name: store.create(name, b"{}"), names)
    assert list(store.names("stages")) == names


def test_nothing_is_unfinished_when_all_is_done(store: Store, tmp_path: Path) -> None:
    store.put("a", a_file(tmp_path))
    store.create("b", b"")
    assert list(store.unfinished()) == []


def test_only_the_last_two_checkpoints_of_an_attempt_are_kept(artifacts: Artifacts, tmp_path: Path) -> None:
    for step in (1, 5, 20, 100):
        artifacts.save_checkpoint("stage", "k", "attempt", step, a_file(tmp_path, str(step).encode()))
    assert [path.read_bytes() for path in artifacts.checkpoints("stage", "k")] == [b"100", b"20"]


def test_the_furthest_checkpoint_of_any_attempt_comes_first(artifacts: Artifacts, tmp_path: Path) -> None:
    for attempt, step in (("z", 3), ("a", 7), ("m", 5)):
        artifacts.save_checkpoint("stage", "k", attempt, step, a_file(tmp_path, str(step).encode()))
    assert [path.read_bytes() for path in artifacts.checkpoints("stage", "k")] == [b"7", b"5", b"3"]


@pytest.mark.parametrize("url", ["local"], indirect=True)
def test_a_checkpoint_that_goes_while_it_is_looked_at_is_passed_over(
    artifacts: Artifacts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another attempt commits, and tidies up, between the list and the fetch."""
    for step in (1, 2):
        artifacts.save_checkpoint("stage", "k", "attempt", step, a_file(tmp_path, str(step).encode()))
    listed = list(artifacts.store.names("stages"))
    artifacts.store.delete(next(name for name in listed if name.endswith("2")))
    monkeypatch.setattr(artifacts.store, "names", lambda _: listed)
    assert [path.read_bytes() for path in artifacts.checkpoints("stage", "k")] == [b"1"]


def test_checkpoints_are_gone_after_the_commit(artifacts: Artifacts, tmp_path: Path) -> None:
    artifacts.save_checkpoint("stage", "k", "attempt", 1, a_file(tmp_path))
    commit(artifacts, a_folder(tmp_path, file=b""))
    assert artifacts.checkpoints("stage", "k") == []
