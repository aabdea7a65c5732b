"""Intervals against a simulated truth."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import chi2, nct
from scipy.stats import t as student

from ganbalance.metrics.classification import ranking
from ganbalance.metrics.crossed import (
    RESOLUTION,
    Components,
    Estimate,
    Sample,
    detectable_effect,
    estimate,
    half_samples,
    holm,
    ratio,
)
from ganbalance.metrics.weighted import stratified_draws
from tests.unit.planted import of_margin, scores, settings


def test_holm_equals_a_hand_calculation():
    adjusted = holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005})
    assert adjusted == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02})
    assert holm({"a": 0.6, "b": 0.7}) == {"a": 1.0, "b": 1.0}
    assert holm({}) == {}


def test_the_closed_form_of_drawing_seeds_is_what_drawing_them_gives():
    rng = np.random.default_rng(0)
    point = rng.normal(0, 1, 6)
    drawn = rng.multinomial(6, np.full(6, 1 / 6), size=100_000) / 6 @ point
    closed = estimate(np.repeat(point[:, None], 3, axis=1)).se ** 2
    assert drawn.var() * 6 / 5 == pytest.approx(closed, rel=0.02)


def drawn_values(
    rng: np.random.Generator, seeds: int, between: float, images: float, interaction: float, *, heard: float = 1.0
) -> np.ndarray:
    """A sample (S, 201) of true mean 0 with these variances, where draws see those of images times `heard`."""
    point = rng.normal(0, between**0.5, (seeds, 1)) + rng.normal(0, images**0.5)
    point = point + rng.normal(0, interaction**0.5, (seeds, 1))
    drawn = rng.normal(0, (heard * images) ** 0.5, 200) + rng.normal(0, (heard * interaction) ** 0.5, (seeds, 200))
    return np.concatenate([point, point + drawn], axis=1)


def test_the_squared_standard_error_is_the_true_variance_and_counts_no_source_twice():
    rng = np.random.default_rng(3)
    seeds, between, images, interaction = 5, 1.0, 0.3, 0.7
    found = [estimate(drawn_values(rng, seeds, between, images, interaction)).se ** 2 for _ in range(2000)]
    assert np.mean(found) == pytest.approx((between + interaction) / seeds + images, rel=0.05)


TINY = 1e-5
"""At this size what keeps a standard error above `RESOLUTION` is seen too."""


def test_the_interval_is_what_its_formula_says():
    rng = np.random.default_rng(7)
    values, halves = TINY * rng.normal(size=(6, 40)), TINY * rng.normal(size=20)
    values[:, 1:] *= 0.5
    found = estimate(values, halves, image_count=33)
    drawn = values[:, 1:]
    mean_of_images = np.mean((drawn.mean(axis=0) - drawn.mean()) ** 2)
    alone = drawn - drawn.mean(axis=0)
    interaction = np.mean((alone - alone.mean(axis=1, keepdims=True)) ** 2, axis=1).sum() / 5 / 6
    # all twenty ways to keep three of six: of a plain mean they have s^2 / S, so the larger variance is what counts
    seeds = max(np.var(values[:, 0], ddof=1) / 6, 3 / 3 * np.mean((halves - halves.mean()) ** 2))
    assert seeds > np.var(values[:, 0], ddof=1) / 6
    variance = max(seeds - interaction, 0) + mean_of_images + RESOLUTION**2
    assert found.mean == pytest.approx(values[:, 0].mean(), rel=1e-12)
    assert found.se == pytest.approx(np.sqrt(variance), rel=1e-9)
    assert found.df == pytest.approx(5 * max(1, variance / (seeds + RESOLUTION**2)) ** 2, rel=1e-9)
    assert found.components == Components(
        pytest.approx(max(seeds - interaction, 0)),
        pytest.approx(max(mean_of_images - interaction, 0)),
        pytest.approx(interaction),
        seed_count=6,
        image_count=33,
    )


def test_images_that_matter_add_degrees_of_freedom():
    rng = np.random.default_rng(7)
    values = TINY * (0.1 * rng.normal(size=(6, 1)) + rng.normal(size=40))
    found, from_seeds = estimate(values), np.var(values[:, 0], ddof=1) / 6
    assert found.df == pytest.approx(5 * (found.se**2 / (from_seeds + RESOLUTION**2)) ** 2, rel=1e-9)
    assert found.df > 100


def test_few_groups_of_test_images_take_degrees_of_freedom_away():
    rng = np.random.default_rng(7)
    values = TINY * (0.1 * rng.normal(size=(6, 1)) + rng.normal(size=40))
    by_image = estimate(values, image_count=20)
    for groups in (20, 200):
        by_group = estimate(values, image_count=groups, grouped=True)
        of_images = values[:, 1:].mean(axis=0).var() / by_image.se**2
        assert (by_group.mean, by_group.se) == (by_image.mean, by_image.se)
        assert by_group.df == pytest.approx(1 / (1 / by_image.df + of_images**2 / (groups - 1)), rel=1e-9)
        assert by_group.df < groups < by_image.df or groups == 200


def test_differences_and_multiples_of_samples_know_that_they_are_of_groups():
    sample = Sample(np.random.default_rng(0).normal(size=(5, 30)), np.zeros(10), 20, grouped=True)
    assert (sample - 0.5 * sample).estimate.df == pytest.approx((0.5 * sample).estimate.df, rel=1e-9)
    assert sample.estimate == estimate(sample.values, sample.halves, 20, grouped=True)


def test_no_standard_error_is_smaller_than_what_float_additions_do():
    found = estimate(np.full((6, 40), 0.1))
    assert found.se == pytest.approx(RESOLUTION, rel=1e-9)
    assert found.df == pytest.approx(5, rel=1e-3)


@pytest.mark.parametrize("mean", [-0.3, 0.0, 0.2])
def test_p_interval_and_sign_are_those_of_students_t(mean):
    found = Estimate(mean, 0.1, 6.5)
    assert found.p == pytest.approx(2 * student.sf(abs(mean) / 0.1, 6.5), rel=1e-9)
    assert [found.low, found.high] == pytest.approx(student.interval(0.95, 6.5, mean, 0.1))
    assert found.sign == {-0.3: -1, 0.0: 0, 0.2: 0}[mean]
    assert (found.p < 0.05) == (found.sign != 0)


def test_an_interval_that_touches_zero_has_no_sign_and_one_that_touches_the_margin_is_not_inside():
    reach = Estimate(0.0, 0.1, 6.5).high
    touching = {1: Estimate(reach, 0.1, 6.5), -1: Estimate(-reach, 0.1, 6.5)}
    assert (touching[1].low, touching[-1].high) == (0.0, 0.0)
    assert [touching[side].sign for side in (1, -1)] == [0, 0]
    found = Estimate(0.0, 0.1, 6.5)
    assert not found.inside(reach)
    assert found.inside(reach * 1.001)
    above, below = Estimate(0.05, 0.1, 6.5), Estimate(-0.05, 0.1, 6.5)
    assert not above.inside(above.high)
    assert not below.inside(-below.low)
    for mean in (0.5, -0.5):
        assert not Estimate(mean, 0.01, 6.5).inside(0.4)
        assert Estimate(mean, 0.01, 6.5).inside(0.6)


def test_samples_are_subtracted_and_scaled_with_what_stands_beside_the_values():
    rng = np.random.default_rng(8)
    one, other = (Sample(rng.normal(size=(4, 9)), rng.normal(size=6), count) for count in (30, 50))
    for made, values, halves in (
        (one - other, one.values - other.values, one.halves - other.halves),
        (3.0 * one, 3 * one.values, 3 * one.halves),
    ):
        assert np.array_equal(made.values, values)
        assert np.array_equal(made.halves, halves)
        assert made.image_count == 30
        assert made.estimate == estimate(values, halves, 30)


def of_seeds(point: np.ndarray) -> Sample:
    """Only seeds vary, and nothing is chosen from them."""
    kept = half_samples(len(point))
    return Sample(np.repeat(point[:, None], 3, axis=1), kept @ point / kept.sum(axis=1))


def test_the_ratio_agrees_with_fieller_and_needs_a_whole_above_zero():
    rng = np.random.default_rng(1)
    part, whole = rng.normal(0.5, 0.1, 8), rng.normal(1.0, 0.1, 8)
    share = ratio(of_seeds(part), of_seeds(whole))
    # Fieller's quadratic with the plain covariance and t on 7 degrees of freedom
    (vpp, vpw), (_, vww) = np.cov(part, whole) / 8
    q = student.ppf(0.975, 7) ** 2
    roots = np.roots(
        [whole.mean() ** 2 - q * vww, 2 * (q * vpw - part.mean() * whole.mean()), part.mean() ** 2 - q * vpp]
    )
    assert [share.low, share.high] == pytest.approx(sorted(roots), abs=1e-4)
    assert ratio(of_seeds(np.ones(8)), of_seeds(whole - 1.0)) is None


def test_the_ratio_is_that_of_the_means_and_reaches_further_where_the_whole_may_be_small():
    rng = np.random.default_rng(5)
    part, whole = rng.normal(1.0, 0.3, 8), rng.normal(0.5, 0.45, 8)
    drawn = [point[:, None] + np.r_[0.0, rng.normal(0, 1e-3, 50)] for point in (part, whole)]
    share = ratio(*(Sample(values, of_seeds(values[:, 0]).halves) for values in drawn))
    assert share.mean == pytest.approx(part.mean() / whole.mean(), rel=1e-9)
    (vpp, vpw), (_, vww) = np.cov(part, whole) / 8
    q = student.ppf(0.975, 7) ** 2
    roots = np.roots(
        [whole.mean() ** 2 - q * vww, 2 * (q * vpw - part.mean() * whole.mean()), part.mean() ** 2 - q * vpp]
    )
    assert [share.low, share.high] == pytest.approx(sorted(roots), rel=1e-3)
    assert share.high - share.mean > 4 * (share.mean - share.low)


@pytest.mark.parametrize(("seeds", "subsets", "left_out"), [(2, 2, 1), (3, 3, 1), (5, 10, 2), (6, 20, 3), (10, 30, 5)])
def test_half_samples_leave_half_of_the_seeds_out_each_differently(seeds, subsets, left_out):
    kept = half_samples(seeds)
    assert kept.shape == (subsets, seeds)
    assert (kept.sum(axis=1) == seeds - left_out).all()
    assert len({tuple(row) for row in kept.tolist()}) == subsets
    assert np.array_equal(kept, half_samples(seeds))


@pytest.mark.parametrize("seeds", [2, 5, 10])
def test_where_nothing_is_chosen_the_jackknife_is_the_variance_of_the_mean(seeds):
    sample = of_seeds(np.random.default_rng(0).normal(size=seeds))
    with_it, without = sample.estimate, estimate(sample.values)
    assert with_it.se == pytest.approx(without.se, rel=1e-9)
    assert with_it.df == pytest.approx(without.df, rel=1e-9)


def test_over_all_half_samples_a_mean_has_its_variance():
    point = np.random.default_rng(0).normal(size=5)
    halves = of_seeds(point).halves
    assert (5 - 2) / 2 * halves.var() == pytest.approx(point.var(ddof=1) / 5)


def test_a_choice_that_turns_on_half_of_the_seeds_widens_the_interval():
    point = np.array([0.1, 0.1, 0.1, 0.1, 0.2])
    steady = of_seeds(point)
    turned = steady.halves - 0.3 * ~half_samples(5)[:, 4]  # without the last seed a worse strength is chosen
    wide = estimate(steady.values, turned)
    assert wide.se == pytest.approx(np.sqrt((5 - 2) / 2 * turned.var()), rel=1e-3)
    assert wide.se > 2 * steady.estimate.se
    assert wide.mean == steady.estimate.mean


def test_a_choice_that_makes_halves_more_alike_narrows_nothing():
    point = np.array([0.1, 0.1, 0.1, 0.1, 0.2])
    alike = np.full(10, 0.12)
    assert estimate(of_seeds(point).values, alike).se == pytest.approx(of_seeds(point).estimate.se)


def test_components_are_the_parts_of_the_variance():
    rng = np.random.default_rng(3)
    seeds, between, images, interaction = 8, 1.0, 0.3, 0.7
    found = []
    for _ in range(1000):
        parts = estimate(drawn_values(rng, seeds, between, images, interaction)).components
        found.append((parts.seeds, parts.images, parts.interaction))
    assert np.mean(found, axis=0) == pytest.approx([between / seeds, images, interaction / seeds], rel=0.08)


@pytest.mark.parametrize("df", [4.0, 9.0, 37.5, 2000.0])
@pytest.mark.parametrize("tests", [1, 2, 5])
def test_the_detectable_effect_has_a_power_of_four_in_five_by_the_noncentral_t(df, tests):
    needed = detectable_effect(df, tests)
    critical = student.ppf(1 - 0.025 / tests, df)
    assert nct.sf(critical, df, needed) == pytest.approx(0.8, abs=1e-6)
    assert nct.cdf(-critical, df, needed) < 1e-4  # the tail that is left out


def test_more_tests_need_a_larger_effect_and_more_freedom_a_smaller_one():
    assert detectable_effect(4, 1) < detectable_effect(4, 2) < detectable_effect(4, 5)
    assert detectable_effect(9, 2) < detectable_effect(4, 2)


@pytest.mark.parametrize(("df", "ends"), [(4, (0.72, 1.94)), (9, (0.78, 1.47))])
def test_the_range_of_detectable_effects_is_that_of_a_standard_error(df, ends):
    found = Estimate(0.0, 0.01, df, Components(0.01**2, 0.0, 0.0, df + 1, 1000)).detectable(1)
    assert [found.low / found.typical, found.high / found.typical] == pytest.approx(ends, abs=0.005)
    assert found.low / found.typical == pytest.approx(np.sqrt(df / chi2.ppf(0.9, df)))


def test_where_test_images_dominate_the_range_is_theirs_and_narrow():
    found = Estimate(0.0, 0.01, 1e6, Components(0.0, 0.01**2, 0.0, 5, 1000)).detectable(1)
    wanted = [np.sqrt(999 / chi2.ppf(share, 999)) for share in (0.9, 0.1)]
    assert [found.low / found.typical, found.high / found.typical] == pytest.approx(wanted, rel=1e-3)


@pytest.mark.parametrize("images", [40, None])
@pytest.mark.parametrize("parts", [(1.0, 2.0, 0.5), (0.0, 1.0, 0.0), (0.02, 0.5, 0.3), (0.0, 0.0, 0.0)])
@pytest.mark.parametrize("tail", [0.1, 0.9])
def test_the_ends_of_the_variance_combine_those_of_its_parts(parts, images, tail):
    seeds, common, interaction = (part * TINY**2 for part in parts)
    found, df = Components(seeds, common, interaction, 6, images).variance_end(tail)
    of_seeds, of_images = seeds + interaction, common + interaction
    at_seeds = of_seeds * 5 / chi2.isf(tail, 5)
    at_images = of_images * (1 if images is None else 39 / chi2.isf(tail, 39))
    away = np.hypot(at_seeds - of_seeds, at_images - of_images)
    variance = max(seeds + of_images + (away if tail > 0.5 else -away), RESOLUTION**2)
    assert found == pytest.approx(variance, rel=1e-9, abs=0)
    assert df == pytest.approx(5 * max(1, variance / max(min(at_seeds, variance), RESOLUTION**2)) ** 2, rel=1e-9)


def test_without_parts_the_range_of_detectable_effects_is_the_effect():
    found = Estimate(0.0, 0.01, 6.5).detectable(3)
    assert found.low == found.typical == found.high == pytest.approx(0.01 * detectable_effect(6.5, 3))


def test_a_detectable_effect_is_larger_where_more_arms_are_tested():
    parts = Components(0.01**2, 0.0, 0.0, 6, 100)
    one, four = (Estimate(0.0, 0.01, 5.0, parts).detectable(tests) for tests in (1, 4))
    assert four.typical / one.typical == pytest.approx(detectable_effect(5, 4) / detectable_effect(5, 1))
    assert (four.low > one.low, four.high > one.high) == (True, True)


@pytest.mark.parametrize("parts", [(1.0, 0.0, 0.0), (0.5, 0.4, 0.1), (0.1, 0.8, 0.1)])
def test_the_range_holds_the_effect_at_the_true_variance_in_about_four_runs_of_five(parts):
    rng = np.random.default_rng(4)
    seeds, images = 5, 200
    between, common, interaction = parts[0] * seeds, parts[1], parts[2] * seeds
    truth = detectable_effect((seeds - 1) / (parts[0] + parts[2]) ** 2, 1)
    held = []
    for _ in range(1500):
        # the bootstrap measures the images' parts on 200 images
        heard = rng.chisquare(images - 1) / (images - 1)
        values = drawn_values(rng, seeds, between, common, interaction, heard=heard)
        found = estimate(values, image_count=images).detectable(1)
        held.append(found.low <= truth <= found.high)
    assert 0.74 <= np.mean(held) <= 0.92


def test_the_detectable_effect_is_called_four_times_in_five():
    rng = np.random.default_rng(2)
    seeds, images, spread = 10, 0.5, 1.0
    se = np.sqrt(images**2 + spread**2 / seeds)
    df = (seeds - 1) * (se**2 / (spread**2 / seeds)) ** 2

    def run(effect: float):
        values = effect + rng.normal(0, images) + rng.normal(0, spread, seeds)
        return estimate(values[:, None] + np.r_[0.0, rng.normal(0, images, 200)])

    effect = se * detectable_effect(df, 1)
    assert np.mean([run(effect).low > 0 for _ in range(3000)]) == pytest.approx(0.8, abs=0.03)


# --- coverage -----------------------------------------------------------------------------------------------

SPREADS = {"seeds": (1.0, 2.0, 2.0), "images": (0.05, 14.0, 4.0), "both": (0.6, 7.0, 7.0)}
"""Which source of chance dominates: sd between seeds, between images, and of one seed on one image (200 images)."""


def crossed_values(rng: np.random.Generator, seeds: int, spread: tuple[float, float, float]) -> np.ndarray:
    """A linear metric of true value 0 over crossed seeds and images: (S, 1 + B)."""
    labels = np.arange(200) % 2
    contribution = rng.normal(0, spread[0], (seeds, 1)) + rng.normal(0, spread[1], 200)
    contribution = contribution + rng.normal(0, spread[2], (seeds, 200))
    weights = np.concatenate([np.ones((1, 200)), stratified_draws(labels, 150, rng)])
    return contribution @ weights.T / 200


def crossed(values: np.ndarray, rng: np.random.Generator) -> bool:
    found = estimate(values)
    return found.low <= 0 <= found.high


def seeds_only(values: np.ndarray, rng: np.random.Generator) -> bool:
    point = values[:, 0]
    return abs(point.mean()) <= student.ppf(0.975, len(point) - 1) * point.std(ddof=1) / len(point) ** 0.5


def images_only(values: np.ndarray, rng: np.random.Generator) -> bool:
    return abs(values[:, 0].mean()) <= 1.96 * values[:, 1:].mean(axis=0).std()


def nested(values: np.ndarray, rng: np.random.Generator) -> bool:
    seeds = rng.integers(0, len(values), (300, len(values)))
    drawn = values[seeds, rng.integers(1, values.shape[1], seeds.shape)].mean(axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return low <= 0 <= high


def coverage(interval: Callable[..., bool], seeds: int, source: str) -> float:
    rng = np.random.default_rng([seeds, len(source)])
    return float(np.mean([interval(crossed_values(rng, seeds, SPREADS[source]), rng) for _ in range(400)]))


@pytest.mark.parametrize("source", SPREADS)
@pytest.mark.parametrize("seeds", [5, 10])
def test_the_crossed_interval_covers_the_truth_whatever_dominates(seeds, source):
    assert 0.92 <= coverage(crossed, seeds, source) <= 0.98


@pytest.mark.parametrize("seeds", [5, 10])
def test_simpler_intervals_miss_the_truth_where_they_ignore_what_dominates(seeds):
    assert coverage(seeds_only, seeds, "images") < 0.6
    assert coverage(nested, seeds, "images") < 0.85
    assert coverage(images_only, seeds, "seeds") < 0.75


@pytest.mark.parametrize("seeds", [5, 10])
def test_the_crossed_interval_of_the_paired_auc_difference_covers_zero_for_equal_arms(seeds):
    rng = np.random.default_rng(seeds)
    labels = np.arange(100) % 2
    hits = []
    for _ in range(150):
        weights = np.concatenate([np.ones((1, 100), dtype=np.int16), stratified_draws(labels, 80, rng)])
        difficulty = rng.normal(0, 0.7, 100)
        auc = []
        for _arm in range(2):
            # what the arm makes of an image, what a seed makes of the task, and what is left
            taste, skill = rng.normal(0, 0.5, 100), rng.normal(1.5, 0.3, (seeds, 1))
            score = skill * labels + difficulty + taste + rng.normal(0, 0.5, (seeds, 100))
            auc.append(np.stack([ranking(scores(of_margin(row), labels), 0, settings(), weights) for row in score]))
        hits.append(crossed(auc[0] - auc[1], rng))
    assert 0.88 <= np.mean(hits) <= 0.99
