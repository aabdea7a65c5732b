"""Which seed's classifier is exported."""

from dataclasses import replace

import pytest

from ganbalance.errors import ConfigError, DataError
from ganbalance.pipeline.export import _seed
from tests.unit.known_reports import four


def test_the_first_seed_with_a_result_is_kept_unless_one_is_named() -> None:
    summary = four().summary
    assert _seed(summary, "vanilla", None) == 0  # it diverged at 1 and 2
    assert _seed(summary, "vanilla", 3) == 3
    assert _seed(summary, "vanilla", 0) == 0
    moved = [replace(one, seed=0) if one.seed == 1 else one for one in summary.missing_results]
    assert _seed(summary.model_copy(update={"missing_results": moved}), "vanilla", None) == 1


def test_a_seed_without_a_result_is_reported_with_its_reason_and_those_that_have_one() -> None:
    summary = four().summary
    with pytest.raises(ConfigError, match=r"--seed 7: the run has no such seed, only 0, 1, 2, 3, 4"):
        _seed(summary, "vanilla", 7)
    with pytest.raises(DataError, match=r"vanilla has no classifier at seed 1: .*; choose --seed among 0, 3, 4"):
        _seed(summary, "vanilla", 1)
    (lost, *_) = [one for one in summary.missing_results if one.arm == "vanilla"]
    everywhere = [replace(lost, seed=seed) for seed in summary.seeds]
    with pytest.raises(DataError, match=r"vanilla has no classifier at any seed: .* diverged"):
        _seed(summary.model_copy(update={"missing_results": everywhere}), "vanilla", None)
