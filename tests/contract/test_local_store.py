"""What only a folder can meet."""

import errno
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ganbalance.errors import ConfigError, UnavailableError
from ganbalance.store import make_store, open_store


def a_file(tmp_path: Path, content: bytes = b"content") -> Path:
    path = tmp_path / "source"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("url", ["ftp://somewhere", "s3:/bucket/prefix", ""])
def test_a_url_of_an_unknown_kind_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="local folder"):
        open_store(url)


def test_a_home_folder_of_nobody_is_refused() -> None:
    with pytest.raises(ConfigError, match="whole path"):
        open_store("~nobody-of-that-name/store")


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
    folder = mounted("ro")
    for write in (lambda: open_store(str(folder)).create("a", b""), lambda: make_store(str(folder / "store"))):
        with pytest.raises(ConfigError, match=r"Read-only file system; choose another store"):
            write()
