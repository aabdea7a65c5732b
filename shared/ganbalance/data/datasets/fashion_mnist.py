"""FashionMNIST (Xiao, Rasul & Vollgraf 2017, arXiv:1708.07747): 70,000 grey images of 28x28 in ten classes."""

import gzip
import hashlib
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ganbalance import config
from ganbalance.data import cache, debian
from ganbalance.data.datasets.base import Counts, Dataset, Images
from ganbalance.errors import DataError
from ganbalance.keys import digest
from ganbalance.paths import expanded

CLASSES = [
    "T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
]  # fmt: skip

TRAIN_IMAGES, TEST_IMAGES = 6000, 1000  # of each class

# SHA-256 of the idx files without their gzip wrapping, which differs between distributors
CONTENT = {
    "train-images-idx3-ubyte.gz": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte.gz": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte.gz": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte.gz": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
DEBIAN_FOLDER = Path("/usr/share/datasets/fashion-mnist")


class FashionMnist(Dataset):
    """The four idx files, from the first folder that has them."""

    side_px = 28

    def __init__(self, settings: config.FashionMnist) -> None:
        self._explicit = expanded(settings.folder, "dataset.folder =") if settings.folder else None

    def classes(self) -> list[str]:
        return CLASSES

    def fingerprint(self) -> str:
        """Name the content as pinned, not as measured: `load` refuses any other."""
        return digest(CONTENT)

    def counts(self) -> Counts:
        return Counts([TRAIN_IMAGES] * len(CLASSES), [TEST_IMAGES] * len(CLASSES))

    def grouped(self) -> None:
        return None

    def ensure(self) -> None:
        if self._folder() is not None:
            return
        if self._explicit is not None:
            raise self._missing("")
        tried = ""
        if debian.available():
            try:
                debian.unpack("dataset-fashion-mnist", DEBIAN_FOLDER, into=_cache())
                return
            except DataError as error:
                tried = f"; Debian's package: {error}"
        self._download(tried)

    def load(self) -> Images:
        folder = self._folder()
        if folder is None:
            raise self._missing("")
        parts = {name: _read_idx(folder / name, sha256) for name, sha256 in CONTENT.items()}
        train, test = parts["train-images-idx3-ubyte.gz"], parts["t10k-images-idx3-ubyte.gz"]
        labels = np.concatenate([parts["train-labels-idx1-ubyte.gz"], parts["t10k-labels-idx1-ubyte.gz"]])
        return Images(np.concatenate([train, test])[:, None], labels.astype(np.int64), len(train))

    def _folder(self) -> Path | None:
        """Find the first place that has all four files, in the order that `_missing` tells."""
        return next((place for place in self._places() if all((place / name).is_file() for name in CONTENT)), None)

    def _places(self) -> list[Path]:
        return [self._explicit] if self._explicit else [DEBIAN_FOLDER, _cache()]

    def _download(self, tried: str) -> None:
        import torchvision

        try:
            torchvision.datasets.FashionMNIST(str(_cache().parents[1]), download=True)
        except (OSError, RuntimeError) as error:
            raise self._missing(f"{tried}; torchvision's download: {error}") from error

    def _missing(self, tried: str) -> DataError:
        places = ", ".join(map(str, self._places()))
        return DataError(
            f"FashionMNIST was not found (its four idx .gz files) in {places}{tried}; "
            "run 'make data', install Debian's dataset-fashion-mnist, or set dataset.folder to where the files are"
        )


def _cache() -> Path:
    """Say where fetched files go, in the layout of torchvision's cache."""
    return cache.folder() / "FashionMNIST" / "raw"


def _read_idx(path: Path, sha256: str) -> NDArray[np.uint8]:
    """Read the array in a gzipped idx file (uint8; big-endian sizes in the header), and verify its content."""
    try:
        raw = gzip.decompress(path.read_bytes())
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path} is damaged ({error}); delete it and run 'make data'") from error
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    if hashlib.sha256(raw).hexdigest() != sha256:
        raise DataError(f"{path} is not FashionMNIST's: its content has another sha256; delete it and run 'make data'")
    dimensions = raw[3]
    shape = struct.unpack(f">{dimensions}I", raw[4 : 4 + 4 * dimensions])
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * dimensions).reshape(shape)
