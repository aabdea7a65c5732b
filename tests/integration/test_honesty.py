"""Who sees which images: watched at the doors of training while the real programs run tiny experiments."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from sklearn.metrics import roc_auc_score

from ganbalance.data.canvas import from_canvas
from ganbalance.data.split import PARTS
from ganbalance.metrics import calibration
from ganbalance.metrics.scores import Scores
from ganbalance.pipeline.state import State
from jobs import train_classifier, train_gan
from tests.conftest import SIDE_PX, Lab, tiny_settings

SEEDS = (0, 1)
RARE = 1
ADDED = 12
GRID = (1.0, 0.1)
REAL = ["none", "class-weight", "oversample", "focal", "logit-adjustment", "oracle", "oracle-matched"]
TRAINED = [*REAL, "dcgan", "smote", "surest"]  # threshold trains nothing
SCORED = [*TRAINED, "threshold"]
SUREST = {"name": "surest", "synthetic": {"gan": "dcgan", "filter": {"by": "classifier", "keep": 0.5}}}
SMOTED = 72 - 24
MADE = {"dcgan": ADDED, "surest": ADDED, "smote": SMOTED}  # examples that are no real image's
FROM_REMOVED = {"oracle": 15, "oracle-matched": ADDED}


@dataclass(frozen=True)
class Fitted:
    """What one call of `head.fit` was given, and the head it returned."""

    train: Any
    scaler: Any
    grid: Sequence[float]
    head: Any

    def logits(self, features: np.ndarray) -> np.ndarray:
        """By hand: float64 (G, n, K)."""
        x = (features.astype(np.float64) - self.scaler.mean_) / self.scaler.scale_
        return np.stack([x @ w.T + b for w, b in zip(self.head.weights, self.head.biases, strict=True)])


@dataclass
class Watched:
    """What reached `gan_loop.train` and `head.fit`, by the name of the stage, and what had been written before."""

    state: State
    to_gan: dict[str, tuple[Any, Any]] = field(default_factory=dict)  # images on the canvas, labels
    heads: dict[str, list[Fitted]] = field(default_factory=dict)
    filtered: dict[str, Fitted] = field(default_factory=dict)  # the head of a filter

    def path(self, stage: str, file: str) -> Path:
        commit = self.state.commit(stage)
        assert commit is not None
        return self.state.artifacts.open(commit).path(file)

    def array(self, stage: str, file: str) -> Any:
        return np.load(self.path(stage, file), allow_pickle=False)

    def rows(self, seed: int) -> dict[str, np.ndarray]:
        """The rows of each part of the split."""
        with self.array(f"imbalance/seed-{seed}", "split.npz") as split:
            return {part: split[part] for part in PARTS}

    def held_out(self, seed: int) -> np.ndarray:
        """The rows that nothing trains on and that are not for the test, rising."""
        rows = self.rows(seed)
        return np.sort(np.concatenate([rows["validation"], rows["tuning"]]))

    @property
    def real(self) -> Any:
        return self.array("features/real", "features.npy")

    @property
    def labels(self) -> Any:
        return self.array("dataset", "labels.npy")

    def head(self, arm: str, seed: int) -> Fitted:
        """The head that tells all classes apart, which is fitted first."""
        return self.heads[f"train-classifier/{arm}/seed-{seed}"][0]

    def scores(self, arm: str, seed: int) -> Scores:
        stage = "rescore" if arm == "threshold" else "train-classifier"
        return Scores.load(self.path(f"{stage}/{arm}/seed-{seed}", "scores.npz"))


def watch(folder: Path, settings: dict[str, Any]) -> Watched:
    """Run every stage but the report."""
    experiment = folder / "experiment.yaml"
    # features of larger images: at 16 px several images have the same
    settings |= {"classifier": {"side_px": 64, "l2": list(GRID)}}
    experiment.write_text(yaml.safe_dump(settings))
    lab = Lab(experiment, folder / "store")
    seen = Watched(lab.state(folder))
    real_train, real_fit = train_gan.gan_loop.train, train_classifier.head.fit
    with pytest.MonkeyPatch.context() as patch:
        for node in lab.plan.nodes[:-1]:

            def watch_train(gan: Any, images: Any, labels: Any, *, at: str = node.name, **rest: Any) -> Any:
                seen.to_gan[at] = (images.clone(), labels.clone())
                return real_train(gan, images, labels, **rest)

            def watch_fit(train: Any, *, scaler: Any, grid: Any, at: str = node.name, **rest: Any) -> Any:
                solved = real_fit(train, scaler=scaler, grid=grid, **rest)
                fitted = Fitted(train, scaler, grid, solved)
                if at.startswith("filter/"):
                    seen.filtered[at] = fitted
                else:
                    seen.heads.setdefault(at, []).append(fitted)
                return solved

            patch.setattr(train_gan.gan_loop, "train", watch_train)
            patch.setattr(train_classifier.head, "fit", watch_fit)
            assert lab.run(node) == 0
    return seen


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory, tiny_npz: Path) -> Watched:
    """A pair of classes."""
    arms = [SUREST if arm == "surest" else arm for arm in SCORED]
    settings = tiny_settings(tiny_npz) | {"arms": arms, "seeds": list(SEEDS)}
    return watch(tmp_path_factory.mktemp("watched"), settings)


@pytest.fixture(scope="module")
def watched_three(tmp_path_factory: pytest.TempPathFactory, tiny_npz: Path) -> Watched:
    """Three classes, of which the middle one is rare."""
    folder = tmp_path_factory.mktemp("watched-three")
    labels = np.repeat([0, 1, 2], 40)
    images = np.random.default_rng(0).normal(60, 45, (120, SIDE_PX, SIDE_PX))
    for label in range(3):  # a bright bar, at another height for every class
        images[labels == label, 5 * label : 5 * label + 4] += 70
    np.savez(folder / "three.npz", images=images.clip(0, 255).astype(np.uint8), labels=labels)
    changes = {
        "dataset": {"name": "npz", "path": str(folder / "three.npz"), "side_px": SIDE_PX},
        "task": {"kind": "multiclass"},
        "arms": ["none", "threshold", "class-weight", "logit-adjustment", "focal", "dcgan", "oracle-matched"],
        "seeds": [0],
    }
    return watch(folder, tiny_settings(tiny_npz) | changes)


def places(wanted: np.ndarray, among: np.ndarray) -> list[int]:
    """The row of `among` that each of `wanted` is, found by its bytes; fails for one that is not there."""
    row_of = {row.tobytes(): number for number, row in enumerate(among)}
    assert len(row_of) == len(among), "two rows alike cannot be told apart"
    return [row_of[row.tobytes()] for row in wanted]


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
    # each held-out image is told apart from the others, so that another order or another image would be seen
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


def assert_only_the_threshold_moved(none: Scores, threshold: Scores) -> None:
    for name in ("strengths", "test", "test_labels", "held_out", "held_out_labels", "validation", "scale"):
        assert np.array_equal(getattr(none, name), getattr(threshold, name)), name
    assert none.pairs.keys() == threshold.pairs.keys()
    for pair in none.pairs:
        assert np.array_equal(none.pairs[pair].test, threshold.pairs[pair].test)
        assert np.array_equal(none.pairs[pair].held_out, threshold.pairs[pair].held_out)
    shift = threshold.offsets - none.offsets + np.log(none.prior)
    assert shift == pytest.approx(np.broadcast_to(shift[:, :1], shift.shape), abs=1e-12)
    assert np.abs(threshold.offsets - none.offsets).max() > 0.1


@pytest.mark.parametrize("seed", SEEDS)
def test_threshold_has_the_logits_of_none_to_the_last_bit_and_a_shifted_rule(watched: Watched, seed: int) -> None:
    assert_only_the_threshold_moved(watched.scores("none", seed), watched.scores("threshold", seed))


def test_so_it_has_at_three_classes(watched_three: Watched) -> None:
    assert_only_the_threshold_moved(watched_three.scores("none", 0), watched_three.scores("threshold", 0))
    assert len(watched_three.scores("threshold", 0).pairs) == 2


def ruled(scores: Scores) -> np.ndarray:
    """Log probabilities of the test images under the rule as trained, float64 (G, n, K)."""
    return np.stack([scores.as_trained(g).log_probabilities(logits) for g, logits in enumerate(scores.test)])


def assert_one_decides_as_the_other(one: Scores, other: Scores) -> None:
    assert one.prior == pytest.approx(other.prior, abs=1e-12)
    assert ruled(one) == pytest.approx(ruled(other), abs=1e-2)
    assert one.pairs.keys() == other.pairs.keys()
    for pair, found in one.pairs.items():  # a constant apart, which no ranking sees
        shift = found.test - other.pairs[pair].test
        assert shift == pytest.approx(np.broadcast_to(shift[:, :1], shift.shape), abs=1e-2)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_head_that_learned_with_adjusted_logits_decides_as_threshold_does(watched: Watched, seed: int) -> None:
    none, threshold = watched.scores("none", seed), watched.scores("threshold", seed)
    adjusted = watched.scores("logit-adjustment", seed)
    assert_one_decides_as_the_other(adjusted, threshold)
    margins = adjusted.test - none.test
    assert margins[..., 1] - margins[..., 0] == pytest.approx(np.log(72 / 24), abs=1e-2)
    assert np.abs(ruled(adjusted) - ruled(none)).max() > 0.1


def test_so_it_does_at_three_classes(watched_three: Watched) -> None:
    adjusted, threshold = (watched_three.scores(arm, 0) for arm in ("logit-adjustment", "threshold"))
    assert_one_decides_as_the_other(adjusted, threshold)
    assert len(adjusted.pairs) == 2


@pytest.mark.parametrize("arm", ["none", "class-weight", "logit-adjustment", "focal", "dcgan", "oracle-matched"])
def test_every_pair_with_the_rare_class_has_a_head_of_its_images_alone(watched_three: Watched, arm: str) -> None:
    whole, *of_pairs = watched_three.heads[f"train-classifier/{arm}/seed-0"]
    scores, rows, held_out = watched_three.scores(arm, 0), watched_three.rows(0), watched_three.held_out(0)
    pairs = [(0, 1), (1, 2)]
    assert list(scores.pairs) == pairs
    for pair, fitted in zip(pairs, of_pairs, strict=True):
        of_it = np.isin(whole.train.labels, pair)
        assert np.array_equal(fitted.train.inputs, whole.train.inputs[of_it])
        assert np.array_equal(fitted.train.labels, (whole.train.labels[of_it] == pair[1]).astype(int))
        assert np.array_equal(fitted.train.weights, whole.train.weights[of_it])
        assert fitted.scaler is whole.scaler
        assert tuple(fitted.grid) == GRID
        for part, among in (("test", rows["test"]), ("held_out", held_out)):
            wanted = among[np.isin(watched_three.labels[among], pair)]
            logits = fitted.logits(watched_three.real[wanted])
            assert len(wanted)
            assert getattr(scores.pairs[pair], part) == pytest.approx(logits[..., 1] - logits[..., 0], abs=1e-9)


def test_the_log_odds_of_a_pair_rise_with_its_higher_class(watched_three: Watched) -> None:
    scores = watched_three.scores("none", 0)
    for (low, high), pair in scores.pairs.items():
        labels = scores.test_labels[np.isin(scores.test_labels, (low, high))]
        assert roc_auc_score(labels == high, pair.test[-1]) > 0.6


def test_synthetic_images_reach_the_heads_of_their_class(watched_three: Watched) -> None:
    none, dcgan = (watched_three.heads[f"train-classifier/{arm}/seed-0"] for arm in ("none", "dcgan"))
    assert [len(b.train.labels) - len(a.train.labels) for a, b in zip(none, dcgan, strict=True)] == [ADDED] * 3


def test_every_head_and_strength_is_in_the_table_of_the_solver(watched_three: Watched) -> None:
    table = watched_three.path("train-classifier/none/seed-0", "solver.csv")
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert [(row["pair"], float(row["l2"])) for row in rows] == [
        (pair, l2) for pair in ("", "0-1", "1-2") for l2 in GRID
    ]
    assert {row["converged"] for row in rows} == {"True"}
