"""Who sees which images: watched at the doors of training while the real programs run tiny experiments."""

import numpy as np
import pytest

from ganbalance.data.canvas import from_canvas
from ganbalance.metrics import calibration
from tests.conftest import SIDE_PX
from tests.integration.watched import (
    ADDED,
    FROM_REMOVED,
    GRID,
    MADE,
    RARE,
    SCORED,
    SEEDS,
    SMOTED,
    TRAINED,
    Watched,
    places,
)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_gan_sees_the_training_images_of_the_rare_class_and_no_others(watched: Watched, seed: int) -> None:
    images, labels = watched.to_gan[f"train-gan/dcgan/class-1/seed-{seed}"]
    seen = places(from_canvas(images, SIDE_PX), watched.array("dataset", "images.npy"))
    rows = watched.rows(seed)
    assert sorted(seen) == [row for row in rows["train"] if watched.labels[row] == RARE]
    assert set(labels.tolist()) == {RARE}
    for part in ("validation", "tuning", "removed", "test"):
        assert len(rows[part])
        assert not set(seen) & set(rows[part])


@pytest.mark.parametrize("seed", SEEDS)
def test_the_arm_of_a_gan_learns_from_the_training_rows_and_all_synthetic_images(watched: Watched, seed: int) -> None:
    train, rows = watched.head("dcgan", seed).train, watched.rows(seed)["train"]
    made = watched.array(f"features/dcgan/class-1/seed-{seed}", "features.npy")
    assert len(made) == ADDED
    assert np.array_equal(train.inputs, np.concatenate([watched.real[rows], made]))
    assert train.labels.tolist() == watched.labels[rows].tolist() + [RARE] * len(made)
    assert (train.weights == 1).all()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("arm", TRAINED)
def test_an_arm_learns_from_its_training_images_and_an_oracle_from_removed_ones(
    watched: Watched, arm: str, seed: int
) -> None:
    rows, train = watched.rows(seed), watched.head(arm, seed).train
    real = len(train.labels) - MADE.get(arm, 0)
    used = places(train.inputs[:real], watched.real)
    assert np.array_equal(train.labels[:real], watched.labels[used])
    assert set(used) & set(rows["train"]) == set(rows["train"])
    given_back = set(used) - set(rows["train"])
    assert given_back <= set(rows["removed"])
    assert len(given_back) == FROM_REMOVED.get(arm, 0)
    for part in ("validation", "tuning", "test"):
        assert len(rows[part])
        assert not set(used) & set(rows[part])


@pytest.mark.parametrize("seed", SEEDS)
def test_smote_joins_rare_training_images_and_no_others(watched: Watched, seed: int) -> None:
    train, rows = watched.head("smote", seed).train, watched.rows(seed)["train"]
    ends = watched.real[rows][watched.labels[rows] == RARE].astype(np.float64)
    made = train.inputs[len(rows) :].astype(np.float64)
    assert len(made) == SMOTED
    assert set(train.labels[len(rows) :]) == {RARE}
    for point in made:
        from_one = point - ends
        distances = np.linalg.norm(from_one, axis=1)
        detour = distances[:, None] + distances[None] - np.linalg.norm(ends[:, None] - ends[None], axis=2)
        np.fill_diagonal(detour, np.inf)
        assert detour.min() < 1e-3 * distances.min() + 1e-3  # on the way from one of them to another


