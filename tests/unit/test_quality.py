"""The measures of synthetic images agree with the published implementations, and with answers that are known."""

from typing import Any

import numpy as np
import pytest
import torch
from prdc import compute_prdc
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric

from ganbalance.metrics import quality
from ganbalance.metrics.quality import classifiers, distances, neighbours

D = 32
PUBLISHED = 1e-4  # relative, to the published implementations


def sample(n: int, seed: int, *, shift: float = 0.0, scale: float = 1.0, d: int = D) -> np.ndarray:
    """Correlated features, those of one distribution for equal `shift` and `scale`."""
    mixing = np.random.default_rng(0).normal(size=(d, d)) / np.sqrt(d)
    return shift + scale * np.random.default_rng(seed).normal(size=(n, d)) @ mixing


SYNTHETIC, REAL = sample(230, 1, shift=0.1, scale=0.9), sample(310, 2)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


# -- kernel distance ---------------------------------------------------------------------------------------------------


def indicators(n: int, subsets: list[np.ndarray]) -> np.ndarray:
    return np.stack([np.isin(np.arange(n), subset) for subset in subsets]).astype(float)


@pytest.mark.parametrize(("size", "subsets"), [(100, 7), (230, 1)])
def test_kid_is_that_of_torch_fidelity_on_the_same_subsets(size: int, subsets: int) -> None:
    published = kid_features_to_metric(
        torch.tensor(SYNTHETIC),
        torch.tensor(REAL),
        kid_subsets=subsets,
        kid_subset_size=size,
        rng_seed=5,
        verbose=False,
    )
    draws = np.random.RandomState(5)
    drawn = [(draws.choice(230, size, replace=False), draws.choice(310, size, replace=False)) for _ in range(subsets)]
    one, other = zip(*drawn, strict=True)
    found = distances.mmd2(SYNTHETIC, REAL, indicators(230, list(one)), indicators(310, list(other)))
    assert found.mean() == pytest.approx(published["kernel_inception_distance_mean"], rel=PUBLISHED)
    assert found.std() == pytest.approx(published["kernel_inception_distance_std"], rel=PUBLISHED, abs=1e-12)


def test_kid_is_the_same_whether_a_kernel_is_computed_in_one_piece_or_in_several(monkeypatch: Any) -> None:
    whole = distances.kid(SYNTHETIC, REAL, rng())
    monkeypatch.setattr(distances, "ROWS", 7)
    pieces = distances.kid(SYNTHETIC, REAL, rng())
    assert whole
    assert pieces
    assert pieces.value == pytest.approx(whole.value, rel=1e-9)


def test_kid_of_one_distribution_is_0_within_its_error_and_of_another_is_not() -> None:
    same, other = (
        distances.kid(sample(400, 3), sample(300, 4), rng()),
        distances.kid(sample(400, 3, shift=0.4), REAL, rng()),
    )
    assert same
    assert other
    assert abs(same.value) < 3 * same.se
    assert other.value > 3 * other.se


@pytest.mark.parametrize(("n", "m"), [(200, 200), (60, 600)])
def test_the_standard_error_of_kid_is_how_much_it_varies_between_samples(n: int, m: int) -> None:
    found = [distances.kid(sample(n, seed, shift=0.6), sample(m, 1000 + seed), rng()) for seed in range(60)]
    values, errors = zip(*[(one.value, one.se) for one in found if one], strict=True)
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.25)


# -- Fréchet distance --------------------------------------------------------------------------------------------------


def test_fid_is_that_of_torch_fidelity() -> None:
    statistics = [fid_features_to_statistics(torch.tensor(features)) for features in (SYNTHETIC, REAL)]
    published = fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    assert distances.fid(SYNTHETIC, REAL) == pytest.approx(published, rel=PUBLISHED)


