"""What a comparison of several runs writes: tables, curves, a page and a CSV, with the numbers of the reports."""

import csv
import html
from pathlib import Path
from typing import Any

import pytest

from ganbalance.frozen import dump
from ganbalance.reporting.comparison import curves, page, tables, wording
from ganbalance.reporting.comparison.runs import Comparison, compare
from ganbalance.reporting.formats import interval, mean, number
from tests.unit.known_comparisons import KEEP, auc, compared, judged, report
from tests.unit.known_reports import Strict, four, row
from tests.unit.report_run import changed, coarse_pictures


def test_tables_have_the_numbers_of_the_reports() -> None:
    comparison = judged("hurts", "helps")
    assert row(tables.verdicts(comparison), "DCGAN") == {"arm": "DCGAN", "0.01": "hurts", "0.05": "helps"}
    ranking = row(tables.ranking(comparison), "DCGAN")
    assert ranking["0.05"] == f"{mean(auc())} Δ {interval(auc().difference, signed=True)}"
    assert row(tables.ranking(comparison), "threshold")["0.01"] == f"{mean(auc('none'))} Δ 0 by construction"
    assert row(tables.ranking(comparison), "none")["0.01"] == interval(auc("none"))
    gates, margin = row(tables.gates(comparison), "0.01"), f"±{number(report('any').margins.ranking)}"
    assert (gates["rare images left"], gates["seeds"], gates["margin"]) == ("100 of 500 “class 1”", "5", margin)


def lines_of(comparison: Comparison) -> tuple[Any, ...]:
    value = lambda summary, arm: summary.arms[arm].metrics[summary.primary]  # noqa: E731
    return tuple(curves.drawn(comparison, {"AUC": value}, columns=1).axes)


def test_a_curve_has_a_line_and_a_band_for_each_arm_that_ranks_anew() -> None:
    (axes,) = lines_of(compared(KEEP, [0.2, 0.01]))
    arms = ["DCGAN", "class-weight", "oversample", "oracle", "none"]
    assert [line.get_label() for line in axes.lines if not line.get_label().startswith("_")] == arms
    assert len(axes.collections) == len(arms)
    (dcgan,) = [line for line in axes.lines if line.get_label() == "DCGAN"]
    assert list(dcgan.get_xdata()) == [0.01, 0.2]
    assert list(dcgan.get_ydata()) == [auc().mean] * 2
    assert axes.get_xscale() == "log"
    low, high = axes.collections[0].get_datalim(axes.transData).intervaly
    assert (low, high) == pytest.approx((auc().low, auc().high), abs=1e-4)


def test_where_the_axis_has_no_numbers_nothing_is_joined() -> None:
    (axes,) = lines_of(compared("classifier.backbone", ["a", "b"]))
    assert {line.get_linestyle() for line in axes.lines} == {"None"}
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["a", "b"]
    assert axes.get_xscale() == "linear"


def test_one_seed_has_a_line_without_a_band_and_no_verdict_is_changed() -> None:
    arms = dump(report("any"))["arms"]
    for arm in arms.values():
        arm["verdict"] = arm["verdict"] and arm["verdict"] | {"name": "too few seeds"}
        for metric in arm["metrics"].values():
            metric |= {"low": None, "high": None}
            if metric["difference"]:
                metric["difference"] |= {"low": None, "high": None, "p": None, "p_holm": None}
    comparison = compared(KEEP, [0.1, 0.2], arms=[arms, arms])
    lines_of(comparison)
    curves.ranking(comparison)
    assert f"{mean(auc())} Δ {mean(auc().difference, signed=True)}" == row(tables.ranking(comparison), "DCGAN")["0.1"]
    assert "No verdict changes" in wording.headline(comparison)


def test_recall_is_shown_at_the_precisions_that_all_runs_have() -> None:
    levels = [{"precision": [0.5, 0.9], "recall": []}, {"precision": [0.9], "recall": []}]
    with coarse_pictures():
        picture = curves.other_metrics(compared(KEEP, [0.1, 0.2], levels=levels))
    assert picture is not None
    assert picture.alt.startswith("Recall at precision 0.9 and Balanced accuracy, fair of every arm")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compared")
    with coarse_pictures():
        page.write(folder, judged("hurts", "no evidence"))
    return folder


