"""Groups of images, such as those of one patient, are read from where a user has them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ganbalance.data.datasets.base import Dataset as DatasetBase
from ganbalance.data.images import Images
from tests.unit.grouped_images import CSV, FILES, OF_PATIENTS, PATTERN, dataset, folder, grouped, pets, table, together


def test_a_pattern_finds_groups_in_file_names_whatever_the_class(tmp_path: Path) -> None:
    assert together(dataset(folder(tmp_path, **FILES), PATTERN, test_fraction=0.4)) == OF_PATIENTS


def test_a_pattern_may_name_a_folder_inside_that_of_the_class(tmp_path: Path) -> None:
    files = {kind: [name.replace("_", "/") for name in names] for kind, names in FILES.items()}
    assert (
        together(dataset(folder(tmp_path, **files), {"pattern": "^(?P<group>.+)/"}, test_fraction=0.4)) == OF_PATIENTS
    )


@pytest.mark.parametrize(
    "name", [lambda kind, file: f"{kind}/{file}", lambda kind, file: file, lambda kind, file: Path(file).stem]
)
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_csv_names_images_by_path_by_file_name_or_without_suffix(
    tmp_path: Path, name: Callable[[str, str], str], mark: str
) -> None:
    rows = [f"7,{name(kind, file)},{file[:2]}" for kind, files in FILES.items() for file in files]
    rows = [",".join(row.split(",")[i] for i in (1, 0, 2)) for row in rows]
    table(folder(tmp_path, **FILES), *rows, head=f"{mark}image,age,patient")
    assert together(dataset(tmp_path, CSV, test_fraction=0.4)) == OF_PATIENTS


def test_an_array_of_an_npz_holds_groups_as_numbers_or_text(tmp_path: Path) -> None:
    images = np.arange(6, dtype=np.uint8)[:, None, None] * np.ones((1, 8, 8), np.uint8)
    for who in (np.array([4, 4, 2, 2, 7, 7]), np.array(["x", "x", "y", "y", "z", "z"])):
        np.savez(tmp_path / "data.npz", images=images, labels=np.array([0, 0, 0, 1, 1, 1]), who=who)
        assert together(dataset(tmp_path / "data.npz", {"array": "who"}, "npz", test_fraction=0.4)) == OF_PATIENTS


def test_what_is_counted_and_grouped_is_what_is_loaded(tmp_path: Path) -> None:
    source = dataset(pets(tmp_path), PATTERN)
    whole, known = source.load(), grouped(source)
    assert known.n_train == whole.n_train
    assert np.array_equal(known.labels, whole.labels)
    assert whole.groups is not None
    assert np.array_equal(known.groups, whole.groups)
    tested = whole.labels[whole.n_train :]
    assert source.counts() == (np.bincount(whole.labels[: whole.n_train]).tolist(), np.bincount(tested).tolist())


def test_without_groups_no_dataset_has_any(tmp_path: Path) -> None:
    source = dataset(pets(tmp_path), None)
    assert source.grouped() is None
    assert source.load().groups is None


def test_groups_are_part_of_what_names_the_content(tmp_path: Path) -> None:
    pets(tmp_path)
    images = [f"{path.relative_to(tmp_path)},{path.stem.partition('_')[0]}" for path in sorted(tmp_path.rglob("*.png"))]
    table(tmp_path, *images)
    alone, by_name, by_csv = (dataset(tmp_path, groups).fingerprint() for groups in (None, PATTERN, CSV))
    assert alone != by_name == by_csv
    table(tmp_path, *images[:-1], images[-1].rpartition(",")[0] + ",another")
    assert dataset(tmp_path, CSV).fingerprint() != by_csv
    assert dataset(tmp_path, None).fingerprint() == alone


def test_a_dataset_that_only_loads_its_groups_is_known_to_have_them(tmp_path: Path) -> None:
    labels, groups = [0, 0, 1, 1, 0, 1], [3, 3, 4, 4, 5, 6]

    class Plain(DatasetBase):
        side_px = 4

        def classes(self) -> list[str]:
            return ["a", "b"]

        def fingerprint(self) -> str:
            return "plain"

        def load(self) -> Images:
            return Images(np.zeros((6, 1, 4, 4), np.uint8), np.array(labels), 4, np.array(groups))

    grouped = Plain(None).grouped()
    assert grouped is not None
    assert (grouped.groups.tolist(), grouped.labels.tolist(), grouped.n_train) == (groups, labels, 4)
