"""A whole run on images that come in groups: no group is on two sides of anything, and the report says so."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ganbalance.data.images import TaskImages
from ganbalance.data.split import PARTS, Split
from ganbalance.metrics.scores import Scores
from tests.conftest import Lab, in_one_part

PER_GROUP = 5


@pytest.fixture
def finished(
    tiny: dict[str, Any], tiny_npz: Path, write: Callable[[dict[str, Any]], Path], tmp_path: Path
) -> tuple[Lab, Path]:
    """The tiny images, of which every five of a class are one group's; a part for testing is split off."""
    images, labels = in_one_part(tiny_npz)
    order = np.argsort(labels, kind="stable")
    who = np.array([f"patient {row // PER_GROUP}" for row in range(len(order))])
    np.savez(tmp_path / "grouped.npz", images=images[order], labels=labels[order], who=who)
    data = tiny["dataset"] | {"path": str(tmp_path / "grouped.npz"), "groups": {"array": "who"}}
    lab = Lab(write(tiny | {"dataset": data, "arms": ["none", "oracle", "dcgan"]}), tmp_path / "store")
    lab.run_all(tmp_path)
    return lab, tmp_path


def test_no_group_is_on_two_sides_and_the_report_says_how_many_were_tested(finished: tuple[Lab, Path]) -> None:
    lab, scratch = finished
    state = lab.state(scratch)

    def artifact(name: str) -> Any:
        return state.artifacts.open(state.commit(name))

    data = TaskImages.load(artifact("dataset").path)
    assert data.groups is not None
    assert np.bincount(np.unique(data.groups, return_inverse=True)[1]).tolist() == [PER_GROUP] * 46
    for seed in (0, 1):
        split = Split.load(artifact(f"imbalance/seed-{seed}").path("split.npz"))
        of_part = {part: set(data.groups[getattr(split, part)]) for part in PARTS}
        assert sum(map(len, of_part.values())) == len(set.union(*of_part.values())) == 46
        scores = Scores.load(artifact(f"train-classifier/oracle/seed-{seed}").path("scores.npz"))
        assert np.array_equal(scores.test_groups, data.groups[split.test])
        assert np.array_equal(scores.held_out_groups, data.groups[split.held_out])
    report = artifact("report")
    summary = report.json("summary.json")
    assert summary["dataset"]["tested_groups"] == {"0": 5, "1": 4}
    assert summary["smallest_class"] == 4
    page = report.path("report.md").read_text()
    assert "Images were split and resampled by group" in page
    assert "Groups tested: 4 of “1”." in page
    assert "class '1' is split by group; images (groups): train" in page
    assert "4 test groups in the smallest class" in page
    with np.load(report.path("predictions.npz")) as arrays:
        assert np.array_equal(arrays["groups"], data.groups[data.n_train :])
    everything = b"".join(path.read_bytes() for path in lab.store.rglob("*") if path.is_file())
    assert b"patient" not in everything, "who a group is stays with its owner"
