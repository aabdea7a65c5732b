"""Images that come in groups, for tests."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ganbalance import config
from ganbalance.data.datasets import open_dataset
from ganbalance.data.datasets.base import Dataset, Grouped

Settings = dict[str, Any]
PATTERN = {"pattern": "(?P<group>[^_]+)_"}
FILES = {"cat": ["p1_a.png", "p1_b.png", "p2_a.png"], "dog": ["p2_b.png", "p3_a.png", "p3_b.png"]}
OF_PATIENTS = {frozenset({0, 1}), frozenset({2, 3}), frozenset({4, 5})}
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
