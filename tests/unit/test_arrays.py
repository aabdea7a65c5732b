"""Images in the arrays of an .npz, by the names and shapes that are usual."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ganbalance.errors import DataError
from tests.unit.listed_images import counted, own


def medmnist(side: int = 8, channels: tuple[int, ...] = ()) -> dict[str, np.ndarray[Any, Any]]:
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    for part, count in (("train", 6), ("val", 2), ("test", 4)):
        arrays[f"{part}_images"] = np.arange(count, dtype=np.uint8).repeat(side * side).reshape(count, side, side)
        if channels:
            arrays[f"{part}_images"] = np.stack([arrays[f"{part}_images"]] * 3, -1)
        arrays[f"{part}_labels"] = (np.arange(count) % 2)[:, None]
    return arrays


@pytest.mark.parametrize("side", [28, 64, 224])
@pytest.mark.parametrize("channels", [(), (3,)])
def test_the_layout_of_medmnist_is_read(tmp_path: Path, side: int, channels: tuple[int, ...]) -> None:
    np.savez(tmp_path / "med.npz", **medmnist(side, channels))
    source = own("npz", tmp_path / "med.npz", channels=3)
    assert counted(source) == {"0": (4, 2), "1": (4, 2)}
    assert "validation part (2 images) joins the training part" in "\n".join(source.card().warnings())
    assert source.load().images[:, 0, 0, 0].tolist() == [0, 2, 4, 0, 1, 3, 5, 1, 0, 2, 1, 3]


def test_the_names_of_keras_are_read(tmp_path: Path) -> None:
    arrays = {f"x_{part}": np.zeros((4, 8, 8), np.uint8) for part in ("train", "test")}
    np.savez(
        tmp_path / "k.npz", **arrays, y_train=np.array([0, 1, 1, 1]), y_test=np.array([0, 1, 0, 1]), note=np.array(1)
    )
    source = own("npz", tmp_path / "k.npz")
    assert counted(source) == {"0": (1, 2), "1": (3, 2)}
    assert "1 (note), an array of another name" in "\n".join(source.card().warnings())


def test_labels_of_an_npz_may_be_text_and_images_floats(tmp_path: Path) -> None:
    images_N = np.linspace(0, 1, 10 * 64).reshape(10, 8, 8)
    np.savez(tmp_path / "t.npz", images=images_N, labels=np.repeat(["sound", "broken"], 5))
    source = own("npz", tmp_path / "t.npz")
    assert counted(source) == {"broken": (4, 1), "sound": (4, 1)}
    assert source.card().pictures == {"deep": 10}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{'descr': '|u1', 'fortran_order': False, 'shape': (1000000000, 1000000)}", "is not a readable .npz"),
        (None, "has no array 'images', only nothing"),
    ],
)
def test_an_npz_of_anything_else_is_refused(tmp_path: Path, content: bytes | None, said: str) -> None:
    with zipfile.ZipFile(tmp_path / "t.npz", "w") as file:
        head = b"\x93NUMPY\x01\x00v\x00"
        file.writestr("images.npy", b"no array" if content is None else head + content.ljust(117) + b"\n")
    with pytest.raises(DataError, match=said):
        own("npz", tmp_path / "t.npz").counts()
