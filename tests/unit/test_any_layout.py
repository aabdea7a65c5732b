"""For any layout: the card counts what the dataset holds, and the fingerprint follows what is read and nothing else."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ganbalance.config import OwnImages
from ganbalance.data.datasets import open_dataset
from tests.unit.wild_images import painted

NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters="/\0", exclude_categories=("Cs", "Cc")), min_size=1, max_size=12
)
CLASS = NAMES.filter(lambda name: not name.startswith((".", "@", "#", "$")) and name.casefold() not in RESERVED)
RESERVED = {
    "train", "training", "test", "testing", "val", "valid", "validation", "dev", "__macosx", "lost+found", "thumbs.db",
    "desktop.ini",
}  # fmt: skip
PARTS = st.sampled_from([(), ("train", "test"), ("Training", "TEST"), ("train", "val", "test"), ("train", "valid")])
OTHERS = st.lists(st.sampled_from(["a.svg", "b.txt", ".hidden.png", "@eaDir/x.png", "no_suffix"]), unique=True)


@st.composite
def layouts(draw: st.DrawFn) -> dict[str, Any]:
    names = draw(st.lists(CLASS, min_size=2, max_size=4, unique_by=lambda name: name.casefold()))
    return {
        "classes": names,
        "parts": draw(PARTS),
        "counts": [draw(st.integers(3, 6)) for _ in names],
        "around": draw(st.sampled_from(["", "archive/", "a/b/"])),
        "inside": draw(st.sampled_from(["", "deeper/"])),
        "others": draw(OTHERS),
        "linked": draw(st.booleans()),
    }


def build(root: Path, layout: dict[str, Any]) -> Path:
    """The folder that a dataset is read from."""
    seed = 0
    for part in layout["parts"] or ("",):
        for name, count in zip(layout["classes"], layout["counts"], strict=True):
            folder = root / "real" / layout["around"] / part / name / layout["inside"]
            folder.mkdir(parents=True, exist_ok=True)
            for number in range(count):
                seed += 1
                painted(folder / f"{number}.png", seed=seed, size=(12, 12))
            for other in layout["others"]:
                (folder / other).parent.mkdir(exist_ok=True)
                (folder / other).write_text("x")
    if layout["linked"]:
        (root / "linked").symlink_to(root / "real", target_is_directory=True)
        return root / "linked"
    return root / "real"


def own(path: Path) -> Any:
    return open_dataset(OwnImages(name="folder", path=str(path), side_px=8))


@settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))
@given(layouts())
def test_the_card_counts_what_the_dataset_holds(layout: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source = own(build(Path(folder), layout))
        card, whole = source.card(), source.load()
        sides = whole.labels[: whole.n_train], whole.labels[whole.n_train :]
        counted = [np.bincount(side, minlength=len(source.classes())).tolist() for side in sides]
        assert [[one.train for one in card.classes], [one.test for one in card.classes]] == counted
        assert sum(map(sum, counted)) == sum(layout["counts"]) * max(1, len(layout["parts"]))
        files = len(layout["classes"]) * max(1, len(layout["parts"])) * len(layout["others"])
        assert sum(names.count for names in card.left_out.values()) == files
        assert source.grouped() is None


@settings(deadline=None, max_examples=25, suppress_health_check=list(HealthCheck))
@given(layouts(), st.data())
def test_the_fingerprint_follows_what_is_read(layout: dict[str, Any], data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = build(Path(folder) / "one", layout)
        before = own(root).fingerprint()
        elsewhere = Path(folder) / "else" / "where"
        shutil.copytree(root, elsewhere)
        assert own(elsewhere).fingerprint() == before
        files = sorted(path for path in elsewhere.rglob("*.png") if "@eaDir" not in path.parts and path.name[0] != ".")
        chosen = data.draw(st.sampled_from(files))
        change = data.draw(st.sampled_from(["a byte", "a name", "one less", "something that is not read"]))
        if change == "a byte":
            painted(chosen, seed=10**6, size=(12, 12))
        elif change == "a name":
            chosen.rename(chosen.with_name("other.png"))
        elif change == "one less":
            chosen.unlink()
        else:
            (chosen.parent / "readme.md").write_text("x")
        assert (own(elsewhere).fingerprint() == before) == (change == "something that is not read")
