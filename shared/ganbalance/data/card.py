"""A data card: what is in a dataset, what happens to it, what is left out, and what is in it twice."""

from collections.abc import Iterator, Sequence
from typing import Self

from pydantic import Field

from ganbalance.data.pictures import GREY, WINDOW, Done, Fit
from ganbalance.frozen import Frozen
from ganbalance.plurals import plural

NAMED = 3
WHAT_HAPPENS: dict[Done, str] = {
    "turned": "as their EXIF orientation says",
    "deep": f"more than 8 bits: the {WINDOW[0]}th to {WINDOW[1]}th percentile of each becomes 0 to 255",
    "deep colour": "16 bits a channel, of which the upper 8 are read",
    "transparent": "put on black",
    "first of several": "which hold several pictures",
}
HOW_SQUARE: dict[Fit, str] = {
    "pad": "padded with black",
    "crop": "cropped to the middle",
    "stretch": "stretched",
}


class OfClass(Frozen):
    """One class: images to train and to test on and, where images are grouped, their groups."""

    name: str
    train: int
    test: int
    groups: int | None = None


class Names(Frozen):
    """How many of something there are, and what the first of them are called."""

    count: int
    first: tuple[str, ...]

    def __str__(self) -> str:
        more = ", ..." if self.count > len(self.first) else ""
        return f"{self.count:,} ({', '.join(self.first)}{more})"


def names(given: Sequence[str]) -> Names:
    """Count all of `given`, and keep the first few."""
    return Names(count=len(given), first=tuple(given[:NAMED]))


class Twins(Frozen):
    """Images that are there again, with the same bytes or nearly the same pixels: everywhere, in another class, and
    test images that are so among those to train on. Each pair that is shown is (image, its twin)."""

    same_bytes: int
    images: int
    other_class: int
    test: int
    pairs: tuple[tuple[str, str], ...] = ()


class Card(Frozen):
    """A dataset as a run reads it.

    `sizes` maps "width x height" to a number of images; `pictures` what is done to the bytes of a file to how many;
    `left_out` a reason to what was left out for it. `bad` maps images that cannot be used to the reason.
    """

    place: str
    classes: tuple[OfClass, ...]
    side_px: int
    channels: int
    fit: Fit = "stretch"
    held_back: float | None = None
    folds: int | None = None
    sizes: dict[str, int] = Field(default_factory=dict)
    not_square: int = 0
    smaller: int = 0
    colourful: int = 0
    pictures: dict[Done, int] = Field(default_factory=dict)
    twins: Twins | None = None
    dropped: int = 0
    bad: dict[str, str] = Field(default_factory=dict)
    left_out: dict[str, Names] = Field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def test_share_in_training(self) -> float:
        """The share of the test images that have a twin among those to train on."""
        tested = sum(one.test for one in self.classes)
        return self.twins.test / tested if self.twins and tested else 0.0

    def divided(self, folds: int | None) -> Self:
        """Return the card of an experiment that tests on so many folds of the images, if on any."""
        return self.model_copy(update={"folds": folds})

    def warnings(self) -> list[str]:
        """List the lines that somebody should read before work starts."""
        return [f"{term}: {text}" for term, text in self._warnings()]

    def rows(self) -> list[tuple[str, str]]:
        """List all but the counts, as terms and what is to say about them."""
        colours = "grey" if self.channels == GREY else "colour"
        sizes = sorted(self.sizes.items(), key=lambda size: -size[1])
        shown = ", ".join(f"{count:,} of {size} px" for size, count in sizes[:NAMED])
        others = f", and {len(sizes) - NAMED:,} other sizes" if len(sizes) > NAMED else ""
        rows = [("data", self.place), ("sizes", shown + others)]
        rows.append(("images become", f"{self.side_px} x {self.side_px} px, {colours}"))
        if self.not_square:
            rows.append(("not square", f"{plural(self.not_square, 'image')}, {HOW_SQUARE[self.fit]} (dataset.fit)"))
        if self.smaller:
            rows.append((f"smaller than {self.side_px} px", f"{plural(self.smaller, 'image')}, enlarged"))
        rows += [(done, f"{plural(count, 'image')}, {WHAT_HAPPENS[done]}") for done, count in self.pictures.items()]
        if self.folds:
            rows.append(("test part", f"none: each seed is tested on one of {self.folds} folds"))
        elif self.held_back is not None:
            rows.append(("test part", f"none: {self.held_back:.0%} of each class held back (dataset.test_fraction)"))
        rows += self._warnings()
        rows += [("a twin", f"{one} is like {other}") for one, other in (self.twins.pairs if self.twins else ())]
        rows += [("cannot be used", f"{where} {why}") for where, why in self.bad.items()]
        return rows

    def _warnings(self) -> Iterator[tuple[str, str]]:
        yield from (("read as", note) for note in self.notes)
        yield from (("left out", f"{what}, {why}") for why, what in self.left_out.items())
        if self.bad:
            yield "left out", f"{names(list(self.bad))}, cannot be used (dataset.skip_bad)"
        if self.dropped:
            yield "left out", f"{plural(self.dropped, 'image')}, like others (dataset.duplicates: drop)"
        if self.colourful and self.channels == GREY:
            yield "colour", f"{plural(self.colourful, 'image')}, made grey; dataset.channels: 3 keeps it"
        if self.twins is not None and self.twins.images:
            yield "twins", self._said_of(self.twins)

    def _said_of(self, twins: Twins) -> str:
        said = [f"{plural(twins.images, 'image')} there more than once, {twins.same_bytes:,} with the same bytes"]
        if self.folds:
            said.append("of those, one may be tested on and another learned from")
        elif twins.test:
            said.append(f"{twins.test:,} test images ({self.test_share_in_training:.1%}) have one in the training part")
        if twins.other_class:
            said.append(f"{twins.other_class:,} have one in another class")
        return "; ".join([*said, "dataset.duplicates: drop keeps one of each, and none with two labels"])
