"""What becomes of a picture, whatever its file holds: one row per kind, each with a known answer."""

import gc
import resource
import struct
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms, PngImagePlugin

from ganbalance.data import pictures
from ganbalance.data.pictures import Picture, encoded
from ganbalance.errors import DataError

GREY, RGB = 1, 3


def as_file(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def halves(left: Any, right: Any, mode: str = "RGB") -> Image.Image:
    """8 by 8 pixels."""
    image = Image.new(mode, (8, 8), right)
    image.paste(left, (0, 0, 4, 8))
    return image


def levels(content: bytes, channels: int = GREY, fit: Any = "pad") -> list[list[int]]:
    """Of the left and the right half of an 8 by 8 picture, the value of each channel."""
    pixels = Picture(content).canonical(8, channels, fit)
    assert pixels.shape == (channels, 8, 8)
    assert pixels.dtype == np.uint8
    sides = (pixels[:, :, :4], pixels[:, :, 4:])
    assert all((side == side[:, :1, :1]).all() for side in sides)
    return [side[:, 0, 0].tolist() for side in sides]


def ramp(dtype: Any, top: float) -> NDArray[Any]:
    """(8, 8): a dark and a bright half."""
    pixels = np.zeros((8, 8), dtype)
    pixels[:, 4:] = top
    return pixels


KINDS: dict[str, tuple[Callable[[], bytes], int, list[list[int]]]] = {
    "grey": (lambda: as_file(halves(10, 200, "L")), GREY, [[10], [200]]),
    "grey as colour": (lambda: as_file(halves(10, 200, "L")), RGB, [[10] * 3, [200] * 3]),
    "colour": (lambda: as_file(halves((255, 0, 0), (0, 0, 255))), RGB, [[255, 0, 0], [0, 0, 255]]),
    "colour as grey": (lambda: as_file(halves((255, 0, 0), (0, 0, 255))), GREY, [[76], [29]]),
    "one bit": (lambda: as_file(halves(0, 1, "1")), GREY, [[0], [255]]),
    "palette": (
        lambda: as_file(halves((255, 0, 0), (0, 0, 255)).quantize(2)), RGB, [[255, 0, 0], [0, 0, 255]],
    ),
    "palette with transparency": (
        lambda: as_file(halves((255, 0, 0), (0, 0, 255)).quantize(2), transparency=b"\x00\x00"), RGB,
        [[0] * 3, [0] * 3],
    ),
    "transparent": (lambda: as_file(halves((250, 250, 250, 0), (9, 9, 9, 255), "RGBA")), GREY, [[0], [9]]),
    "half transparent": (lambda: as_file(halves((200, 200, 200, 128), (9, 9, 9, 255), "RGBA")), GREY, [[100], [9]]),
    "grey and transparent": (lambda: as_file(halves((250, 0), (9, 255), "LA")), GREY, [[0], [9]]),
    "CMYK": (
        lambda: as_file(halves((0, 255, 255, 0), (255, 255, 0, 0), "CMYK"), "TIFF"), RGB, [[255, 0, 0], [0, 0, 255]],
    ),
    "16 bits": (lambda: as_file(Image.fromarray(ramp(np.uint16, 40_000))), GREY, [[0], [255]]),
    "16 bits in the other order": (
        lambda: as_file(Image.fromarray(ramp(np.dtype(">u2"), 40_000)), "TIFF"), GREY, [[0], [255]],
    ),
    "32 bits": (lambda: as_file(Image.fromarray(ramp(np.int32, 2_000_000)), "TIFF"), GREY, [[0], [255]]),
    "floats": (lambda: as_file(Image.fromarray(ramp(np.float32, 0.25)), "TIFF"), GREY, [[0], [255]]),
    "a PFM of floats": (lambda: as_file(Image.fromarray(ramp(np.float32, 3.5)), "PPM"), GREY, [[0], [255]]),
    "flat and deep": (lambda: as_file(Image.fromarray(np.full((8, 8), 700, np.uint16))), GREY, [[0], [0]]),
    "an array of 8 bits": (lambda: encoded(ramp(np.uint8, 77)), GREY, [[0], [77]]),
    "an array of yes and no": (lambda: encoded(ramp(bool, 1)), GREY, [[0], [255]]),
    "an array with one channel": (lambda: encoded(ramp(np.uint8, 77)[..., None]), GREY, [[0], [77]]),
    "an array of colour": (
        lambda: encoded(np.stack([ramp(np.uint8, 1), ramp(np.uint8, 2), ramp(np.uint8, 3)], 2)), RGB,
        [[0] * 3, [1, 2, 3]],
    ),
    "an animation": (
        lambda: as_file(halves(10, 200, "L"), "GIF", save_all=True, append_images=[Image.new("L", (8, 8))]), GREY,
        [[10], [200]],
    ),
    "a stack": (
        lambda: as_file(halves(10, 200, "L"), "TIFF", save_all=True, append_images=[Image.new("L", (8, 8))]), GREY,
        [[10], [200]],
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_is_read_as_it_looks(kind: str) -> None:
    made, channels, expected = KINDS[kind]
    assert levels(made(), channels) == expected


def test_what_is_not_finite_is_black_and_moves_nothing_else() -> None:
    values = np.tile(np.linspace(0, 1, 8), (8, 1))
    spoilt = values.copy()
    spoilt[0, :2] = np.nan, np.inf
    read, clean = (Picture(encoded(array)).canonical(8, GREY, "pad")[0] for array in (spoilt, values))
    assert read[0, :2].tolist() == [0, 0]
    assert np.abs(read[1:].astype(int) - clean[1:]).max() <= 1


def test_a_few_hot_pixels_do_not_darken_a_deep_picture() -> None:
    pixels = np.tile(np.arange(100, 200, dtype=np.uint16), (100, 1))
    pixels[0, :10] = 65_535  # a thousandth
    read = Picture(encoded(pixels)).canonical(100, GREY, "pad")[0]
    assert read[50, 0] == 0
    assert read[50, -1] == 255
    assert abs(int(read[50, 50]) - 128) <= 3


def turned(orientation: int, kind: str = "PNG") -> bytes:
    """A picture whose EXIF says how it is turned: seen upright its left half is dark."""
    upright = halves(10, 200, "L").convert("RGB")
    undo = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = upright.transpose(undo[orientation]) if orientation in undo else upright
    return as_file(image, kind, exif=exif, **({"lossless": True} if kind == "WEBP" else {}))


@pytest.mark.parametrize("orientation", [0, 1, 9])
def test_an_orientation_that_there_is_not_turns_nothing(orientation: int) -> None:
    content = turned(orientation)
    assert levels(content) == [[10], [200]]
    assert Picture(content).done == set()


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_a_picture_is_turned_as_viewers_show_it(orientation: int, kind: str) -> None:
    content = turned(orientation, kind)
    assert levels(content) == [[10], [200]]
    assert Picture(content).done == {"turned"}


@pytest.mark.parametrize(
    ("fit", "shown"),
    [
        ("pad", [[0, 10, 200, 0], [0, 10, 200, 0]]),
        ("crop", [[10, 10, 200, 200]]),
        ("stretch", [[10, 10, 200, 200]]),
    ],
)
def test_what_is_not_square_becomes_so_as_the_setting_says(fit: Any, shown: list[list[int]]) -> None:
    image = Image.new("L", (8, 16), 200)
    image.paste(10, (0, 0, 4, 16))
    read = Picture(as_file(image)).canonical(8, GREY, fit)[0]
    assert read[:, ::2].tolist() == [shown[0]] * 8


@pytest.mark.parametrize(("size", "row"), [((16, 8), [0, 0, 9, 9, 9, 9, 0, 0]), ((8, 16), [9] * 8)])
def test_padding_is_black_and_in_the_middle(size: tuple[int, int], row: list[int]) -> None:
    read = Picture(as_file(Image.new("L", size, 9))).canonical(8, GREY, "pad")[0]
    assert read[:, 4].tolist() == row
    assert (read == 9).sum() == 32


def test_a_line_of_pixels_does_not_vanish() -> None:
    assert Picture(as_file(Image.new("L", (400, 1), 255))).canonical(8, GREY, "pad").max() == 255


@pytest.mark.parametrize("size", [(200_000, 1), (1, 200_000), (60_000, 7)])
@pytest.mark.parametrize(("fit", "bright"), [("pad", 8), ("crop", 64), ("stretch", 64)])
def test_a_long_line_takes_no_more_memory_than_it_has(size: tuple[int, int], fit: Any, bright: int) -> None:
    content = as_file(Image.new("L", size, 255))
    _, before = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 2**28, before))
    try:
        assert (Picture(content).canonical(8, GREY, fit) == 255).sum() == bright
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (before, before))


