"""Images that a dataset holds more than once are found, counted by where they are, and left out."""

import io
import time
from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageEnhance
from scipy.sparse.csgraph import connected_components

from ganbalance.data.duplicates import (
    HASH_BYTES,
    LEAST_CORRELATION,
    MOST_BITS,
    SIGNATURE_BYTES,
    Affected,
    Duplicates,
    Part,
    find_duplicates,
    signature,
    twin_shares,
)

SOME = np.random.default_rng(0).integers(0, 256, (6, SIGNATURE_BYTES), dtype=np.uint8)  # no two are near


def picture(seed: int, side_px: int = 120) -> Image.Image:
    """Coloured blobs."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8))
    return coarse.resize((side_px, side_px), Image.Resampling.BICUBIC)


def as_jpeg(image: Image.Image) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=70)
    return Image.open(file)


def find(pictures: str, classes: str = "", parts: str = "") -> Duplicates:
    """A letter is a picture, capital where it was encoded again; digits are classes; r trains, v validates, t tests."""
    n = len(pictures)
    signatures = np.stack([SOME[ord(name) - ord("a")] for name in pictures.lower()])
    labels = np.array([int(name) for name in classes or "0" * n])
    uses = np.array([{"r": Part.TRAIN, "v": Part.VALIDATION, "t": Part.TEST}[use] for use in parts or "r" * n])
    return find_duplicates(np.array(list(pictures)), signatures, labels, uses)


def are_near(*images: Image.Image) -> bool:
    n = len(images)
    digests, zeros = np.array([str(row) for row in range(n)]), np.zeros(n, np.int64)
    return find_duplicates(digests, np.stack([signature(image) for image in images]), zeros, zeros).near.images == n


@pytest.mark.parametrize(
    "change",
    [
        as_jpeg,
        lambda image: image.resize((60, 60)),
        lambda image: image.resize((240, 250)),
        lambda image: ImageEnhance.Brightness(image).enhance(0.9),
        lambda image: ImageEnhance.Contrast(image).enhance(0.9),
        lambda image: image.convert("L"),
    ],
)
def test_a_picture_that_was_encoded_resized_or_lit_anew_is_a_near_duplicate(
    change: Callable[[Image.Image], Image.Image],
) -> None:
    assert all(are_near(picture(seed), change(picture(seed))) for seed in range(10))


@pytest.mark.parametrize(
    "change",
    [
        lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        lambda image: image.rotate(90),
        lambda image: image.crop((6, 6, 114, 114)),
    ],
)
def test_flips_turns_and_crops_are_not_found(change: Callable[[Image.Image], Image.Image]) -> None:
    assert not any(are_near(picture(seed), change(picture(seed))) for seed in range(10))


def test_different_pictures_are_no_duplicates() -> None:
    assert not any(are_near(picture(one), picture(other)) for one, other in combinations(range(20), 2))


def test_empty_fields_under_the_same_light_are_no_duplicates() -> None:
    y, x = np.mgrid[-1:1:128j, -1:1:128j]
    noise = np.random.default_rng(0).normal(0, 1, (20, 128, 128))
    fields = [Image.fromarray(np.round(200 - 30 * (x**2 + y**2) + of_one).astype(np.uint8)) for of_one in noise]
    assert not any(are_near(*pair) for pair in combinations(fields, 2))


def test_images_of_one_tone_are_duplicates_only_where_they_are_equal() -> None:
    grey, black = np.full((32, 32), 90, np.uint8), np.zeros((32, 32), np.uint8)
    signatures = np.stack([signature(Image.fromarray(image)) for image in (grey, black, black)])
    found = find_duplicates(np.array(["g", "b", "b"]), signatures, np.zeros(3, np.int64), np.zeros(3, np.int64))
    assert (found.exact.images, found.near.images) == (2, 2)


def test_what_is_exact_is_near_too() -> None:
    found = find("aaAbBcd")
    assert (found.exact.sets, found.exact.images) == (1, 2)
    assert (found.near.sets, found.near.images) == (2, 5)


def test_twins_are_counted_by_where_the_other_one_is() -> None:
    found = find("aAbBcCde", classes="00010011", parts="rrrrrtvt").near
    assert found.same_class == Affected(4, ((0, 1), (4, 5)))
    assert found.other_class == Affected(2, ((2, 3),))
    assert found.other_part == Affected(2, ((4, 5),))
    assert found.test == Affected(1, ((5, 4),))


def test_an_image_with_several_twins_counts_in_several_fields() -> None:
    found = find("aAa", classes="001", parts="rtt")
    assert found.near.same_class == Affected(2, ((0, 1),))
    assert found.near.other_class == Affected(3, ((0, 2),))
    assert found.near.test == Affected(2, ((1, 0),))
    assert found.exact.test == Affected(1, ((2, 0),))


def test_a_validation_image_may_give_a_test_image_away_and_is_no_test_image() -> None:
    found = find("aAbB", parts="vtrv")
    assert found.near.test == Affected(1, ((1, 0),))
    assert found.near.other_part.images == 4


def test_the_share_of_the_test_is_that_of_images_with_a_twin_outside_it() -> None:
    assert find("aAbBcde", parts="rttttrr").test_share == 0.25
    assert find("aA").test_share == 0


def test_of_a_set_the_test_image_stays_then_a_validation_image_then_the_first() -> None:
    assert find("aAabBbcCd", parts="rvtrvrrrr").drop.tolist() == [0, 1, 3, 5, 7]


def test_twins_of_different_classes_are_all_left_out() -> None:
    assert find("aAabBc", classes="001000", parts="ttrrrr").drop.tolist() == [0, 1, 2, 4]


def test_what_stays_has_no_twins() -> None:
    rng = np.random.default_rng(1)
    names = "".join(rng.choice(list("abcdefABC"), 40))
    classes, parts = "".join(rng.choice(list("0001"), 40)), "".join(rng.choice(list("rvt"), 40))
    stays = np.setdiff1d(np.arange(40), find(names, classes, parts).drop)
    assert find(*("".join(text[row] for row in stays) for text in (names, classes, parts))).near.sets == 0


def test_no_more_than_a_few_sets_are_shown_and_each_once() -> None:
    assert find("aAaAaA").near.same_class.examples == ((0, 1),)
    rng = np.random.default_rng(0)
    signatures = rng.integers(0, 256, (20, SIGNATURE_BYTES), dtype=np.uint8).repeat(2, axis=0)
    digests, zeros = np.array([str(row) for row in range(40)]), np.zeros(40, np.int64)
    found = find_duplicates(digests, signatures, zeros, zeros).near.same_class
    assert found == Affected(40, ((0, 1), (2, 3), (4, 5), (6, 7), (8, 9)))


def near_pairs(signatures: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """All pairs at once, written down independently of the library's search."""
    bits = np.unpackbits(signatures[:, :HASH_BYTES], axis=1).astype(int)
    distance = np.abs(bits[:, None] - bits[None]).sum(axis=2)
    return (distance <= MOST_BITS) & (np.corrcoef(signatures[:, HASH_BYTES:]) >= LEAST_CORRELATION)


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(2, 30), flips=st.integers(0, 14), noise=st.integers(0, 12))
def test_sets_are_the_connected_components_of_all_near_pairs(seed: int, n: int, flips: int, noise: int) -> None:
    rng = np.random.default_rng(seed)
    signatures = rng.integers(20, 230, (max(1, n // 4), SIGNATURE_BYTES), dtype=np.uint8)[
        rng.integers(0, n // 4 or 1, n)
    ]
    for row in signatures:
        bits = rng.integers(0, 8 * HASH_BYTES, flips)
        np.bitwise_xor.at(row, bits // 8, (1 << bits % 8).astype(np.uint8))
    signatures[:, HASH_BYTES:] += rng.integers(0, noise + 1, (n, SIGNATURE_BYTES - HASH_BYTES), dtype=np.uint8)
    found = find_duplicates(np.arange(n).astype(str), signatures, np.zeros(n, np.int64), np.zeros(n, np.int64))
    _, component = connected_components(near_pairs(signatures), directed=False)
    sizes = np.bincount(component)
    assert found.near.sets == (sizes > 1).sum()
    assert found.near.images == sizes[sizes > 1].sum()
    assert found.drop.tolist() == [row for row in range(n) if component[row] in component[:row]]


@pytest.mark.parametrize("alike", ["exact", "near", "flat", "none"])
def test_many_images_take_seconds_however_many_are_alike(alike: str) -> None:
    n = 10_000
    signatures = np.random.default_rng(0).integers(0, 256, (n, SIGNATURE_BYTES), dtype=np.uint8)
    if alike in {"exact", "near"}:
        signatures[:] = signatures[0]
    if alike == "flat":
        signatures[:] = 0
    digests, zeros = np.arange(n).astype(str), np.zeros(n, np.int64)
    began = time.process_time()
    found = find_duplicates(digests[:1].repeat(n) if alike == "exact" else digests, signatures, zeros, zeros)
    assert time.process_time() - began < 10  # all pairs one by one would take minutes
    assert len(found.drop) == (n - 1 if alike in {"exact", "near"} else 0)


def test_copies_are_found_among_synthetic_images_and_among_training_ones() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (7, 3, 32, 32)).astype(np.uint8)
    synthetic = np.concatenate([pixels[:4], pixels[:1]])  # the first one is there twice
    assert twin_shares(synthetic, pixels[5:]) == (0.4, 0.0)
    assert twin_shares(synthetic, pixels[3:5]) == (0.4, 0.2)
    again = pixels[[0, 1, 0, 1]]  # drawn again, as oversampling does
    assert twin_shares(again, pixels) == (1.0, 1.0)
    grey = pixels[:, :1]
    assert twin_shares(grey[:4], grey[3:]) == (0.0, 0.25)