@pytest.mark.parametrize("seed", SEEDS)
def test_the_classifier_of_a_filter_learns_from_all_real_training_images_and_from_nothing_else(
    watched: Watched, seed: int
) -> None:
    fitted, rows = watched.filtered[f"filter/surest/class-1/seed-{seed}"], watched.rows(seed)["train"]
    assert np.array_equal(fitted.train.inputs, watched.real[rows])
    assert np.array_equal(fitted.train.labels, watched.labels[rows] == RARE)
    assert (fitted.train.weights == 1).all()
    assert np.array_equal(fitted.scaler.mean_, watched.head("none", seed).scaler.mean_)
    scores = watched.array(f"filter/surest/class-1/seed-{seed}", "scores.npy")
    (logits,) = fitted.logits(watched.array(f"features/surest/class-1/seed-{seed}", "features.npy"))
    assert scores == pytest.approx(logits[:, 1] - logits[:, 0], abs=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_filter_keeps_the_images_that_score_best_in_the_order_in_which_they_were_drawn(
    watched: Watched, seed: int
) -> None:
    at = f"class-1/seed-{seed}"
    scores = watched.array(f"filter/surest/{at}", "scores.npy")
    drawn = watched.array(f"synthesize/surest/{at}", "images.npy")
    kept = places(watched.array(f"filter/surest/{at}", "images.npy"), drawn)
    assert len(drawn) == len(scores) == 2 * ADDED
    assert len(kept) == ADDED
    assert kept == sorted(kept)
    assert scores[kept].min() > np.delete(scores, kept).max()
    features = watched.array(f"features/filter/surest/{at}", "features.npy")
    assert features == pytest.approx(watched.array(f"features/surest/{at}", "features.npy")[kept], abs=1e-3)
    assert np.array_equal(watched.head("surest", seed).train.inputs[-ADDED:], features)


def test_the_oracle_gets_all_images_that_are_neither_held_out_nor_for_the_test(watched: Watched) -> None:
    rows = watched.rows(0)
    assert len(rows["removed"]) == len(rows["tuning"]) == 15  # half of the thirty that the imbalance took away each
    assert len(watched.head("oracle", 0).train.labels) == len(rows["train"]) + 15


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("arm", SCORED)
def test_every_arm_of_a_seed_is_judged_on_the_same_images(watched: Watched, arm: str, seed: int) -> None:
    scores, rows, held_out = watched.scores(arm, seed), watched.rows(seed), watched.held_out(seed)
    assert np.array_equal(scores.test_labels, watched.labels[rows["test"]])
    assert np.array_equal(scores.held_out_labels, watched.labels[held_out])
    assert scores.validation.tolist() == [row in set(rows["validation"]) for row in held_out]
    assert 0 < scores.validation.sum() < len(held_out)
    assert scores.strengths.tolist() == list(GRID)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("arm", TRAINED)
def test_held_out_logits_are_of_held_out_images_and_test_logits_of_test_images(
    watched: Watched, arm: str, seed: int
) -> None:
    scores, fitted = watched.scores(arm, seed), watched.head(arm, seed)
    by_hand = fitted.logits(watched.real[watched.held_out(seed)])
    assert scores.held_out == pytest.approx(by_hand, abs=1e-9)
    assert scores.test == pytest.approx(fitted.logits(watched.real[watched.rows(seed)["test"]]), abs=1e-9)
    # each held-out image differs from the others, so that another order or another image would be seen
    margins = by_hand[0, :, 1] - by_hand[0, :, 0]
    assert np.diff(np.sort(margins)).min() > 1e-7


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("arm", TRAINED)
def test_the_rule_as_trained_is_fitted_on_the_arms_own_training_images(watched: Watched, arm: str, seed: int) -> None:
    scores, fitted = watched.scores(arm, seed), watched.head(arm, seed)
    # what was added to the logits in training is not there when they decide
    shift = np.log([72 / 96, 24 / 96]) if arm == "logit-adjustment" else np.zeros(2)
    for g, logits in enumerate(fitted.logits(fitted.train.inputs)):
        rule = calibration.fit(logits, fitted.train.labels, fitted.train.weights)
        assert scores.scale[g] == pytest.approx(rule.scale, rel=1e-6)
        assert scores.offsets[g] == pytest.approx(rule.offsets - shift, abs=1e-6)


@pytest.mark.parametrize(
    ("arm", "weights"),
    [
        ("none", [72, 24]), ("class-weight", [48, 48]), ("oversample", [72, 72]), ("dcgan", [72, 36]),
        ("oracle", [72, 39]), ("oracle-matched", [72, 36]), ("threshold", [1, 1]), ("smote", [72, 72]),
        ("focal", [72, 24]), ("logit-adjustment", [1, 1]), ("surest", [72, 36]),
    ],
)  # fmt: skip
def test_the_prior_of_an_arm_is_the_mix_that_it_learned_from(watched: Watched, arm: str, weights: list[int]) -> None:
    assert watched.scores(arm, 0).prior == pytest.approx(np.array(weights) / sum(weights), abs=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("arm", TRAINED)
def test_every_arm_of_a_seed_is_scaled_by_the_real_training_images(watched: Watched, arm: str, seed: int) -> None:
    scaler, real = watched.head(arm, seed).scaler, watched.real[watched.rows(seed)["train"]].astype(np.float64)
    assert scaler.mean_ == pytest.approx(real.mean(axis=0), rel=1e-9, abs=1e-12)
    assert scaler.var_ == pytest.approx(real.var(axis=0), rel=1e-6, abs=1e-12)
    assert np.array_equal(scaler.mean_, watched.head("none", seed).scaler.mean_)
    assert np.array_equal(scaler.scale_, watched.head("none", seed).scaler.scale_)


def test_every_arm_has_the_same_grid_and_a_pair_needs_one_head(watched: Watched) -> None:
    assert {len(fitted) for fitted in watched.heads.values()} == {1}
    assert len(watched.heads) == len(TRAINED) * len(SEEDS)
    assert {tuple(fitted.grid) for (fitted,) in watched.heads.values()} == {GRID}
    assert not watched.scores("none", 0).pairs