def test_values_near_the_largest_number_are_read() -> None:
    assert levels(encoded(ramp(np.float64, 1.7e308) - 8e307)) == [[0], [255]]


def png(side_px: int, bits: int, kind: int, rows: bytes) -> bytes:
    head = struct.pack(">IIBBBBB", side_px, side_px, bits, kind, 0, 0, 0)

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    pixels = chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + pixels + chunk(b"IEND", b"")


def bomb() -> bytes:
    """A PNG of a few bytes that says it is of 100,000 by 100,000 pixels."""
    return png(100_000, 8, 0, b"\0" * 100)


def deep_colour() -> bytes:
    """A red and a blue half of 16 bits a channel, which Pillow does not write."""
    row = b"\0" + struct.pack(">3H", 40_000, 0, 0) * 4 + struct.pack(">3H", 0, 0, 40_000) * 4
    return png(8, 16, 2, row * 8)


@pytest.mark.parametrize(
    ("made", "done", "colourful"),
    [
        (lambda: as_file(halves(10, 200, "L")), set(), False),
        (lambda: as_file(halves(10, 200, "L").convert("RGB"), "JPEG"), set(), False),
        (lambda: as_file(halves((255, 0, 0), (0, 0, 255))), set(), True),
        (lambda: as_file(Image.fromarray(ramp(np.uint16, 9))), {"deep"}, False),
        (deep_colour, {"deep colour"}, True),
        (lambda: as_file(halves((9, 9, 9, 0), (9, 9, 9, 255), "RGBA")), {"transparent"}, False),
        (KINDS["an animation"][0], {"first of several"}, False),
    ],
)
def test_a_picture_says_what_is_done_to_it(made: Callable[[], bytes], done: set[str], colourful: bool) -> None:
    picture = Picture(made())
    assert picture.done == done
    assert picture.is_colourful == colourful
    assert picture.size == (8, 8)


