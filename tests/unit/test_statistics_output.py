"""What an analysis is as data."""

import json
from dataclasses import asdict

from tests.unit.planted_run import arm, judge


def test_the_numbers_are_plain_and_the_same_for_the_same_run():
    arms = {"none": arm(2.0, seeds=2), "better": arm(3.0, seeds=2, luck=1), "failed": {}}
    text, again = (
        json.dumps({name: asdict(found) for name, found in judge(arms).arms.items()}, allow_nan=False) for _ in range(2)
    )
    assert text == again
    assert json.loads(text)["better"]["metrics"]["auc"]["difference"]["p_holm"] is None
