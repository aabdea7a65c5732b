"""Letter a figure with names that a user gave: as they are, in fonts that have the letters, else as numbers."""

import re
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple
from unicodedata import normalize

from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font

from ganbalance.printing import printable, shortened

LONGEST = 24
"""Letters of a name on a figure; the tables have the whole."""
PLACEHOLDERS = ("Last Resort", "cm")
"""Fonts whose glyphs are not the letters that they stand for: a box per script, and the symbols of TeX."""

REGULAR = ("normal", "regular", 400)


class Lettering(NamedTuple):
    """The text for each name, what a caption adds where texts are numbers, and how matplotlib draws them."""

    texts: list[str]
    legend: str
    style: dict[str, Any]


def lettering(names: Sequence[str], longest: int = LONGEST) -> Lettering:
    """Say how to draw names. A long one ends in an ellipsis; a number is for one that cannot be drawn or distinguished.

    Nothing in a name is mathtext, and matplotlib finds a glyph for each letter, so it warns of none.
    """
    texts = [shortened(normalize("NFC", name), longest) for name in names]
    numbered = {
        place: f"#{place + 1}"
        for place, text in enumerate(texts)
        if texts.count(text) > 1 or re.fullmatch(r"#\d+|\s*", text) or _families(text) is None
    }
    drawn = [numbered.get(place, text) for place, text in enumerate(texts)]
    legend = ", ".join(f"{number} = {printable(names[place])}" for place, number in numbered.items())
    return Lettering(drawn, f" {legend}." if legend else "", as_it_is("".join(drawn)))


def line(text: str) -> str:
    """Letter a text of several words, whose caption says it too: an ellipsis stands for letters that no font has."""
    drawable = "".join(char if _families(char) else "…" for char in normalize("NFC", printable(text)))
    return shortened(re.sub("…+", "…", drawable), 3 * LONGEST)


def as_it_is(text: str) -> dict[str, Any]:
    """Build the settings of a matplotlib text that is drawn as it is."""
    return {"parse_math": False, "fontfamily": _families(text)}


def turned(degrees: int) -> dict[str, Any]:
    """Build the settings of matplotlib texts below an axis: each ends at its tick."""
    return {"rotation": degrees, "rotation_mode": "anchor", "ha": "right"} if degrees else {}


@cache
def _families(text: str) -> list[str] | None:
    """Find fonts that together have all letters of a text, matplotlib's own first; None where one letter is in none."""
    missing, families = {ord(char) for char in text} - _letters(findfont(FontProperties())), ["sans-serif"]
    while missing:
        best = max(_others(), key=lambda family: len(missing & _others()[family]), default=None)
        if best is None or not missing & _others()[best]:
            return None
        families.append(best)
        missing -= _others()[best]
    return families


@cache
def _others() -> dict[str, frozenset[int]]:
    """List the upright fonts that are installed, by family, and the letters in them."""
    files = {
        font.name: font.fname
        for font in fontManager.ttflist
        if font.style == "normal" and font.weight in REGULAR and not font.name.startswith(PLACEHOLDERS)
    }
    return {family: _letters(file) for family, file in sorted(files.items())}


def _letters(file: str) -> frozenset[int]:
    try:
        return frozenset(get_font(file).get_charmap())
    except (OSError, RuntimeError):  # gone since matplotlib listed it, or not in a form that it reads
        return frozenset()
