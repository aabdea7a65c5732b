"""Where arms cross along an axis is known up to an interval, and said to be unknown where it is."""

import numpy as np
import pytest

from ganbalance.metrics.crossed import Sample, half_samples
from ganbalance.metrics.crossings import Stretch, sign_changes, stretches

PLACES = tuple(np.log([0.01, 0.02, 0.05, 0.1, 0.2]))
TRUE = float(np.log(0.03))


def sample(mean: float, seeds: np.ndarray, images: np.ndarray, own: float, rng: np.random.Generator) -> Sample:
    """A difference of this mean, as run and images have it: `images` holds what the test set and its draws add."""
    noise = seeds + rng.normal(0, own, len(seeds))
    values = mean + noise[:, None] + images
    kept = half_samples(len(seeds))
    return Sample(values, kept @ values[:, 0] / kept.sum(axis=1), 500)


def drawn(rng: np.random.Generator, means: list[float], *, seeds: int = 5, size: float = 0.002) -> list[Sample]:
    """One sweep: seeds and test images are those of all its runs."""
    of_seed, of_test = rng.normal(0, size, seeds), rng.normal(0, size)
    images = of_test + np.append(0.0, rng.normal(0, size, 100))
    return [sample(mean, of_seed, images, size, rng) for mean in means]


def certain(*means: float) -> list[Sample]:
    """Differences known to the last digit."""
    return [Sample(np.full((5, 3), mean), np.full(10, mean), 500) for mean in means]


def test_a_sign_changes_where_the_line_between_two_points_meets_zero() -> None:
    assert sign_changes([1.0, 2.0, 4.0], [-1.0, 1.0, -3.0]) == (1.5, 2.5)
    assert sign_changes([1.0, 2.0], [1.0, 2.0]) == ()
    assert sign_changes([1.0, 2.0, 3.0], [-1.0, 0.0, 3.0]) == (2.0,)
    assert sign_changes([1.0, 2.0, 3.0], [1.0, 0.0, 1.0]) == ()


def test_of_lines_without_noise_the_crossing_is_a_point() -> None:
    means = [0.01 * (x - TRUE) for x in PLACES]
    (found,) = stretches(PLACES, certain(*means))
    assert found.crossings == pytest.approx((TRUE,))
    assert found.low == pytest.approx(TRUE, abs=0.002)
    assert found.high == pytest.approx(TRUE, abs=0.002)
    assert found.low < TRUE < found.high


def test_lines_apart_from_each_other_do_not_cross() -> None:
    assert stretches(PLACES, certain(0.01, 0.02, 0.01, 0.02, 0.01)) == ()


def test_lines_that_cross_twice_have_two_intervals() -> None:
    found = stretches((0.0, 1.0, 2.0), certain(-1.0, 1.0, -1.0))
    assert [one.crossings for one in found] == [pytest.approx((0.5,)), pytest.approx((1.5,))]


def test_an_interval_is_open_where_the_first_or_the_last_run_tells_nothing() -> None:
    rng = np.random.default_rng(0)
    (below,) = stretches(PLACES, drawn(rng, [-0.0005, 0.05, 0.05, 0.05, 0.05]))
    assert below.low is None
    assert below.high is not None
    (above,) = stretches(PLACES, drawn(rng, [0.05, 0.05, 0.05, 0.05, 0.0005]))
    assert above.high is None
    assert above.low is not None
    assert stretches(PLACES, drawn(rng, [0.0] * 5))[0].low is stretches(PLACES, drawn(rng, [0.0] * 5))[-1].high is None


def test_a_stretch_without_a_change_of_sign_says_that_one_cannot_be_excluded() -> None:
    (found,) = stretches((0.0, 1.0, 2.0), drawn(np.random.default_rng(1), [0.05, 0.0005, 0.05]))
    assert found.crossings == ()
    assert found.low is not None
    assert found.high is not None
    assert found.low < 1 < found.high


@pytest.mark.parametrize(("seeds", "slope"), [(5, 0.02), (5, 0.004), (10, 0.02)])
def test_the_interval_holds_the_true_crossing_as_often_as_it_says(seeds: int, slope: float) -> None:
    rng, runs = np.random.default_rng(seeds), 100
    means = [slope * (x - TRUE) for x in PLACES]
    found = [stretches(PLACES, drawn(rng, means, seeds=seeds)) for _ in range(runs)]
    held = [any(_holds(one, TRUE) for one in of_run) for of_run in found]
    assert 0.93 - 2 * np.sqrt(0.05 * 0.95 / runs) <= np.mean(held)
    if slope > 0.01:
        assert np.mean(held) < 1.0  # it is no more cautious than it has to be
        closed = [one for of_run in found for one in of_run if one.low is not None and one.high is not None]
        assert len(closed) > 0.9 * runs
        assert np.median([one.high - one.low for one in closed if one.high and one.low]) < 1.0


def _holds(one: Stretch, place: float) -> bool:
    return (one.low is None or one.low <= place) and (one.high is None or place <= one.high)
