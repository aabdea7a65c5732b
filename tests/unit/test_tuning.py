"""One strength and one fair rule per arm, from the held-out images of all its seeds."""

from dataclasses import replace

import numpy as np
import pytest

from ganbalance.metrics import calibration, tuning
from ganbalance.metrics.classification import Settled, held_out_ranking
from ganbalance.metrics.tuning import Tuning, of_one_seed
from ganbalance.metrics.weighted import grouped_draws
from ganbalance.seeding import numpy_rng
from tests.unit.planted import of_margin, scores, settings, with_pairs

LABELS = np.arange(40) % 2


def cell(*gains: float, seed: int = 0, validation: np.ndarray | None = None):
    """A cell with a strength per gain: how far it pulls apart held-out images, all of them alike in difficulty."""
    noise = np.random.default_rng(seed).normal(size=40)
    margins = np.array(gains)[:, None] * LABELS + noise
    kept = np.zeros(40, bool) if validation is None else validation
    return scores(of_margin(margins), LABELS, of_margin(margins), LABELS, validation=kept)


def test_the_strength_is_the_best_by_the_mean_over_seeds_not_by_most_seeds():
    # two seeds are a little better with the first, one is much worse with it
    cells = {0: cell(1.1, 1.0), 1: cell(1.1, 1.0, seed=1), 2: cell(-2.0, 1.0, seed=2)}
    own = [of_one_seed(made, settings()) for made in cells.values()]
    assert own == [None] * 3  # none of these images is a user's
    found = Tuning.of(cells, settings())
    each = [int(np.argmax(found.ranking[seed][0])) for seed in cells]
    assert each == [0, 0, 1]
    assert found.settle([0, 1, 2]).strength == 1


def test_a_tie_goes_to_the_stronger_penalty():
    assert Tuning.of({0: cell(1.0, 1.0, 0.2), 1: cell(1.0, 1.0, 0.2, seed=1)}, settings()).settle([0, 1]).strength == 0


def test_from_some_of_the_seeds_everything_is_chosen_and_fitted_without_the_others():
    cells = {0: cell(1.1, 1.0), 1: cell(1.1, 1.0, seed=1), 2: cell(-2.0, 1.0, seed=2)}
    found = Tuning.of(cells, settings())
    alone = Tuning.of({0: cells[0], 1: cells[1]}, settings()).settle([0, 1])
    some = found.settle([0, 1])
    assert (some.fair.scale, some.strength) == (alone.fair.scale, alone.strength)
    assert (some.strength, found.settle([1, 2]).strength) == (0, 1)


def test_the_fair_rule_is_fitted_on_the_held_out_images_of_all_seeds_at_the_chosen_strength():
    cells = {0: cell(0.1, 1.0), 1: cell(0.1, 1.4, seed=1)}
    settled = Tuning.of(cells, settings()).settle([0, 1])
    assert settled.strength == 1
    together = np.concatenate([made.held_out[1] for made in cells.values()])
    wanted = calibration.fit_fair(together, np.tile(LABELS, 2))
    assert settled.fair.scale == pytest.approx(wanted.scale)
    assert settled.fair.offsets == pytest.approx(wanted.offsets)


def test_where_images_come_in_groups_the_choice_is_bootstrapped_by_group():
    made = cell(1.1, 1.0, validation=np.ones(40, bool))
    groups = np.arange(40) // 4
    by_group = replace(made, test_groups=groups, held_out_groups=groups)
    weights = grouped_draws(LABELS, groups, tuning.BOOTSTRAPS, numpy_rng(3, "tuning-bootstrap"))
    found = Tuning.of({3: by_group}, settings()).ranking[3]
    assert np.array_equal(found, held_out_ranking(made, settings(), weights))
    assert not np.array_equal(found, Tuning.of({3: made}, settings()).ranking[3])