def test_the_page_is_one_file_and_markdown_says_the_same(written: Path) -> None:
    text = (written / "compare.html").read_text()
    parsed = Strict(text)
    assert all(loaded.startswith("data:image/png;base64,") for loaded in parsed.loaded)
    assert all(parsed.alts)
    markdown = (written / "compare.md").read_text()
    for said in (
        "The verdict changes between 0.01 and 0.05, from “hurts” to “no evidence”.",
        "Moves the threshold only, for better, at every value.",
        "ganbalance compare run-0 run-1",
    ):
        assert said in html.unescape(text)
        assert said in markdown
    assert all((written / "figures" / name).is_file() for name in ("along.png", "along-others.png"))
    assert "(figures/along.png)" in markdown


def test_writing_again_into_the_same_folder_replaces_it(written: Path, tmp_path: Path) -> None:
    comparison = judged("hurts", "helps")
    with coarse_pictures():
        page.write(tmp_path, judged("hurts", "hurts"))
        page.write(tmp_path, comparison)
    assert "from “hurts” to “helps”" in (tmp_path / "compare.md").read_text()


def test_the_csv_has_a_row_per_run_arm_and_metric(written: Path) -> None:
    with (written / "compare.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * sum(len(arm.metrics) for arm in report("any").arms.values())
    (found,) = [one for one in rows if (one["run"], one["arm"], one["metric"]) == ("run-1", "dcgan", "auc")]
    assert (found[KEEP], found["verdict"], found["gate"]) == ("0.05", "no evidence", "open")
    assert float(found["mean"]) == auc().mean
    assert float(found["difference_low"]) == auc().difference.low
    assert float(found["p_holm"]) == auc().difference.p_holm


def test_the_terminal_has_the_table_only_where_it_fits() -> None:
    assert "ΔAUC to none" in tables.terminal(judged("hurts", "helps"))
    wide = compared(KEEP, [place / 100 for place in range(1, 14)])
    said = tables.terminal(wide)
    assert "ΔAUC to none" not in said
    assert "DCGAN: Hurts, at every value." in said
    assert max(map(len, said.splitlines())) <= 100


@pytest.mark.parametrize("kinds", [["paper", "paper"], ["linear-head", "paper"]])
def test_what_the_paper_protocol_made_is_labelled(kinds: list[str]) -> None:
    settings = [{KEEP: keep, "classifier.kind": kind} for keep, kind in zip((0.1, 0.2), kinds, strict=True)]
    trained = dump(report("any"))["classifier"]
    reports = {
        f"run-{place}": report(f"run-{place}", of, classifier=trained | {"kind": of["classifier.kind"]})
        for place, of in enumerate(settings)
    }
    comparison = compare(reports)
    with coarse_pictures():
        shown = page.content(comparison)
    if kinds[0] == "paper":
        assert shown["label"] == " (paper protocol)"
        assert shown["flaws"]
    else:
        assert (shown["label"], shown["flaws"]) == ("", ())
        assert any("Some were made under the paper protocol" in warning for warning in comparison.warnings)
        assert comparison.axis.title == f"{KEEP} × classifier.kind"


def test_runs_of_many_classes_are_compared_by_the_metric_of_their_verdicts() -> None:
    first = four().summary
    comparison = compare({"one": first, "two": changed(first, {"provenance experiment imbalance keep 3": 0.1})})
    assert (comparison.axis.title, comparison.axis.labels) == ("imbalance.keep.3", ("0.1", "0.2"))
    with coarse_pictures():
        shown = page.content(comparison)
    assert shown["sections"][0].figures[0].alt.startswith("Pairwise AUC of every arm")
    assert row(tables.verdicts(comparison), "Vanilla GAN")["0.1"] == "did not train (2 of 5)"
    assert row(tables.ranking(comparison), "Vanilla GAN")["0.1"].endswith("over the seeds that trained")
