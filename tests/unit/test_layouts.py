"""Which images of a folder are read, of which class and part, and what is said of everything else: one row per case."""

import os
import re
import shutil
import socket
import sys
import time
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ganbalance import config
from ganbalance.data import examined, listing
from ganbalance.data.datasets import open_dataset
from ganbalance.errors import ConfigError, DataError
from tests.unit.wild_images import painted

NOBODY = 65534
Counted = dict[str, tuple[int, int]]  # class -> images to train on, images to test on


def own(path: Path | tuple[Path, ...], **settings: Any) -> Any:
    places = tuple(map(str, path)) if isinstance(path, tuple) else str(path)
    return open_dataset(config.OwnImages(name="folder", path=places, side_px=8, **settings))


def tree(root: Path, *names: str) -> Path:
    """Files below a folder: pictures, each of its own, where a name ends in .png; "12*cat/.png" are twelve of them."""
    for name in names:
        count, _, pattern = name.partition("*") if "*" in name else ("1", "", name)
        for number in range(int(count)):
            path = root / (pattern.replace(".png", f"{number}.png") if "*" in name else pattern)
            path.parent.mkdir(parents=True, exist_ok=True)
            painted(path, seed=hash_of(path.relative_to(root)))
    return root


def hash_of(name: Path) -> int:
    return sum(ord(letter) * 31**place for place, letter in enumerate(str(name))) % 2**32


def counted(path: Path | tuple[Path, ...], **settings: Any) -> Counted:
    card = own(path, **settings).card()
    return {one.name: (one.train, one.test) for one in card.classes}


LAYOUTS: dict[str, tuple[list[str], Counted, str]] = {
    # what is there, what is read, what is said
    "a folder per class": (["10*cat/.png", "5*dog/.png"], {"cat": (8, 2), "dog": (4, 1)}, ""),
    "folders in a class": (["5*cat/a/.png", "5*cat/b/c/.png", "5*dog/.png"], {"cat": (8, 2), "dog": (4, 1)}, ""),
    "train and test": (
        ["3*train/cat/.png", "2*train/dog/.png", "1*test/cat/.png", "2*test/dog/.png"],
        {"cat": (3, 1), "dog": (2, 2)}, "",
    ),
    "capitals": (
        ["3*Train/cat/.png", "2*Train/dog/.png", "1*TEST/cat/.png", "2*TEST/dog/.png"],
        {"cat": (3, 1), "dog": (2, 2)}, "",
    ),
    "other spellings": (
        ["3*training_set/cat/.png", "2*training_set/dog/.png", "1*Test Images/cat/.png", "2*Test Images/dog/.png"],
        {"cat": (3, 1), "dog": (2, 2)}, "",
    ),
    "a validation part": (
        ["3*train/cat/.png", "2*train/dog/.png", "1*valid/cat/.png", "1*test/cat/.png", "2*test/dog/.png"],
        {"cat": (4, 1), "dog": (2, 2)}, r"validation part \(1 image\) joins the training part",
    ),
    "a validation part alone": (
        ["3*train/cat/.png", "2*train/dog/.png", "1*val/cat/.png", "2*val/dog/.png"],
        {"cat": (3, 1), "dog": (2, 2)}, r"validation part \(3 images\) is tested on",
    ),
    "parts in the class folders": (
        ["3*cat/train/.png", "1*cat/test/.png", "2*dog/train/.png", "2*dog/test/.png"],
        {"cat": (3, 1), "dog": (2, 2)}, "",
    ),
    "parts in the class folders, and an image beside them": (
        ["3*cat/train/.png", "1*cat/test/.png", "2*dog/train/.png", "2*dog/test/.png", "cat/cover.png",
         "dog/masks/0.png"],
        {"cat": (3, 1), "dog": (2, 2)}, r"2 \(cat/cover.png, dog/masks/0.png\), beside the folders",
    ),
    "test parts in the class folders, beside the images": (
        ["3*cat/.png", "1*cat/test/.png", "2*dog/.png", "2*dog/test/.png"], {"cat": (3, 1), "dog": (2, 2)}, "",
    ),
    "parts in one of the class folders": (
        ["4*cat/train/.png", "1*cat/test/.png", "5*dog/.png"], {"cat": (4, 1), "dog": (4, 1)},
        r"in 1 of 2 classes \(first: cat\), so they are taken for no parts",
    ),
    "a test part beside the classes": (
        ["3*cat/.png", "2*dog/.png", "1*test/cat/.png", "2*test/dog/.png"], {"cat": (3, 1), "dog": (2, 2)}, "",
    ),
    "one level too many": (
        ["10*archive/cat/.png", "5*archive/dog/.png"], {"cat": (8, 2), "dog": (4, 1)}, "archive, the only folder",
    ),
    "two levels too many": (
        ["3*a/b/train/cat/.png", "2*a/b/train/dog/.png", "1*a/b/test/cat/.png", "2*a/b/test/dog/.png"],
        {"cat": (3, 1), "dog": (2, 2)}, "a/b, the only folder",
    ),
    "classes called train and test": (
        ["5*train/.png", "5*car/.png", "5*test/.png"], {"car": (4, 1), "test": (4, 1), "train": (4, 1)}, "",
    ),
    "images beside the class folders": (
        ["5*cat/.png", "5*dog/.png", "logo.png"], {"cat": (4, 1), "dog": (4, 1)}, r"1 \(logo.png\), in no class folder",
    ),
    "a folder beside the parts": (
        ["3*train/cat/.png", "2*train/dog/.png", "1*test/cat/.png", "2*test/dog/.png", "2*masks/.png"],
        {"cat": (3, 1), "dog": (2, 2)}, r"2 \(masks/0.png, masks/1.png\), beside the folders",
    ),
    "what systems leave behind": (
        ["5*cat/.png", "5*dog/.png", "2*cat/@eaDir/.png", "1*__MACOSX/cat/.png", "1*.git/.png", "cat/._0.png",
         "Thumbs.db"],
        {"cat": (4, 1), "dog": (4, 1)}, r"5 \(.*hidden, or left behind",
    ),
    "what network drives leave behind": (
        ["5*cat/.png", "5*dog/.png", "2*@Recycle/.png", "2*#snapshot/cat/.png", "1*System Volume Information/.png"],
        {"cat": (4, 1), "dog": (4, 1)}, r"3 \(#snapshot, @Recycle, System Volume Information\), hidden, or left",
    ),
    "no images by their names": (
        ["5*cat/.png", "5*dog/.png", "cat/a.svg", "cat/b.SVG", "dog/c.heic", "dog/README"],
        {"cat": (4, 1), "dog": (4, 1)}, r"2 \(cat/a.svg, cat/b.SVG\), no image by its name: .svg",
    ),
    "numbers": (["5*10/.png", "5*9/.png", "5*08/.png"], {"08": (4, 1), "9": (4, 1), "10": (4, 1)}, ""),
    "no images in it": (["5*cat/.png", "5*dog/.png", "eel/notes.txt"], {"cat": (4, 1), "dog": (4, 1)}, "no image by"),
}  # fmt: skip


