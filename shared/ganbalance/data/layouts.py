"""Which class and which part of the data a file is of, by the folders that it is in.

    CLASS/...                  a folder per class
    train/CLASS/... test/...   and val/..., in the usual spellings; also CLASS/train/..., or CLASS/... beside test/CLASS
    ANY/CLASS/...              folders around all of these that hold nothing else

Only folders that hold images count, at any depth.
"""

import re
from collections import defaultdict
from typing import NamedTuple

from ganbalance.data.listing import File, Part, Tree

NO_CLASS = "in no class folder"
BESIDE = "beside the folders of the training and test parts"

_SPELLED: dict[str, Part] = {
    "train": "train", "training": "train", "test": "test", "testing": "test",
    "val": "validation", "valid": "validation", "validation": "validation", "dev": "validation",
}  # fmt: skip


class Placed(NamedTuple):
    """A file, its part and class, and its name below the folder of its class."""

    file: File
    part: Part
    label: str
    below: str


def part_called(name: str) -> Part | None:
    """Find the part of the data that a folder or a column calls so; None for any other name."""
    letters = re.sub(r"[^a-z]", "", name.casefold())
    return _SPELLED.get(letters) or _SPELLED.get(re.sub(r"(set|data|images|imgs|split)$", "", letters))


def place(tree: Tree, notes: list[str]) -> list[Placed]:
    """Place the files that are in a class. Others join what the tree left out; `notes` say how folders were read."""
    names = [file.name for file in tree.files]
    base = _base(names)
    if base:
        notes.append(f"class folders are looked for in {tree.root / base}, the only folder with images")
    parts = _parts(names, base)
    placed = []
    for file in tree.files:
        *folders, name = file.name.removeprefix(base).split("/")
        part: Part = "train"
        if folders and folders[0] in parts:
            part = parts[folders.pop(0)]
        elif "train" in parts.values() and folders:
            tree.left_out[BESIDE].append(file.name)
            continue
        if not folders:
            tree.left_out[NO_CLASS].append(file.name)
            continue
        placed.append(Placed(file, part, folders[0], "/".join([*folders[1:], name])))
    return placed if parts else _within_classes(placed, tree, notes)


def _within_classes(placed: list[Placed], tree: Tree, notes: list[str]) -> list[Placed]:
    """Take the parts from folders in those of the classes: in every class, since one may have a folder called so."""
    found = [_within_class(one) for one in placed]
    labels = {one.label for one in placed if one.below}
    divided = {one.label for one, part in found if part}
    if divided != labels:
        if divided:
            notes.append(
                f"folders called after a part of the data are in {len(divided)} of {len(labels)} classes (first: "
                f"{min(divided)}), so they are taken for no parts"
            )
        return placed
    if any(part == "train" for _, part in found):
        tree.left_out[BESIDE] += [one.file.name for one, part in found if not part]
        return [one for one, part in found if part]
    return [one for one, _ in found]


def _within_class(one: Placed) -> tuple[Placed, Part | None]:
    """Place a file by the folder in that of its class, and name the part that this one is called after, if it is."""
    folder, separator, below = one.below.partition("/")
    part = part_called(folder) if separator else None
    return (one._replace(part=part, below=below), part) if part else (one, None)


def _base(names: list[str]) -> str:
    """Find the folder that the classes or the parts are in: below it, more than one folder holds images."""
    base = ""
    while len(inside := _folders(names, base)) == 1 and "" not in inside:
        (only,) = inside
        if "" in _folders(names, f"{base}{only}/") or part_called(only):
            break  # a class, or a part
        base += f"{only}/"
    return base


def _folders(names: list[str], base: str) -> dict[str, list[str]]:
    """Find the folders in `base` with images, and "" where it has some itself: the names of the files below each."""
    found = defaultdict(list)
    for name in names:
        if name.startswith(base):
            folder, separator, below = name.removeprefix(base).partition("/")
            found[folder if separator else ""].append(below if separator else folder)
    return found


def _parts(names: list[str], base: str) -> dict[str, Part]:
    """Find the folders in `base` that are parts of the data: they hold class folders, and one of them is to train on.

    Without such a one the folders beside are the classes to train on, where a part has classes of the same names.
    """
    inside = _folders(names, base)
    found = {
        folder: part
        for folder, files in inside.items()
        if (part := part_called(folder)) and any("/" in file for file in files)
    }
    if "train" in found.values():
        return found
    classes = {folder: {file.split("/")[0] for file in inside[folder] if "/" in file} for folder in found}
    return {folder: part for folder, part in found.items() if classes[folder] & (inside.keys() - found.keys())}
