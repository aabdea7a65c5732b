"""Show a name that a user gave, such as that of a folder, as one line of text."""

from unicodedata import category

JOINERS = "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"
"""Invisible, but letters of several scripts and many emoji are written with them."""


def printable(text: str) -> str:
    """The text with line breaks, other control characters and invisible marks as escapes such as \\n."""
    return "".join(char.encode("unicode_escape").decode() if _acts(char) else char for char in text)


def _acts(char: str) -> bool:
    """Whether it does something to a line instead of standing in it, or is not a character at all."""
    kind = category(char)
    return char not in JOINERS and (kind in ("Zl", "Zp") or kind.startswith("C"))
