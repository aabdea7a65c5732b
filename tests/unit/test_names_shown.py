"""Names of classes as folders have them, and very many of them, on figures and in tables."""

import html
import io
import re

import numpy as np
import pytest
from matplotlib.text import Text

from ganbalance.cli.text import table
from ganbalance.printing import columns, escaped, padded, printable, shortened
from ganbalance.reporting import figures, lettering, tables
from ganbalance.reporting.layout import Entry, Group, Table
from ganbalance.reporting.sections import classifier
from tests.unit.known_reports import Strict
from tests.unit.report_run import Outcome, SyntheticRun, read_markdown

LITERAL = ["$x^2$", "$", "$$", "a_b", "_a_", "a^b", "\\alpha", "\\", "100%", "{class}", "{}", "{0}", "007", "..", "a/b",
           "**a**", "`a`", "[a](b)", "![a](b)", "~a~", "a|b", "\\|", "a\\", "&amp;", "&#60;", "a & b", "<b>a</b>",
           "<!--", "<script>a</script>", "Zürich", "مرحبا", "😀"]  # fmt: skip
ESCAPED = {"a\nb": "a\\nb", "\x1b[31m": "\\x1b[31m", "\u202ea": "\\u202ea", "a\u2028b": "a\\u2028b", "\x00": "\\x00"}
NO_GLYPH = ["猫", "हिन्दी", "\U00020000"]
LONG = "L" * 200


def many(count: int) -> tuple[str, ...]:
    wild = [*LITERAL, *ESCAPED, *NO_GLYPH, LONG + "a", LONG + "b"]
    names = (wild * (1 + count // len(wild)))[:count]
    return tuple(name + f" {place}" * (place >= len(wild)) for place, name in enumerate(names))


def saved(figure):
    """The texts on a figure, which is drawn; a warning is an error."""
    figure.savefig(io.BytesIO(), dpi=40)
    assert max(figure.get_size_inches()) < 20
    return [text for text in figure.findobj(Text) if text.get_text()]


# -- figures -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text"),
    [*((name, name) for name in LITERAL), *ESCAPED.items(), ("e\u0301", "é"), (LONG, "L" * 23 + "…")],
    ids=lambda name: ascii(name)[:20],
)
def test_a_name_is_drawn_as_it_is_and_cut_where_it_is_long(name, text):
    found = lettering.lettering((name, "other"))
    assert (found.texts, found.legend) == ([text, "other"], "")
    for figure in (
        figures.class_counts((name, "other"), (5, 5), (5, 1)),
        classifier.draw_confusions((name, "other"), {"none": np.eye(2)}),
    ):
        drawn = [one for one in saved(figure) if one.get_text() == text]
        assert drawn
        assert not any(one.get_parse_math() for one in drawn)


@pytest.mark.parametrize("name", NO_GLYPH, ids=ascii)
def test_a_name_that_no_font_can_draw_is_a_number_that_the_caption_explains(name):
    if lettering._families(name):
        pytest.skip("a font that is installed here has it")
    found = lettering.lettering(("a", name, "c"))
    assert (found.texts, found.legend) == (["a", "#2", "c"], f" #2 = {name}.")
    saved(figures.class_counts(("a", name, "c"), (5, 5, 5), (5, 1, 1)))
    assert lettering.line(f"keep.{name}.x") == "keep.….x"


def test_a_font_that_is_installed_and_has_the_letters_draws_them():
    own = lettering._letters(lettering.findfont(lettering.FontProperties()))
    name = chr(min(letter for letter in lettering._others()["STIXGeneral"] - own if letter > 0x2000))
    found = lettering.lettering((name, "b"))
    assert (found.texts, found.legend) == ([name, "b"], "")
    families = found.style["fontfamily"]
    assert families[0] == "sans-serif"
    assert len(families) == 2
    assert name in {one.get_text() for one in saved(figures.class_counts((name, "b"), (5, 5), (5, 1)))}


@pytest.mark.parametrize(
    ("names", "texts"),
    [
        ((LONG + "a", LONG + "b", "c"), ["#1", "#2", "c"]),
        (("#2", "猫" * 3, "é", "e\u0301"), ["#1", "#2", "#3", "#4"]),
        (("", " ", "a"), ["#1", "#2", "a"]),
    ],
)
def test_no_two_names_are_drawn_alike(names, texts):
    found = lettering.lettering(names)
    assert found.texts == texts or lettering._families("猫")
    assert all(f"#{place + 1} = " in found.legend for place, text in enumerate(texts) if text.startswith("#"))


@pytest.mark.parametrize("count", [2, 3, 10, 12, 13, 40, 41, 200])
def test_counts_and_confusions_of_many_classes_are_legible(count):
    names, rng = many(count), np.random.default_rng(0)
    after = rng.integers(1, 500, count).tolist()
    drawn = saved(figures.class_counts(names, [500] * count, after))
    assert ("007" in [one.get_text() for one in drawn]) == (12 < count <= 40)
    matrices = {arm: rng.integers(0, 9, (count, count)).astype(float) for arm in ("none", "dcgan")}
    shown, reduced = classifier.fewer(names, matrices, {0, count - 1})
    assert len(shown) == min(count, 12)
    assert {names[0], names[-1]} <= {*shown}
    for arm, matrix in matrices.items():
        assert reduced[arm].sum() == matrix.sum()
        assert reduced[arm][0, 0] == matrix[0, 0]
        if count > 12:
            assert shown[-1] == f"{count - 11} others"
            assert reduced[arm][0].sum() == matrix[0].sum()
    saved(classifier.draw_confusions(shown, reduced))


def test_a_matrix_of_many_classes_shows_those_that_are_confused_most():
    matrix = np.diag(np.full(20, 9.0))
    matrix[17, 3], matrix[5, 19] = 8, 7
    shown, _ = classifier.fewer([str(c) for c in range(20)], {"none": matrix}, {1, 2})
    assert {"1", "2", "17", "3", "5", "19"} <= {*shown}


# -- text --------------------------------------------------------------------------------------------------------------

NAMES = [*LITERAL, *ESCAPED, *NO_GLYPH, LONG, "# a", "- a", "1. a", "> a", "a  b"]


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name)[:20])
def test_a_name_in_markdown_is_read_as_it_is(name):
    written = escaped(name)
    assert read_markdown(written) == printable(name)
    assert not re.search(r"(?<!\\)(?:\\\\)*[*`~$|]|<|\]\(|[\n\r]", written)
    found = Table("", ("class", name), (Group("", ((Entry(name), Entry("1", name)),)),))
    for line in tables.markdown(found).splitlines():
        assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) == 3


