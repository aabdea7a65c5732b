"""Images made elsewhere: one folder per seed and class, in the order of their names, and none that is held out."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ganbalance.data import outside
from ganbalance.data.images import TaskImages
from ganbalance.data.split import Split
from ganbalance.errors import ConfigError, DataError

SIDE_PX = 16
PARTS = ("train", "validation", "tuning", "removed", "test")
SPLIT = Split(**{part: np.arange(4) + 4 * i for i, part in enumerate(PARTS)})


def pixels(n: int, channels: int = 1, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, channels, SIDE_PX, SIDE_PX), np.uint8)


def data(channels: int = 1) -> TaskImages:
    """Twenty images, four of each part of `SPLIT`."""
    return TaskImages(pixels(20, channels), np.tile([0, 1], 10), n_train=16, class_names=("a", "b"))


def write(folder: Path, images: np.ndarray, names: list[str] | None = None) -> Path:
    for number, image in enumerate(images):
        path = folder / (names[number] if names else f"{number:03d}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.transpose(1, 2, 0).squeeze()).save(path)
    return folder


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("made/{seed}/{class}", "made/3/trouser"),
        ("made/{class}/seed-{seed}/", "made/trouser/seed-3"),
        ("{seed}", "3"),
        ("{seed}/{seed}", "3/3"),
    ],
)
def test_a_folder_is_named_by_seed_and_class(pattern: str, found: str) -> None:
    assert outside.folder(pattern, 3, "trouser") == Path(found)


def test_a_slash_in_the_name_of_a_class_is_a_hyphen_as_in_exported_images() -> None:
    assert outside.folder("made/{seed}/{class}", 0, "T-shirt/top") == Path("made/0/T-shirt-top")


@pytest.mark.parametrize(
    "name",
    [
        *("..", ".", "...", "", " ", "/", "//", "../..", "../../etc", "a/../b", "/etc/passwd", "~", "~root", "a\0b"),
        *("L" * 300, "猫" * 200, "é" * 200, "a or " * 80 + "b", "new\nline", "{seed}", "{class}", "*", "-rf", "猫"),
    ],
    ids=lambda name: ascii(name)[:20],
)
def test_the_folder_of_a_class_lies_in_the_one_that_is_named(tmp_path: Path, name: str) -> None:
    found = outside.folder(f"{tmp_path}/{{seed}}/{{class}}", 0, name)
    found.mkdir(parents=True)
    assert found.resolve().parent == tmp_path / "0"
    assert outside.folder("{class}/{seed}", 0, name) == Path(outside.class_folder(name), "0")


def test_long_names_that_differ_at_their_end_have_two_folders() -> None:
    outside.check_folders(["L" * 300 + "a", "L" * 300 + "b", "..", "."])


def test_two_classes_that_would_share_a_folder_are_refused_in_one_line() -> None:
    with pytest.raises(ConfigError, match=r"^classes 'a/b' and 'a-b' would have the same folder, 'a-b'; rename one"):
        outside.check_folders(["a/b", "c", "a-b"])


def test_a_folder_may_lie_at_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert outside.folder("~/made/{seed}", 0, "a") == tmp_path / "made/0"


def test_a_pattern_that_does_not_tell_seeds_apart_is_refused_with_the_reason() -> None:
    with pytest.raises(
        ConfigError, match=r"^synthetic.images = 'made/\{class\}': every seed has other .* write \{seed\}"
    ):
        outside.folder("made/{class}", 0, "a")


def test_the_fingerprint_is_of_names_and_bytes_and_not_of_the_place(tmp_path: Path) -> None:
    one, other = write(tmp_path / "one", pixels(3)), write(tmp_path / "other", pixels(3))
    assert outside.fingerprint(one) == outside.fingerprint(other)
    (other / "notes.txt").write_text("no image")
    assert outside.fingerprint(one) == outside.fingerprint(other)
    (other / "002.png").rename(other / "003.png")
    assert outside.fingerprint(one) != outside.fingerprint(other)
    write(one, 255 - pixels(1))
    assert outside.fingerprint(one) != outside.fingerprint(write(tmp_path / "third", pixels(3)))


def test_one_image_more_is_another_fingerprint(tmp_path: Path) -> None:
    before = outside.fingerprint(write(tmp_path, pixels(3)))
    outside.check_unchanged(tmp_path, before)
    write(tmp_path / "deeper", pixels(1))
    assert outside.fingerprint(tmp_path) != before
    with pytest.raises(DataError, match="changed since the run was planned; start it again with 'ganbalance run'"):
        outside.check_unchanged(tmp_path, before)


@pytest.mark.parametrize("kind", ["missing", "empty", "a file", "no images"])
def test_a_folder_without_images_is_reported_with_what_to_do(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "made"
    if kind == "a file":
        folder.write_text("")
    elif kind != "missing":
        folder.mkdir()
    if kind == "no images":
        (folder / "notes.txt").write_text("")
    for act in (outside.fingerprint, lambda path: outside.load(path, data(), "pad")):
        with pytest.raises(
            DataError, match=r"made is no folder of images; those to .* by 'ganbalance export --split' of"
        ):
            act(folder)


@pytest.mark.parametrize("channels", [1, 3])
def test_images_are_read_in_the_order_of_their_names_as_the_dataset_has_them(tmp_path: Path, channels: int) -> None:
    images = pixels(3, channels)
    found = outside.load(write(tmp_path, images, ["b.png", "c.png", "a.png"]), data(channels), "pad")
    assert found.dtype == np.uint8
    assert np.array_equal(found, images[[2, 0, 1]])


def test_larger_colour_images_come_to_the_side_and_channels_of_the_dataset(tmp_path: Path) -> None:
    large = np.full((1, 3, 64, 64), 100, np.uint8)
    found = outside.load(write(tmp_path, large), data(), "pad")
    assert found.shape == (1, 1, SIDE_PX, SIDE_PX)
    assert (found == 100).all()


def test_a_file_that_is_no_image_is_reported(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"broken\.png"):
        outside.load(tmp_path, data(), "pad")


@pytest.mark.parametrize("part", ["validation", "tuning", "test", "removed"])
def test_copies_of_images_that_no_generator_may_see_are_refused_with_their_numbers(part: str) -> None:
    rows = getattr(SPLIT, part)
    images = pixels(6, seed=1)
    outside.check_no_copies(images, data(), SPLIT)
    images[[2, 5]] = data().images[rows[[3, 1]]]
    with pytest.raises(DataError) as caught:
        outside.check_no_copies(images, data(), SPLIT)
    said = str(caught.value)
    assert said.startswith("2 of 6 images that were made elsewhere are copies of validation, tuning, test or removed")
    assert f"(first: number 2 by name, row {rows[3]} of the dataset)" in said
    assert said.endswith("train on nothing but what 'ganbalance export --split' writes")


def test_copies_of_training_images_are_no_leak() -> None:
    outside.check_no_copies(data().images[SPLIT.train], data(), SPLIT)
    outside.check_no_copies(pixels(0), data(), SPLIT)


def test_one_pixel_of_another_grey_is_another_image() -> None:
    images = data().images[SPLIT.test].copy()
    images[:, 0, 0, 0] ^= 1
    outside.check_no_copies(images, data(), SPLIT)
