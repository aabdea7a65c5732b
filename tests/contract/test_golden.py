"""A stage that writes other bytes has another version."""

import json
from pathlib import Path
from typing import Any

import pytest

from ganbalance.pipeline import stages
from tests import golden


@pytest.fixture(scope="module")
def now(tmp_path_factory: pytest.TempPathFactory) -> golden.Fingerprints:
    return golden.fingerprints(tmp_path_factory.mktemp("golden"))


@pytest.fixture(scope="module")
def recorded() -> golden.Fingerprints:
    found: golden.Fingerprints = json.loads(golden.RECORD.read_text())
    return found


def test_every_stage_is_in_the_record(recorded: golden.Fingerprints) -> None:
    assert set(recorded) == set(stages.ALL)


@pytest.mark.parametrize("stage", stages.ALL)
def test_a_stage_writes_what_is_recorded_for_its_version(
    stage: str, now: golden.Fingerprints, recorded: golden.Fingerprints
) -> None:
    advice = f"what '{stage}' writes has changed: raise its version in pipeline/stages.py, then run `make golden`"
    assert recorded[stage]["version"] == now[stage]["version"], "run `make golden` to record the new version"
    assert near(now[stage]["files"], recorded[stage]["files"]), advice


def near(one: Any, other: Any) -> bool:
    """Equal but for what other processors may round differently in a few steps of float32."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(near(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(near, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return one == pytest.approx(other, rel=2e-3, abs=2e-4)
    return bool(one == other)


def test_a_changed_number_is_noticed(recorded: golden.Fingerprints, tmp_path: Path) -> None:
    files = recorded["train-classifier"]["files"]
    changed = json.loads(json.dumps(files))
    changed["predictions.npz"]["test"][1] += 0.01
    assert near(files, files)
    assert not near(changed, files)
