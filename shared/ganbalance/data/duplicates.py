"""Find images that a dataset holds more than once: copies, and pictures that were encoded or resized again.

Two images are near duplicates where both descriptions agree: the perceptual hash (Zauner 2010, "Implementation and
Benchmarking of Perceptual Image Hash Functions", section 3.2), which sees detail, and a thumbnail, which sees how
strong it is. Neither is enough alone; docs/adr/0028-what-counts-as-a-near-duplicate.md has the measurements. Twins of
twins are twins: they are one set.
"""

import hashlib
from dataclasses import dataclass
from enum import IntEnum

import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

HASH_BYTES = 8
THUMBNAIL_PX = 16
SIGNATURE_BYTES = HASH_BYTES + THUMBNAIL_PX**2
MOST_BITS = 8  # of the 64 of a hash that may differ
LEAST_CORRELATION = 0.9985  # of two thumbnails
MOST_EXAMPLES = 5


class Part(IntEnum):
    """What a dataset's own parts are for; where twins are in several, the image of the highest one stays."""

    TRAIN = 0
    VALIDATION = 1
    TEST = 2


@dataclass(frozen=True)
class Affected:
    """How many images something is true of, and pairs (row, row of its twin) of the first few sets with such images."""

    images: int
    examples: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Twins:
    """Images that have a twin, by where it is; an image with several twins counts in several fields.

    same_class   it has a twin of its own class
    other_class  it has a twin of another class
    other_part   it has a twin in another part
    test         it is a test image and has a twin to train or to validate on
    """

    sets: int
    images: int
    same_class: Affected
    other_class: Affected
    other_part: Affected
    test: Affected


@dataclass(frozen=True)
class Duplicates:
    """`near` includes what is `exact`; `n_test` is the number of test images; `drop` are rows, int64 and rising."""

    exact: Twins
    near: Twins
    n_test: int
    drop: Ints

    @property
    def test_share(self) -> float:
        """The share of test images that have a twin to train or to validate on, 0 where there are none."""
        return self.near.test.images / max(1, self.n_test)


