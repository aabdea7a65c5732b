"""The long simulations of `make simulate` in short, and that they judge as a report does."""

import numpy as np
import pytest

from ganbalance.metrics.classification import held_out_ranking, ranking
from ganbalance.metrics.results import Analysis, Run
from ganbalance.metrics.scores import Scores
from ganbalance.metrics.statistics import analyse
from ganbalance.metrics.tuning import of_one_seed
from ganbalance.metrics.verdicts import MOVES, NO_DIFFERENCE
from ganbalance.seeding import numpy_rng
from tests.simulation import doses, folds, known, power, scenarios
from tests.simulation.bank import SETTINGS, Bank, Design, build
from tests.simulation.groups import Patients, false_calls
from tests.simulation.ranked import Cell, Draws, Ranked
from tests.unit.planted import of_margin, scores

SEEDS = (0, 1, 2, 3, 4)
FAMILIES = {
    "none": "baseline",
    "better": "generative",
    "worse": "generative",
    "same": "generative",
    "cheap": "cheap",
    "oracle": "control",
}
SHIFT = {"none": 0.0, "better": 0.35, "worse": -0.35, "same": 0.0, "cheap": 0.1, "oracle": 0.8}
DIVERGED = {"same": (2,)}
STRENGTHS, REPLICATES = 4, 200


def cells() -> dict[str, dict[int, Scores]]:
    """Arms whose margins hold more or less signal, best at a strength that chance decides."""
    rng = np.random.default_rng(7)
    labels_T, labels_V = (np.repeat([0, 1], sizes) for sizes in ((150, 120), (90, 60)))
    common_T = rng.normal(0, 0.7, len(labels_T))
    found = {
        arm: {
            seed: scores(
                of_margin((1.5 + shift) * labels_T + common_T + rng.normal(0, 0.8, (STRENGTHS, len(labels_T)))),
                labels_T,
                of_margin((1.5 + shift) * labels_V + rng.normal(0, 1.1, (STRENGTHS, len(labels_V)))),
                labels_V,
                validation=np.arange(len(labels_V)) % 3 == 0,
            )
            for seed in SEEDS
        }
        for arm, shift in SHIFT.items()
    }
    return {arm: {s: c for s, c in of_arm.items() if s not in DIVERGED.get(arm, ())} for arm, of_arm in found.items()}


@pytest.fixture(scope="module")
def both() -> tuple[Analysis, Ranked]:
    """The same run, analysed as for a report and as in a simulation."""
    run = Run(FAMILIES, SEEDS, SETTINGS, reference="cheap", replicates=REPLICATES)  # type: ignore[arg-type]
    given = cells()
    draws = Draws(given["none"][0].test_labels, REPLICATES, numpy_rng(0, "test-image-bootstrap"))
    thin = {arm: {seed: _thin(cell) for seed, cell in of_arm.items()} for arm, of_arm in given.items()}
    return analyse(run, given, DIVERGED), Ranked(run, thin, draws, DIVERGED)


def _thin(cell: Scores) -> Cell:
    whole = np.ones((1, len(cell.held_out_labels)), np.int16)
    return Cell(
        cell.test[..., 1] - cell.test[..., 0], held_out_ranking(cell, SETTINGS, whole), of_one_seed(cell, SETTINGS)
    )


def test_a_simulated_run_is_judged_to_the_last_bit_as_a_report_would(both: tuple[Analysis, Ranked]) -> None:
    whole, thin = both
    judged = thin.judged()
    assert set(judged) == set(FAMILIES) - {"none"}
    for arm, found in judged.items():
        expected = whole.arms[arm]
        difference = expected.metrics[whole.primary].difference
        assert difference is not None
        assert expected.finding is not None
        assert (found.ranking.mean, found.ranking.low, found.ranking.high, found.ranking.p) == (
            difference.mean,
            difference.low,
            difference.high,
            difference.p,
        )
        assert found.p_holm == (difference.p if arm == "oracle" else difference.p_holm)
        assert found.ranking.components == expected.components
        assert found.ranking.detectable(found.tests) == expected.detectable
        name = NO_DIFFERENCE if expected.finding.name == MOVES else expected.finding.name
        assert (found.finding.name, found.finding.measurable) == (name, expected.finding.measurable)
        assert found.vetoed == expected.vetoed
    assert len({found.finding.name for found in judged.values()}) > 1, (
        "an example in which all is the same shows little"
    )


def test_gate_margin_and_reference_are_those_of_a_report(both: tuple[Analysis, Ranked]) -> None:
    whole, thin = both
    assert whole.margins is not None
    assert (thin.gate, thin.margin) == (whole.gate, whole.margins.ranking)
    assert thin.beats("cheap") == {arm: whole.arms[arm].beats_reference for arm in thin.family("generative")}


def test_the_simulations_own_auc_is_the_librarys_ties_included() -> None:
    rng = np.random.default_rng(1)
    labels = np.repeat([0, 1], [70, 40])
    margin = np.round(rng.normal(labels, 1.0), 1)
    draws = Draws(labels, 50, rng)
    expected = ranking(scores(of_margin(margin), labels), 0, SETTINGS, draws.weights)
    np.testing.assert_array_equal(draws.auc(margin), expected)
    assert draws.auc_once(margin) == expected[0]