@pytest.mark.parametrize("case", LAYOUTS)
def test_a_layout_is_read_as_people_mean_it(tmp_path: Path, case: str) -> None:
    names, read, said = LAYOUTS[case]
    source = own(tree(tmp_path, *names))
    warnings = "\n".join(source.card().warnings())
    assert counted(tmp_path) == read
    assert source.counts() == ([train for train, _ in read.values()], [test for _, test in read.values()])
    assert re.search(said, warnings) if said else not warnings


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (
            ["3*.png"],
            r"no class folders with images in them \(3 images beside\); put the images of each class in a folder",
        ),
        (["notes.txt"], r"no class folders with images in them \(0 images beside\)"),
        (["3*cat/.png"], "one class only, 'cat'; two are needed"),
        (["3*test/cat/.png", "3*test/dog/.png"], "one class only, 'test'"),
    ],
)
def test_folders_without_classes_are_refused_with_what_to_do(tmp_path: Path, names: list[str], said: str) -> None:
    with pytest.raises(DataError, match=said):
        own(tree(tmp_path, *names)).ensure()


def test_several_places_are_one_dataset(tmp_path: Path) -> None:
    one, other = (
        tree(tmp_path / "one", "5*cat/.png", "5*dog/.png"),
        tree(tmp_path / "other", "5*cat/.png", "5*eel/.png"),
    )
    assert counted((one, other)) == {"cat": (8, 2), "dog": (4, 1), "eel": (4, 1)}
    assert own((one, other)).fingerprint() != own((other, one)).fingerprint() != own(one).fingerprint()


def test_classes_that_the_task_does_not_use_stop_nothing(tmp_path: Path) -> None:
    tree(tmp_path, "5*cat/.png", "5*dog/.png", "masks/0.png", "only/one.png")
    (tmp_path / "masks" / "bad.png").write_bytes(b"no image")
    source = own(tmp_path)
    chosen = source.of([source.classes().index(name) for name in ("cat", "dog")])
    assert len(chosen.load().labels) == 10
    before = chosen.fingerprint()
    painted(tmp_path / "masks" / "more.png")
    again = own(tmp_path)
    assert again.of([again.classes().index(name) for name in ("cat", "dog")]).fingerprint() == before


def test_names_without_a_group_stop_no_task_that_does_not_use_them(tmp_path: Path) -> None:
    tree(
        tmp_path,
        *(f"{kind}/p{n}_{m}.png" for kind in ("cat", "dog") for n in range(5) for m in range(3)),
        "masks/m.png",
    )
    source = own(tmp_path, groups=config.Groups(pattern="(?P<group>p[0-9]+)_"))
    assert source.of([0, 1]).counts() == ([12, 12, 0], [3, 3, 0])
    with pytest.raises(DataError, match=r"1 of 31 images are in no group \(first: .*masks/m.png\)"):
        source.counts()


# ---- links, and what cannot be read


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
        "4 of 11 images cannot be used; mend or remove them, or go on without them by dataset.skip_bad"
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