def array_of(described: str) -> bytes:
    """The head of an .npy file, and nothing behind it."""
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", 118) + described.ljust(117).encode() + b"\n"


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda: b"", "is not a readable image"),
        (lambda: b"no image", "is not a readable image"),
        (lambda: as_file(Image.effect_noise((64, 64), 90))[:900], "is not a readable image"),
        (lambda: as_file(Image.effect_noise((64, 64), 90), "JPEG")[:900], "truncated"),
        (lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n", "is not a readable image"),
        (bomb, "100000 x 100000 px are more than 134 million: make it smaller"),
        (lambda: encoded(np.zeros((2, 8, 8), np.uint8)), r"shape \(2, 8, 8\) is none of \(H,W\)"),
        (lambda: encoded(np.full((8, 8), np.nan)), "no finite value"),
        (lambda: encoded(np.full((8, 8), "a")), "holds no numbers"),
        (lambda: encoded(np.zeros((0, 8), np.uint8)), r"shape \(0, 8\)"),
        (lambda: b"\x93NUMPY\x01\x00" + b"nonsense" * 9, "is not a readable image"),
        (
            lambda: array_of("{'descr': '|u1', 'fortran_order': False, 'shape': (1000000000, 1000000)}"),
            "Unable to allocate",
        ),
        (lambda: array_of("{'descr': ((("), "is not a readable image"),
        (lambda: as_file(Image.effect_noise((64, 64), 90), "AVIF")[:600], "is not a readable image"),
    ],
)
def test_what_is_no_picture_is_refused_with_why(made: Callable[[], bytes], said: str) -> None:
    with pytest.raises(DataError, match=said):
        Picture(made())


