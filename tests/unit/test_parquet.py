"""Images in the rows of Parquet files."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ganbalance.data import listing
from ganbalance.errors import DataError
from tests.unit.listed_images import NAMES, READ, counted, images, lines, own


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
