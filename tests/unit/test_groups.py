"""Groups of images, such as those of one patient, are read from where a user has them and split whole, or refused."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ganbalance import config
from ganbalance.data.datasets import open_dataset
from ganbalance.data.datasets.base import Dataset, Grouped
from ganbalance.data.datasets.base import Dataset as DatasetBase
from ganbalance.data.holdout import held_count, hold_out
from ganbalance.data.images import Images
from ganbalance.data.split import PARTS, Split, draw
from ganbalance.errors import ConfigError, DataError
from ganbalance.metrics.weighted import grouped_draws
from ganbalance.pipeline.grouping import check_sides
from ganbalance.pipeline.plan import Plan, make_plan
from ganbalance.pipeline.stages import Stage

Settings = dict[str, Any]
PATTERN = {"pattern": "(?P<group>[^_]+)_"}
CSV = {"csv": "labels.csv", "column": "patient"}


def dataset(path: Path, groups: Settings | None, name: str = "folder", **settings: Any) -> Dataset:
    checked = config.check(
        {
            "name": "x",
            "dataset": {"name": name, "path": str(path), "side_px": 8, "groups": groups, **settings},
            "task": {"kind": "multiclass"},
            "imbalance": {"keep": {"a": 1.0}},
            "arms": ["none"],
            "seeds": [0],
        },
        where="test.yaml",
    )
    return open_dataset(checked.dataset)


def folder(root: Path, **files: list[str]) -> Path:
    """Folders of grey images: each file is of a level of its own."""
    for number, (of_class, name) in enumerate((c, name) for c, names in files.items() for name in names):
        path = root / of_class / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), number).save(path)
    return root


def pets(root: Path, of_cat: int = 10, of_dog: int = 20, per_group: int = 3) -> Path:
    """So many patients of each kind, with three images each."""
    files = {
        kind: [f"{kind[0]}{patient}_{n}.png" for patient in range(count) for n in range(per_group)]
        for kind, count in (("cat", of_cat), ("dog", of_dog))
    }
    return folder(root, **files)


def table(path: Path, *rows: str, head: str = "file,patient") -> None:
    (path / "labels.csv").write_text("\n".join([head, *rows]) + "\n")


def grouped(source: Dataset) -> Grouped:
    found = source.grouped()
    assert found is not None
    return found


def together(source: Dataset) -> set[frozenset[int]]:
    """The levels of the images of each group, in what is loaded."""
    whole = source.load()
    assert whole.groups is not None
    levels = whole.images[:, 0, 0, 0]
    return {frozenset(levels[whole.groups == group].tolist()) for group in np.unique(whole.groups)}


# -- where groups come from --------------------------------------------------------------------------------------------

FILES = {"cat": ["p1_a.png", "p1_b.png", "p2_a.png"], "dog": ["p2_b.png", "p3_a.png", "p3_b.png"]}
OF_PATIENTS = {frozenset({0, 1}), frozenset({2, 3}), frozenset({4, 5})}


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


# -- what is refused ---------------------------------------------------------------------------------------------------


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
        (ROWS, "file;patient", "its columns are file;patient"),
        (ROWS[:-2], "file,patient", r"no 'patient' of 2 of 6 images \(first: dog/p3_a.png\); give each image a row"),
        ([*ROWS[:-1], "dog/p3_b.png,"], "file,patient", r"no 'patient' of 1 of 6 images \(first: dog/p3_b.png\)"),
        ([*ROWS[:-1], "dog/p3_b.png"], "file,patient", "no 'patient' of 1 of 6 images"),
        (
            [*ROWS, "dog/p9_a.png,p9"],
            "file,patient",
            "line 8: no image is called 'dog/p9_a.png'; name each by its path",
        ),
        ([*ROWS, "p1_a.png,p9"], "file,patient", "line 8: 'p1_a.png' is in 'p9' and in 'p1'; keep one"),
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
    with pytest.raises(DataError, match=r"line 2: 2 images are called '1.png'; name each by its path .*such as cat/1"):
        dataset(tmp_path, CSV).counts()


def test_a_csv_that_cannot_be_read_is_refused_by_its_path(tmp_path: Path) -> None:
    folder(tmp_path, **FILES)
    with pytest.raises(DataError, match=rf"dataset.groups.csv = '{tmp_path}/labels.csv': No such file"):
        dataset(tmp_path, CSV).fingerprint()
    (tmp_path / "labels.csv").write_bytes(b"file,patient\n\xff\xfe,1\n")
    with pytest.raises(DataError, match=r"labels\.csv is no CSV of UTF-8 text"):
        dataset(tmp_path, CSV).fingerprint()


@pytest.mark.parametrize("pattern", ["(?P<group>[^_]+)_", "^(?P<group>p?).*_"])
def test_a_file_name_without_a_group_is_named(tmp_path: Path, pattern: str) -> None:
    folder(tmp_path, **FILES | {"eel": ["x.png", "_1.png"]})
    with pytest.raises(
        DataError, match=r"finds no group in 2 of 8 file names \(first: eel/_1.png\); change the pattern"
    ):
        dataset(tmp_path, {"pattern": pattern}).counts()


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({}, "has no array 'who'"),
        ({"who": np.arange(5)}, r"'who' is int64 \(5,\) for 6 labels"),
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
    with pytest.raises(DataError, match=r"class 'cat' has 3 image\(s\) in 1 group\(s\), none left to train on after"):
        dataset(tmp_path, PATTERN).counts()


# -- how groups are split ----------------------------------------------------------------------------------------------


def test_the_test_part_holds_whole_groups_and_the_share_of_each_class(tmp_path: Path) -> None:
    found = grouped(dataset(pets(tmp_path), PATTERN))
    trained, tested = (set(found.groups[rows]) for rows in (slice(found.n_train), slice(found.n_train, None)))
    assert not trained & tested
    assert np.bincount(found.labels[found.n_train :]).tolist() == [2 * 3, 4 * 3]


def held(labels: np.ndarray, groups: np.ndarray, seed: int, fraction: float) -> list[int]:
    """How many of the groups of each class are held out."""
    rng = np.random.default_rng(seed)
    _, rows = hold_out(labels, groups, lambda count: held_count(count, fraction), rng)
    return [len(set(groups[rows]) & set(groups[labels == c])) for c in range(labels.max() + 1)]


def test_the_class_with_the_fewest_groups_is_drawn_first() -> None:
    labels, groups = np.r_[np.zeros(40, int), np.ones(4, int)], np.r_[np.arange(40), np.arange(4)]
    assert {tuple(held(labels, groups, seed, 0.25)) for seed in range(30)} == {(10, 1)}


def test_a_class_that_lost_enough_groups_to_others_loses_no_more() -> None:
    labels, groups = np.repeat([0, 1, 2], [11, 4, 4]), np.r_[np.arange(11), np.arange(8)]
    assert {tuple(held(labels, groups, seed, 0.1)) for seed in range(30)} == {(2, 1, 1)}


def random_groups(rng: np.random.Generator, kind: str, classes: int = 2) -> tuple[np.ndarray, np.ndarray, int]:
    """Labels, groups, and how many are to train on; groups of one class, of several, or of any one time or another."""
    labels, groups = [], []
    for group in range(90):
        own = int(rng.integers(classes))
        of_several = kind == "several" or (kind == "some" and group % 2)
        for _ in range(int(rng.integers(1, 9))):
            labels.append(int(rng.integers(classes)) if of_several else own)
            groups.append(group)
    of_train = np.array(groups) < 70
    order = np.r_[rng.permutation(np.flatnonzero(of_train)), np.flatnonzero(~of_train)]
    return np.array(labels)[order], np.array(groups)[order], int(of_train.sum())


@pytest.mark.parametrize("kind", ["one", "some", "several"])
@pytest.mark.parametrize("classes", [2, 4])
def test_no_group_is_on_two_sides_and_every_class_on_all(kind: str, classes: int) -> None:
    for seed in range(25):
        labels, groups, n_train = random_groups(np.random.default_rng(seed), kind, classes)
        keep = {classes - 1: 0.4} if seed % 2 else {classes - 1: 0.5, 0: 0.6}
        split = drawn(labels, groups, n_train, keep=keep, seed=seed)
        split.check_groups(groups)
        assert np.array_equal(np.sort(np.concatenate([getattr(split, part) for part in PARTS])), np.arange(len(labels)))
        for part in (split.train, split.validation):
            assert set(labels[part]) == set(range(classes))
        for c, share in keep.items():
            kept, lost = (np.union1d(one, other) for one, other in both(split))
            its = [set(groups[rows][labels[rows] == c]) for rows in (kept, lost)]
            assert not its[0] & its[1], "what is removed of a class is removed by group"
            assert len(its[0]) == round(share * len(its[0] | its[1]))
            assert its[1]
        assert set(labels[np.union1d(split.tuning, split.removed)]) == set(keep)


def both(split: Split) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    return (split.train, split.validation), (split.tuning, split.removed)


def drawn(labels: np.ndarray, groups: np.ndarray, n_train: int, *, keep: dict[int, float], seed: int = 0) -> Split:
    return draw(labels, n_train, keep=keep, validation=0.25, seed=seed, groups_N=groups)


def test_shares_are_of_groups() -> None:
    labels = np.repeat([0, 1, 0, 1], [100, 300, 10, 10])
    groups = np.r_[np.arange(100), 100 + np.arange(300) // 10, 130 + np.arange(20)]  # of ten images; 30 of class 1
    split = drawn(labels, groups, 400, keep={1: 0.4})
    per_part = {part: len(set(groups[getattr(split, part)]) & set(range(100, 130))) for part in PARTS}
    assert per_part == {"train": 9, "validation": 3, "tuning": 9, "removed": 9, "test": 0}
    assert np.bincount(labels[split.train]).tolist() == [75, 90]


def test_groups_of_one_image_are_split_as_images_are() -> None:
    labels, _, n_train = random_groups(np.random.default_rng(0), "several")
    alone = draw(labels, n_train, keep={1: 0.4}, validation=0.25, seed=3)
    assert drawn(labels, np.arange(len(labels)), n_train, keep={1: 0.4}, seed=3).hashes == alone.hashes


def test_every_seed_splits_the_groups_anew() -> None:
    labels, groups, n_train = random_groups(np.random.default_rng(0), "one")
    assert (
        len({drawn(labels, groups, n_train, keep={1: 0.4}, seed=seed).hashes["validation"] for seed in range(20)}) > 15
    )


def test_images_of_one_group_on_two_sides_stop_everything() -> None:
    split = Split(*(np.array([row]) for row in range(5)))
    split.check_groups(np.array([0, 1, 1, 0, 2]))  # train with removed, validation with tuning
    with pytest.raises(DataError, match=r"1 groups are both learned from and held out \(first: that of row 0\)"):
        split.check_groups(np.array([0, 0, 1, 2, 3]))
    with pytest.raises(DataError, match="learned from and tested on"):
        split.check_groups(np.array([0, 1, 2, 3, 3]))
    with pytest.raises(DataError, match="held out and tested on"):
        split.check_groups(np.array([0, 1, 2, 3, 2]))


def test_a_class_whose_groups_all_went_to_the_other_side_is_refused() -> None:
    # each group of class 2 holds images of one more class, whose groups are not fewer and may decide first
    labels = np.r_[np.repeat([0, 1], 12), 2, 2, 2]
    groups = np.r_[np.arange(3).repeat(4), np.arange(3, 6).repeat(4), 0, 1, 3]
    refused = []
    for seed in range(30):
        split = drawn(labels, groups, len(labels), keep={2: 1.0}, seed=seed)
        try:
            check_sides(labels, split, [f"class {c}" for c in range(3)])
        except ConfigError as error:
            refused.append(str(error))
        else:
            assert {*labels[split.train]} == {*labels[split.validation]} == {0, 1, 2}
    assert 0 < len(refused) < 30
    assert {one.partition(":")[0] for one in refused} == {"class 'class 2' has no images to validate with at a seed"}


# -- what a plan says --------------------------------------------------------------------------------------------------


def planned(path: Path, groups: Settings | None = None, **changes: Any) -> Plan:
    settings = {
        "name": "pets",
        "dataset": {"name": "folder", "path": str(path), "side_px": 8, "groups": groups or PATTERN},
        "task": {"kind": "pair", "positive": "cat", "negative": "dog"},
        "imbalance": {"keep": {"cat": 0.5}},
        "arms": ["none", "oracle"],
        "seeds": [0, 1, 2, 3, 4],
    }
    return make_plan(config.check(settings | changes, where="test.yaml"))


def test_a_plan_says_how_many_images_and_groups_each_part_gets(tmp_path: Path) -> None:
    pets(tmp_path, of_cat=20, of_dog=30)
    (tmp_path / "dog" / "d0_9.png").write_bytes((tmp_path / "dog" / "d0_0.png").read_bytes())
    about_dogs, about_cats = planned(tmp_path).notes
    assert about_cats == (
        "class 'cat' is split by group; images (groups): train 18 (6), validation 6 (2), tuning 12 (4), "
        "removed 12 (4), test 12 (4)"
    )
    assert re.fullmatch(
        r"class 'dog' is split by group; images \(groups\): train 5\d( to 5\d)? \(19\), validation 1\d( to 1\d)? "
        r"\(5\), test 1\d \(6\)",
        about_dogs,
    )


def test_images_of_classes_outside_the_task_are_not_counted(tmp_path: Path) -> None:
    files = {kind: [f"{kind}{patient}_0.png" for patient in range(20)] for kind in ("ant", "bee")}
    pets(folder(tmp_path, **files), of_cat=20, of_dog=30)
    about_dogs, about_cats = planned(tmp_path).notes
    assert "train 57 (19), validation 15 (5), test 18 (6)" in about_dogs
    assert "train 18 (6), validation 6 (2), tuning 12 (4), removed 12 (4), test 12 (4)" in about_cats


def test_a_plan_without_groups_says_nothing_of_them(tmp_path: Path) -> None:
    pets(tmp_path)
    plan = planned(tmp_path, dataset={"name": "folder", "path": str(tmp_path), "side_px": 8})
    assert not [note for note in plan.notes if "group" in note]
    assert {node.key for node in plan.nodes}.isdisjoint(
        node.key for node in planned(tmp_path).nodes if issubclass(node.kind, Stage) and node.stage != "backbone"
    )


def test_test_groups_are_counted_where_a_verdict_needs_a_number(tmp_path: Path) -> None:
    assert planned(pets(tmp_path, of_cat=100, of_dog=260)).forecast == (
        "verdicts with caution: class 'cat' has 20 of the 50 test groups from which error rates hold",
    )
    assert planned(pets(tmp_path / "few", of_cat=40, of_dog=260)).forecast[0] == (
        "no verdicts: class 'cat' has 8 of the 20 test groups that one needs"
    )


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"imbalance": {"keep": {"cat": 0.2}}},
            "class 'cat' keeps 2 groups, too few .*raise imbalance.keep or give more gr",
        ),
        ({"imbalance": {"keep": {"cat": 6}}}, "class 'cat' keeps 2 groups, too few"),
        ({"imbalance": {"keep": {"cat": 0.01}}}, "class 'cat' keeps 0 groups, too few"),
        (
            {"imbalance": {"kind": "step", "rare": ["cat"], "ratio": 0.1}},
            "class 'cat' keeps 2 groups.*raise imbalance.ratio",
        ),
        ({"classifier": {"kind": "paper"}}, "dataset.groups: classifier.kind = paper .*choose another kind"),
    ],
)
def test_a_side_without_a_rare_group_is_refused_before_work(tmp_path: Path, change: Settings, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        planned(pets(tmp_path, of_cat=10, of_dog=20), **change)


def test_a_class_that_is_not_cut_needs_groups_on_both_sides_as_well(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="class 'dog' keeps 2 groups, too few to train on and to hold out for"):
        planned(pets(tmp_path, of_dog=3))


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


def test_a_class_without_images_does_not_keep_groups_from_being_drawn() -> None:
    drawn = grouped_draws(np.array([1, 1, 1]), np.array([0, 1, 2]), 5, np.random.default_rng(0))
    assert drawn.sum(axis=1).tolist() == [3] * 5
