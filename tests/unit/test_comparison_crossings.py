"""A comparison says where arms cross along its axis, with an interval where its runs are paired."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from ganbalance.metrics.crossed import Sample, half_samples
from ganbalance.reporting.comparison import crossing_text, crossings, curves, page, tables
from ganbalance.reporting.comparison.crossings import Pair
from ganbalance.reporting.comparison.runs import Comparison, compare
from ganbalance.reporting.ranking import FILE, Ranking
from tests.unit import known_reports
from tests.unit.known_comparisons import report
from tests.unit.report_run import coarse_pictures

KEEP = "imbalance.keep.1"
VALUES = (0.01, 0.02, 0.05, 0.1, 0.2)
SEEDS = (10, 11, 12, 13, 14)
OTHERS = ("class-weight", "oversample", "dcgan", "oracle")


def ranking(means: dict[str, float], noise: float, seeds: tuple[int, ...] = SEEDS, tested: str = "one") -> Ranking:
    """Arms of these means above a baseline, whose difference to it has this noise."""
    samples = {}
    for arm, mean in {"none": 0.0, **means}.items():
        rng = np.random.default_rng([ord(letter) for letter in arm])
        of_seed = rng.normal(0, noise, len(seeds)) if arm != "none" else np.zeros(len(seeds))
        values = 0.8 + mean + (of_seed - of_seed.mean())[:, None] + np.append(0.0, rng.normal(0, noise / 10, 50))
        kept = half_samples(len(seeds)) if len(seeds) > 1 else np.zeros((0, 1))
        samples[arm] = Sample(values, kept @ values[:, 0] / np.maximum(kept.sum(axis=1), 1), 500)
    return Ranking(seeds, tested, samples)


def swept(gains: dict[str, tuple[float, ...]], *, noise: float = 1e-4, **given: Any) -> Comparison:
    """A sweep of the keep ratio whose arms gain so much over the baseline; those not named gain as little as none."""
    reports = {f"run-{place}": report(f"run-{place}", {KEEP: value}) for place, value in enumerate(VALUES)}
    rankings = {}
    for place, run in enumerate(reports):
        means = {arm: gains.get(arm, (0.01,) * 5)[place] for arm in OTHERS}
        rankings[run] = ranking(means, noise, **given)
    return compare(reports, rankings)


def pair(comparison: Comparison, arm: str, against: str = "none") -> Pair:
    (found,) = [one for one in comparison.pairs if (one.arm, one.against) == (arm, against)]
    return found


FALLS = (0.02, 0.01, -0.01, -0.02, -0.03)


def test_every_arm_is_compared_with_the_baseline_and_those_of_a_family_with_the_reference() -> None:
    found = [(one.arm, one.against) for one in swept({}).pairs]
    assert found == [
        *[("dcgan", "none"), ("class-weight", "none"), ("oversample", "none"), ("oracle", "none")],
        *[("dcgan", "class-weight"), ("oversample", "class-weight")],
    ]


def test_a_crossing_lies_where_the_line_in_the_logarithm_of_the_ratio_meets_zero() -> None:
    found = pair(swept({"dcgan": FALLS}), "dcgan")
    assert found.at == pytest.approx([np.sqrt(0.02 * 0.05)])
    assert found.stretches is not None
    ((low, high),) = [(one.low, one.high) for one in found.stretches]
    assert low is not None
    assert high is not None
    assert 0.028 < low < found.at[0] < high < 0.036
    assert crossing_text.sentence(found) == f"DCGAN falls below none at 0.0316 [{low:.3g}, {high:.3g}]."


def test_the_reference_is_crossed_where_the_two_gain_as_much() -> None:
    found = pair(swept({"dcgan": FALLS, "class-weight": (0.0, 0.0, 0.01, 0.02, 0.03)}), "dcgan", "class-weight")
    assert found.means == pytest.approx([0.02, 0.01, -0.02, -0.04, -0.06])
    assert found.at == pytest.approx([np.exp(np.log(0.02) + np.log(2.5) / 3)])


def test_a_generative_arm_and_a_cheap_one_beside_the_reference_are_a_pair_where_they_change_places() -> None:
    found = pair(swept({"dcgan": FALLS, "oversample": (0.0,) * 5}), "dcgan", "oversample")
    assert found.at == pytest.approx([np.sqrt(0.02 * 0.05)])
    apart = swept({"dcgan": FALLS, "oversample": (-0.1,) * 5})
    assert ("dcgan", "oversample") not in [(one.arm, one.against) for one in apart.pairs]
    alike = swept({"dcgan": FALLS, "oversample": (0.0,) * 5}, noise=0.5)
    assert ("dcgan", "oversample") not in [(one.arm, one.against) for one in alike.pairs]


def test_a_reference_that_is_generative_is_a_pair_with_each_cheap_arm_once() -> None:
    compared = swept({"dcgan": FALLS})
    other = [one.model_copy(update={"reference": "dcgan"}) for one in compared.summaries]
    pairs = [{one.arm, one.against} for one in crossings.pairs(replace(compared, summaries=other))]
    assert pairs.count({"dcgan", "class-weight"}) == 1


def test_the_caption_speaks_of_crosses_where_there_are_some() -> None:
    with coarse_pictures():
        assert "A cross marks where an arm crosses none" in curves.ranking(swept({"dcgan": FALLS})).caption
        assert "cross" not in curves.ranking(swept({})).caption
        assert "cross" not in curves.ranking(swept({"dcgan": FALLS}, noise=0.5)).caption  # none can be placed


@pytest.mark.parametrize(
    ("gains", "noise", "said"),
    [
        ((0.01,) * 5, 1e-4, "DCGAN is ahead of none from 0.01 to 0.2: no crossing."),
        ((-0.01,) * 5, 1e-4, "DCGAN is behind none from 0.01 to 0.2: no crossing."),
        (FALLS, 0.5, "No value from 0.01 to 0.2 shows a difference of DCGAN and none: no crossing can be placed."),
        ((-0.02, -0.01, 0.01, 0.02, 0.001), 2e-3, "above 0.2]"),
        ((0.001, -0.02, -0.02, -0.02, -0.02), 2e-3, "DCGAN falls below none at 0.0103 [below 0.01, "),
        ((0.02, 0.02, 0.0005, 0.02, 0.02), 2e-3, "so that a crossing there is not excluded."),
        ((-0.02, 0.02, 0.02, -0.02, -0.02), 1e-4, "DCGAN rises above none at 0.0141 ["),
        ((-0.02, 0.02, 0.02, -0.02, -0.02), 1e-4, "; falls below none at 0.0707 ["),
    ],
)
def test_what_is_not_known_of_a_crossing_is_said(gains: tuple[float, ...], noise: float, said: str) -> None:
    assert said in crossing_text.sentence(pair(swept({"dcgan": gains}, noise=noise), "dcgan"))


def test_without_pairs_of_seeds_and_images_there_is_a_crossing_and_no_interval() -> None:
    comparison = swept({"dcgan": FALLS})
    first, *others = comparison.rankings
    assert first is not None
    for other in (None, ranking({}, 1e-4, seeds=(1, 2, 3, 4, 5)), ranking({}, 1e-4, tested="another")):
        unpaired = dict(zip(comparison.runs, (other, *others), strict=True))
        again = compare(
            dict(zip(comparison.runs, comparison.summaries, strict=True)),
            {run: one for run, one in unpaired.items() if one},
        )
        assert all(one.stretches is None for one in again.pairs)
        (section,) = crossing_text.section(again)
        assert section.warnings == (crossing_text.WITHOUT,)
        assert {row[3].text for group in section.tables[0].groups for row in group.rows} == {"not known"}


def test_one_seed_gives_no_interval() -> None:
    assert pair(swept({"dcgan": FALLS}, seeds=(10,)), "dcgan").stretches is None


def test_an_axis_without_numbers_has_no_crossings() -> None:
    reports = {name: report(name, {"classifier.backbone": name}) for name in ("resnet18", "efficientnet-lite0")}
    comparison = compare(reports)
    assert comparison.pairs == []
    assert not list(crossing_text.section(comparison))


def test_an_arm_that_some_runs_lack_is_compared_where_it_is() -> None:
    comparison = swept({"dcgan": FALLS})
    lacking = dict(zip(comparison.runs, comparison.summaries, strict=True))
    lacking["run-0"] = report("run-0", {KEEP: 0.01}, without=("dcgan",))
    rankings = {run: one for run, one in zip(comparison.runs, comparison.rankings, strict=True) if one}
    compared = compare(lacking, rankings)
    assert pair(compared, "dcgan").labels == ("0.02", "0.05", "0.1", "0.2")


def test_an_open_interval_is_drawn_to_the_end_of_the_runs_that_have_the_arm() -> None:
    comparison = swept({"dcgan": (0.0, 0.001, -0.02, -0.02, -0.02)}, noise=2e-3)
    lacking = dict(zip(comparison.runs, comparison.summaries, strict=True))
    lacking["run-0"] = report("run-0", {KEEP: 0.01}, without=("dcgan",))
    rankings = {run: one for run, one in zip(comparison.runs, comparison.rankings, strict=True) if one}
    compared = compare(lacking, rankings)
    assert "[below 0.02, " in crossing_text.sentence(pair(compared, "dcgan"))
    axes = Figure().subplots()
    crossing_text.mark(axes, compared, {"dcgan": "red"})
    assert [line.get_xdata().tolist() for line in axes.lines if line.get_marker() == "<"] == [[0.02]]


def test_a_change_of_sign_where_no_value_shows_a_difference_is_not_marked() -> None:
    compared = swept({"dcgan": FALLS}, noise=0.5)
    assert pair(compared, "dcgan").at
    axes = Figure().add_subplot()
    crossing_text.mark(axes, compared, {"dcgan": "red"})
    assert not axes.lines


def test_the_page_the_terminal_and_the_figure_have_them(tmp_path: Path) -> None:
    comparison = swept({"dcgan": FALLS})
    with coarse_pictures():
        page.write(tmp_path, comparison)
        figure = curves.drawn(comparison, {"one": lambda *_: None}, columns=1)
        crossing_text.mark(figure.axes[0], comparison, {"dcgan": "red"})
    markdown = (tmp_path / "compare.md").read_text()
    sentence = crossing_text.sentence(pair(comparison, "dcgan"))
    assert sentence in markdown.replace("\\", "")
    assert "| DCGAN | none | 0.0316 |" in markdown.replace("\\", "")
    assert sentence in " ".join(tables.terminal(comparison).split())
    marked = [line for line in figure.axes[0].lines if line.get_marker() == "X"]
    assert [list(line.get_xdata()) for line in marked] == [list(pair(comparison, "dcgan").at)]


def test_a_report_keeps_its_ranking_as_its_intervals_rest_on_it() -> None:
    outcome = known_reports.hurting()
    kept = Ranking.load(outcome.folder / FILE, outcome.summary)
    assert kept.seeds == SEEDS
    for arm in ("dcgan", "oracle", "class-weight"):
        found, wanted = (kept.samples[arm] - kept.samples["none"]).estimate, outcome.change(arm)
        assert (found.mean, found.low, found.high, found.p) == (wanted.mean, wanted.low, wanted.high, wanted.p)


def test_an_arm_without_a_value_at_every_seed_is_not_kept() -> None:
    outcome = known_reports.four()
    kept = Ranking.load(outcome.folder / FILE, outcome.summary)
    assert set(kept.samples) == {"none", "class-weight", "dcgan", "oracle"}  # vanilla did not train


def test_rankings_on_other_seeds_test_images_or_draws_are_not_paired() -> None:
    one = ranking({"dcgan": 0.1}, 1e-3)
    assert one.is_paired_with(ranking({"dcgan": 0.2}, 1e-2))
    assert not one.is_paired_with(ranking({}, 1e-3, seeds=(1, 2, 3, 4, 5)))
    assert not one.is_paired_with(ranking({}, 1e-3, tested="another"))
    fewer = {arm: Sample(found.values[:, :20], found.halves, 500) for arm, found in one.samples.items()}
    assert not one.is_paired_with(Ranking(one.seeds, one.tested, fewer))
