"""A whole run by cross-validation: every image is tested once, by heads that never saw it, and the report says so."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ganbalance.data.split import PARTS, Split
from ganbalance.metrics.scores import Scores
from tests.conftest import Lab, in_one_part

ARMS = ("none", "threshold", "class-weight")


@pytest.fixture
def finished(
    tiny: dict[str, Any], tiny_npz: Path, write: Callable[[dict[str, Any]], Path], tmp_path: Path
) -> tuple[Lab, Path]:
    """The tiny images in one part: 130 and 100, dealt into five folds."""
    images, labels = in_one_part(tiny_npz)
    np.savez(tmp_path / "whole.npz", images=images, labels=labels)
    changes = {
        "dataset": tiny["dataset"] | {"path": str(tmp_path / "whole.npz")},
        "test": {"folds": 5},
        "imbalance": {"keep": {1: 1.0}},
        "arms": [*ARMS],
        "seeds": [0, 1, 2, 3, 4],
    }
    lab = Lab(write(tiny | changes), tmp_path / "store")
    lab.run_all(tmp_path)
    return lab, tmp_path


def test_every_image_is_tested_once_by_heads_that_never_saw_it_and_the_report_is_about_new_data(
    finished: tuple[Lab, Path],
) -> None:
    lab, scratch = finished
    state = lab.state(scratch)

    def artifact(name: str) -> Any:
        return state.artifacts.open(state.commit(name))

    tested = []
    for seed in range(5):
        imbalance = artifact(f"imbalance/seed-{seed}")
        split = Split.load(imbalance.path("split.npz"))
        rows = np.concatenate([getattr(split, part) for part in PARTS])
        assert np.array_equal(np.sort(rows), np.arange(230)), "no image is in two parts, or in none"
        assert imbalance.commit.metrics["kept"] == [104, 80]
        tested.append(split.test)
        for arm in ("none", "class-weight"):
            scores = Scores.load(artifact(f"train-classifier/{arm}/seed-{seed}").path("scores.npz"))
            assert np.array_equal(scores.test_rows, split.test)
    assert np.array_equal(np.sort(np.concatenate(tested)), np.arange(230))

    report = artifact("report")
    summary, page = report.json("summary.json"), report.path("report.md").read_text()
    assert summary["dataset"]["folds"] == 5
    assert summary["dataset"]["test"] == 230
    assert summary["dataset"]["tested"] == {"0": 130, "1": 100}
    assert summary["smallest_class"] == 100
    assert summary["arms"]["threshold"]["metrics"]["auc"]["difference"]["high"] == pytest.approx(0, abs=1e-4)
    assert "230 test images in 5 folds" in page
    assert "each statement is about new data from the same source, of which 4 in 5 images are learned from" in page
    assert "seed on fold: 0 on 1, 1 on 2, 2 on 3, 3 on 4, 4 on 5" in page
    assert "onditional on these images" not in page
    assert "With folds the seeds’ part is enlarged" in page
    with np.load(report.path("predictions.npz")) as arrays:
        assert len(arrays["labels"]) == 230
        for seed in range(5):
            assert np.array_equal(arrays[f"tested/{seed}"], tested[seed])
            assert arrays[f"test/none/{seed}"].shape == (46, 2)
