"""Several runs are compared along what differs between them, with no claim that their reports do not make."""

import csv
import html
from pathlib import Path
from typing import Any

import pytest

from ganbalance.errors import ConfigError
from ganbalance.frozen import dump
from ganbalance.metrics import verdicts
from ganbalance.metrics.results import Metric
from ganbalance.reporting.comparison import curves, page, tables, wording
from ganbalance.reporting.comparison.runs import Comparison, compare
from ganbalance.reporting.formats import interval, mean, number
from tests.unit.known_comparisons import compared, report
from tests.unit.known_reports import Strict, four, row
from tests.unit.report_run import changed, coarse_pictures

KEEP = "imbalance.keep.1"


# -- what differs ------------------------------------------------------------------------------------------------------


def test_what_differs_is_found_in_the_experiments() -> None:
    comparison = compared(KEEP, [0.2, 0.05, 0.1])
    assert comparison.differing == {KEEP: [0.05, 0.1, 0.2]}
    assert (comparison.axis.title, comparison.axis.labels) == (KEEP, ("0.05", "0.1", "0.2"))
    assert comparison.runs == ("run-1", "run-2", "run-0")
    assert comparison.warnings == ()


@pytest.mark.parametrize(
    ("key", "values", "places", "is_log"),
    [
        (KEEP, [0.2, 0.02], (0.02, 0.2), False),  # ten times is not more than ten times
        (KEEP, [0.2, 0.01], (0.01, 0.2), True),
        (KEEP, [60, 1200], (60, 1200), True),
        (KEEP, [0.2, 60], None, False),  # a share and a number of images are not on one scale
        ("gans.dcgan.steps", [800, 100], (100, 800), False),
        ("gans.dcgan.latent", [None, 100], None, False),
        ("synthesis.n", ["balance", 100], None, False),
        ("classifier.backbone", ["resnet18", "efficientnet-lite0"], None, False),
        ("statistics.margin.share", [0.1, 0.2], (0.1, 0.2), False),
        ("gans.dcgan.lr", [0.0, 1.0], (0.0, 1.0), False),
    ],
)
def test_the_axis_fits_the_values(key: str, values: list[Any], places: Any, is_log: bool) -> None:
    axis = compared(key, values).axis
    assert (axis.title, axis.places, axis.is_log) == (key, places, is_log)


def test_a_setting_that_one_run_lacks_is_told_as_not_set() -> None:
    comparison = compare({"one": report("one"), "two": report("two", {"gans.vanilla.steps": 9})})
    assert (comparison.axis.title, comparison.axis.labels) == ("gans.vanilla.steps", ("not set", "9"))


def test_names_notes_and_resources_are_no_difference() -> None:
    other = report("two", {KEEP: 0.2, "note": "another", "resources.threads": 4, "dataset.folder": "/elsewhere"})
    assert list(compare({"one": report("one"), "two": other}).differing) == [KEEP]


def test_recipes_under_one_name_are_compared_by_their_parts() -> None:
    def of(n: int) -> dict[str, Any]:
        return {"arms": ["none", "class-weight", {"name": "dcgan", "synthetic": {"gan": "dcgan", "n": n}}]}

    comparison = compare({"one": report("one", of(100)), "two": report("two", of(2000))})
    assert (comparison.axis.title, comparison.axis.places) == ("arms.dcgan.synthetic.n", (100, 2000))


def test_runs_that_differ_in_several_things_keep_their_order_and_are_called_by_their_values() -> None:
    reports = {
        "one": report("one", {KEEP: 0.2, "classifier.side_px": 64}),
        "two": report("two", {KEEP: 0.05, "classifier.side_px": 32}),
    }
    comparison = compare(reports)
    assert comparison.axis.places is None
    assert comparison.axis.labels == ("0.2 × 64", "0.05 × 32")
    (warning,) = comparison.warnings
    assert warning.startswith("These runs differ in 2 settings, so what changes from one to the next may come from any")
    assert f"{KEEP}: 0.2 / 0.05; classifier.side_px: 64 / 32" in warning
    assert wording.title(comparison) == f"2 runs along {KEEP} × classifier.side_px: 0.2 × 64 and 0.05 × 32"
    with coarse_pictures():
        assert next(page.sections(comparison)).warnings == (warning,)


