"""What a dataset is made of: every image that is in it, and everything that was left out, with why.

A listing opens no image. All that a dataset says of itself (classes, counts, groups, fingerprint, pixels) comes from
one listing, so that what is read is what is fingerprinted.
"""

import os
import stat
import time
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ganbalance.data.pictures import DICOM, SUFFIXES
from ganbalance.errors import DataError

Part = Literal["train", "validation", "test"]

SETTLED_NS = 2_000_000_000

MOST_BYTES = 2**31
"""Of a file, 2 GB: it is read whole, and several at a time."""

JUNK = {
    "@eadir", "__macosx", "#recycle", "@recycle", "$recycle.bin", "#snapshot", "system volume information",
    "lost+found", "thumbs.db", "desktop.ini",
}  # fmt: skip
"""What file managers and network drives leave behind; thumbnails are in some of it."""


@dataclass(frozen=True)
class Entry:
    """One image: `name` is the same on every machine, `where` is for people, `read` gives its bytes for `Picture`.

    `stamp` changes whenever the bytes may have changed; None where that cannot be known. `group` is "" for none.
    """

    name: str
    label: str
    where: str
    read: Callable[[], bytes] = field(repr=False)
    stamp: str | None = None
    part: Part = "train"
    group: str = ""


@dataclass
class Listing:
    """The images, in order; the names of what was left out, by reason; and how it was read, for people."""

    entries: list[Entry] = field(default_factory=list)
    left_out: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    notes: list[str] = field(default_factory=list)

    @property
    def classes(self) -> list[str]:
        """Their names, in order: numbers by their size, else as text."""
        names = {entry.label for entry in self.entries}
        if all(name.removeprefix("-").isdecimal() for name in names):
            return sorted(names, key=lambda name: (int(name), name))
        return sorted(names)


@dataclass(frozen=True)
class File:
    """A file that may be an image: its name below the root, and where it is. `problem` is why it cannot be read."""

    name: str
    path: Path
    stamp: str | None = None
    problem: str = ""

    def read(self) -> bytes:
        """Read its bytes. Raises OSError."""
        if self.problem:
            raise OSError(self.problem)
        return self.path.read_bytes()

    def entry(self, label: str, part: Part = "train", group: str = "", *, prefix: str = "") -> Entry:
        """Turn the file into an image of a dataset."""
        return Entry(prefix + self.name, label, str(self.path), self.read, self.stamp, part, group)


_Folder = tuple[Path, str, tuple[tuple[int, int], ...]]
"""Where a folder is, what the names in it begin with, and the folders that it is in."""


@dataclass
class Tree:
    """The image files below a folder, by name, links followed; and what else is there, by reason."""

    root: Path
    files: list[File] = field(default_factory=list)
    left_out: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    folders: list[str] = field(default_factory=list)


def walk(root: Path, suffixes: Collection[str] = SUFFIXES) -> Tree:
    """List everything below a folder, in the order of names. What may not be read becomes a file with a problem.

    Raises DataError where that is the folder itself.
    """
    tree = Tree(root)
    waiting: list[_Folder] = [(root, "", ())]
    while waiting:
        waiting += reversed(_visit(*waiting.pop(), tree, suffixes))
    tree.files.sort(key=lambda file: file.name)
    if tree.files and not tree.files[0].name:
        raise DataError(f"{root} {tree.files[0].problem}; change its permissions, or name another folder")
    return tree


def _visit(
    folder: Path, below: str, above: tuple[tuple[int, int], ...], tree: Tree, suffixes: Collection[str]
) -> list["_Folder"]:
    """List what is in a folder; the folders in it are still to visit."""
    folders: list[_Folder] = []
    try:
        found = sorted(os.scandir(folder), key=lambda entry: entry.name)
        identity = _identity(folder.stat())
    except OSError as error:
        tree.files.append(File(below, folder, problem=f"is a folder that may not be read: {error.strerror}"))
        return folders
    for entry in found:
        name = below + readable(entry.name)
        if entry.name.startswith(".") or entry.name.casefold() in JUNK:
            tree.left_out["hidden, or left behind by a file manager"].append(name)
            continue
        suffix = Path(entry.name).suffix.casefold()
        try:
            status = entry.stat()
        except OSError as error:
            why = "is a link that leads to nothing" if entry.is_symlink() else f"may not be read: {error.strerror}"
            if suffix in suffixes or not suffix:
                tree.files.append(File(name, Path(entry.path), problem=why))
            else:
                tree.left_out[why].append(name)
            continue
        if stat.S_ISDIR(status.st_mode):
            if _identity(status) in (*above, identity):
                tree.left_out["a link to a folder that it is in"].append(name)
                continue
            tree.folders.append(name)
            folders.append((Path(entry.path), f"{name}/", (*above, identity)))
        elif not stat.S_ISREG(status.st_mode):
            tree.left_out["neither a file nor a folder"].append(name)
        elif suffix in suffixes:
            large = f"is larger than {MOST_BYTES // 10**9} GB: make it smaller" if status.st_size > MOST_BYTES else ""
            tree.files.append(File(name, Path(entry.path), stamp_of(status), large))
        else:
            takes = ", which takes ganbalance[dicom]" if suffix == DICOM else ""
            tree.left_out[f"no image by its name: {suffix or 'no suffix'}{takes}"].append(name)
    return folders


def image_files(folder: Path) -> list[Path]:
    """List the image files below a folder, in the order of their names."""
    return [file.path for file in walk(folder).files]


def stamp_of(status: os.stat_result) -> str | None:
    """Return what changes with a file's bytes: no program can set the last of its numbers. None for one that has only
    just changed, since another change may leave the same times."""
    if time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) < SETTLED_NS:
        return None
    return f"{status.st_ino}-{status.st_size}-{status.st_mtime_ns}-{status.st_ctime_ns}"


def readable(name: str) -> str:
    """Rewrite a name so that it can be printed and compared: one Unicode form, and no bytes that are no text."""
    return unicodedata.normalize("NFC", os.fsencode(name).decode(errors="backslashreplace"))


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
