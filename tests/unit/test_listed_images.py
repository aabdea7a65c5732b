"""Images that a table lists, that lie in arrays, or in Parquet."""

import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ganbalance import config
from ganbalance.data import listing
from ganbalance.data.datasets import open_dataset
from ganbalance.errors import ConfigError, DataError
from ganbalance.frozen import parse
from tests.unit.wild_images import painted

Counted = dict[str, tuple[int, int]]
NAMES = [f"{kind}{number}" for kind in ("cat", "dog") for number in range(5)]


def own(name: str, path: Path, **settings: Any) -> Any:
    given = {"name": name, "path": str(path), "side_px": 8, **settings}
    return open_dataset(parse(config.OwnImages, given, where="dataset"))


def counted(source: Any) -> Counted:
    return {one.name: (one.train, one.test) for one in source.card().classes}


def images(root: Path) -> Path:
    for number, name in enumerate(NAMES):
        (root / "images").mkdir(parents=True, exist_ok=True)
        painted(root / "images" / f"{name}.png", seed=number)
    return root


def lines(separator: str = ",", head: str = "path,label", path: str = "images/{}.png") -> str:
    rows = [separator.join([path.format(name), name[:3]]) for name in NAMES]
    return "\n".join([head.replace(",", separator), *rows] if head else rows) + "\n"


READ = {"cat": (4, 1), "dog": (4, 1)}
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


# ---- arrays


def medmnist(side: int = 8, channels: tuple[int, ...] = ()) -> dict[str, np.ndarray[Any, Any]]:
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    for part, count in (("train", 6), ("val", 2), ("test", 4)):
        arrays[f"{part}_images"] = np.arange(count, dtype=np.uint8).repeat(side * side).reshape(count, side, side)
        if channels:
            arrays[f"{part}_images"] = np.stack([arrays[f"{part}_images"]] * 3, -1)
        arrays[f"{part}_labels"] = (np.arange(count) % 2)[:, None]
    return arrays


@pytest.mark.parametrize("side", [28, 64, 224])
@pytest.mark.parametrize("channels", [(), (3,)])
def test_the_layout_of_medmnist_is_read(tmp_path: Path, side: int, channels: tuple[int, ...]) -> None:
    np.savez(tmp_path / "med.npz", **medmnist(side, channels))
    source = own("npz", tmp_path / "med.npz", channels=3)
    assert counted(source) == {"0": (4, 2), "1": (4, 2)}
    assert "validation part (2 images) joins the training part" in "\n".join(source.card().warnings())
    assert source.load().images[:, 0, 0, 0].tolist() == [0, 2, 4, 0, 1, 3, 5, 1, 0, 2, 1, 3]


def test_the_names_of_keras_are_read(tmp_path: Path) -> None:
    arrays = {f"x_{part}": np.zeros((4, 8, 8), np.uint8) for part in ("train", "test")}
    np.savez(
        tmp_path / "k.npz", **arrays, y_train=np.array([0, 1, 1, 1]), y_test=np.array([0, 1, 0, 1]), note=np.array(1)
    )
    source = own("npz", tmp_path / "k.npz")
    assert counted(source) == {"0": (1, 2), "1": (3, 2)}
    assert "1 (note), an array of another name" in "\n".join(source.card().warnings())


def test_labels_of_an_npz_may_be_text_and_images_floats(tmp_path: Path) -> None:
    images_N = np.linspace(0, 1, 10 * 64).reshape(10, 8, 8)
    np.savez(tmp_path / "t.npz", images=images_N, labels=np.repeat(["sound", "broken"], 5))
    source = own("npz", tmp_path / "t.npz")
    assert counted(source) == {"broken": (4, 1), "sound": (4, 1)}
    assert source.card().pictures == {"deep": 10}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{'descr': '|u1', 'fortran_order': False, 'shape': (1000000000, 1000000)}", "is not a readable .npz"),
        (None, "has no array 'images', only nothing"),
    ],
)
def test_an_npz_of_anything_else_is_refused(tmp_path: Path, content: bytes | None, said: str) -> None:
    with zipfile.ZipFile(tmp_path / "t.npz", "w") as file:
        head = b"\x93NUMPY\x01\x00v\x00"
        file.writestr("images.npy", b"no array" if content is None else head + content.ljust(117) + b"\n")
    with pytest.raises(DataError, match=said):
        own("npz", tmp_path / "t.npz").counts()


# ---- Parquet


def parquet(path: Path, rows: list[dict[str, Any]], metadata: dict[str, str] | None = None) -> Path:
    pyarrow = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    table = pyarrow.Table.from_pylist(rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table.replace_schema_metadata(metadata), path, row_group_size=3)
    return path


def content(root: Path, name: str) -> bytes:
    return (root / "images" / f"{name}.png").read_bytes()


@pytest.mark.parametrize("nested", [True, False])
def test_parquet_holds_the_bytes_of_images(tmp_path: Path, nested: bool) -> None:
    root = images(tmp_path)
    rows = [
        {"image": {"bytes": content(root, n), "path": n} if nested else content(root, n), "label": n[:3]} for n in NAMES
    ]
    source = own("parquet", parquet(tmp_path / "all.parquet", rows))
    assert counted(source) == READ
    (tmp_path / "t.csv").write_text(lines())
    assert np.array_equal(
        np.sort(source.load().images.ravel()), np.sort(own("table", tmp_path / "t.csv").load().images.ravel())
    )


