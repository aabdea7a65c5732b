"""An arm may choose its dose of synthetic images together with the strength of the penalty, by the same rule."""

from typing import Any

import numpy as np
import pytest

from ganbalance import arms, config
from ganbalance.arms import Examples
from ganbalance.errors import ConfigError
from ganbalance.frozen import dump, parse
from ganbalance.metrics.scores import Scores, of_doses
from ganbalance.metrics.tuning import Tuning, of_one_seed
from tests.unit.planted import of_margin, scores, settings, with_pairs
from tests.unit.planted_run import V, arm, judge
from tests.unit.recipes import Settings, cell, key, names, of_stage, planned

DOSED: dict[str, Any] = {"name": "dosed", "synthetic": {"gan": "dcgan", "n": ["half", 12], "weight": [0.5, 1.0]}}
LABELS = np.arange(40) % 2


def recipe(**synthetic: Any) -> config.Recipe:
    return parse(config.Recipe, {"name": "x", "synthetic": {"gan": "dcgan"} | synthetic}, where="test")


def with_gains(*gains: float, seed: int = 0, **changed: Any) -> Scores:
    """A strength per gain: how far it pulls apart held-out and test images."""
    margins = np.array(gains)[:, None] * LABELS + np.random.default_rng(seed).normal(size=40)
    return scores(of_margin(margins), LABELS, of_margin(margins), LABELS, **changed)


# -- what is asked -----------------------------------------------------------------------------------------------------


def test_the_doses_are_all_combinations_in_the_order_given() -> None:
    assert recipe(n=["half", 12], weight=[0.5, 1]).doses == (("half", 0.5), ("half", 1.0), (12, 0.5), (12, 1.0))
    assert recipe(n=[12]).doses == ((12, 1.0),)
    assert recipe().doses == parse(config.Recipe, {"name": "x"}, where="test").doses == ((None, 1.0),)


