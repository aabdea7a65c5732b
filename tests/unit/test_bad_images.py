"""Links, files and folders that may not be read, and images that cannot be used: none is lost without a word."""

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ganbalance import config
from ganbalance.data import listing
from ganbalance.data.datasets import open_dataset
from ganbalance.errors import ConfigError, DataError
from tests.unit.wild_images import counted, own, tree

NOBODY = 65534


def test_linked_folders_and_files_are_read_and_fingerprinted(tmp_path: Path) -> None:
    tree(tmp_path / "a", "5*cat/.png", "5*dog/.png")
    tree(tmp_path / "b", "5*cat/.png")
    for name in ("cat", "dog"):
        (tmp_path / "links").mkdir(exist_ok=True)
        (tmp_path / "links" / name).symlink_to(tmp_path / "a" / name)
    plain, linked = own(tmp_path / "a"), own(tmp_path / "links")
    assert linked.fingerprint() == plain.fingerprint()
    assert (linked.load().images == plain.load().images).all()
    (tmp_path / "links" / "cat").unlink()
    (tmp_path / "links" / "cat").symlink_to(tmp_path / "b" / "cat")
    other = own(tmp_path / "links")
    assert (other.fingerprint() == plain.fingerprint()) == bool((other.load().images == plain.load().images).all())
    (tmp_path / "b" / "cat" / "0.png").write_bytes((tmp_path / "a" / "dog" / "0.png").read_bytes())
    assert own(tmp_path / "links").fingerprint() != plain.fingerprint()


def test_a_loop_of_links_ends_and_is_told(tmp_path: Path) -> None:
    tree(tmp_path, "5*cat/.png", "5*dog/.png")
    (tmp_path / "cat" / "again").symlink_to(tmp_path)
    (tmp_path / "dog" / "self").symlink_to(tmp_path / "dog")
    assert counted(tmp_path) == {"cat": (4, 1), "dog": (4, 1)}
    assert "2 (cat/again, dog/self), a link to a folder that it is in" in "\n".join(own(tmp_path).card().warnings())


