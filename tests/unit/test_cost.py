"""What each arm cost, and what a point of its gain does."""

import math
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace

import pytest

from ganbalance.config import Prices
from ganbalance.pipeline.checkpoints import Checkpoints
from ganbalance.pipeline.plan import Node
from ganbalance.pipeline.stopwatch import measured
from ganbalance.reporting.cost import Attempt, attempts, measure, spent
from ganbalance.reporting.sections.cost import sections
from ganbalance.reporting.summary import Summary
from ganbalance.store.artifacts import Artifacts, Ended
from ganbalance.store.local import LocalStore
from tests.unit.known_reports import known, row
from tests.unit.report_run import Outcome, SyntheticRun, changed

PRICES = Prices(cpu_hour=0.36, accelerator_hour=3.6, currency="EUR")  # .0001 and .001 a second
GAIN = "arms wgan-gp metrics auc difference"


def attempt(*arms: str, seconds: float = 10.0, lost: float = 0.0, threads: int = 1, device: str = "cpu") -> Attempt:
    return Attempt(frozenset(arms), seconds, lost, threads, device)


def cost_of(summary: Summary, found: Iterable[Attempt], prices: Prices | None = None) -> dict[str, object]:
    return vars(measure(summary, list(found), prices).arms["wgan-gp"])


# -- sums --------------------------------------------------------------------------------------------------------------


def test_seconds_are_summed_whatever_became_of_them() -> None:
    found = spent([attempt(seconds=10), attempt(seconds=5, device="cuda"), attempt(seconds=4, lost=3)], None)
    assert (found.seconds, found.accelerator_seconds, found.lost_seconds, found.money) == (19, 5, 3, None)


def test_an_accelerator_is_paid_by_its_hour_alone_and_a_processor_by_every_core() -> None:
    assert spent([attempt(seconds=3600, threads=4)], PRICES).money == pytest.approx(4 * 0.36)
    assert spent([attempt(seconds=3600, threads=4, device="cuda")], PRICES).money == pytest.approx(3.6)


def test_lost_seconds_are_paid_too() -> None:
    assert spent([attempt(seconds=3600, lost=3600)], PRICES).money == pytest.approx(0.36)


def test_a_stage_counts_for_every_arm_that_needs_it_and_once_in_the_run() -> None:
    found = measure(
        known().summary,
        [
            attempt("none", "wgan-gp", seconds=100),
            attempt("none", seconds=20),
            attempt("wgan-gp", seconds=50),
            attempt(),
        ],
        None,
    )
    assert found.run.seconds == 180
    assert (found.arms["none"].whole.seconds, found.arms["none"].shared_seconds) == (120, 100)
    assert (found.arms["wgan-gp"].whole.seconds, found.arms["wgan-gp"].shared_seconds) == (150, 100)
    assert (found.arms["none"].on_top.seconds, found.arms["wgan-gp"].on_top.seconds) == (0, 10)  # of five seeds
    assert found.arms["dcgan"].whole.seconds == 0


# -- the price of a point ----------------------------------------------------------------------------------------------


def test_a_point_costs_what_is_on_top_over_the_gain_and_its_interval_the_other_way_round() -> None:
    summary = changed(known().summary, {GAIN: {"mean": 0.04, "low": 0.02, "high": 0.05}})
    found = cost_of(summary, [attempt("wgan-gp", seconds=500)])["per_point"]["auc"]
    assert (found.mean, found.low, found.high) == pytest.approx((25, 20, 50))  # 100 s a seed over 4, 5 and 2 points
    paid = cost_of(summary, [attempt("wgan-gp", seconds=500)], PRICES)["per_point"]["auc"]
    assert (paid.mean, paid.low, paid.high) == pytest.approx((0.0025, 0.002, 0.005))


@pytest.mark.parametrize("low", [0.0, -0.01])
def test_a_gain_whose_interval_is_not_above_0_has_no_price(low: float) -> None:
    summary = changed(known().summary, {GAIN: {"mean": 0.04, "low": low, "high": 0.05}})
    assert cost_of(summary, [attempt("wgan-gp")])["per_point"]["auc"] is None


def test_recall_is_priced_at_every_fixed_precision() -> None:
    assert list(cost_of(known().summary, [])["per_point"]) == [
        "auc", "recall_at_precision_0.5", "recall_at_precision_0.9",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["did not train", "withheld", "too few seeds", "too few test images"])
def test_an_arm_without_a_verdict_has_no_price(name: str) -> None:
    summary = changed(known().summary, {"arms wgan-gp verdict name": name})
    assert cost_of(summary, [attempt("wgan-gp")])["per_point"] == {}


def test_controls_and_the_baseline_are_not_for_sale() -> None:
    found = measure(known().summary, [attempt("oracle"), attempt("none")], None).arms
    assert found["oracle"].per_point == found["none"].per_point == {}