def test_arrays_are_read_in_many_threads_while_garbage_is_collected() -> None:
    file = BytesIO()
    np.save(file, np.full((4, 4), 7, np.uint8))
    before, callback = gc.get_threshold(), lambda *_: time.sleep(0)  # lets another thread on, as a finalizer may
    gc.callbacks.append(callback)
    gc.set_threshold(7, 2, 2)
    try:
        with ThreadPoolExecutor(8) as pool:
            read = list(pool.map(lambda _: Picture(file.getvalue()).size, range(3000)))
    finally:
        gc.set_threshold(*before)
        gc.callbacks.remove(callback)
    assert read == [(4, 4)] * 3000


def test_no_array_of_objects_is_unpickled() -> None:
    file = BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": (1, 1)})
    file.write(b"cos\nsystem\n")  # what would be run
    with pytest.raises(DataError, match="is not a readable image"):
        Picture(file.getvalue())


def test_large_texts_and_colour_profiles_are_no_reason_to_refuse() -> None:
    texts = PngImagePlugin.PngInfo()
    texts.add_text("comment", "x" * 3_000_000, zip=True)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes() + b"\0" * 3_000_000
    assert levels(as_file(halves(10, 200, "L"), pnginfo=texts, icc_profile=profile)) == [[10], [200]]


def test_a_large_jpeg_is_read_smaller_than_it_is() -> None:
    content = as_file(Image.new("L", (8192, 8192), 90), "JPEG")
    picture = Picture(content)
    assert picture.size == (8192, 8192)
    assert picture.image.size == (2048, 2048)
    assert set(picture.canonical(8, GREY, "pad").ravel().tolist()) == {90}


def dicom(pixels: NDArray[Any], shown: str = "MONOCHROME2", frames: int = 1) -> bytes:
    pydicom = pytest.importorskip("pydicom")
    file = pydicom.Dataset()
    file.file_meta = pydicom.dataset.FileMetaDataset()
    file.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    file.SOPClassUID = file.file_meta.MediaStorageSOPClassUID = pydicom.uid.SecondaryCaptureImageStorage
    file.SOPInstanceUID = file.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
    file.Rows, file.Columns = 8, 8
    file.SamplesPerPixel = 3 if shown == "RGB" else 1
    file.PhotometricInterpretation = shown
    if shown == "RGB":
        file.PlanarConfiguration = 0
    file.BitsAllocated = file.BitsStored = pixels.dtype.itemsize * 8
    file.HighBit = file.BitsStored - 1
    file.PixelRepresentation = 0
    if frames > 1:
        file.NumberOfFrames = frames
    file.PixelData = pixels.tobytes()
    made = BytesIO()
    file.save_as(made, enforce_file_format=True)
    return made.getvalue()


@pytest.mark.parametrize(
    ("pixels", "shown", "frames", "expected"),
    [
        (ramp(np.uint16, 3000), "MONOCHROME2", 1, [[0], [255]]),
        (ramp(np.uint16, 3000), "MONOCHROME1", 1, [[255], [0]]),
        (np.stack([ramp(np.uint16, 3000), np.full((8, 8), 5, np.uint16)]), "MONOCHROME2", 2, [[0], [255]]),
        (np.stack([ramp(np.uint8, 77)] * 3, 2), "RGB", 1, [[0], [77]]),
    ],
)
def test_dicom_is_read_dark_where_it_is_dark(
    pixels: NDArray[Any], shown: str, frames: int, expected: list[list[int]]
) -> None:
    assert levels(dicom(pixels, shown, frames)) == expected


def test_every_format_is_one_that_pillow_opens() -> None:
    Image.init()
    assert set(pictures.FORMATS) <= set(Image.OPEN)
    registered = Image.registered_extensions()
    for kind, suffixes in pictures.FORMATS.items():
        assert {registered.get(suffix, kind) for suffix in suffixes} <= {kind, "MPO", "PPM"}
