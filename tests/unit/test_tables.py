"""Images that a table lists: one row per way of writing it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ganbalance import config
from ganbalance.errors import ConfigError, DataError
from ganbalance.frozen import parse
from tests.unit.listed_images import NAMES, READ, counted, images, lines, own
from tests.unit.wild_images import painted

TABLES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "comma": ("t.csv", lines(), {}),
    "semicolon": ("t.csv", lines(";"), {}),
    "tab": ("t.tsv", lines("\t"), {}),
    "blanks, as for people": ("t.txt", lines("      "), {}),
    "a mark in front": ("t.csv", "\ufeff" + lines(), {}),
    "lines that end in two characters": ("t.csv", lines().replace("\n", "\r\n"), {}),
    "empty lines": ("t.csv", lines() + "\n\n", {}),
    "other names": ("t.csv", lines(head="file,diagnosis"), {"columns": {"path": "file", "label": "diagnosis"}}),
    "no names": ("t.csv", lines(head=""), {"columns": {"path": 1, "label": 2}}),
    "columns in another order": (
        "t.csv", "x,label,path\n" + "".join(f"1,{name[:3]},images/{name}.png\n" for name in NAMES), {},
    ),
    "names of files": ("t.csv", lines(path="{}.png"), {}),
    "names without suffix": ("t.csv", lines(path="{}"), {}),
    "a folder of its own": ("t.csv", lines(path="{}.png"), {"images": "images"}),
    "the other system's slashes": ("t.csv", lines(path="images\\{}.png"), {}),
    "quotes": ("t.csv", lines(path='"images/{}.png"'), {}),
    "paths that lead there": ("t.csv", lines(path="./images/../images//{}.png"), {}),
    "paths without suffix": ("t.csv", lines(path="images/{}"), {}),
    "a long cell": ("t.csv", lines(head="path,label,mask").replace("cat\n", f"cat,{'1 ' * 10**5}\n"), {}),
    "JSON lines": (
        "t.jsonl", "".join(json.dumps({"path": f"{name}.png", "label": name[:3]}) + "\n" for name in NAMES), {},
    ),
    "the same row twice": ("t.csv", lines() + "images/cat0.png,cat\n", {}),
}  # fmt: skip


@pytest.mark.parametrize("kind", TABLES)
def test_a_table_lists_images(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, text, settings = TABLES[kind]
    monkeypatch.chdir(images(tmp_path))
    (tmp_path / name).write_bytes(text.encode())
    source = own("table", Path(name), **settings)
    assert counted(source) == READ
    assert len(source.load().images) == 10
    same = [other for other in TABLES if other != "a folder of its own"]
    (tmp_path / "plain.csv").write_text(TABLES[same[0]][1])
    if kind in same:
        assert source.fingerprint() == own("table", tmp_path / "plain.csv").fingerprint()


def with_columns(**columns: Callable[[str], Any]) -> str:
    head = ",".join(["path", "label", *columns])
    rows = [",".join([f"{n}.png", n[:3], *(str(column(n)) for column in columns.values())]) for n in NAMES]
    return "\n".join([head, *rows]) + "\n"


def test_a_table_says_the_part_in_the_usual_spellings(tmp_path: Path) -> None:
    spelled = {"0": "Train", "1": "TRAINING", "2": "valid", "3": "test", "4": "Testing"}
    (images(tmp_path) / "t.csv").write_text(with_columns(split=lambda name: spelled[name[3]]))
    source = own("table", tmp_path / "t.csv")
    assert counted(source) == {"cat": (3, 2), "dog": (3, 2)}
    assert "validation part (2 images) joins" in "\n".join(source.card().warnings())


def test_rows_of_another_split_or_without_a_label_are_told(tmp_path: Path) -> None:
    text = with_columns(split=lambda name: "unlabelled" if name[3] == "4" else "train")
    (images(tmp_path) / "t.csv").write_text(text.replace("cat0.png,cat", "cat0.png,") + ",cat,train\n")
    painted(tmp_path / "images" / "extra.png", seed=50)
    source = own("table", tmp_path / "t.csv", test_fraction=0.4)
    assert counted(source) == {"cat": (2, 1), "dog": (2, 2)}
    said = "\n".join(source.card().warnings())
    for part in (
        "2 (images/cat4.png, images/dog4.png), of split 'unlabelled'",
        "1 (images/cat0.png), a row without a label", "1 (line 12), a row without a path",
        "1 (images/extra.png), an image that no row names",
    ):  # fmt: skip
        assert part in said


def test_images_of_a_patient_are_on_one_side(tmp_path: Path) -> None:
    (images(tmp_path) / "t.csv").write_text(with_columns(group=lambda name: f"{name[:3]}-{int(name[3]) // 2}"))
    whole = own("table", tmp_path / "t.csv", test_fraction=0.4).load()
    train, test = whole.groups[: whole.n_train], whole.groups[whole.n_train :]
    assert len(test)
    assert not set(train) & set(test)
    assert [one.groups for one in own("table", tmp_path / "t.csv").card().classes] == [3, 3]


def test_a_path_from_the_root_may_lead_there(tmp_path: Path) -> None:
    (images(tmp_path) / "t.csv").write_text(lines(path=f"{tmp_path}/images/{{}}.png"))
    assert counted(own("table", tmp_path / "t.csv")) == READ


def test_a_path_means_the_file_there_before_others_of_its_name(tmp_path: Path) -> None:
    for number, name in enumerate(NAMES):
        painted(images(tmp_path) / f"{name}.png", seed=50 + number)
    (tmp_path / "t.csv").write_text(lines(path="{}.png"))
    source = own("table", tmp_path / "t.csv")
    assert counted(source) == READ
    assert "10 (images/cat0.png, images/cat1.png, images/cat2.png, ...), an image that no row" in str(
        source.card().rows()
    )


def test_a_line_of_json_may_leave_out_what_others_say(tmp_path: Path) -> None:
    rows = [{"path": f"{n}.png", "label": n[:3]} | ({"split": "test"} if n[3] > "2" else {}) for n in NAMES] + [
        {"path": "extra.png", "label": float("nan")}
    ]
    painted(images(tmp_path) / "images" / "extra.png", seed=50)
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, rows)))
    source = own("table", tmp_path / "t.jsonl")
    assert counted(source) == {"cat": (3, 2), "dog": (3, 2)}
    assert "1 (images/extra.png), a row without a label" in "\n".join(source.card().warnings())


@pytest.mark.parametrize(
    ("text", "said"), [('{"path": "cat0.png", "label": "\\ud800"}', "surrogates"), ("[" * 10**5, "recursion")]
)
def test_lines_that_are_no_json_are_refused(tmp_path: Path, text: str, said: str) -> None:
    (images(tmp_path) / "t.jsonl").write_text(text)
    with pytest.raises(DataError, match=f"line 1: it is no JSON: .*{said}"):
        own("table", tmp_path / "t.jsonl").counts()


def test_images_of_a_table_are_in_a_folder(tmp_path: Path) -> None:
    (images(tmp_path) / "t.csv").write_text(lines())
    with pytest.raises(DataError, match=r"dataset.images = '.*t.csv' is a file; name the folder"):
        own("table", tmp_path / "t.csv", images=str(tmp_path / "t.csv")).counts()
    with pytest.raises(DataError, match=r"dataset.images = '.*nowhere': there is no such"):
        own("table", tmp_path / "t.csv", images=str(tmp_path / "nowhere")).counts()


@pytest.mark.parametrize(
    ("text", "settings", "said"),
    [
        ("", {}, "has no rows"),
        (
            lines(head="path,label,note").replace("cat2.png,cat", 'cat2.png,cat,"5 inch'),
            {},
            "in the row after line 3: unexpected end of data; close every quote",
        ),
        (
            lines(head="path,label,note").replace("cat\n", 'cat,"5 inch\n'),
            {},
            "expected after '\"'; close every quote",
        ),
        (lines(head="path,label,label "), {}, r"no column 'label' .*; its columns are path, label \(twice\)"),
        ("path,label\n", {}, "has no rows"),
        ("file,label\n1,2\n", {}, r"no column 'path' for the path of an image; its columns are file, label"),
        (lines(), {"columns": {"group": "patient"}}, "no column 'patient' for the group"),
        (lines() + "images/cat0.png,dog\n", {}, r"lines 2 and 12 say different things of 'images/cat0.png'; keep one"),
        (with_columns(group=lambda name: name if name != "dog4" else ""), {}, r"1 of 10 images are in no group"),
        (lines().replace("cat0", "cat\udc80"), {}, "no table of UTF-8 text"),
    ],
)
def test_a_table_that_does_not_say_it_is_refused(tmp_path: Path, text: str, settings: Any, said: str) -> None:
    (images(tmp_path) / "t.csv").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(DataError, match=said):
        own("table", tmp_path / "t.csv", **settings).counts()


def test_images_that_are_not_there_are_all_named(tmp_path: Path) -> None:
    (images(tmp_path) / "t.csv").write_text(lines() + "images/cat8.png,cat\nimages/cat9.png,cat\n")
    with pytest.raises(DataError, match=r"2 of 12 images cannot be used.*\n.*cat8.png is not below .*\n.*cat9.png"):
        own("table", tmp_path / "t.csv").counts()
    assert counted(own("table", tmp_path / "t.csv", skip_bad=True)) == READ


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"name": "folder", "columns": {"path": "x"}}, "dataset.columns are those of a table"),
        ({"name": "npz", "images": "x"}, "dataset.images is where the images of a table are"),
        ({"name": "table", "columns": {"path": 1, "label": "label"}}, "all by name, or all by number"),
        ({"name": "table", "columns": {"path": 0}}, "greater than or equal to 1"),
        ({"name": "table", "groups": {"pattern": "(?P<group>.)"}}, "set dataset.columns.group"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(settings: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse(config.OwnImages, {"path": "t", **settings}, where="dataset")


@pytest.mark.parametrize(
    ("name", "said"),
    [("folder", "is a file, and dataset.name: folder reads folders"), ("table", "has no column 'path'")],
)
def test_a_file_under_the_wrong_name_is_told_the_right_one(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match=said):
        own(name, tmp_path / "t.csv").classes()
