"""What an analysis is as JSON."""

import json

import pytest

from ganbalance.metrics.results import Analysis
from tests.unit import planted_run
from tests.unit.planted_run import arm, judge


@pytest.fixture(scope="module")
def planted() -> Analysis:
    return planted_run.known()


def test_the_json_is_plain_and_the_same_for_the_same_run():
    arms = {"none": arm(2.0, seeds=2), "better": arm(3.0, seeds=2, luck=1), "failed": {}}
    text, again = (json.dumps(judge(arms).to_json(), allow_nan=False) for _ in range(2))
    assert text == again
    shown = json.loads(text)
    assert shown["arms"]["better"]["metrics"]["auc"]["difference"]["p_holm"] is None
    assert not {"settled", "points"} & set(shown)


def test_an_estimate_has_its_interval_and_its_p_in_the_json(planted):
    shown, gain = planted.to_json()["gate"]["gain"], planted.gate.gain
    assert {name: shown[name] for name in ("mean", "se", "df", "low", "high", "p")} == {
        name: getattr(gain, name) for name in ("mean", "se", "df", "low", "high", "p")
    }