def with_moments(mean: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Features whose sample mean and covariance are exactly these."""
    drawn = np.random.default_rng(0).normal(size=(200, len(mean)))
    white = (drawn - drawn.mean(axis=0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(drawn.T))).T
    return mean + white @ np.linalg.cholesky(covariance).T


def test_fid_of_two_gaussians_is_the_formula_of_their_moments() -> None:
    means = np.array([1.0, 0.0, -2.0]), np.array([0.0, 2.0, -2.0])
    variances = np.array([1.0, 4.0, 9.0]), np.array([4.0, 4.0, 1.0])
    expected = 1 + 4 + (1 - 2) ** 2 + (2 - 2) ** 2 + (3 - 1) ** 2  # they commute: roots are subtracted
    one, other = (with_moments(mean, np.diag(of)) for mean, of in zip(means, variances, strict=True))
    assert distances.fid(one, other) == pytest.approx(expected, rel=1e-9)
    angle = np.pi / 6
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    assert distances.fid(one @ turn.T, other @ turn.T) == pytest.approx(expected, rel=1e-9)


def test_fid_is_0_of_a_set_to_itself_also_where_it_has_fewer_images_than_features() -> None:
    few = sample(10, 1)
    assert distances.fid(few, few) == pytest.approx(0, abs=1e-9)
    assert distances.fid(few, few + 1) == pytest.approx(D, rel=1e-9)


# -- nearest neighbours ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [1, 5])
def test_precision_recall_density_and_coverage_are_those_of_prdc(k: int, capsys: Any) -> None:
    published = compute_prdc(REAL, SYNTHETIC, nearest_k=k)
    between, radii = neighbours.distances(REAL, SYNTHETIC), neighbours.radii(REAL, k)
    found = {
        "precision": neighbours.precision(between, radii),
        "recall": neighbours.recall(between, neighbours.radii(SYNTHETIC, k)),
        "density": neighbours.density(between, radii, k),
        "coverage": neighbours.coverage(between, radii),
    }
    assert found == pytest.approx(published, rel=PUBLISHED)
    assert 0 < found["precision"] < 1
    assert 0 < found["recall"] < 1


def test_sets_far_apart_have_none_of_the_four_and_equal_sets_all() -> None:
    far, same = measured(REAL + 100), measured(REAL)
    names = ("precision", "recall", "density", "coverage")
    assert [getattr(far, name) for name in names] == [0, 0, 0, 0]
    assert (same.precision, same.recall, same.coverage) == (1, 1, 1)


TRAINING = sample(150, 6)


def test_copies_of_training_images_are_memorised_and_held_out_ones_as_often_as_by_definition() -> None:
    held_out = neighbours.nearest(sample(2000, 7), TRAINING)
    other = neighbours.nearest(sample(2000, 8), TRAINING)
    copies = neighbours.nearest(TRAINING[np.random.default_rng(0).integers(0, 150, 300)], TRAINING)
    assert neighbours.memorised(copies, held_out) == 1
    assert neighbours.nearer(copies, held_out) == 1
    assert neighbours.memorised(held_out, held_out) == pytest.approx(neighbours.NOMINAL)
    assert neighbours.nearer(held_out, held_out) == 0.5
    assert neighbours.memorised(other, held_out) == pytest.approx(neighbours.NOMINAL, abs=0.02)
    assert neighbours.nearer(other, held_out) == pytest.approx(0.5, abs=0.03)


def test_one_copy_in_ten_is_seen_and_images_far_from_all_real_ones_are_not_memorised() -> None:
    held_out = neighbours.nearest(sample(2000, 7), TRAINING)
    far = neighbours.nearest(sample(900, 8, shift=3), TRAINING)
    tenth = np.concatenate([far, np.zeros(100)])
    assert neighbours.memorised(far, held_out) == 0
    assert neighbours.nearer(far, held_out) == pytest.approx(0, abs=0.01)
    assert neighbours.memorised(tenth, held_out) == pytest.approx(0.1)


def test_where_real_images_repeat_themselves_a_copy_is_still_one() -> None:
    held_out = np.append(np.zeros(10), np.ones(90))
    assert neighbours.memorised(np.zeros(5), held_out) == 1
    assert neighbours.memorised(np.ones(5), held_out) == 0
    assert neighbours.nearer(np.zeros(5), held_out) == pytest.approx(0.95)  # a tie is half


# -- classifiers -------------------------------------------------------------------------------------------------------


def test_a_classifier_cannot_tell_equal_distributions_apart_and_others_it_can() -> None:
    same = classifiers.two_sample_accuracy(sample(800, 1), sample(900, 2), rng())
    other = classifiers.two_sample_accuracy(sample(800, 1), sample(900, 2, shift=3), rng())
    assert same == pytest.approx(0.5, abs=3 * 0.5 / np.sqrt(800))
    assert other == 1


def test_synthetic_images_that_are_real_teach_as_much_and_those_of_the_other_class_nothing() -> None:
    rare, others = sample(300, 1, shift=0.4), sample(400, 2)
    test_rare, test_others = sample(300, 3, shift=0.4), sample(400, 4)

    def auc(taught: np.ndarray) -> float:
        found = classifiers.auc_trained_on(taught, others, test_rare, test_others)
        assert found is not None
        return found

    assert auc(sample(300, 5, shift=0.4)) == pytest.approx(auc(rare), abs=0.03)
    assert auc(rare) > 0.9
    assert auc(sample(300, 6)) < 0.7
    assert auc(sample(300, 6, shift=-0.4)) < 0.1  # the wrong way round


# -- everything of one set ---------------------------------------------------------------------------------------------


def measured(synthetic: np.ndarray, training: np.ndarray = TRAINING, reference: np.ndarray = REAL) -> quality.Quality:
    sets = quality.Sets(synthetic, training, reference, sample(90, 8, shift=0.4), sample(80, 9, shift=0.4))
    return quality.measure(sets, rng(), twins=None, copies=None)


def test_equal_sets_have_equal_numbers() -> None:
    assert measured(SYNTHETIC) == measured(SYNTHETIC)


def test_every_measure_says_which_of_two_sets_is_better() -> None:
    good, bad = measured(sample(230, 11)), measured(sample(230, 11, shift=0.5, scale=0.3))
    for name, better in [("kid", -1), ("fid", -1), ("recall", 1), ("coverage", 1), ("two_sample", -1)]:
        assert better * getattr(good, name) > better * getattr(bad, name), name
    assert good.synthetic_auc == pytest.approx(measured(TRAINING).synthetic_auc, abs=0.05)
    assert good.real_auc == bad.real_auc == measured(TRAINING).synthetic_auc


@pytest.mark.parametrize("n", range(12))
def test_with_few_or_no_images_what_needs_more_is_left_out(n: int) -> None:
    found = measured(SYNTHETIC[:n])
    least = {"kid": 4, "fid": 2, "precision": 6, "coverage": 6, "two_sample": 10, "synthetic_auc": 2, "nearer": 1}
    assert {name: getattr(found, name) is not None for name in least} == {name: n >= m for name, m in least.items()}
    few = measured(SYNTHETIC, reference=REAL[:n])
    assert (few.kid is None, few.recall is None, few.memorised) == (n < 4, n < 6, None)
    assert few.synthetic == 230
