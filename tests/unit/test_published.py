"""What a list of reports says of each."""

import csv
from pathlib import Path

import pytest

from ganbalance import cli
from ganbalance.reporting import published
from tests.unit.known_reports import hurting, known, shut

MARKERS = ("<!-- results reports: made by `make readme`, do not edit -->", "<!-- /results reports -->")


def rows(folder: Path) -> list[list[str]]:
    lines = published.table(folder).splitlines()
    return [[field.strip() for field in line.strip("|").split(" | ")] for line in lines[2:]]


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    for name, made in (("b", known()), ("a", shut()), ("c", hurting())):
        (tmp_path / name).mkdir()
        made.summary.write(tmp_path / name / "summary.json")
    (tmp_path / "README.md").write_text("\n".join(["before", *MARKERS, "after", ""]))
    (tmp_path / "empty").mkdir()
    return tmp_path


def test_a_report_has_its_link_its_seeds_its_command_and_one_sentence(reports: Path) -> None:
    first, second, third = rows(reports)
    assert first[:2] == ["[a](a/report.md)", "0 to 4"]
    assert first[3].startswith("This run could not have shown a gain: giving the removed images back changes AUC by")
    assert "It needs" not in first[3]
    assert second[3].startswith("WGAN-GP helps: AUC +0.")
    assert second[3].endswith(" A demonstration.")  # as its note says
    assert third[:3] == ["[c](c/report.md)", "10 to 14", f"`make run EXPERIMENT={reports / 'c' / 'experiment.yaml'}`"]
    assert third[3].startswith("DCGAN hurts: AUC -0.")


def sweep(folder: Path, *of_arms: tuple[str, str, str], **more: str) -> Path:
    """A report of a sweep along `side`: (value, arm, verdict), each at two metrics."""
    folder.mkdir()
    with (folder / "compare.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["run", "side", "arm", "metric", "verdict", *more])
        for value, arm, verdict in of_arms:
            table.writerows(["r", value, arm, metric, verdict, *more.values()] for metric in ("auc", "f1"))
    return folder.parent


def test_of_a_sweep_it_says_where_arms_help_and_hurt(tmp_path: Path) -> None:
    found = [
        ("32", "dcgan", "hurts"), ("32", "oracle", "helps"), ("64", "dcgan", "no evidence"), ("64", "oracle", "helps"),
    ]  # fmt: skip
    ((link, seeds, command, said),) = rows(sweep(tmp_path / "sides", *found, seeds="0 to 9"))
    assert (link, seeds) == ("[sides](sides/compare.md)", "0 to 9")
    assert command == "`make publish EXPERIMENT=jobs/experiments/sides.yaml`"
    assert said == "Along side, DCGAN hurts at 32; oracle helps at 32 and 64."


def test_of_many_places_it_says_how_many_and_what_is_not_set_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "pairs").mkdir()
    shares = [
        ("shirt", "0.2", "not set"),
        ("shirt", "0.1", "not set"),
        ("coat", "not set", "0.2"),
        ("coat", "not set", "0.1"),
    ]
    lines = ["run,positive,keep.shirt,keep.coat,arm,verdict"]
    lines += [f"r{number},{','.join(share)},oracle,helps" for number, share in enumerate(shares)]
    lines += ["r4,bag,not set,not set,oracle,no evidence", "r0,shirt,0.2,not set,dcgan,hurts"]
    (tmp_path / "pairs/compare.csv").write_text("\n".join(lines))
    ((*_, said),) = rows(tmp_path)
    assert said == "Along positive × keep, oracle helps in 4 of 5 runs; DCGAN hurts at shirt × 0.2."


def test_a_sweep_in_which_nothing_is_called_says_so(tmp_path: Path) -> None:
    ((_, seeds, _, said),) = rows(sweep(tmp_path / "sides", ("32", "dcgan", "no evidence")))
    assert (seeds, said) == ("–", "Along side, no arm helps or hurts.")


def test_the_command_puts_the_list_between_its_markers(reports: Path, capsys: pytest.CaptureFixture[str]) -> None:
    readme = reports / "README.md"
    assert cli.main(["table", str(reports), "--into", str(readme)]) == 0
    begin, end = MARKERS
    assert readme.read_text() == f"before\n{begin}\n\n{published.table(reports)}\n{end}\nafter\n"
    assert cli.main(["table", str(reports)]) == 0
    assert "[a](a/report.md)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("seeds", "said"), [([10, 11, 12], "10 to 12"), ([0, 1], "0 and 1"), ([0, 2, 3], "0, 2 and 3"), ([7], "7")]
)
def test_seeds_in_a_row_are_a_span(seeds: list[int], said: str) -> None:
    assert published.span(seeds) == said
