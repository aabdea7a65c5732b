"""What `ganbalance doctor` says of stores that are folders."""

import errno
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ganbalance.maintenance import doctor
from ganbalance.store import open_store
from tests import doctoring, servers
from tests.doctoring import diagnose, failed

UseS3 = Callable[[servers.Server], str]


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    doctoring.forget_surroundings(monkeypatch)


@pytest.fixture(autouse=True)
def room_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """How full this machine's disk is is not under test."""
    monkeypatch.setattr(doctor, "LOW_BYTES", 1)


def contents(path: Path) -> list[str]:
    return sorted(found.relative_to(path).as_posix() for found in path.rglob("*"))


def test_a_good_folder_passes_and_is_left_as_it_was(tmp_path: Path) -> None:
    open_store(str(tmp_path)).create("a", b"1")
    before = contents(tmp_path)
    said = diagnose(str(tmp_path))
    assert said["exit_code"] == 0
    assert set(said["states"].values()) == {"ok"}
    assert contents(tmp_path) == before


def test_a_folder_that_is_not_there_is_tried_in_its_parent_and_not_made(tmp_path: Path) -> None:
    said = diagnose(str(tmp_path / "not" / "yet"))
    assert said["exit_code"] == 0
    assert f"the first write makes it in {tmp_path}" in json.dumps(said)
    assert contents(tmp_path) == []


@pytest.mark.parametrize("below", ["", "store"])
def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_text("in the way")
    said = diagnose(str(tmp_path / "file" / below))
    assert (failed(said)["check"], said["exit_code"]) == ("folder", 78)
    assert said["states"]["write"] == "skipped"
    assert contents(tmp_path) == ["file"]


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    """A folder that not even root can write to, or that this user cannot."""
    path = tmp_path / "read-only"
    path.mkdir()
    if os.geteuid() != 0:
        path.chmod(0o555)
        yield path
        path.chmod(0o755)
        return
    command = ["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(path)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a file system is not allowed here")
    yield path
    subprocess.run(["umount", str(path)], check=True)


@pytest.mark.parametrize("below", ["", "not-yet"])
def test_a_folder_that_is_read_only_fails_at_writing(read_only: Path, below: str) -> None:
    said = diagnose(str(read_only / below))
    assert (failed(said)["check"], said["exit_code"]) == ("write", 78)
    assert "choose another store" in failed(said)["fix"]


def test_a_file_system_without_hard_links_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(*_: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuses)
    said = diagnose(str(tmp_path / "store"))
    assert (failed(said)["check"], said["exit_code"]) == ("write", 78)
    assert "hard links" in failed(said)["text"]
    assert contents(tmp_path) == []


def test_little_free_space_is_a_warning_and_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "LOW_BYTES", 1e18)
    said = diagnose(str(tmp_path))
    assert (said["states"]["free space"], said["exit_code"]) == ("warn", 0)
    assert "free space" in said["verdict"]


def test_a_folder_of_another_format_is_refused(tmp_path: Path) -> None:
    (tmp_path / "store.json").write_text('{"ganbalance_store": 99}')
    said = diagnose(str(tmp_path))
    assert (failed(said)["check"], said["exit_code"]) == ("format", 78)
    assert contents(tmp_path) == ["store.json"]