def signature(image: Image.Image) -> NDArray[np.uint8]:
    """Describe an opaque 8-bit image by its perceptual hash and a grey thumbnail, uint8 (SIGNATURE_BYTES,)."""
    thumbnail = image.convert("L").resize((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.LANCZOS)
    return np.concatenate([np.packbits(imagehash.phash(image).hash), np.asarray(thumbnail).ravel()])


def find_duplicates(
    digests_N: NDArray[np.str_], signatures_NS: NDArray[np.uint8], labels_N: Ints, parts_N: Ints
) -> Duplicates:
    """Find the sets of exact and near duplicates, and what to leave out so that no image has a twin.

    Exact duplicates have equal `digests_N`; `signatures_NS` are those of `signature`, `labels_N` class indices and
    `parts_N` values of `Part`. Of a set one image stays, of a test set before one to validate on before one to train
    on, then the first row; where twins have different labels none stays, since nobody knows which label is right.
    """
    _, first, exact_N = np.unique(digests_N, return_index=True, return_inverse=True)
    near_N = _connected(signatures_NS[first])[exact_N]
    return Duplicates(
        _twins(exact_N, labels_N, parts_N),
        _twins(near_N, labels_N, parts_N),
        int((parts_N == Part.TEST).sum()),
        _to_drop(near_N, labels_N, parts_N),
    )


def twin_shares(images_NCHW: NDArray[np.uint8], training_TCHW: NDArray[np.uint8]) -> tuple[float, float]:
    """Find the shares of images with a near duplicate among themselves, and among training images; N is at least 1."""
    described = [_described(image) for image in (*images_NCHW, *training_TCHW)]
    digests = np.array([digest for digest, _ in described])
    signatures = np.stack([signature for _, signature in described])
    n, labels = len(images_NCHW), np.zeros(len(described), np.int64)
    parts = np.where(np.arange(len(described)) < n, Part.TEST, Part.TRAIN).astype(np.int64)
    own = find_duplicates(digests[:n], signatures[:n], labels[:n], parts[:n])
    return own.near.images / n, find_duplicates(digests, signatures, labels, parts).test_share


def _described(image_CHW: NDArray[np.uint8]) -> tuple[str, NDArray[np.uint8]]:
    """Describe an image by a digest of the pixels, and the signature."""
    picture = Image.fromarray(np.ascontiguousarray(image_CHW.transpose(1, 2, 0)).squeeze())
    return hashlib.sha256(image_CHW.tobytes()).hexdigest(), signature(picture)


def _connected(signatures_NS: NDArray[np.uint8]) -> Ints:
    """Find the set of near duplicates that each image is in, as the row of one of its images, (N,).

    Each image is compared once, with those that are in no set yet, so a set of any size costs no more than none. An
    image without any contrast is like every other such image, and so like none.
    """
    hashes_N = np.ascontiguousarray(signatures_NS[:, :HASH_BYTES]).view(np.uint64)[:, 0]
    contrast_NP = signatures_NS[:, HASH_BYTES:].astype(np.float32)
    contrast_NP -= contrast_NP.mean(axis=1, keepdims=True)
    norm_N = np.linalg.norm(contrast_NP, axis=1)
    np.divide(contrast_NP, norm_N[:, None], out=contrast_NP, where=norm_N[:, None] > 0)
    sets_N = np.arange(len(signatures_NS))
    left = np.flatnonzero(norm_N)
    left_hashes = hashes_N[left]  # kept beside: to gather them for every image takes longer than to compare them
    while len(left):
        first, left, left_hashes = left[0], left[1:], left_hashes[1:]
        waiting = [first]
        while waiting:
            row = waiting.pop()
            near = np.flatnonzero(np.bitwise_count(left_hashes ^ hashes_N[row]) <= MOST_BITS)
            near = near[contrast_NP[left[near]] @ contrast_NP[row] >= LEAST_CORRELATION]
            if len(near):
                sets_N[left[near]] = first
                waiting.extend(left[near])
                left, left_hashes = np.delete(left, near), np.delete(left_hashes, near)
    return sets_N


def _twins(sets_N: Ints, labels_N: Ints, parts_N: Ints) -> Twins:
    size_N = _alike(sets_N)
    of_class_N, of_part_N = _alike(sets_N, labels_N), _alike(sets_N, parts_N)
    is_test_N = parts_N == Part.TEST
    return Twins(
        sets=len(np.unique(sets_N[size_N > 1])),
        images=int((size_N > 1).sum()),
        same_class=_affected(of_class_N > 1, sets_N, labels_N, same=True),
        other_class=_affected(of_class_N < size_N, sets_N, labels_N),
        other_part=_affected(of_part_N < size_N, sets_N, parts_N),
        test=_affected(is_test_N & (of_part_N < size_N), sets_N, parts_N),
    )


def _alike(*keys_N: Ints) -> Ints:
    """Count the images, itself included, that have the keys of each image, (N,)."""
    _, inverse_N, counts = np.unique(np.stack(keys_N), axis=1, return_inverse=True, return_counts=True)
    return counts[inverse_N]


def _affected(is_affected_N: Bools, sets_N: Ints, key_N: Ints, *, same: bool = False) -> Affected:
    """Count the images, and pair the first of a set with its first twin whose key is the same or, else, another."""
    rows = np.flatnonzero(is_affected_N)
    _, first = np.unique(sets_N[rows], return_index=True)
    examples = []
    for row in rows[np.sort(first)][:MOST_EXAMPLES]:
        is_twin_N = (sets_N == sets_N[row]) & ((key_N == key_N[row]) == same)
        is_twin_N[row] = False
        examples.append((int(row), int(np.argmax(is_twin_N))))
    return Affected(len(rows), tuple(examples))


def _to_drop(sets_N: Ints, labels_N: Ints, parts_N: Ints) -> Ints:
    """List the rows to leave out so that of each set one image stays, or none where its labels differ."""
    order = np.lexsort((np.arange(len(sets_N)), -parts_N))
    _, first = np.unique(sets_N[order], return_index=True)
    stays_N = np.zeros(len(sets_N), bool)
    stays_N[order[first]] = True
    return np.flatnonzero(~stays_N | (_alike(sets_N, labels_N) < _alike(sets_N)))