def test_one_seed_has_no_interval_and_so_no_price(tmp_path: Path) -> None:
    found = Outcome(SyntheticRun(tmp_path, seeds=(0,), arms=("none", "class-weight"), machine={"device": "cpu"}))
    assert found.summary.cost.arms["class-weight"].per_point == {}
    assert row(found.section("Cost").tables[0], "class-weight")["a point of AUC"] == "–"


# -- what the report says ----------------------------------------------------------------------------------------------


def test_the_report_counts_the_stages_of_every_arm() -> None:
    """Each of them took 1.5 s: five cells an arm, five GANs an arm that has one, and five imbalances and two others."""
    cost = known().summary.cost
    assert cost.run.seconds == 1.5 * (5 * 6 + 5 * 3 + 5 + 2)
    assert cost.arms["class-weight"].whole.seconds == 1.5 * 5
    assert cost.arms["wgan-gp"].whole.seconds == 1.5 * 10
    table = known().section("Cost").tables[0]
    gain = known().change("wgan-gp")
    shown = row(table, "WGAN-GP")
    assert shown["on top of none, one seed"] == "3.0 s"
    assert shown["a point of AUC"].startswith(f"{3 / gain.mean / 100:.2g} s [{3 / gain.high / 100:.2g}, ")
    assert row(table, "Vanilla GAN")["a point of AUC"] == "no gain to price"
    assert row(table, "none")["on top of none, one seed"] == "–"


def test_no_number_of_the_section_is_negative_or_infinite() -> None:
    for arm in known().summary.cost.arms.values():
        for price in arm.per_point.values():
            assert price is None or all(math.isfinite(end) and end > 0 for end in vars(price).values())
    for page in known().pages:
        assert "inf s" not in page


def test_the_page_says_how_to_get_money_where_there_are_no_prices() -> None:
    assert any("cost: {cpu_hour" in note for note in known().section("Cost").tables[0].notes)
    assert not any("EUR" in head for head in known().section("Cost").tables[0].head)


@pytest.mark.parametrize(("on_it", "said"), [(0.0, False), (7.5, True)])
def test_the_page_says_what_counts_where_an_accelerator_was_used(on_it: float, said: bool) -> None:
    report = SimpleNamespace(summary=changed(known().summary, {"cost run accelerator_seconds": on_it}))
    (section,) = sections(report)
    assert said == any(
        note.startswith("Stages that ran on one accelerator at a time") for note in section.tables[0].notes
    )


# -- attempts ----------------------------------------------------------------------------------------------------------


class Made:
    """An artifact that knows what made it."""

    def __init__(self, **provenance: object) -> None:
        self.commit = type("Commit", (), {"provenance": provenance})


@pytest.mark.parametrize(
    ("made", "device"),
    [
        ({"device": "cpu", "accelerator": "a gpu"}, "cpu"),
        ({"device": "cuda", "accelerator": "a gpu"}, "cuda"),
        ({"accelerator": "a gpu"}, "cuda"),
        ({"accelerator": None}, "cpu"),
    ],
)
def test_a_stage_ran_where_its_provenance_says(made: dict[str, object], device: str) -> None:
    (found,) = attempts(frozenset({"none"}), Made(seconds=3.0, threads=2, **made), [])
    assert found == attempt("none", seconds=3.0, threads=2, device=device)


def test_attempts_that_ended_count_less_what_a_checkpoint_kept() -> None:
    ended = {"seconds": 30.0, "kept_seconds": 20.0, "threads": 1, "device": "cpu"}
    made, lost = attempts(frozenset({"dcgan"}), Made(seconds=3.0, threads=1, device="cpu", ended=[ended]), [])
    assert (made.seconds, made.lost_seconds) == (3, 0)
    assert (lost.seconds, lost.lost_seconds) == (30, 10)


def test_a_stage_that_never_ended_well_costs_its_attempts() -> None:
    ended = [Ended(seconds=8.0, kept_seconds=0.0, threads=1, device="cuda")] * 2
    assert [one.lost_seconds for one in attempts(frozenset({"dcgan"}), None, ended)] == [8, 8]


@pytest.fixture
def artifacts(tmp_path: Path) -> Artifacts:
    return Artifacts(LocalStore(str(tmp_path / "store")), tmp_path)


def checkpoints(artifacts: Artifacts) -> Checkpoints:
    node = Node(name="train-gan", stage="train-gan", config={}, inputs={}, key="0" * 32)
    return Checkpoints(artifacts, node, {}, every_s=1.0)


def test_an_attempt_that_fails_leaves_what_it_took(artifacts: Artifacts) -> None:
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt), measured(checkpoints(artifacts), threads=3):
            raise KeyboardInterrupt
    first, _ = artifacts.ended("train-gan", "0" * 32)
    assert 0 <= first.seconds < 5
    assert (first.kept_seconds, first.threads, first.device) == (0, 3, "cpu")


def test_an_attempt_that_succeeds_leaves_nothing_but_its_numbers(artifacts: Artifacts) -> None:
    with measured(checkpoints(artifacts), threads=1) as spent:
        pass
    assert spent().keys() == {"seconds", "threads", "device"}
    assert artifacts.ended("train-gan", "0" * 32) == []