@pytest.mark.parametrize("k", [2, 3, 10])
def test_the_fair_rule_knows_no_training_mix_and_no_test_image(k):
    # what an arm was trained on, say synthetic images, is in `scale`, `offsets` and `prior`; the test part is its own
    rng = np.random.default_rng(k)
    labels = np.arange(30 * k) % k
    logits = rng.normal(size=(len(labels), k)) + np.eye(k)[labels]

    def settled(**changed):
        test = changed.pop("test", logits)
        made = scores(test, labels, logits, labels, **changed)
        return Tuning.of({0: with_pairs(made, (k - 1,)) if k > 2 else made}, settings(k)).settle([0]).fair

    plain = settled()
    other = settled(
        scale=np.array([99.0]), offsets=rng.normal(0, 9, (1, k)), prior=rng.dirichlet(np.ones(k)), test=-3 * logits
    )
    assert (other.scale, other.offsets.tolist()) == (plain.scale, plain.offsets.tolist())


def test_without_held_out_images_there_is_no_fair_rule():
    made = scores(of_margin(np.linspace(-1, 1, 40)), LABELS)
    settled = Tuning.of({0: made, 1: made}, settings()).settle([0, 1])
    assert settled.fair is None
    assert settled.strength == 0


def test_without_held_out_images_many_classes_have_no_fair_rule_either():
    made = with_pairs(scores(np.zeros((2, 30, 3)), np.arange(30) % 3), (2,))
    assert Tuning.of({0: made, 1: made}, settings(3)).settle([0, 1]) == Settled(0, 0, None)


@pytest.mark.parametrize("validation", [np.zeros(40, bool), np.ones(40, bool)])
def test_what_is_tested_changes_neither_the_choice_nor_the_rule(validation):
    def settled(test, labels):
        held_out = cell(0.5, 1.0, validation=validation)
        made = scores(test, labels, held_out.held_out, LABELS, validation=validation)
        found = Tuning.of({0: made}, settings())
        return found.ranking[0].tolist(), (rule := found.settle([0]).fair).scale, rule.offsets.tolist()

    few = of_margin(np.array([[3.0, -3.0, 1.0], [-1.0, 1.0, 0.0]]))
    assert settled(few, [0, 1, 1]) == settled(-few, [1, 1, 0])


def test_a_user_of_one_seed_chooses_on_the_validation_images_alone():
    # the removed images, the second half, say the opposite
    kept = np.arange(40) < 20
    margins = np.where(kept, np.array([[1.0], [2.5]]), np.array([[3.0], [-3.0]])) * LABELS
    margins = margins + np.random.default_rng(0).normal(size=40)
    made = scores(of_margin(margins), LABELS, of_margin(margins), LABELS, validation=kept)
    assert of_one_seed(made, settings()) == 1
    assert Tuning.of({0: made}, settings()).settle([0]).strength == 0


def test_where_nothing_was_removed_bootstraps_of_the_images_vote(monkeypatch):
    everything = np.ones(40, bool)
    cells = {s: cell(0.9, 1.0, 1.0, seed=s, validation=everything) for s in range(3)}
    found = Tuning.of(cells, settings())
    assert found.ranking[0].shape == (tuning.BOOTSTRAPS, 3)
    best = np.argmax(np.round(np.mean([found.ranking[s] for s in cells], axis=0), 12), axis=1)
    assert found.settle([0, 1, 2]).strength == np.bincount(best).argmax()
    # one image that was removed is enough for a mean to be trusted
    cells[0] = cell(0.9, 1.0, 1.0, validation=np.arange(40) > 0)
    assert Tuning.of(cells, settings()).ranking[0].shape == (1, 3)


def test_arms_of_a_seed_are_bootstrapped_alike_and_seeds_differently():
    everything = np.ones(40, bool)
    one, other = (Tuning.of({5: cell(1.0, validation=everything)}, settings()).ranking[5] for _ in range(2))
    assert np.array_equal(one, other)
    assert not np.array_equal(one, Tuning.of({6: cell(1.0, validation=everything)}, settings()).ranking[6])


def test_many_classes_have_one_strength_for_the_head_of_all_and_one_for_the_pairs():
    labels = np.arange(90) % 3
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(90, 3))
    logits = np.stack([0.2 * np.eye(3)[labels] + noise, 2.0 * np.eye(3)[labels] + noise])
    made = scores(logits, labels, logits, labels)
    turned = with_pairs(scores(logits[::-1], labels, logits[::-1], labels), (2,))
    settled = Tuning.of({0: scores(**{**vars(made), "pairs": turned.pairs})}, settings(3)).settle([0])
    assert (settled.strength, settled.pair_strength) == (1, 0)