def test_runs_that_lack_a_setting_of_others_are_called_by_their_task_and_what_they_have() -> None:
    tasks = {"shirts": {"task.positive": "shirt"}, "coats": {"task.positive": "coat"}}
    reports = {
        name: report(name, task | {"imbalance.keep": {task["task.positive"]: 0.05}}) for name, task in tasks.items()
    }
    axis = compare(reports).axis
    assert (axis.title, axis.labels) == ("task.positive × imbalance.keep", ("shirt × 0.05", "coat × 0.05"))


def test_a_title_lists_no_more_runs_than_one_can_read() -> None:
    many = compared("classifier.backbone", [f"a-backbone-{place}" for place in range(4)])
    assert wording.title(many) == "4 runs along classifier.backbone"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"seeds": [1, 2, 3]}, "Their seeds differ (10, 11, 12, 13, 14 / 1, 2, 3): some of what changes is the draw"),
        (
            {"task.positive": "bag"},
            "Their tasks differ, so their numbers are about different classes. task.positive: 1",
        ),
        (
            {"statistics.margin.share": 0.2},
            "Their verdicts are reached differently. statistics.margin.share: 0.1 / 0.2",
        ),
    ],
)
def test_what_differs_beside_the_axis_is_a_warning(settings: dict[str, Any], said: str) -> None:
    comparison = compare({"one": report("one"), "two": report("two", {KEEP: 0.2} | settings)})
    assert comparison.axis.title == KEEP
    (warning,) = comparison.warnings
    assert warning.startswith(said)
    (key,) = settings
    alone = compare({"one": report("one"), "two": report("two", settings)})
    assert alone.axis.title == key


def test_an_arm_that_a_run_lacks_is_a_warning_and_a_gap() -> None:
    comparison = compare({"one": report("one"), "two": report("two", {KEEP: 0.2}, without=("dcgan",))})
    assert comparison.warnings == (
        "Not every run has every arm, and p values are adjusted among the arms that a run has.",
    )
    assert row(tables.verdicts(comparison), "DCGAN")["0.2"] == "–"
    assert wording.along(comparison, "dcgan") == "Hurts, at 0.01 alone; no arm or no verdict at 0.2."


def test_missing_results_are_told() -> None:
    lost = {"what": "cell", "kind": "missing", "because": "failed", "arm": "dcgan", "seed": 1}
    (warning,) = compared(KEEP, [0.1, 0.2], missing_results=[[lost], []]).warnings
    assert warning == "Results are missing or diverged in run-0; the reports of these runs say which."


# -- what cannot be compared -------------------------------------------------------------------------------------------


def dataset(**changes: Any) -> dict[str, Any]:
    return {"dataset": dump(report("any"))["dataset"] | changes}


