"""What `watch` draws on a terminal, of runs of any size."""

import pytest

from ganbalance.cli.screen import screen
from ganbalance.k8s.status import Row, StageState
from ganbalance.printing import columns, cut

SUMMARY = "run tiny-1a2b3c4d: many; driver: running\nfor its logs: ganbalance logs --run tiny-1a2b3c4d --stage STAGE"
WIDE = "\N{CJK UNIFIED IDEOGRAPH-732B}"  # two columns


def row(group: str, number: int, state: StageState = "done", cause: str = "") -> Row:
    return Row(stage=f"{group}/seed-{number}", group=group, state=state, cause=cause, key="0" * 64)


def drawn(monkeypatch: pytest.MonkeyPatch, rows: list[Row], *, width: int, height: int, top: str = "") -> list[str]:
    """The lines of the screen of a terminal of that size."""
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("LINES", str(height))
    return screen(top, rows, SUMMARY).splitlines()


@pytest.mark.parametrize(("width", "height"), [(80, 24), (40, 24), (200, 16), (80, 60)])
@pytest.mark.parametrize("n_failed", [0, 5, 300])
def test_300_stages_fit_the_terminal(monkeypatch: pytest.MonkeyPatch, width: int, height: int, n_failed: int) -> None:
    rows = [row(f"train-gan-{n % 30}", n, "failed" if n < n_failed else "running", WIDE * 90) for n in range(300)]
    top = "the store s3://bucket does not answer: pod minio-0 is Pending: Unschedulable"
    lines = drawn(monkeypatch, rows, width=width, height=height, top=top)
    assert sum(1 + (columns(line) - 1) // width for line in lines if line) + lines.count("") < height
    whole = [top, *SUMMARY.splitlines()]
    assert [line for line in lines if line in whole] == whole
    assert all(columns(line) <= width for line in lines if line not in whole)
    assert "and " in "\n".join(lines)


def test_what_fails_is_on_top_then_what_waits_then_the_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        row("imbalance", 0), row("imbalance", 1), row("train-gan-dcgan", 0, "pending", "Unschedulable: no node"),
        row("train-gan-dcgan", 1, "failed", "OOMKilled"), row("report", 0, "blocked", "upstream failed: x"),
    ]  # fmt: skip
    assert drawn(monkeypatch, rows, width=80, height=24) == [
        "failed  train-gan-dcgan/seed-1  OOMKilled",
        "pending  train-gan-dcgan/seed-0  Unschedulable: no node",
        "",
        "group            done  pending  failed  blocked",
        "train-gan-dcgan              1       1",
        "report                                        1",
        "imbalance           2",
        "",
        *SUMMARY.splitlines(),
    ]


def test_where_lines_are_few_what_is_left_out_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [row(f"group-{n}", 0, "failed", "exit 1") if n > 30 else row(f"group-{n}", 0) for n in range(50)]
    lines = drawn(monkeypatch, rows, width=80, height=24)
    assert lines[0] == "failed  group-31/seed-0  exit 1"
    assert "and 11 more stages" in lines
    assert lines[lines.index("") + 2].startswith("group-31 ")  # those that are done are left out first
    assert "and 43 more groups" in lines


def test_where_there_is_no_line_nothing_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = drawn(monkeypatch, [row(f"group-{n}", 0) for n in range(9)], width=80, height=4, top="away")
    assert not [line for line in lines if "more stage" in line]


def test_a_run_without_a_failure_has_all_of_the_screen_for_its_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = drawn(monkeypatch, [row(f"group-{n}", 0) for n in range(16)], width=80, height=24)
    assert "group-15" in lines[16]


@pytest.mark.parametrize(
    ("text", "shown"),
    [("abcdef", "abcdef"), ("abcdefg", "abcde…"), (WIDE * 3, WIDE * 3), (WIDE * 4, f"{WIDE * 2}…"), ("a\nb", "a\\nb")],
)
def test_a_line_is_cut_to_columns_and_not_to_letters(text: str, shown: str) -> None:
    assert cut(text, 6) == shown
