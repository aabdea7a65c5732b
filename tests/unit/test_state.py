"""What of a plan is done is asked of the store, which may be far away: as seldom as can be."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ganbalance.store.artifacts import Artifacts
from tests.conftest import Lab


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each stage's commit was read from the store."""
    found: Counter[str] = Counter()
    real = Artifacts.find

    def find(artifacts: Artifacts, stage: str, key: str) -> Any:
        found[f"{stage}/{key}"] += 1
        return real(artifacts, stage, key)

    monkeypatch.setattr(Artifacts, "find", find)
    return found


def test_of_what_is_not_there_nothing_is_asked_but_what_could_be(lab: Lab, tmp_path: Path, asked: Counter[str]) -> None:
    state = lab.state(tmp_path / "scratch")
    assert state.unsettled(lab.plan.nodes) == list(lab.plan.nodes)
    assert {name.partition("/")[0] for name in asked} == {"dataset", "backbone", "report"}  # the others read these
    assert set(asked.values()) == {1}


def test_one_question_asks_for_nothing_twice(lab: Lab, tmp_path: Path, asked: Counter[str]) -> None:
    assert lab.state(tmp_path / "scratch").commit("report") is None
    assert set(asked.values()) == {1}


def test_what_is_made_between_two_looks_is_seen(lab: Lab, tmp_path: Path) -> None:
    state = lab.state(tmp_path / "scratch")
    first = lab.plan.nodes[0]
    assert first in state.unsettled(lab.plan.nodes)
    assert lab.run(first) == 0
    assert first not in state.unsettled(lab.plan.nodes)
    assert state.commit(first.name) is not None


def test_what_was_found_once_is_not_asked_again(finished_lab: Lab, tmp_path: Path, asked: Counter[str]) -> None:
    state = finished_lab.state(tmp_path / "scratch")
    assert state.unsettled(finished_lab.plan.nodes) == []
    assert len(asked) == len(finished_lab.plan.nodes)
    assert state.unsettled(finished_lab.plan.nodes) == []
    assert set(asked.values()) == {1}
