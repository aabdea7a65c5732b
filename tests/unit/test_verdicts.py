"""The rule of verdicts as a table: every condition, and every corner where two of them meet."""

from dataclasses import replace

import pytest

from ganbalance.metrics import verdicts
from ganbalance.metrics.crossed import Components, Estimate
from ganbalance.metrics.verdicts import (
    HELPS,
    HURTS,
    MOVES,
    NO_DIFFERENCE,
    NO_EVIDENCE,
    Evidence,
    Finding,
    find,
    gate,
)

MARGIN = 0.01


def interval(low: float, high: float) -> Estimate:
    """An estimate with this 95 % interval, of many degrees of freedom."""
    half = (high - low) / 2
    return Estimate((low + high) / 2, half / 1.95996, 1e6)


INSIDE = interval(-0.004, 0.004)
INSIDE_ABOVE, INSIDE_BELOW = interval(0.001, 0.008), interval(-0.008, -0.001)
ACROSS = interval(-0.02, 0.02)  # neither off 0 nor inside the margin
UP, DOWN = interval(0.02, 0.06), interval(-0.06, -0.02)
UP_FROM_INSIDE = interval(0.001, 0.03)
AT_THE_MARGIN = interval(-0.004, MARGIN)

NOTHING = Evidence(
    ranking=INSIDE,
    p_holm=1.0,
    per_seed=None,
    as_trained=INSIDE,
    fair=INSIDE,
    moved=INSIDE,
    ranking_margin=MARGIN,
    threshold_margin=MARGIN,
)
P, NOT_P = 0.049, 0.051

TABLE = [
    # inside the margin: threshold or nothing
    ("all of it is nothing", {}, Finding(NO_DIFFERENCE)),
    ("moved for the better", {"as_trained": UP, "moved": UP}, Finding(MOVES, 1)),
    ("moved for the worse", {"as_trained": DOWN, "moved": DOWN}, Finding(MOVES, -1)),
    ("a gain as trained as large as the fair one", {"as_trained": UP, "moved": INSIDE}, Finding(NO_DIFFERENCE)),
    ("a fair gain larger than as trained", {"as_trained": UP, "fair": UP, "moved": DOWN}, Finding(NO_DIFFERENCE)),
    ("two signs", {"as_trained": UP, "moved": DOWN}, Finding(NO_DIFFERENCE)),
    ("moved, but no gain as trained", {"as_trained": INSIDE, "moved": UP}, Finding(NO_DIFFERENCE)),
    ("the fair rule too uncertain", {"as_trained": UP, "moved": UP, "fair": ACROSS}, Finding(NO_DIFFERENCE)),
    ("the fair rule gains", {"as_trained": UP, "moved": UP, "fair": UP}, Finding(NO_DIFFERENCE)),
    (
        "the fair rule off 0 inside its margin",
        {"as_trained": UP, "moved": UP, "fair": INSIDE_ABOVE},
        Finding(MOVES, 1),
    ),
    ("its own margin", {"as_trained": UP, "moved": UP, "threshold_margin": 0.001}, Finding(NO_DIFFERENCE)),
    (
        "no fair rule",
        {"as_trained": UP, "moved": None, "fair": None, "threshold_margin": None},
        Finding(NO_DIFFERENCE),
    ),
    ("no margin of thresholds", {"as_trained": UP, "moved": UP, "threshold_margin": None}, Finding(NO_DIFFERENCE)),
    # inside the margin and measurably off 0
    ("measurably above", {"ranking": INSIDE_ABOVE, "p_holm": P}, Finding(NO_DIFFERENCE, 0, measurable=True)),
    ("measurably below", {"ranking": INSIDE_BELOW, "p_holm": P}, Finding(NO_DIFFERENCE, 0, measurable=True)),
    ("off 0, Holm not significant", {"ranking": INSIDE_ABOVE, "p_holm": NOT_P}, Finding(NO_DIFFERENCE)),
    (
        "moved and measurably above",
        {"ranking": INSIDE_ABOVE, "p_holm": P, "as_trained": UP, "moved": UP},
        Finding(MOVES, 1, measurable=True),
    ),
    # outside the margin
    ("helps", {"ranking": UP, "p_holm": P}, Finding(HELPS, 1, measurable=True)),
    ("helps from within the margin", {"ranking": UP_FROM_INSIDE, "p_holm": P}, Finding(HELPS, 1, measurable=True)),
    ("hurts", {"ranking": DOWN, "p_holm": P}, Finding(HURTS, -1, measurable=True)),
    ("hurts though it gains as trained", {"ranking": DOWN, "p_holm": P, "as_trained": UP, "moved": UP},
     Finding(HURTS, -1, measurable=True)),
    ("above 0, Holm not significant", {"ranking": UP, "p_holm": NOT_P}, Finding(NO_EVIDENCE)),
    ("below 0, Holm not significant", {"ranking": DOWN, "p_holm": NOT_P}, Finding(NO_EVIDENCE)),
    ("above 0, Holm at the level itself", {"ranking": UP, "p_holm": 0.05}, Finding(NO_EVIDENCE)),
    ("across", {"ranking": ACROSS, "p_holm": 0.5}, Finding(NO_EVIDENCE)),
    ("across, moved as trained", {"ranking": ACROSS, "p_holm": 0.5, "as_trained": UP, "moved": UP},
     Finding(NO_EVIDENCE)),
    ("touching the margin is not inside", {"ranking": AT_THE_MARGIN}, Finding(NO_EVIDENCE)),
    # the veto of the per-seed choice
    ("vetoed up", {"ranking": UP, "p_holm": P, "per_seed": DOWN}, Finding(NO_EVIDENCE)),
    ("vetoed down", {"ranking": DOWN, "p_holm": P, "per_seed": UP}, Finding(NO_EVIDENCE)),
    ("not vetoed by what is uncertain", {"ranking": UP, "p_holm": P, "per_seed": ACROSS},
     Finding(HELPS, 1, measurable=True)),
    ("not vetoed by the same side", {"ranking": DOWN, "p_holm": P, "per_seed": DOWN},
     Finding(HURTS, -1, measurable=True)),
    ("a veto does not touch equivalence", {"ranking": INSIDE_ABOVE, "p_holm": P, "per_seed": DOWN},
     Finding(NO_DIFFERENCE, 0, measurable=True)),
]  # fmt: skip


