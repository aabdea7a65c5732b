"""Show names that a user gave, such as those of folders: on one line, in Markdown, in columns of a terminal."""

import io
import re
import sys
from itertools import takewhile
from unicodedata import category, east_asian_width

JOINERS = "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"
"""Invisible, but letters of several scripts and many emoji are written with them."""

_MARKUP = re.compile(r"[*`~$|<\\]|&(?=#?\w+;)|(?<=\])\(|(?<![^\W_])_|_(?![^\W_])")
"""What Markdown takes for more than itself: of underscores those at an edge of a word, of brackets those of a link."""
_ENTITIES = {"<": "&lt;", "&": "&amp;"}


def print_anything() -> None:
    """Let standard output write characters that its encoding lacks as escapes, which would end the program else."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def printable(text: str) -> str:
    """Write line breaks, other control characters and invisible marks of a text as escapes such as \\n."""
    return "".join(char.encode("unicode_escape").decode() if _acts(char) else char for char in text)


def shortened(text: str, longest: int) -> str:
    """Shorten to a printable text of so many characters at most; where more is left out, the last is an ellipsis."""
    shown = printable(text)
    return shown if len(shown) <= longest else f"{shown[: longest - 1].rstrip()}…"


def escaped(text: str) -> str:
    """Write a printable text in Markdown so that it is read as it is, also in a table."""
    return _MARKUP.sub(lambda found: _ENTITIES.get(found[0], f"\\{found[0]}"), printable(text))


def columns(text: str) -> int:
    """Count the columns of a terminal that a text takes: letters of East Asian scripts and emoji are two wide."""
    return sum(2 if east_asian_width(char) in "WF" else category(char) not in ("Mn", "Me", "Cf") for char in text)


def padded(text: str, width: int, *, right: bool = False) -> str:
    """Pad a text with spaces to so many columns of a terminal: behind it, or before it where it stands on the right."""
    spaces = " " * (width - columns(text))
    return spaces + text if right else text + spaces


def cut(text: str, width: int) -> str:
    """Shorten to a printable text of so many columns of a terminal at most; the last is an ellipsis then."""
    shown = printable(text)
    if columns(shown) <= width:
        return shown
    kept = takewhile(lambda n: columns(shown[:n]) < width, range(1, len(shown)))
    return f"{shown[: max(kept, default=0)].rstrip()}…"


def _acts(char: str) -> bool:
    """Tell whether it does something to a line instead of standing in it, or is not a character at all."""
    kind = category(char)
    return char not in JOINERS and (kind in ("Zl", "Zp") or kind.startswith("C"))