@pytest.mark.parametrize("kind", ["a socket", "a pipe", "a folder called like an image"])
def test_what_is_no_file_is_not_opened(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tree(tmp_path, "5*cat/.png", "5*dog/.png")
    monkeypatch.chdir(tmp_path / "cat")  # a socket's path may not be long
    if kind == "a folder called like an image":
        tree(tmp_path, "cat/x.png/inside.png")
    elif kind == "a pipe":
        os.mkfifo("x.png")
    else:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind("x.png")
    assert counted(tmp_path)["cat"] == ((5, 1) if kind.startswith("a folder") else (4, 1))
    assert ("neither a file nor a folder" in "\n".join(own(tmp_path).card().warnings())) != kind.startswith("a folder")


def test_every_bad_file_is_named_and_can_be_skipped(tmp_path: Path) -> None:
    tree(tmp_path, "5*cat/.png", "5*dog/.png")
    (tmp_path / "cat" / "0.png").write_bytes(b"no image")
    whole = (tmp_path / "cat" / "1.png").read_bytes()
    (tmp_path / "cat" / "1.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "dog" / "0.png").write_bytes(b"")
    (tmp_path / "dog" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    with pytest.raises(DataError) as caught:
        own(tmp_path).fingerprint()
    first, *named = str(caught.value).splitlines()
    assert first.startswith(
        "4 of 11 images cannot be used; fix or remove them, or go on without them by dataset.skip_bad"
    )
    assert [Path(line.split()[0]).name for line in named] == ["0.png", "1.png", "0.png", "gone.png"]
    skipping = own(tmp_path, skip_bad=True)
    assert skipping.counts() == ([2, 3], [1, 1])
    assert len(skipping.load().labels) == 7
    assert set(skipping.card().bad) == {line.split()[0] for line in named}
    assert own(tmp_path).card().bad == skipping.card().bad


def test_files_and_folders_that_may_not_be_read_are_named(tmp_path: Path, unprivileged: None) -> None:
    tree(tmp_path, "5*cat/.png", "5*dog/.png", "2*dog/more/.png")
    (tmp_path / "cat" / "0.png").chmod(0)
    (tmp_path / "dog" / "more").chmod(0)
    with pytest.raises(
        DataError, match=r"2 of 11 images cannot .*\n.*cat/0.png Permission denied\n.*dog/more is a folder"
    ):
        own(tmp_path).fingerprint()


def test_a_folder_that_may_not_be_read_is_not_one_without_classes(tmp_path: Path, unprivileged: None) -> None:
    tree(tmp_path, "5*cat/.png").chmod(0)
    with pytest.raises(DataError, match="is a folder that may not be read: Permission denied; change its permissions"):
        own(tmp_path).classes()
    tmp_path.chmod(0o755)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("", "dataset.path is empty"),
        ("~nobody-of-that-name/x", "dataset.path = '~nobody-of-that-name/x': Could not determine"),
        ("a\0b", "there is no such file or folder"),
        ("package:os/x", "the Python package os is"),
        ("package:no_such.package/x", "the Python package no_such.package is not installed here"),
        ("package:", "the Python package  is not"),
    ],
)
def test_a_path_that_leads_nowhere_is_told(path: str, said: str) -> None:
    with pytest.raises((ConfigError, DataError), match=said):
        open_dataset(config.OwnImages(name="folder", path=path)).classes()


@pytest.mark.parametrize("duplicates", ["keep", "drop"])
def test_where_all_images_are_bad_it_is_told_why(tmp_path: Path, duplicates: str) -> None:
    for path in tree(tmp_path, "3*cat/.png", "3*dog/.png").rglob("*.png"):
        path.write_bytes(b"")
    said = (
        r"'cat' has 0 images, none to train on .*; 3 images of it cannot be used \(first: .*cat/0.png is not a readable"
    )
    for source in (own(tmp_path, skip_bad=True, duplicates=duplicates).counts, own(tmp_path).card):
        with pytest.raises(DataError, match=said):
            source()


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    tree(tmp_path, "5*cat/.png", "5*dog/.png")
    with (tmp_path / "cat" / "slide.tif").open("wb") as file:
        file.truncate(2**43)
    with pytest.raises(DataError, match=r"1 of 11 images .*\n.*cat/slide.tif is larger than 2 GB: make it smaller"):
        own(tmp_path).counts()


def test_a_bad_file_of_two_places_is_no_duplicate(tmp_path: Path) -> None:
    (tree(tmp_path, "5*cat/.png", "5*dog/.png") / "cat" / "bad.png").write_bytes(b"")
    card = own((tmp_path, tmp_path)).card()
    assert (card.dropped, list(card.bad)) == (0, [str(tmp_path / "cat" / "bad.png")])


def test_dicom_is_told_to_take_more_than_is_installed(tmp_path: Path) -> None:
    (tmp_path / "a.dcm").write_bytes(b"")
    left_out = listing.walk(tmp_path, {".png"}).left_out
    assert left_out == {"no image by its name: .dcm, which takes ganbalance[dicom]": ["a.dcm"]}


def test_folders_may_be_nested_deeper_than_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree(tmp_path, "5*cat/.png", "5*dog/.png")
    monkeypatch.chdir(tmp_path / "cat")
    depth = sys.getrecursionlimit() + 100
    for _ in range(depth):
        Path("d").mkdir()
        os.chdir("d")
    try:
        assert counted(tmp_path) == {"cat": (4, 1), "dog": (4, 1)}
    finally:
        for _ in range(depth):
            os.chdir("..")
            Path("d").rmdir()


@pytest.fixture
def unprivileged(tmp_path: Path) -> Iterator[None]:
    """Somebody whom file permissions bind."""
    if os.geteuid():
        yield
        return
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(0o755)
    os.chown(tmp_path, NOBODY, NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        for path in tmp_path.rglob("*"):
            path.chmod(0o755)