@pytest.mark.parametrize(("changed", "finding"), [pytest.param(c, f, id=name) for name, c, f in TABLE])
def test_the_first_that_fits(changed, finding):
    assert find(replace(NOTHING, **changed)) == finding


@pytest.mark.parametrize("moved", [UP, DOWN, INSIDE])
def test_whether_the_threshold_moved_is_known_for_arms_without_a_verdict_too(moved):
    assert replace(NOTHING, ranking=ACROSS, moved=moved).threshold_moved == moved.sign


def test_without_a_fair_rule_nothing_is_known_of_the_threshold():
    assert replace(NOTHING, moved=None).threshold_moved == 0


def test_a_difference_that_is_not_off_zero_cannot_be_vetoed():
    assert not replace(NOTHING, ranking=ACROSS, per_seed=DOWN).vetoed


@pytest.mark.parametrize(
    ("smallest", "auc", "enough", "few"),
    [
        (1000, 0.9, True, False),
        (19, 0.5, False, True),
        (20, 0.5, True, True),
        (50, 0.9, True, False),
        (49, 0.9, True, True),
        (1000, 0.9991, False, True),  # nine tenths of an image are misranked
        (1000, 0.9989, True, True),
        (1000, 0.9979, True, False),
        (32, 0.96875, True, True),  # one image to the digit
        (64, 0.96875, True, False),  # two
        (1, 0.0, False, True),
    ],
)
def test_a_verdict_needs_test_images_and_some_that_are_misranked(smallest, auc, enough, few):
    assert verdicts.enough_images(smallest, auc) is enough
    assert verdicts.few_images(smallest, auc) is few


def test_the_gate_opens_where_the_interval_of_the_oracles_gain_lies_above_zero():
    assert gate(UP).open
    assert gate(UP).gain == UP
    assert not gate(ACROSS).open
    assert not gate(DOWN).open
    assert not gate(interval(-1e-9, 0.1)).open
    at_zero = Estimate(Estimate(0.0, 1.0, 4.0).high, 1.0, 4.0)
    assert at_zero.low == 0.0
    assert not gate(at_zero).open


@pytest.mark.parametrize(
    ("parts", "limited"),
    [
        (Components(seeds=1.0, images=3.0, interaction=1.0, seed_count=5), "test images"),
        (Components(seeds=2.6, images=2.5, interaction=1.0, seed_count=5), "seeds"),
        (Components(seeds=2.0, images=2.0, interaction=1.0, seed_count=5), "seeds"),
        (Components(seeds=1.0, images=0.5, interaction=1.1, seed_count=5), "both"),
        (None, "both"),
    ],
)
def test_a_closed_gate_names_what_dominates_its_variance(parts, limited):
    assert gate(replace(ACROSS, components=parts)).limited_by == limited


def test_the_rule_is_printed_whole():
    for said in ("moves the threshold only", "did not train", "too few test images", "10 % of runs", "half of what"):
        assert said in verdicts.RULE, said
