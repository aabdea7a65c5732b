"""Images made elsewhere are brought to the dataset's side as its own were."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.conftest import SIDE_PX, Lab

BAD_DATA = 65


@pytest.mark.parametrize("fit", ["pad", "crop", "stretch"])
def test_copies_of_photographs_are_found_however_the_dataset_fits_them(
    tiny: dict[str, Any],
    write: Callable[[dict[str, Any]], Path],
    tmp_path: Path,
    fit: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    common, *rare = tmp_path / "photos/0", tmp_path / "photos/1", tmp_path / "made/0/1"
    for place in (common, *rare):
        place.mkdir(parents=True)
    photographs = np.random.default_rng(0).integers(0, 256, (80, SIDE_PX, 2 * SIDE_PX), np.uint8)
    for number, photograph in enumerate(photographs):
        for place in rare if number % 2 else [common]:
            Image.fromarray(photograph).save(place / f"{number}.png")
    settings = {
        "dataset": {"name": "folder", "path": str(tmp_path / "photos"), "side_px": SIDE_PX, "channels": 1, "fit": fit},
        "task": {"kind": "pair", "positive": "1", "negative": "0"},
        "imbalance": {"keep": {"1": 0.5}},
        "arms": ["none", {"name": "brought", "synthetic": {"images": f"{tmp_path}/made/{{seed}}/{{class}}"}}],
        "seeds": [0],
    }
    lab = Lab(write(tiny | settings), tmp_path / "store")
    assert [lab.run(node) for node in lab.plan.nodes if node.stage in ("dataset", "imbalance")] == [0, 0]
    assert lab.program("synthesize", "--stage", "outside-images/brought/class-1/seed-0") == BAD_DATA
    assert "of 40 images that were made elsewhere are copies of" in capsys.readouterr().err
