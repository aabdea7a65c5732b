"""Several runs are compared along what differs between them, with no claim that their reports do not make."""

from typing import Any

import pytest

from ganbalance.errors import ConfigError
from ganbalance.frozen import dump
from ganbalance.metrics import verdicts
from ganbalance.reporting.comparison import page, tables, wording
from ganbalance.reporting.comparison.runs import compare
from ganbalance.reporting.formats import interval
from tests.unit.known_comparisons import KEEP, compared, judged, report
from tests.unit.known_reports import row
from tests.unit.report_run import coarse_pictures

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
