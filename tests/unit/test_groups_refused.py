"""Groups that are not what a user can mean are refused in one line, before any work."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ganbalance.errors import ConfigError, DataError
from tests.unit.grouped_images import CSV, FILES, PATTERN, Settings, dataset, folder, grouped, pets, table


@pytest.mark.parametrize(
    ("name", "groups", "said"),
    [
        ("folder", {}, "groups come from one place: csv and column, pattern, or array"),
        ("folder", {"csv": "labels.csv"}, "groups come from one place"),
        ("folder", CSV | PATTERN, "groups come from one place"),
        ("folder", {"pattern": "([^_]+)_"}, r"it has no part called group: write \(\?P<group>...\)"),
        ("folder", {"pattern": "(?P<group>"}, "is no regular expression: missing"),
        ("folder", {"array": "who"}, "groups of a folder are csv and column, or pattern"),
        ("npz", PATTERN, "those of an npz are array"),
    ],
)
def test_settings_that_name_no_groups_are_refused_in_one_line(
    tmp_path: Path, name: str, groups: Settings, said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        dataset(tmp_path, groups, name)


ROWS = [f"{kind}/{file},{file[:2]}" for kind, files in FILES.items() for file in files]


@pytest.mark.parametrize(
    ("rows", "head", "said"),
    [
        (ROWS, "file,person", "has no column 'patient' after its first, .* its columns are file, person"),
        (ROWS, "patient,file", "has no column 'patient' after its first"),
        (ROWS, "file/patient", "its columns are file/patient"),
        (
            ROWS[:-2],
            "file,patient",
            r"2 of 6 images .*\(first: .*dog/p3_a.png\); labels.csv says no 'patient' of them; give each image a row",
        ),
        ([*ROWS[:-1], "dog/p3_b.png,"], "file,patient", r"1 of 6 images are in no group \(first: .*dog/p3_b.png\)"),
        ([*ROWS[:-1], "dog/p3_b.png"], "file,patient", r"1 of 6 images are in no group .*says no 'patient' of them"),
        (
            [*ROWS, "dog/p9_a.png,p9"],
            "file,patient",
            "line 8: no image is called 'dog/p9_a.png'; name each by its path",
        ),
        ([*ROWS, "p1_a.png,p9"], "file,patient", "line 8: 'cat/p1_a.png' is in 'p9' and in 'p1'; keep one"),
    ],
)
def test_a_csv_that_does_not_fit_the_images_is_refused_with_what_to_change(
    tmp_path: Path, rows: list[str], head: str, said: str
) -> None:
    table(folder(tmp_path, **FILES), *rows, head=head)
    with pytest.raises(DataError, match=said):
        dataset(tmp_path, CSV).counts()


def test_what_a_spreadsheet_puts_before_the_first_column_is_not_shown(tmp_path: Path) -> None:
    table(folder(tmp_path, **FILES), *ROWS, head="\ufefffile,person")
    with pytest.raises(DataError, match="its columns are file, person"):
        dataset(tmp_path, CSV).counts()


def test_a_csv_may_not_name_two_images_at_once(tmp_path: Path) -> None:
    table(folder(tmp_path, cat=["1.png"], dog=["1.png"]), "1.png,p1")
    with pytest.raises(
        DataError, match=r"line 2: 2 images are called '1.png' \(cat/1.png, dog/1.png, ...\); name each by its path"
    ):
        dataset(tmp_path, CSV).counts()


def test_a_csv_that_cannot_be_read_is_refused_by_its_path(tmp_path: Path) -> None:
    folder(tmp_path, **FILES)
    with pytest.raises(DataError, match=rf"{tmp_path}/labels.csv cannot be read: No such file"):
        dataset(tmp_path, CSV).fingerprint()
    (tmp_path / "labels.csv").write_bytes(b"file,patient\n\xff\xfe,1\n")
    with pytest.raises(DataError, match=r"labels\.csv is no table of UTF-8 text"):
        dataset(tmp_path, CSV).fingerprint()


@pytest.mark.parametrize("pattern", ["(?P<group>[^_]+)_", "^(?P<group>p?).*_"])
def test_a_file_name_without_a_group_is_named(tmp_path: Path, pattern: str) -> None:
    folder(tmp_path, **FILES | {"eel": ["x.png", "_1.png"]})
    with pytest.raises(
        DataError, match=r"2 of 8 images .*\(first: .*eel/_1.png\); .* finds none in their names; change the pattern"
    ):
        dataset(tmp_path, {"pattern": pattern}).counts()


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({}, "has no array 'who'"),
        ({"who": np.arange(5)}, r"6 'images' and 6 'labels' and 5 'who'; each image needs one"),
        ({"who": np.arange(6.0)}, "must be integers or text"),
    ],
)
def test_an_array_that_groups_no_images_is_refused(tmp_path: Path, arrays: dict[str, Any], said: str) -> None:
    np.savez(tmp_path / "data.npz", images=np.zeros((6, 8, 8), np.uint8), labels=np.arange(6) % 2, **arrays)
    with pytest.raises(DataError, match=said):
        dataset(tmp_path / "data.npz", {"array": "who"}, "npz").counts()


def test_a_group_in_the_training_and_in_the_test_part_is_refused_with_a_way_out(tmp_path: Path) -> None:
    folder(tmp_path / "train", cat=["p1_a.png", "p2_a.png"], dog=["p3_a.png", "p4_a.png"])
    folder(tmp_path / "test", cat=["p1_b.png", "p6_a.png"], dog=["p7_a.png", "p2_c.png"])
    said = r"2 groups have images in both the training and the test part \(first: 'p1'\); move .*test_fraction"
    with pytest.raises(DataError, match=said):
        dataset(tmp_path, PATTERN).counts()
    for name in ("cat/p1_b.png", "dog/p2_c.png"):
        (tmp_path / "test" / name).rename(tmp_path / "test" / name.replace("p", "q", 1))
    (tmp_path / "test" / "cat" / "q1_b.png").exists()
    assert dataset(tmp_path, PATTERN).counts() == ([2, 2], [2, 2])


def test_the_groups_of_a_test_part_in_an_npz_have_an_array_of_their_own(tmp_path: Path) -> None:
    images, labels = np.zeros((6, 8, 8), np.uint8), np.arange(6) % 2
    arrays = {"images": images, "labels": labels, "test_images": images, "test_labels": labels, "who": np.arange(6)}
    np.savez(tmp_path / "data.npz", **arrays, test_who=np.arange(6) + 6)
    assert grouped(dataset(tmp_path / "data.npz", {"array": "who"}, "npz")).groups.tolist() != [0] * 12
    np.savez(tmp_path / "data.npz", **arrays, test_who=np.arange(6) + 5)
    with pytest.raises(DataError, match=r"1 groups have images in both .*\(first: '5'\)"):
        dataset(tmp_path / "data.npz", {"array": "who"}, "npz").counts()
    np.savez(tmp_path / "data.npz", **arrays)
    with pytest.raises(DataError, match="no array 'test_who'"):
        dataset(tmp_path / "data.npz", {"array": "who"}, "npz").counts()


def test_a_class_in_a_single_group_is_refused_before_anything_is_planned(tmp_path: Path) -> None:
    pets(tmp_path, of_cat=1)
    with pytest.raises(DataError, match=r"class 'cat' has 3 images in 1 group, none to train on after"):
        dataset(tmp_path, PATTERN).counts()
