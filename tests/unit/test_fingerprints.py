"""What the fingerprint of a folder follows, and what is known of its files from an earlier look."""

import os
import shutil
import time
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ganbalance import config
from ganbalance.data import examined, listing
from ganbalance.data.datasets import open_dataset
from ganbalance.errors import DataError
from tests.unit.wild_images import own, painted, tree

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