def test_parquet_of_a_dataset_library_names_its_parts_and_classes(tmp_path: Path) -> None:
    root = images(tmp_path / "made")
    rows = [{"image": {"bytes": content(root, n), "path": None}, "label": int(n[0] == "d")} for n in NAMES]
    features = {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}, "image": {"_type": "Image"}}
    known = {"huggingface": json.dumps({"info": {"features": features}})}
    parquet(tmp_path / "data" / "train-00000-of-00002.parquet", rows[:8], known)
    parquet(tmp_path / "data" / "train-00001-of-00002.parquet", rows[8:9], known)
    parquet(tmp_path / "data" / "test-00000-of-00001.parquet", rows[:1] + rows[9:], known)
    assert counted(own("parquet", tmp_path / "data")) == {"cat": (5, 1), "dog": (4, 1)}


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("default/train/0000.parquet", "default/test/0000.parquet"),
        ("animals-train.parquet", "animals_test.parquet"),
        ("train.parquet/part-0.parquet", "test.parquet/part-0.parquet"),
        ("split=train/a.parquet", "split=test/a.parquet"),
        ("train-0.parquet", "test-0.parquet"),
    ],
)
def test_files_of_parquet_are_of_the_part_that_their_names_say(tmp_path: Path, train: str, test: str) -> None:
    root = images(tmp_path / "made")
    rows = [{"image": content(root, n), "label": n[:3]} for n in NAMES]
    parquet(tmp_path / "data" / train, [row for n, row in zip(NAMES, rows, strict=True) if n[3] < "3"])
    path = parquet(tmp_path / "data" / test, [row for n, row in zip(NAMES, rows, strict=True) if n[3] >= "3"])
    (path.parent / "._left.parquet").write_bytes(b"by a file manager")
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "data").symlink_to(tmp_path / "data")
    for place in ("data", "linked"):
        assert counted(own("parquet", tmp_path / place)) == {"cat": (3, 2), "dog": (3, 2)}


def test_another_column_of_parquet_is_other_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "SETTLED_NS", 0)
    root = images(tmp_path)
    rows = [
        {"image": content(root, n), "x": content(root, o), "label": n[:3]}
        for n, o in zip(NAMES, NAMES[::-1], strict=True)
    ]
    path = parquet(tmp_path / "t.parquet", rows)
    os.utime(path, (1, 1))
    one, other = own("parquet", path), own("parquet", path, columns={"path": "x"})
    assert one.fingerprint() != other.fingerprint()
    assert len(other.load().images) == 10


@pytest.mark.parametrize(
    ("label", "names", "said"),
    [
        (-1, ["cat", "dog"], ""),
        (float("nan"), None, ""),
        ([0], None, r"row 1: its label is \[0\], and an image has one"),
    ],
)
def test_labels_of_parquet_that_name_no_class(tmp_path: Path, label: Any, names: list[str] | None, said: str) -> None:
    root = images(tmp_path)
    others = [label if isinstance(label, list) else type(label)(n[0] == "d") for n in NAMES[1:]]
    rows = [{"image": content(root, n), "label": one} for n, one in zip(NAMES, [label, *others], strict=True)]
    known = {"huggingface": json.dumps({"info": {"features": {"label": {"names": names}}}})} if names else None
    source = own("parquet", parquet(tmp_path / "t.parquet", rows, known))
    if said:
        with pytest.raises(DataError, match=said):
            source.classes()
    else:
        assert len(source.classes()) == 2
        assert r"row 1), a row without a label" in "\n".join(source.card().warnings())


def test_parquet_that_is_damaged_inside_is_refused(tmp_path: Path) -> None:
    root = images(tmp_path)
    path = parquet(tmp_path / "t.parquet", [{"image": content(root, n), "label": n[:3]} for n in NAMES])
    place = pytest.importorskip("pyarrow.parquet").ParquetFile(path).metadata.row_group(1).column(1).data_page_offset
    damaged = bytearray(path.read_bytes())
    damaged[place : place + 20] = b"\xff" * 20
    path.write_bytes(damaged)
    with pytest.raises(DataError, match="is no readable Parquet file"):
        own("parquet", path).classes()


def test_parquet_without_images_is_refused(tmp_path: Path) -> None:
    path = parquet(tmp_path / "t.parquet", [{"image": "a.png", "label": "cat"}, {"image": "b.png", "label": "dog"}])
    with pytest.raises(DataError, match=r"2 of 2 images cannot be used.*\n.*row 1 holds no bytes of an image"):
        own("parquet", path).counts()
    path.write_bytes(b"no parquet")
    with pytest.raises(DataError, match="is no readable Parquet file"):
        own("parquet", path).classes()
    with pytest.raises(DataError, match="has no column 'image' for the image; its columns are x, label"):
        own("parquet", parquet(tmp_path / "x.parquet", [{"x": b"", "label": "cat"}])).classes()