# ---- what a fingerprint follows


CHANGES: dict[str, Callable[[Path], Any]] = {
    "a byte": lambda root: painted(root / "cat" / "0.png", seed=99),
    "a name": lambda root: (root / "cat" / "0.png").rename(root / "cat" / "9.png"),
    "a label": lambda root: (root / "cat" / "0.png").rename(root / "dog" / "9.png"),
    "an image more": lambda root: painted(root / "cat" / "9.png", seed=7),
    "an image less": lambda root: (root / "cat" / "0.png").unlink(),
    "the name of a class": lambda root: (root / "cat").rename(root / "cow"),
    "a test part": lambda root: tree(root, "1*test/cat/.png", "1*test/dog/.png"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_fingerprint_follows_every_change(tmp_path: Path, change: str) -> None:
    tree(tmp_path, "5*cat/.png", "5*dog/.png")
    before = own(tmp_path).fingerprint()
    assert own(tmp_path).fingerprint() == before
    CHANGES[change](tmp_path)
    assert own(tmp_path).fingerprint() != before


@pytest.mark.parametrize("setting", [{"side_px": 9}, {"channels": 3}, {"fit": "crop"}, {"test_fraction": 0.4}])
def test_a_fingerprint_follows_the_settings_that_decide_the_pixels(tmp_path: Path, setting: dict[str, Any]) -> None:
    tree(tmp_path, "5*cat/.png", "5*dog/.png")
    changed = config.OwnImages(**{"name": "folder", "path": str(tmp_path), "side_px": 8} | setting)
    assert open_dataset(changed).fingerprint() != own(tmp_path).fingerprint()


def test_a_fingerprint_does_not_depend_on_the_place(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "deeper" / "other"
    tree(one, "5*cat/.png", "5*dog/.png")
    shutil.copytree(one, other)
    assert own(one).fingerprint() == own(other).fingerprint()


def test_names_in_another_unicode_form_are_the_same_names(tmp_path: Path) -> None:
    names = ["5*caf\u00e9/.png", "5*dog/.png"]
    composed = tree(tmp_path / "linux", *names)
    decomposed = tree(tmp_path / "mac", *(unicodedata.normalize("NFD", name) for name in names))
    for old, new in zip(sorted(composed.rglob("*.png")), sorted(decomposed.rglob("*.png")), strict=True):
        shutil.copyfile(old, new)
    assert own(composed).classes() == own(decomposed).classes() == ["caf\u00e9", "dog"]
    assert own(composed).fingerprint() == own(decomposed).fingerprint()


def test_a_name_that_is_no_text_can_be_printed(tmp_path: Path) -> None:
    tree(tmp_path, "5*cat/.png", "5*dog/.png")
    shutil.copyfile(tmp_path / "cat" / "0.png", os.fsencode(tmp_path / "cat") + b"/\xff.png")
    card = own(tmp_path).card()
    assert card.classes[0].train + card.classes[0].test == 6
    str(card).encode()


# ---- what was looked at before


def test_what_changed_after_it_was_looked_at_is_looked_at_again(tmp_path: Path) -> None:
    tree(tmp_path, "5*cat/.png", "5*dog/.png")
    changed = tmp_path / "cat" / "0.png"
    for path in tmp_path.rglob("*.png"):
        os.utime(path, (1, 1))
    before = own(tmp_path).fingerprint()
    status = changed.stat()
    painted(changed, seed=99)
    os.utime(changed, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert own(tmp_path).fingerprint() != before


def test_what_was_looked_at_for_one_task_is_known_after_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree(tmp_path, "5*cat/.png", "5*dog/.png", "5*eel/.png")
    time.sleep(2.1)  # what has only just changed is not kept
    pair, other = own(tmp_path).of([0, 1]).fingerprint(), own(tmp_path).of([1, 2]).fingerprint()
    monkeypatch.setattr(examined, "Picture", None)
    assert own(tmp_path).of([0, 1]).fingerprint() == pair
    assert own(tmp_path).of([1, 2]).fingerprint() == other


def test_what_could_not_be_read_is_looked_at_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in tree(tmp_path, "5*cat/.png", "5*dog/.png").rglob("*.png"):
        os.utime(path, (1, 1))
    monkeypatch.setattr(listing, "SETTLED_NS", 0)
    with monkeypatch.context() as away:
        away.setattr(listing.File, "read", lambda _: Path("/nowhere").read_bytes())
        assert len(own(tmp_path, skip_bad=True)._looked_at) == 10
        with pytest.raises(DataError, match="10 of 10 images"):
            own(tmp_path).counts()
    assert own(tmp_path).counts() == ([4, 4], [1, 1])


def test_bytes_that_changed_since_the_plan_are_not_read(tmp_path: Path) -> None:
    source = own(tree(tmp_path, "5*cat/.png", "5*dog/.png"))
    source.fingerprint()
    painted(tmp_path / "cat" / "0.png", seed=99)
    with pytest.raises(DataError, match=r"cat/0\.png has changed since the run was planned"):
        source.load()