def test_what_reports_write_themselves_is_not_escaped():
    said = "AUC +0.0013 [-0.0001, +0.0028] (69 % of the variance), 1 − 0.9, keep_1 #2 “a” a-b ±0.1 & c"
    assert escaped(said) == said


@pytest.mark.parametrize(("text", "width"), [("abc", 3), ("猫", 2), ("ｱ", 1), ("e\u0301", 1), ("😀a", 3), ("", 0)])
def test_columns_of_a_terminal_are_those_that_a_text_takes(text, width):
    assert columns(text) == width
    assert padded(text, 5) == text + " " * (5 - width)
    assert table(["n", "class"], [["1", text], ["2", "abcde"]], right=["class"]).splitlines()[1] == (
        f"1  {' ' * (5 - width)}{text}".rstrip()
    )


def test_a_table_on_a_terminal_has_a_line_for_each_row():
    assert table(["class"], [["a\nb\x1b[31m"]]).splitlines() == ["class", "a\\nb\\x1b[31m"]


def test_a_text_is_shortened_with_an_ellipsis():
    assert shortened("abc", 3) == "abc"
    assert shortened("abcd", 3) == "ab…"
    assert shortened("a bcd", 3) == "a…"
    assert shortened("a\nb", 10) == "a\\nb"


# -- the report --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wild(tmp_path_factory):
    """Sixteen classes of wild names, of which eight are rare."""
    names = (
        "$x$_1",
        "<script>alert(1)</script>",
        "a|b*c*`d`",
        "new\nline",
        LONG,
        LONG + "2",
        "猫",
        "..",
        *map(str, range(8)),
    )
    run = SyntheticRun(
        tmp_path_factory.mktemp("wild"),
        k=16, rare=tuple(range(8)), class_names=names, n_test=160, arms=("none", "dcgan"), seeds=(0,), keep=0.2,
    )  # fmt: skip
    return Outcome(run)


def test_wild_names_are_text_on_the_page_and_whole_in_the_files(wild):
    names = wild.report.results.class_names
    page = Strict(wild.html)
    assert not any("<script" in loaded for loaded in page.loaded)
    assert "<script>alert" not in wild.html
    for name in names:
        assert f"<span>{html.escape(printable(name), quote=False)}" in wild.html.replace("&#34;", '"')
        assert f"| {escaped(name)} |" in wild.md
    assert {one["true"] for one in wild.rows("confusion.csv")} == {*names}
    assert [*wild.summary.dataset.before] == [*names]
    for line in wild.md.splitlines():
        if line.startswith("!["):
            assert re.fullmatch(r"!\[(?:[^\[\]]|\\[\[\]])*\]\(figures/[a-z0-9.-]+\)", line)


def test_tables_of_many_classes_stay_short(wild):
    section = wild.section("Each rare class")
    (by_class,) = section.sections
    assert [len(table.groups[0].rows) for table in by_class.tables] == [8] * 8
    assert by_class.folded
    pairs = section.tables[-1]
    assert len(pairs.groups[0].rows) == 20
    assert "The 20 hardest of 28 pairs" in pairs.notes[0]
    largest = wild.section("Classifier").tables
    assert [table.head[:2] for table in largest] == [("true class", "predicted")] * 2
    assert all(len(table.groups[0].rows) == 10 for table in largest)
    assert max(map(len, (line for line in wild.md.splitlines() if line.startswith("![")))) < 5000
    assert "Pictures of" not in wild.md
