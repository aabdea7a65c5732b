"""Every store keeps the same promises."""

import errno
import os
import subprocess
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from pathlib import Path

import pytest

from ganbalance.errors import ConfigError, DataError, UnavailableError
from ganbalance.store import MissingError, Store, open_store
from ganbalance.store.artifacts import Artifacts, Commit, new_attempt

STORES: dict[str, Callable[[Path], str]] = {"local": lambda tmp_path: str(tmp_path / "store")}


@pytest.fixture(params=STORES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return STORES[request.param](tmp_path)


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
    assert store.create("a", b"first")
    assert not store.create("a", b"second")
    assert store.read("a") == b"first"


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
    with pytest.raises(DataError, match="is gone"):
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
    assert not artifacts.is_current(child, {"parent": new})
    again = commit(artifacts, a_folder(tmp_path, file=b"2"), inputs={"parent": new})
    assert artifacts.is_current(again, {"parent": new})
    assert artifacts.find("stage", "k") == again


def _race(url: str, folder: str, scratch: str, number: int) -> str:
    (Path(folder) / "file").write_text(str(number))
    return commit(Artifacts(open_store(url), Path(scratch)), Path(folder)).attempt


def test_racing_processes_end_with_one_and_the_same_artifact(url: str, tmp_path: Path) -> None:
    jobs = [(url, str(a_folder(tmp_path)), str(tmp_path), number) for number in range(8)]
    with get_context("forkserver").Pool(4) as pool:
        adopted = set(pool.starmap(_race, jobs))
    assert len(adopted) == 1
    found = Artifacts(open_store(url), tmp_path).find("stage", "k")
    assert found is not None
    assert adopted == {found.attempt}


def test_only_the_last_two_checkpoints_of_an_attempt_are_kept(artifacts: Artifacts, tmp_path: Path) -> None:
    for step in (1, 5, 20, 100):
        artifacts.save_checkpoint("stage", "k", "attempt", step, a_file(tmp_path, str(step).encode()))
    assert [path.read_bytes() for path in artifacts.checkpoints("stage", "k")] == [b"100", b"20"]


def test_the_furthest_checkpoint_of_any_attempt_comes_first(artifacts: Artifacts, tmp_path: Path) -> None:
    for attempt, step in (("z", 3), ("a", 7), ("m", 5)):
        artifacts.save_checkpoint("stage", "k", attempt, step, a_file(tmp_path, str(step).encode()))
    assert [path.read_bytes() for path in artifacts.checkpoints("stage", "k")] == [b"7", b"5", b"3"]


def test_checkpoints_are_gone_after_the_commit(artifacts: Artifacts, tmp_path: Path) -> None:
    artifacts.save_checkpoint("stage", "k", "attempt", 1, a_file(tmp_path))
    commit(artifacts, a_folder(tmp_path, file=b""))
    assert artifacts.checkpoints("stage", "k") == []


# ── what only a folder can meet ──────────────────────────────────────────────


@pytest.mark.parametrize("url", ["ftp://somewhere", ""])
def test_a_url_of_an_unknown_kind_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="local folder"):
        open_store(url)


def test_looking_into_a_store_leaves_no_trace(tmp_path: Path) -> None:
    assert list(open_store(str(tmp_path / "store")).names("runs")) == []
    assert not (tmp_path / "store").exists()


def test_a_store_below_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="choose another store"):
        open_store(str(a_file(tmp_path) / "store"))


def test_a_full_disk_asks_to_try_again_and_leaves_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(str(tmp_path / "store"))

    def full(file_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UnavailableError, match="No space left"):
        store.put("a", a_file(tmp_path))
    monkeypatch.undo()
    assert list(store.names("")) == []


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Real small or read-only file systems; needs root."""
    mounts: list[Path] = []

    def mount(options: str) -> Path:
        folder = tmp_path / "mount"
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("mounting a file system needs root")
        mounts.append(folder)
        return folder

    yield mount
    for folder in mounts:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_really_full_file_system_asks_to_try_again(mounted: Callable[[str], Path], tmp_path: Path) -> None:
    store = open_store(str(mounted("size=64k")))
    with pytest.raises(UnavailableError, match="No space left"):
        store.put("large", a_file(tmp_path, b"x" * 200_000))


def test_a_read_only_file_system_names_the_setting(mounted: Callable[[str], Path]) -> None:
    with pytest.raises(ConfigError, match=r"Read-only file system; choose another store"):
        open_store(str(mounted("ro"))).create("a", b"")
