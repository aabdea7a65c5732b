"""Data is found, verified and named by its content, or refused with what to do."""

import gzip
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ganbalance import config
from ganbalance.data import debian
from ganbalance.data.datasets import fashion_mnist, open_dataset
from ganbalance.data.datasets.fashion_mnist import CONTENT
from ganbalance.data.images import TaskImages
from ganbalance.errors import DataError


def own(name: str, path: Path, **settings: Any) -> Any:
    return open_dataset(config.OwnImages(name=name, path=str(path), **settings))  # type: ignore[arg-type]


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without FashionMNIST."""
    monkeypatch.setattr(fashion_mnist, "DEBIAN_FOLDER", tmp_path / "debian")
    monkeypatch.setenv("GANBALANCE_DATA", str(tmp_path / "cache"))
    return tmp_path


def test_fashion_mnist_is_whole(fashion_mnist: Any) -> None:
    whole = fashion_mnist.load()
    assert whole.images.shape == (70_000, 1, 28, 28)
    assert whole.images.dtype == np.uint8
    assert np.bincount(whole.labels[: whole.n_train]).tolist() == [6000] * 10
    assert np.bincount(whole.labels[whole.n_train :]).tolist() == [1000] * 10


def test_missing_fashion_mnist_names_every_place_and_the_way_out(nowhere: Path) -> None:
    with pytest.raises(DataError) as caught:
        open_dataset(config.FashionMnist(name="fashion-mnist")).load()
    for word in ("debian", "cache/FashionMNIST/raw", "make data", "dataset.folder"):
        assert word in str(caught.value)


def test_an_explicit_folder_is_the_only_place_looked_in(tmp_path: Path) -> None:
    source = open_dataset(config.FashionMnist(name="fashion-mnist", folder=str(tmp_path)))
    with pytest.raises(DataError, match=str(tmp_path)):
        source.ensure()


def test_a_machine_that_reaches_nothing_names_what_was_tried(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torchvision

    def unreachable(*args: object, **kwargs: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(debian, "available", lambda: False)
    monkeypatch.setattr(torchvision.datasets, "FashionMNIST", unreachable)
    with pytest.raises(DataError, match="no network"):
        open_dataset(config.FashionMnist(name="fashion-mnist")).ensure()


@pytest.mark.skipif(not debian.available(), reason="not a Debian machine")
def test_a_debian_machine_gets_the_files_without_root(nowhere: Path, fashion_mnist: Any) -> None:
    source = open_dataset(config.FashionMnist(name="fashion-mnist"))
    try:
        debian.unpack("dataset-fashion-mnist", Path("/usr/share/datasets/fashion-mnist"), into=nowhere / "files")
    except DataError as error:
        pytest.skip(f"Debian's archive is out of reach: {error}")
    explicit = open_dataset(config.FashionMnist(name="fashion-mnist", folder=str(nowhere / "files")))
    assert explicit.load().n_train == 60_000
    assert explicit.fingerprint() == source.fingerprint()


@pytest.mark.parametrize("damage", ["truncated", "other content", "not gzip"])
def test_a_damaged_file_is_reported_by_name(fashion_mnist: Any, tmp_path: Path, damage: str) -> None:
    folder = fashion_mnist._folder()
    for name in CONTENT:
        shutil.copy(folder / name, tmp_path / name)
    labels = tmp_path / "t10k-labels-idx1-ubyte.gz"
    raw = labels.read_bytes()
    other = gzip.compress(gzip.decompress(raw)[:-1] + b"\x06")
    labels.write_bytes({"truncated": raw[:2000], "other content": other, "not gzip": b"hello"}[damage])
    with pytest.raises(DataError, match=r"t10k-labels-idx1-ubyte.gz"):
        open_dataset(config.FashionMnist(name="fashion-mnist", folder=str(tmp_path))).load()


def class_folders(root: Path, side_px: int = 20, **counts: int) -> Path:
    rng = np.random.default_rng(0)
    for name, count in counts.items():
        (root / name).mkdir(parents=True)
        for number in range(count):
            pixels = rng.integers(0, 256, (side_px, side_px, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number}.png")
    return root


def test_a_folder_per_class_is_a_dataset(tmp_path: Path) -> None:
    source = own("folder", class_folders(tmp_path, cat=10, dog=20), side_px=16, channels=3)
    whole = source.load()
    assert source.classes() == ["cat", "dog"]
    assert whole.images.shape == (30, 3, 16, 16)
    assert whole.n_train == 24
    assert np.bincount(whole.labels[whole.n_train :]).tolist() == [2, 4]


def loaded(source: Any) -> tuple[list[int], list[int]]:
    """Training and test images of each class, counted in what `load` gives."""
    whole = source.load()
    parts = (whole.labels[: whole.n_train], whole.labels[whole.n_train :])
    train, test = (np.bincount(labels, minlength=len(source.classes())).tolist() for labels in parts)
    return train, test


@pytest.mark.parametrize("counts", [{"cat": 10, "dog": 20}, {"cat": 2, "dog": 33, "eel": 7}, {"cat": 3, "dog": 3}])
@pytest.mark.parametrize("fraction", [0.05, 0.2, 0.5])
def test_test_images_are_counted_as_they_are_loaded_from_folders(
    tmp_path: Path, counts: dict[str, int], fraction: float
) -> None:
    source = own("folder", class_folders(tmp_path, **counts), test_fraction=fraction)
    assert source.counts() == loaded(source)
    assert source.counts().test == [max(1, round(n * fraction)) for n in counts.values()]


def test_test_images_are_counted_as_they_are_loaded_from_a_test_folder(tmp_path: Path) -> None:
    class_folders(tmp_path / "train", cat=3, dog=4)
    class_folders(tmp_path / "test", **{"cat": 5, "dog": 1, "cat/.ipynb_checkpoints": 2, "eel": 3})
    source = own("folder", tmp_path).of([0, 1])
    assert source.counts() == loaded(source)
    assert source.counts().test == [5, 1, 0]


@pytest.mark.parametrize("test_labels", [None, [3, 3, 7, 3, 9], [9, 9, 9, 7, 3]])
def test_test_images_are_counted_as_they_are_loaded_from_an_npz(tmp_path: Path, test_labels: list[int] | None) -> None:
    labels = np.repeat([9, 3, 7], [10, 26, 4])
    arrays = {"images": np.zeros((40, 8, 8), np.uint8), "labels": labels}
    if test_labels is not None:
        arrays |= {"test_images": np.zeros((len(test_labels), 8, 8), np.uint8), "test_labels": np.array(test_labels)}
    np.savez(tmp_path / "data.npz", **arrays)
    source = own("npz", tmp_path / "data.npz")
    by_hand = [5, 1, 2] if test_labels is None else [test_labels.count(label) for label in (3, 7, 9)]
    assert source.counts() == loaded(source)
    assert source.counts().test == by_hand


def test_test_images_of_fashion_mnist_are_counted_as_they_are_loaded(fashion_mnist: Any) -> None:
    assert fashion_mnist.counts() == loaded(fashion_mnist)
    assert fashion_mnist.counts().test == [1000] * 10


def test_fashion_mnist_is_counted_and_named_where_it_is_not(nowhere: Path) -> None:
    source = open_dataset(config.FashionMnist(name="fashion-mnist"))
    assert source.counts() == ([6000] * 10, [1000] * 10)
    assert source.grouped() is None
    assert source.fingerprint()


def test_a_test_class_that_is_not_trained_is_reported_before_anything_is_planned(tmp_path: Path) -> None:
    images = np.zeros((4, 8, 8), np.uint8)
    arrays = {"images": images, "labels": np.repeat([0, 1], 2), "test_images": images, "test_labels": np.arange(4)}
    np.savez(tmp_path / "data.npz", **arrays)
    assert own("npz", tmp_path / "data.npz").of([0, 1]).counts().test == [1, 1, 0, 0]
    with pytest.raises(DataError, match="class '2' has 1 image, none to train on"):
        own("npz", tmp_path / "data.npz").counts()


def test_a_folder_with_a_test_part_keeps_it(tmp_path: Path) -> None:
    class_folders(tmp_path / "train", cat=3, dog=4)
    class_folders(tmp_path / "test", cat=5, dog=1)
    whole = own("folder", tmp_path).load()
    assert whole.n_train == 7
    assert np.bincount(whole.labels[7:]).tolist() == [5, 1]


def test_the_test_part_of_own_images_is_the_same_every_time(tmp_path: Path) -> None:
    class_folders(tmp_path, cat=10, dog=20)
    one, two = own("folder", tmp_path).load(), own("folder", tmp_path).load()
    assert np.array_equal(one.images, two.images)


def test_the_fingerprint_follows_the_pixels(tmp_path: Path) -> None:
    class_folders(tmp_path, cat=2, dog=2)
    before = own("folder", tmp_path).fingerprint()
    assert own("folder", tmp_path).fingerprint() == before
    Image.new("L", (20, 20)).save(tmp_path / "cat" / "0.png")
    assert own("folder", tmp_path).fingerprint() != before


def test_an_npz_with_any_integer_labels_is_a_dataset(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    np.savez(path, images=np.zeros((20, 10, 12), np.uint8), labels=np.repeat([7, 3], 10))
    source = own("npz", path, side_px=16)
    assert source.classes() == ["3", "7"]
    assert source.load().images.shape == (20, 1, 16, 16)


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"labels": np.zeros(3, int)}, "no array 'images'"),
        ({"images": np.full((3, 8, 8), "a"), "labels": np.arange(3)}, "must be numbers"),
        ({"images": np.zeros((3, 8, 8), np.uint8), "labels": np.arange(2)}, "each image needs one"),
        ({"images": np.array([{}], object), "labels": np.arange(1)}, "plain arrays"),
        ({"images": np.zeros((3, 3, 8, 8), np.uint8), "labels": np.arange(3)}, r"\(N,H,W,1\) or \(N,H,W,3\)"),
        ({"images": np.zeros((3, 8, 8, 5), np.uint8), "labels": np.arange(3)}, r"\(N,H,W,1\) or \(N,H,W,3\)"),
        ({"images": np.zeros((3, 8, 8), np.uint8), "labels": np.arange(3.0)}, "must be integers"),
        ({"images": np.zeros((3, 8, 8), np.uint8), "labels": np.zeros((3, 2), int)}, r"of shape \(N,\) or \(N,1\)"),
    ],
)
def test_an_npz_of_the_wrong_kind_is_reported(tmp_path: Path, arrays: dict[str, Any], said: str) -> None:
    np.savez(tmp_path / "data.npz", **arrays)
    with pytest.raises(DataError, match=said):
        own("npz", tmp_path / "data.npz").load()


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 1), (8, 8, 3)])
def test_an_npz_may_hold_grey_or_colour_images(tmp_path: Path, shape: tuple[int, ...]) -> None:
    np.savez(tmp_path / "data.npz", images=np.full((4, *shape), 9, np.uint8), labels=np.repeat([0, 1], 2))
    assert set(own("npz", tmp_path / "data.npz", side_px=8, channels=3).load().images.ravel()) == {9}


def test_labels_that_are_not_integers_are_refused_before_anything_is_planned(tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", images=np.zeros((2, 8, 8), np.uint8), labels=np.array([0.0, 1.5]))
    with pytest.raises(DataError, match="must be integers"):
        own("npz", tmp_path / "data.npz").classes()


def test_a_renamed_npy_is_reported(tmp_path: Path) -> None:
    np.save(tmp_path / "data.npy", np.zeros((3, 8, 8), np.uint8))
    (tmp_path / "data.npy").rename(tmp_path / "data.npz")
    with pytest.raises(DataError, match=r"one bare array.*np\.savez"):
        own("npz", tmp_path / "data.npz").classes()


def test_missing_own_data_is_reported(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file or folder"):
        own("folder", tmp_path / "none").classes()
    with pytest.raises(DataError, match="no such file or folder"):
        own("npz", tmp_path / "none.npz").fingerprint()


def test_an_unreadable_image_is_reported_by_name(tmp_path: Path) -> None:
    class_folders(tmp_path, cat=3, dog=3)
    (tmp_path / "cat" / "1.png").write_bytes(b"not an image")
    with pytest.raises(DataError, match=r"cat/1.png is not a readable image"):
        own("folder", tmp_path).load()


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK", "YCbCr"])
def test_images_of_8_bits_or_less_keep_their_colour(tmp_path: Path, mode: str) -> None:
    class_folders(tmp_path, cat=2, dog=2)
    suffix = "tif" if mode in {"CMYK", "YCbCr"} else "png"
    for path in sorted(tmp_path.glob("*/*.png")):
        path.unlink()
        Image.new("RGB", (20, 20), "white").convert(mode).save(path.with_suffix(f".{suffix}"))
    assert own("folder", tmp_path, channels=3).load().images.min() >= 254


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_becomes_black(tmp_path: Path, mode: str) -> None:
    class_folders(tmp_path, cat=2, dog=2)
    half = Image.new("RGBA", (16, 16), (255, 255, 255, 0))
    half.paste((255, 255, 255, 255), (0, 0, 8, 16))
    for path in tmp_path.glob("*/*.png"):
        half.convert(mode).save(path)
    images = own("folder", tmp_path, side_px=16).load().images
    assert (images[..., :8] == 255).all()
    assert (images[..., 8:] == 0).all()


def test_hidden_folders_and_files_hold_no_class_and_no_image(tmp_path: Path) -> None:
    class_folders(tmp_path, cat=5, dog=5)
    before = own("folder", tmp_path).fingerprint()
    class_folders(tmp_path, **{".ipynb_checkpoints": 2, "cat/.ipynb_checkpoints": 2})
    (tmp_path / "dog" / "._0.png").write_bytes(b"what some file managers leave behind")
    source = own("folder", tmp_path)
    assert source.classes() == ["cat", "dog"]
    assert len(source.load().labels) == 10
    assert source.fingerprint() == before


def test_images_below_a_hidden_folder_are_found(tmp_path: Path) -> None:
    assert len(own("folder", class_folders(tmp_path / ".cache", cat=2, dog=2)).load().labels) == 4


def test_the_smallest_class_is_in_both_parts(tmp_path: Path) -> None:
    whole = own("folder", class_folders(tmp_path, cat=2, dog=30)).load()
    assert np.bincount(whole.labels[: whole.n_train]).tolist() == [1, 24]
    assert np.bincount(whole.labels[whole.n_train :]).tolist() == [1, 6]


@pytest.mark.parametrize(("count", "fraction"), [(1, 0.2), (2, 0.9)])
def test_a_class_with_nothing_left_to_train_on_is_reported_by_name(tmp_path: Path, count: int, fraction: float) -> None:
    class_folders(tmp_path, cat=count, dog=30)
    with pytest.raises(DataError, match=rf"'cat' has {count} image.*test_fraction = {fraction}"):
        own("folder", tmp_path, test_fraction=fraction).load()


def test_the_places_of_the_chosen_classes_become_their_labels(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    labels = np.repeat([0, 1, 2], 10)
    np.savez(path, images=np.full((30, 8, 8), labels[:, None, None], np.uint8), labels=labels)
    chosen = TaskImages.select(own("npz", path, side_px=8).load(), ((2,), (0,)), ("two", "zero"))
    assert set(chosen.images[chosen.labels == 0].ravel()) == {2}
    assert set(chosen.images[chosen.labels == 1].ravel()) == {0}
    assert chosen.n_train == 16