@pytest.mark.parametrize("mix", power.MIXES)
@pytest.mark.parametrize(("seeds", "tests"), [(5, 1), (10, 3)])
def test_four_runs_in_five_call_the_effect_that_the_formula_asks_for(mix: str, seeds: int, tests: int) -> None:
    found = power.simulate(power.MIXES[mix], seeds=seeds, tests=tests, runs=800, rng=np.random.default_rng(3))
    assert found.called == pytest.approx(0.8, abs=0.03 + 2 * 0.014)
    assert found.false < 0.05 / tests + 0.02
    assert found.covered > 0.93 - 2 * 0.009


@pytest.mark.parametrize(("k", "runs"), [(2, 8), (3, 3), (10, 1)])
def test_what_only_moves_a_threshold_never_helps_and_never_hurts(k: int, runs: int) -> None:
    found = known.share(k, runs, np.random.default_rng(k))
    assert found["helps or hurts"] == found["measurable"] == 0


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("correlation", [0.0, 0.7])
def test_equal_arms_on_groups_of_images_are_seldom_called_if_groups_are_drawn(correlation: float, mixed: bool) -> None:
    runs = 400
    patients = Patients(common=40, rare=20, images=8, correlation=correlation, mixed=mixed)
    found = false_calls(patients, runs, np.random.default_rng(2))
    assert found["by group"] <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / runs)
    if correlation:
        assert found["by image"] > 0.15  # what the groups are drawn for


@pytest.fixture(scope="module")
def bank() -> Bank:
    """Cells of a head on made features, two classes that overlap. A generator makes as many images as balance."""
    rng = np.random.default_rng(5)
    labels = np.repeat([0, 1], 600)
    images = rng.normal(0, 1, (len(labels), 8)).astype(np.float32)
    images[labels == 1, :3] += 0.9
    return build(images, labels, Design(kept=40, others=300, cells=12, tested=300, made=208))


@pytest.mark.parametrize("scenario", ["synthetic", "jittered", "redrawn", "diverging"])
def test_equal_arms_are_seldom_called_and_intervals_hold_their_difference(bank: Bank, scenario: str) -> None:
    runs = 80
    found = [row for run in range(runs) for row in _simulated(bank, scenario, run)]
    families = {"generative", "cheap"}
    calls = [
        any(row["called"] for row in found if (row["run"], row["family"]) == (run, family))
        for run in range(runs)
        for family in families
    ]
    assert np.mean(calls) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / len(calls))
    assert np.mean([row["low"] <= 0 <= row["high"] for row in found]) >= 0.93


def test_intervals_hold_real_effects_and_a_generator_that_memorises_beats_nothing(bank: Bank) -> None:
    truth = scenarios.Truth.of_effects(bank, 5, draws=2000)
    found = [row for run in range(80) for row in _simulated(bank, "effects", run, truth)]
    for arm in {row["arm"] for row in found}:
        of_arm = [row for row in found if row["arm"] == arm]
        assert np.mean([row["low"] <= row["truth"] <= row["high"] for row in of_arm]) > 0.93 - 0.05
    assert np.mean([row["beats"] for row in found if row["arm"] == "memoriser"]) <= 0.05
    assert abs(truth.gain("memoriser", "oversample", 0)[0]) < 0.001


def test_intervals_over_folds_hold_what_other_pools_show_and_those_of_folds_alone_are_too_short() -> None:
    rng = np.random.default_rng(5)
    labels = np.repeat([0, 1], 2000)
    images = rng.normal(0, 1, (len(labels), 6)).astype(np.float32)
    images[labels == 1, :3] += 0.9
    drawn = folds.pools(images, labels, rare=60, others=150, keep=1.0, runs=6)
    found = [*folds.shares(row for pool in drawn for row in folds.judged(pool, (5,)))]

    def mean(what: str) -> list[float]:
        return [float(np.mean([row[what] for row in found if row["rule"] == rule])) for rule in folds.RULES]

    alone, _, without_overlap, this = mean("half")
    assert alone < without_overlap < this
    assert mean("coverage")[-1] >= 0.93
    assert mean("coverage")[0] < mean("coverage")[-1]


def test_a_dose_chosen_with_the_strength_leads_to_few_false_calls_and_intervals_hold_what_it_gains() -> None:
    rng = np.random.default_rng(5)
    labels = np.repeat([0, 1], 600)
    images = rng.normal(0, 1, (len(labels), 8)).astype(np.float32)
    images[labels == 1, :3] += 0.9
    bank = doses.fitted(images, labels, Design(kept=40, others=300, cells=8, tested=300, made=60))
    found = [
        share
        for scenario in ("idle", "effects")
        for share in doses.shares(doses.rows(bank, scenario, 5, 100, range(40), replicates=60))
    ]
    assert [share["scenario"] for share in found] == ["idle", "effects"]
    assert found[0]["called"] <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 40)
    for share in found:
        assert share["covered"] >= 0.93 - 2 * np.sqrt(0.05 * 0.95 / 40)
        assert share["covered"] >= share["covered_as_given"]


EQUAL = scenarios.Truth({})


def _simulated(bank: Bank, scenario: str, run: int, truth: scenarios.Truth = EQUAL) -> list[scenarios.Row]:
    rng = np.random.default_rng(run)
    ranked, picked, cells_S = scenarios.simulate(bank, scenario, seeds=5, rare=100, others=100, replicates=100, rng=rng)
    return [row | {"run": run} for row in scenarios.rows(ranked, picked, truth, int(bank.pool[cells_S[0]]))]
