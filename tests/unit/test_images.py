"""The images of a task: the classes it is about, renumbered, and nothing else of the dataset."""

import json
from pathlib import Path

import numpy as np
import pytest

from ganbalance.data.datasets.base import Images
from ganbalance.data.images import TaskImages
from ganbalance.errors import DataError

NAMES = ("five", "two")


def task(tested: tuple[int, ...] = (5, 2)) -> TaskImages:
    """Of a dataset with the labels 2, 5 and 7, five images to train on: its fives and twos, in this order."""
    labels = np.array([7, 2, 5, 5, 2, *tested, 7])
    images = np.arange(len(labels) * 3 * 4 * 4, dtype=np.uint8).reshape(-1, 3, 4, 4)
    return TaskImages.select(Images(images, labels, n_train=5), ((5,), (2,)), NAMES)


def test_classes_become_columns_by_their_place_and_other_images_are_left_out() -> None:
    chosen = task()
    assert chosen.labels.tolist() == [1, 0, 0, 1, 0, 1]
    assert chosen.labels.dtype == np.int64
    assert chosen.images[:, 0, 0, 0].tolist() == [48 * row % 256 for row in (1, 2, 3, 4, 5, 6)]
    assert (chosen.n_train, chosen.class_names) == (4, NAMES)
    assert (chosen.channels, chosen.side_px) == (3, 4)


def test_the_class_of_the_highest_label_may_be_chosen() -> None:
    labels = np.array([2, 7, 7, 2])
    whole = Images(np.zeros((4, 1, 4, 4), np.uint8), labels, n_train=2)
    assert TaskImages.select(whole, ((7,), (2,)), ("seven", "two")).labels.tolist() == [1, 0, 0, 1]


def test_images_are_read_as_they_were_written_and_stay_on_disk(tmp_path: Path) -> None:
    written = task()
    written.save(tmp_path)
    read = TaskImages.load(tmp_path.joinpath)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["classes.json", "images.npy", "labels.npy"]
    assert np.array_equal(read.images, written.images)
    assert np.array_equal(read.labels, written.labels)
    assert (read.n_train, read.class_names) == (written.n_train, written.class_names)
    assert isinstance(read.images, np.memmap)
    assert not read.images.flags.writeable
    assert json.loads((tmp_path / "classes.json").read_text()) == {"class_names": list(NAMES), "n_train": 4}


def test_groups_go_with_their_images_and_are_written_where_there_are_any(tmp_path: Path) -> None:
    labels, groups = np.array([7, 2, 5, 5, 2, 7, 2]), np.array([9, 8, 7, 7, 8, 1, 3])
    whole = Images(np.zeros((7, 1, 4, 4), np.uint8), labels, n_train=5, groups=groups)
    chosen = TaskImages.select(whole, ((5,), (2,)), NAMES)
    assert chosen.groups is not None
    assert chosen.groups.tolist() == [8, 7, 7, 8, 3]
    assert np.array_equal(chosen.groups_of(np.array([0, 4])), [8, 3])
    assert task().groups_of(np.array([0])) is None
    chosen.save(tmp_path)
    assert np.array_equal(TaskImages.load(tmp_path.joinpath).groups, chosen.groups)


@pytest.mark.parametrize("part", ["images.npy", "labels.npy"])
def test_pickled_arrays_which_could_run_code_when_read_are_refused(tmp_path: Path, part: str) -> None:
    task().save(tmp_path)
    with (tmp_path / part).open("wb") as file:  # the header of an array of objects; what follows is never looked at
        np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": (1,)})
    with pytest.raises(ValueError, match=r"allow_pickle|memory-mapped"):
        TaskImages.load(tmp_path.joinpath)


def test_a_class_without_test_images_is_refused_by_its_name() -> None:
    task().check_every_class_is_tested()
    with pytest.raises(DataError, match="class 'two' has no test images"):
        task(tested=(5, 5)).check_every_class_is_tested()
    with pytest.raises(DataError, match="class 'five' has no test images"):
        task(tested=(2,)).check_every_class_is_tested()