@pytest.mark.parametrize(
    ("synthetic", "message"),
    [
        ({"n": []}, "synthetic.n"),
        ({"n": [12, 12]}, "synthetic.n = [12, 12]: every value once"),
        ({"weight": [1, 1.0]}, "every value once"),
        ({"weight": 0}, "synthetic.weight"),
        ({"weight": [0.5, -1]}, "synthetic.weight"),
        ({"n": ["half", "all"]}, "synthetic.n"),
    ],
)
def test_a_list_that_is_none_is_refused(synthetic: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        recipe(**synthetic)
    assert message in str(caught.value)


def test_a_weight_of_one_is_not_written_so_that_runs_keep_their_names() -> None:
    assert dump(recipe(weight=1)) == dump(recipe())
    assert dump(recipe(weight=0.5))["synthetic"]["weight"] == 0.5


# -- the plan ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weight", [0.5, [0.5, 1.0]])
def test_a_weight_is_refused_where_a_method_makes_new_vectors_of_the_images(tiny: Settings, weight: Any) -> None:
    with pytest.raises(ConfigError, match=r"names dosed, whose synthetic.weight is not 1: what method: smote makes"):
        planned(tiny, DOSED | {"synthetic": {"gan": "dcgan", "weight": weight}, "method": "smote"})


def test_doses_share_the_gan_and_images_and_are_joined(tiny: Settings) -> None:
    plan = planned(tiny, DOSED)
    joined = cell(plan, "dosed")
    assert (joined.name, joined.stage, joined.config) == ("doses/dosed/seed-0", "doses", {"doses": 4})
    assert joined.inputs == {f"dose/{d}": f"train-classifier/dosed/dose-{d}/seed-0" for d in (1, 2, 3, 4)}
    assert names(plan, "train-gan") == ["train-gan/dosed/class-1/seed-0"]
    drawn = [(node.name, node.config["n"]) for node in of_stage(plan, "synthesize")]
    assert drawn == [
        ("synthesize/dosed/dose-1/class-1/seed-0", "half"),
        ("synthesize/dosed/dose-3/class-1/seed-0", 12),
    ]
    weights = [plan.node(name).config.get("weight", 1) for name in joined.inputs.values()]
    assert weights == [0.5, 1, 0.5, 1]
    read = [plan.node(name).inputs["synthetic/1"] for name in joined.inputs.values()]
    assert read[0] == read[1] != read[2] == read[3]


def test_the_cell_of_a_dose_is_that_of_an_arm_with_this_dose_alone(tiny: Settings) -> None:
    joined = cell(plan := planned(tiny, DOSED), "dosed")
    for number, (n, weight) in enumerate([("half", 0.5), ("half", 1.0), (12, 0.5), (12, 1.0)], start=1):
        alone = {"name": "alone", "synthetic": {"gan": "dcgan", "n": n, "weight": weight}}
        assert plan.node(joined.inputs[f"dose/{number}"]).key == key(tiny, alone)
    one = {"name": "one", "synthetic": {"gan": "dcgan", "n": [12], "weight": [1.0]}}
    assert key(tiny, one) == key(tiny, {"name": "alone", "synthetic": {"gan": "dcgan", "n": 12}})


def test_the_joined_doses_are_rescored_and_those_of_networks_are_grids(tiny: Settings) -> None:
    moved = planned(tiny, DOSED | {"rescoring": "threshold"})
    assert cell(moved, "dosed").inputs == {"source": "doses/dosed/seed-0"}
    network = {"kind": "network", "side_px": 16, "lr": [1e-3, 1e-2], "training": {"steps": 4}}
    plan = planned(tiny, DOSED, classifier=network)
    joined = cell(plan, "dosed")
    assert {plan.node(name).stage for name in joined.inputs.values()} == {"grid"}
    assert len(of_stage(plan, "train-network")) == len(of_stage(planned(tiny, classifier=network), "train-network")) * 5


@pytest.mark.parametrize("synthetic", [{"n": [6, 12]}, {"weight": 0.5}, {"weight": [0.5, 1]}])
def test_the_course_reports_classifier_has_nothing_to_tune_a_dose_on(tiny: Settings, synthetic: dict[str, Any]) -> None:
    arm = {"name": "dosed", "synthetic": {"gan": "dcgan"} | synthetic}
    with pytest.raises(ConfigError, match=r"dosed, whose part 'synthetic.* does not go with classifier\.kind = paper"):
        planned(tiny, arm, classifier={"kind": "paper", "side_px": 16})


def test_weights_of_examples_reach_the_classes_shares_and_class_weights_keep_them_in_proportion() -> None:
    given = Examples(np.zeros((6, 1)), np.array([0, 0, 0, 1, 1, 1]), np.array([1, 1, 1, 1, 0.5, 0.5]))
    assert given.prior == pytest.approx([3 / 5, 2 / 5])
    balanced = arms.method("class-weight").resample(given, 0)
    assert balanced.prior == pytest.approx([0.5, 0.5])
    assert balanced.weights[3:] / balanced.weights[3] == pytest.approx([1, 0.5, 0.5])
    assert balanced.weights.sum() == pytest.approx(5)


# -- the choice --------------------------------------------------------------------------------------------------------


def test_joined_doses_hold_what_each_of_them_said() -> None:
    cells = [with_gains(0.2, 1.0, prior=np.array([0.9, 0.1])), with_gains(0.4, 1.4, prior=np.array([0.6, 0.4]))]
    joined = of_doses(cells)
    assert joined.doses is not None
    assert joined.doses.tolist() == [1, 1, 2, 2]
    assert np.array_equal(joined.test[2:], cells[1].test)
    for place in range(4):
        mine, its = joined.as_trained(place), cells[place // 2].as_trained(place % 2)
        assert (mine.scale, mine.offsets.tolist()) == (its.scale, its.offsets.tolist())
    rescored = joined.rescored()
    assert np.allclose(rescored.offsets, np.concatenate([cell.rescored().offsets for cell in cells]))


def test_joined_doses_are_the_same_after_being_written(tmp_path: Any) -> None:
    joined = of_doses([with_gains(0.2, 1.0), with_gains(0.4, 1.4, prior=np.array([0.6, 0.4]))])
    joined.save(tmp_path / "scores.npz")
    again = Scores.load(tmp_path / "scores.npz")
    assert all(np.array_equal(getattr(again, name), getattr(joined, name)) for name in ("doses", "prior", "test"))


def test_dose_and_strength_are_chosen_together_over_all_seeds() -> None:
    cells = {s: of_doses([with_gains(0.2, 1.0, seed=s), with_gains(1.4, 0.4, seed=s)]) for s in (0, 1)}
    cells[2] = of_doses([with_gains(0.2, 1.0, seed=2), with_gains(-3.0, 0.4, seed=2)])  # one seed turns it
    found = Tuning.of(cells, settings())
    assert found.settle([0, 1]).pair_strength == found.settle([0, 1]).strength == 2
    assert found.settle([0, 1, 2]).pair_strength == 1


def test_a_tie_of_doses_goes_to_the_one_named_first() -> None:
    same = of_doses([with_gains(0.2, 1.0), with_gains(1.0, 0.2)])
    assert Tuning.of({0: same}, settings()).settle([0]).pair_strength == 1


def test_the_head_of_all_classes_has_the_dose_that_the_pairs_choose() -> None:
    labels, rng = np.arange(90) % 3, np.random.default_rng(0)
    noise, truth = rng.normal(size=(90, 3)), np.eye(3)[np.arange(90) % 3]

    def dose(of_all: tuple[float, float], of_pairs: tuple[float, float]) -> Scores:
        logits, turned = (np.stack([gain * truth + noise for gain in gains]) for gains in (of_all, of_pairs))
        pairs = with_pairs(scores(turned, labels, turned, labels), (2,)).pairs
        return scores(logits, labels, logits, labels, pairs=pairs)

    both = of_doses([dose((0.1, 3.0), (0.1, 0.2)), dose((1.0, 0.5), (0.5, 2.0))])
    settled = Tuning.of({0: both}, settings(3)).settle([0])
    assert (settled.strength, settled.pair_strength) == (2, 3)  # 1 ranks best, and is of the other dose


def test_where_bootstraps_vote_they_vote_on_the_dose_and_then_on_its_strength() -> None:
    # four bootstraps of ten are for the first dose at one strength, six for the second, at two
    one = of_doses([with_gains(1.0, 1.0), with_gains(1.0, 1.0)])
    table = np.array([[0, 1, 0, 0]] * 4 + [[0, 0, 1, 0]] * 3 + [[0, 0, 0, 1]] * 3, float)
    settled = Tuning({0: one}, {0: table}, {0: table}).settle([0])
    assert settled.strength == settled.pair_strength == 2


def test_a_user_of_one_seed_chooses_a_dose_too() -> None:
    kept = np.arange(40) < 20
    both = of_doses([with_gains(0.2, 1.0, validation=kept), with_gains(1.4, 0.4, validation=kept)])
    assert of_one_seed(both, settings()) == 2


# -- what is said of it ------------------------------------------------------------------------------------------------


def dosed(*paths: dict[int, Scores], strengths: int = 2) -> dict[int, Scores]:
    """An arm from its path at every dose, each repeated along the grid."""
    return {seed: of_doses([_grid(path[seed], strengths) for path in paths]) for seed in paths[0]}


def _grid(one: Scores, strengths: int) -> Scores:
    weaker = [0.8**place for place in range(strengths)]
    test, held_out = (
        np.concatenate([share * of + (1 - share) * np.roll(of, 2, axis=1) for share in weaker])
        for of in (one.test, one.held_out)
    )
    kept = np.arange(V) < 100
    return scores(test, one.test_labels, held_out, one.held_out_labels, validation=kept, prior=one.prior)


def test_sensitivity_is_along_the_grid_of_the_chosen_dose_beside_every_dose_at_its_best() -> None:
    base = {seed: _grid(one, 2) for seed, one in arm(2.0).items()}
    poor, best = arm(1.0, luck=1), arm(3.0, luck=2)
    single = {seed: _grid(one, 2) for seed, one in best.items()}
    found = judge({"none": base, "dosed": dosed(poor, best), "single": single}).arms
    mine, its = found["dosed"].sensitivity, found["single"].sensitivity
    assert mine is not None
    assert its is not None
    assert (mine.dose, its.dose, its.doses) == (2, None, ())
    for part in ("strengths", "tuning", "test", "difference", "chosen", "at_end", "per_seed"):
        assert getattr(mine, part) == pytest.approx(getattr(its, part)), part
    assert set(mine.per_seed_dose.values()) == {2}
    assert mine.per_seed_difference == its.per_seed_difference
    assert mine.doses[1].test == pytest.approx(max(mine.test))
    assert mine.doses[0].difference is not None
    assert mine.doses[0].difference < 0 < (mine.doses[1].difference or 0)
    assert found["dosed"].metrics["auc"] == found["single"].metrics["auc"]  # a choice that never turns costs nothing


def test_a_dose_that_turns_with_the_seeds_widens_the_interval() -> None:
    base = {seed: _grid(one, 2) for seed, one in arm(2.0).items()}
    doses = [arm(2.3, luck=luck, own_noise=0.9) for luck in (1, 2, 3, 4)]
    single = {seed: _grid(one, 2) for seed, one in doses[0].items()}
    found = judge({"none": base, "dosed": dosed(*doses), "single": single}).arms
    widths = [found[name].metrics["auc"].difference for name in ("dosed", "single")]
    assert all(one is not None and one.high is not None for one in widths)
    mine, its = ((one.high or 0) - (one.low or 0) for one in widths if one)
    assert mine > its
