"""What all images of a user have in common, wherever a listing finds them.

A listing says which images there are, of which class, part and group. Here they are examined, brought to one side and
one number of channels, and put on two sides: where the data has no test part, `test_fraction` of every class is held
back, the same for every seed: of its images, or, where images are grouped, of its groups. The data's own validation
part joins the training part, since validation images are drawn anew for every seed.
"""

import hashlib
from abc import abstractmethod
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ganbalance import config
from ganbalance.data import duplicates, groups
from ganbalance.data.card import Card, OfClass, Twins, names
from ganbalance.data.datasets.base import Counts, Dataset, Grouped, Images
from ganbalance.data.examined import Examined, examine, read_all
from ganbalance.data.holdout import held_count, hold_out
from ganbalance.data.listing import Entry, Listing, Part
from ganbalance.data.pictures import Picture
from ganbalance.errors import DataError
from ganbalance.keys import digest
from ganbalance.plurals import plural

TEST_SPLIT_SEED = 0  # the test part belongs to the dataset: no seed of an experiment may move it
MOST_PAIRS = 5


class OwnImages(Dataset):
    """A user's images; a subclass lists them."""

    def __init__(self, settings: config.OwnImages, labels: Collection[int] | None = None) -> None:
        self._settings, self._labels, self.side_px = settings, labels, settings.side_px

    @abstractmethod
    def _list(self) -> Listing:
        """List every image, in any order. Raises DataError where there is nothing to list."""

    def of(self, labels: Collection[int]) -> Self:
        """Return the same data; images of other classes are not looked at."""
        return self._with(labels)

    def classes(self) -> list[str]:
        return self._listing.classes

    def ensure(self) -> None:
        if len(self.classes()) < 2:  # noqa: PLR2004
            found = f"one class only, {self.classes()[0]!r}" if self.classes() else "no images of any class"
            raise DataError(f"{self._place} has {found}; two are needed to tell apart")

    def fingerprint(self) -> str:
        images = [[entry.name, entry.label, entry.part, entry.group, what.sha256] for entry, what in self._images]
        settings = {name: getattr(self._settings, name) for name in ("side_px", "channels", "fit", "test_fraction")}
        return digest({"images": images, "settings": settings})

    @property
    def brings_test_part(self) -> bool:  # type: ignore[override]
        return any(entry.part == "test" for entry, _ in self._images)

    def counts(self) -> Counts:
        sides = (self._numbers[rows] for rows in self._sides)
        return Counts(*(np.bincount(labels, minlength=len(self.classes())).tolist() for labels in sides))

    def grouped(self) -> Grouped | None:
        if self._groups is None:
            return None
        rows = np.concatenate(self._sides)
        return Grouped(self._numbers[rows], self._groups[rows], len(self._sides[0]))

    def load(self) -> Images:
        rows = np.concatenate(self._sides)
        pixels = np.empty((len(rows), self._settings.channels, self.side_px, self.side_px), np.uint8)

        def read(place: int) -> None:
            pixels[place] = self._pixels(*self._images[rows[place]])

        read_all(range(len(rows)), read, "read the images")
        of_rows = None if self._groups is None else self._groups[rows]
        return Images(pixels, self._numbers[rows], len(self._sides[0]), of_rows)

    def card(self) -> Card:
        """Tell what is in the images of the classes in question; those that cannot be used do not stop it."""
        if not self._settings.skip_bad:
            return self._with(self._labels, skip_bad=True).card()
        images, bad = self._images, {entry.where: what.problem for entry, what in self._looked_at if what.problem}
        facts, counts = [what for _, what in images], self.counts()
        return Card(
            place=self._place,
            classes=tuple(
                OfClass(
                    name=self.classes()[label],
                    train=counts.train[label],
                    test=counts.test[label],
                    groups=None if self._groups is None else len(np.unique(self._groups[self._numbers == label])),
                )
                for label in self._wanted
            ),
            side_px=self.side_px,
            channels=self._settings.channels,
            fit=self._settings.fit,
            held_back=None if self.brings_test_part else self._settings.test_fraction,
            sizes=dict(Counter(f"{what.width} x {what.height}" for what in facts)),
            not_square=sum(what.width != what.height for what in facts),
            smaller=sum(max(what.width, what.height) < self.side_px for what in facts),
            colourful=sum(what.is_colourful for what in facts),
            pictures=dict(Counter(done for what in facts for done in what.done)),
            twins=_described(images, _twins(images, self._sides[1])),
            dropped=sum(not what.problem for _, what in self._looked_at) - len(images),
            bad=bad,
            left_out={why: names(of) for why, of in self._listing.left_out.items() if of},
            notes=tuple(self._listing.notes),
        )

    def _with(self, labels: Collection[int] | None, **settings: Any) -> Self:
        other = type(self)(self._settings.model_copy(update=settings), labels)
        other._listing = self._listing
        return other

    @property
    def _wanted(self) -> list[int]:
        """The classes in question."""
        return list(range(len(self.classes()))) if self._labels is None else sorted(self._labels)

    @property
    def _place(self) -> str:
        """Where the data is, for people."""
        paths = self._settings.path
        return paths if isinstance(paths, str) else ", ".join(paths)

    @cached_property
    def _listing(self) -> Listing:
        """Every image, on its side, in the order of classes and names."""
        listing = self._list()
        parts = {entry.part for entry in listing.entries}
        if "validation" in parts:
            side: Part = "train" if "test" in parts else "test"
            count = sum(entry.part == "validation" for entry in listing.entries)
            listing.notes.append(
                f"the data's own validation part ({plural(count, 'image')}) "
                + ("joins the training part, of which every seed holds out its own" if "test" in parts
                   else "is tested on: there is no test part")
            )  # fmt: skip
            listing.entries = [
                replace(entry, part=side) if entry.part == "validation" else entry for entry in listing.entries
            ]
        place = {name: number for number, name in enumerate(listing.classes)}
        listing.entries.sort(key=lambda entry: (entry.part == "test", place[entry.label], entry.name))
        return listing

    @cached_property
    def _looked_at(self) -> list[tuple[Entry, Examined]]:
        """The images of the classes in question, and what is in them; those that cannot be used as well."""
        wanted = {self.classes()[label] for label in self._wanted}
        entries = [entry for entry in self._listing.entries if entry.label in wanted]
        return list(zip(entries, examine(entries, self._place), strict=True))

    @cached_property
    def _images(self) -> list[tuple[Entry, Examined]]:
        """Those that a run uses. Raises DataError for images that cannot be used, unless they are to be skipped."""
        bad = [(entry, what.problem) for entry, what in self._looked_at if what.problem]
        if bad and not self._settings.skip_bad:
            raise DataError(
                f"{len(bad):,} of {plural(len(self._looked_at), 'image')} cannot be used; fix or remove them, or go "
                + "\n  ".join(
                    ["on without them by dataset.skip_bad: true", *(f"{one.where} {why}" for one, why in bad)]
                )
            )
        usable = [(entry, what) for entry, what in self._looked_at if not what.problem]
        if usable and self._settings.duplicates == "drop":
            own_test = np.array([row for row, (entry, _) in enumerate(usable) if entry.part == "test"], np.int64)
            dropped = set(_twins(usable, own_test).drop.tolist())
            return [image for row, image in enumerate(usable) if row not in dropped]
        return usable

    @cached_property
    def _numbers(self) -> NDArray[np.int64]:
        """The label of each of `_images`, (N,)."""
        return _numbers(self._images, self.classes())

    @cached_property
    def _groups(self) -> NDArray[np.int64] | None:
        """The group of every image as a number, (N,). Raises DataError for one in both parts, and an image in none."""
        given = [entry.group for entry, _ in self._images]
        if not any(given) and self._settings.groups is None:
            return None
        if without := [entry.where for entry, _ in self._images if not entry.group]:
            raise DataError(
                f"{len(without):,} of {plural(len(given), 'image')} are in no group (first: {without[0]}); "
                f"{groups.advice(self._settings.groups)}"
            )
        names, numbers = np.unique(given, return_inverse=True)
        is_test = np.array([entry.part == "test" for entry, _ in self._images])
        if len(shared := np.intersect1d(numbers[~is_test], numbers[is_test])):
            raise DataError(
                f"{self._place}: {len(shared)} groups have images in both the training and the test part (first: "
                f"{str(names[shared[0]])!r}); move the images of each to one of them, or put all into one part, of "
                "which dataset.test_fraction is then held back by group"
            )
        return numbers.astype(np.int64)

    @cached_property
    def _sides(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The images to train on and those to test on. Raises DataError for a class that has none of one of them."""
        labels, numbers = self._numbers, self._groups
        is_test = np.array([entry.part == "test" for entry, _ in self._images], bool)
        fraction, rng = self._settings.test_fraction, np.random.default_rng(TEST_SPLIT_SEED)
        group_of = np.arange(len(labels)) if numbers is None else numbers
        if is_test.any():
            train, test = np.flatnonzero(~is_test), np.flatnonzero(is_test)
        else:
            train, test = hold_out(labels, group_of, lambda count: held_count(count, fraction), rng)
        for label in self._wanted:
            has, name = labels == label, self.classes()[label]
            for use, rows in (("train", train), ("test", test)):
                if not has[rows].any():
                    among = "" if numbers is None else f" in {plural(len(np.unique(group_of[has])), 'group')}"
                    bad = [(one, what) for one, what in self._looked_at if what.problem and one.label == name]
                    unusable = (
                        f"; {plural(len(bad), 'image')} of it cannot be used (first: {bad[0][0].where} "
                        f"{bad[0][1].problem})"
                        if bad
                        else ""
                    )
                    split = "" if is_test.any() else f" after dataset.test_fraction = {fraction}"
                    raise DataError(
                        f"{self._place}: class {name!r} has {plural(int(has.sum()), 'image')}{among}, none to {use} on"
                        f"{split}{unusable}; give the class more {'groups' if among else 'images'}"
                        + (" or change the fraction" if split else " there")
                    )
        return train, test

    def _pixels(self, entry: Entry, planned: Examined) -> NDArray[np.uint8]:
        """Read uint8 (channels, side, side), of exactly the bytes that were fingerprinted. Raises DataError."""
        try:
            content = entry.read()
        except OSError as error:
            raise DataError(f"{entry.where} cannot be read: {error.strerror or error}") from error
        if hashlib.sha256(content).hexdigest() != planned.sha256:
            raise DataError(f"{entry.where} has changed since the run was planned; start it again")
        return Picture(content).canonical(self._settings.side_px, self._settings.channels, self._settings.fit)


def _numbers(images: Sequence[tuple[Entry, Examined]], classes: Sequence[str]) -> NDArray[np.int64]:
    number = {name: label for label, name in enumerate(classes)}
    return np.array([number[entry.label] for entry, _ in images], np.int64)


def _twins(images: Sequence[tuple[Entry, Examined]], test: NDArray[np.int64]) -> duplicates.Duplicates:
    """Find which of the images are there twice; `test` are the rows of those to test on."""
    parts = np.full(len(images), duplicates.Part.TRAIN, np.int64)
    parts[test] = duplicates.Part.TEST
    signatures = np.frombuffer(bytes.fromhex("".join(what.looks for _, what in images)), np.uint8)
    return duplicates.find_duplicates(
        np.array([what.sha256 for _, what in images]),
        signatures.reshape(len(images), -1),
        _numbers(images, sorted({entry.label for entry, _ in images})),
        parts,
    )


def _described(images: Sequence[tuple[Entry, Examined]], found: duplicates.Duplicates) -> Twins:
    near = found.near
    pairs = {pair: None for kind in (near.test, near.other_class, near.same_class) for pair in kind.examples}
    return Twins(
        same_bytes=found.exact.images,
        images=near.images,
        other_class=near.other_class.images,
        test=near.test.images,
        pairs=tuple((images[one][0].name, images[other][0].name) for one, other in list(pairs)[:MOST_PAIRS]),
    )
