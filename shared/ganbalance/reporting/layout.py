"""Define what a page is made of: sections with text, tables and pictures, and the Report they are made from."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass

from ganbalance.metrics.results import Analysis
from ganbalance.reporting.collect import Question, Results
from ganbalance.reporting.summary import Summary


@dataclass(frozen=True)
class Report:
    """Everything that a section may show."""

    question: Question
    results: Results
    analysis: Analysis
    summary: Summary


@dataclass(frozen=True)
class Entry:
    """One field of a table: its text, what stands small below it, and the verdict that colours it, if it is one."""

    text: str
    detail: str = ""
    verdict: str = ""


Row = tuple[Entry, ...]


@dataclass(frozen=True)
class Group:
    """Rows under a heading of their own; the first entry of a row names it."""

    title: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Table:
    """A caption, column heads, rows in groups, and remarks on how to read them.

    On a narrow screen a table scrolls, or, `stacked`, becomes a box per row.
    """

    caption: str
    head: tuple[str, ...]
    groups: tuple[Group, ...]
    notes: tuple[str, ...] = ()
    stacked: bool = False


@dataclass(frozen=True)
class Picture:
    """A PNG under `figures/`, what it shows for who cannot see it, and its caption."""

    file: str
    png: bytes
    alt: str
    caption: str

    @property
    def embedded(self) -> str:
        """A data URI, so that the page needs no other file."""
        return "data:image/png;base64," + base64.b64encode(self.png).decode()


@dataclass(frozen=True)
class Item:
    """A term and what is said of it; `verdict` is the entry of one, where the term is an arm that was judged."""

    term: str
    text: str
    verdict: Entry | None = None


@dataclass(frozen=True, kw_only=True)
class Section:
    """Shown in the order of the fields; what is empty is left out.

    cards     one box each, side by side
    items     a list of terms
    folded    shut on the HTML page until it is opened
    measured  holds results, so that the paper protocol is named beside its title
    """

    title: str
    text: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    cards: tuple[Item, ...] = ()
    tables: tuple[Table, ...] = ()
    figures: tuple[Picture, ...] = ()
    items: tuple[Item, ...] = ()
    code: str = ""
    sections: tuple["Section", ...] = ()
    folded: bool = False
    measured: bool = True

    @property
    def pictures(self) -> Iterator[Picture]:
        """Its own, and those of the sections in it."""
        yield from self.figures
        for section in self.sections:
            yield from section.pictures