@pytest.mark.parametrize(
    ("second", "said"),
    [
        ({}, "one and two do not differ in anything that changes a result"),
        (
            {"primary": "pairwise_auc"},
            "one and two cannot be compared: verdicts rest on AUC in one and on pairwise AUC in the",
        ),
        (dataset(fingerprint="other"), "one and two cannot be compared: their images are not the same"),
        ({"settings": {"dataset.name": "npz"}} | dataset(fingerprint="other"), "their images are not the same"),
        ({"settings": {"dataset.path": "b"}} | dataset(fingerprint="other"), "their images are not the same"),
    ],
    ids=["nothing differs", "metric", "changed data", "dataset", "path"],
)
def test_what_makes_no_sense_is_refused(second: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        compare({"one": report("one"), "two": report("two", **second)})
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_one_dataset_at_two_sizes_is_compared() -> None:
    second = report("two", {"dataset.side_px": 64}, **dataset(fingerprint="other"))
    assert compare({"one": report("one", {"dataset.side_px": 32}), "two": second}).axis.places == (32, 64)


@pytest.mark.parametrize("runs", [[], ["one"]])
def test_a_comparison_needs_two_runs(runs: list[str]) -> None:
    with pytest.raises(ConfigError, match="two runs or more"):
        compare({run: report(run) for run in runs})


# -- what is said ------------------------------------------------------------------------------------------------------


def auc(arm: str = "dcgan") -> Metric:
    return report("any").arms[arm].metrics["auc"]


def judged(*of: str, key: str = KEEP, values: tuple[Any, ...] = (0.01, 0.05, 0.2)) -> Comparison:
    return compared(key, list(values[: len(of)]), verdicts=[{"dcgan": verdict} for verdict in of])


@pytest.mark.parametrize(
    ("of", "said"),
    [
        (["hurts"] * 3, "Hurts, at every value."),
        (["hurts", "helps", "helps"], "The verdict changes between 0.01 and 0.05, from “hurts” to “helps”."),
        (
            ["hurts", "no evidence", "hurts"],
            "The verdict changes between 0.01 and 0.05, from “hurts” to “no evidence” and between 0.05 and 0.2, from "
            "“no evidence” to “hurts”.",
        ),
        (
            ["hurts", verdicts.MOVES],
            "The verdict changes between 0.01 and 0.05, from “hurts” to “moves the threshold only, for better”.",
        ),
        (["too few seeds"] * 2, "Too few seeds, at every value."),
    ],
)
def test_one_sentence_says_where_a_verdict_changes(of: list[str], said: str) -> None:
    assert wording.along(judged(*of), "dcgan") == said


def test_where_the_axis_has_no_order_verdicts_are_told_by_run() -> None:
    comparison = judged("hurts", "helps", "hurts", key="classifier.backbone", values=("a", "b", "c"))
    assert wording.along(comparison, "dcgan") == "Hurts at a and c; helps at b."


def test_nothing_is_said_of_arms_without_a_verdict() -> None:
    assert [wording.along(judged("hurts", "hurts"), arm) for arm in ("none", "threshold")] == ["", ""]


@pytest.mark.parametrize(
    ("of", "said"),
    [
        ([True, True], "A gain could have been seen in each of these runs."),
        ([False, False], "No arm could have shown a gain in any of these runs."),
        ([None, None], "Whether a gain could have been seen is not known in any of these runs."),
        ([True, False], "A gain could have been seen at 0.1; no arm could have shown a gain at 0.2."),
    ],
)
def test_the_gate_of_each_run_is_told(of: list[Any], said: str) -> None:
    comparison = compared(KEEP, [0.1, 0.2], gate=of)
    assert wording.headline(comparison).startswith(said)
    entries = [row(tables.gates(comparison), label)["could a gain have been seen?"] for label in ("0.1", "0.2")]
    gain = interval(report("any").gate.gain, signed=True)
    shown = {True: f"yes oracle {gain}", False: f"no oracle {gain}", None: "not known"}
    assert all(entry.startswith(shown[gate]) for entry, gate in zip(entries, of, strict=True))


@pytest.mark.parametrize(
    ("of", "said"),
    [
        (["hurts", "hurts"], "No verdict changes along the way."),
        (["hurts", "helps"], "The verdict on DCGAN changes along"),
    ],
)
def test_the_headline_names_the_arms_whose_verdict_changes(of: list[str], said: str) -> None:
    assert said in wording.headline(judged(*of))


def test_no_sentence_ranks_arms_or_runs() -> None:
    comparison = judged("hurts", "helps")
    said = " ".join(
        [tables.terminal(comparison), *(text for one in page.sections(comparison) for text in one.text)]
    ).lower()
    assert "nothing is claimed about the order of arms, nor of runs" in said
    assert not [word for word in ("better than", "worse than", "beats", "best", "outperform") if word in said]


# -- tables, curves and files ------------------------------------------------------------------------------------------


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
