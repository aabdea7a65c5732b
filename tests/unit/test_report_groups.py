"""What a report says where test images come in groups: what was drawn, what was counted, and how many there were."""

from functools import cache

import numpy as np
import pytest

from ganbalance.frozen import dump
from ganbalance.reporting import headline, wording
from tests.unit import known_reports
from tests.unit.known_reports import row
from tests.unit.report_run import Outcome, SyntheticRun, changed

ARMS = ("none", "class-weight", "dcgan", "oracle")


@cache
def made(per_group: int) -> Outcome:
    """300 test images of each class in groups of so many; an oracle that gains nothing."""
    folder = known_reports._folder(f"groups-{per_group}")
    return Outcome(SyntheticRun(folder, arms=ARMS, per_group=per_group, signal={"dcgan": 3.2, "oracle": 2.0}))


def test_the_report_says_that_groups_were_split_and_drawn_and_how_many_rare_ones_were_tested() -> None:
    for page in made(3).pages:
        assert "Images were split and resampled by group" in page
        assert "Groups tested: 100 of “class 1”." in page
        assert "95 % intervals over seeds and test groups" in page
        assert "200 draws of the test groups; reference arm" in page
        assert "more test groups" in page


def test_a_report_on_images_that_stand_for_themselves_says_nothing_of_groups() -> None:
    known = known_reports.known()
    assert not [page for page in known.pages if " group" in page]
    assert known.summary.dataset.tested_groups is None
    assert "tested_groups" not in dump(known.summary)["dataset"]
    assert "groups" not in np.load(known.folder / "predictions.npz")


def test_groups_are_counted_beside_test_images_and_listed_with_the_predictions() -> None:
    found = made(3)
    assert found.summary.dataset.tested["class 1"] == 300
    assert found.summary.dataset.tested_groups == {"class 0 & <co>": 100, "class 1": 100}
    assert found.summary.smallest_class == 100
    (table,) = found.section("Data").tables
    assert row(table, "class 1")["test groups"] == "100"
    with np.load(found.folder / "predictions.npz") as arrays:
        assert np.array_equal(arrays["groups"], found.report.results.cells["none"][0].scores.test_groups)


def test_too_few_groups_give_no_verdict_however_many_images_there_are() -> None:
    few = made(20)
    assert few.verdict("dcgan") == "too few test images"
    sentence = few.summary.arms["dcgan"].verdict.sentence
    assert sentence.startswith("The smallest class has 15 test groups; a verdict needs 20,")
    assert any(remark.startswith("15 test groups in the smallest class") for remark in few.summary.remarks)


def test_a_shut_gate_asks_for_groups_where_images_come_in_them() -> None:
    first, _ = headline.gate(made(3).summary)
    assert first.startswith("This run could not have shown a gain")
    said = {}
    for limit in ("test images", "both"):
        said[limit] = headline.gate(changed(made(3).summary, {"gate limited_by": limit}))[1]
    assert said["test images"].startswith(
        "It needs more test groups or a harder task: the test groups are what limits it"
    )
    assert said["both"] == "It needs more seeds, more test groups or a harder task."


@pytest.mark.parametrize(
    ("shares", "said"), [((0.6, 0.3), "more seeds; more test groups buy little"), ((0.3, 0.6), "more test groups; ")]
)
def test_an_interval_is_narrowed_by_groups_and_not_by_more_images_of_them(shares: tuple[float, ...], said: str) -> None:
    parts = {"seeds": shares[0], "images": shares[1], "interaction": 0.1}
    assert wording.would_shrink(parts, "test groups").startswith(said)
