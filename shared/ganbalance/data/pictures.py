"""Pictures as files hold them, brought to what a run learns from: uint8 (channels, side, side).

The same for every picture, wherever it comes from; a data card says it:

    turned       as the EXIF orientation says, as viewers show it
    deep         more than 8 bits and floats: a picture's own 0.5th to 99.5th percentile become 0 to 255; of colour
                 in 16 bits Pillow reads the upper 8
    transparent  what can be seen through becomes black
    colour       to grey where `channels` is 1, by ITU-R 601-2: 0.299 R + 0.587 G + 0.114 B
    several      of an animation or a stack the first picture
    not square   padded with black, cropped to the middle, or stretched, as `fit` says
"""

import struct
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from tokenize import TokenError
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, PngImagePlugin, UnidentifiedImageError

from ganbalance.errors import DataError

Fit = Literal["pad", "crop", "stretch"]
Done = Literal["turned", "deep", "deep colour", "transparent", "first of several"]

_ORIENTATION = 0x0112

# by name, and no others: Pillow would start other programs for some, and take hours for others
FORMATS = {
    "AVIF": {".avif"},
    "BMP": {".bmp"},
    "DIB": {".dib"},
    "GIF": {".gif"},
    "JPEG": {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"},
    "JPEG2000": {".jp2", ".jpx", ".j2k", ".j2c"},
    "PCX": {".pcx"},
    "PNG": {".png", ".apng"},
    "PPM": {".ppm", ".pgm", ".pbm", ".pnm", ".pfm"},
    "TGA": {".tga"},
    "TIFF": {".tif", ".tiff"},
    "WEBP": {".webp"},
}
ARRAY, DICOM = ".npy", ".dcm"
SUFFIXES = frozenset({ARRAY, *({DICOM} if find_spec("pydicom") else ())}).union(*FORMATS.values())

GREY, COLOUR = 1, 3
WINDOW = (0.5, 99.5)
MOST_PIXELS = 2**27
"""Of one picture, 134 million: it takes some 1 GB, and no other large one is read meanwhile."""
LARGE_PIXELS = 2**24
LARGE_JPEG_PX = 2048
"""The side that larger JPEGs are at least read at: their decoder can halve the picture while it reads."""
MOST_TEXT = 2**26
"""Bytes of text or of a colour profile in a PNG; Pillow refuses a picture for less."""

_COLOURFUL = 12  # levels between two channels of a pixel: less is what lossy files do to grey
_DAMAGED = (
    OSError, SyntaxError, ValueError, EOFError, TypeError, LookupError, ArithmeticError, RuntimeError, struct.error,
)  # fmt: skip
_one_large_at_a_time = threading.Lock()
# the header of an array is parsed as Python, which Python 3.11 and 3.12 cannot do in two threads
# where the garbage collector calls back (python/cpython#106905)
_one_header_at_a_time = threading.Lock()

warnings.filterwarnings("ignore", module=r"(PIL|pydicom)\.")  # odd metadata, of which there may be thousands
Image.MAX_IMAGE_PIXELS = None  # `_bounded` has a bound, and says what to do
PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY = MOST_TEXT


class Picture:
    """One picture: `image` is of mode L or RGB, turned and opaque, and `done` names what was done to it.

    `size` is (width, height) as it was. Raises DataError that says what is wrong with a file's bytes, not where it is.
    """

    def __init__(self, content: bytes) -> None:
        self.done: set[Done] = set()
        try:
            self.image = self._read(content)
        except UnidentifiedImageError as error:
            raise DataError("is not a readable image") from error
        except _DAMAGED as error:
            said = " ".join(str(error).split()) or type(error).__name__
            raise DataError(f"is not a readable image: {said}") from error

    def canonical(self, side_px: int, channels: int, fit: Fit) -> NDArray[np.uint8]:
        """Bring it to uint8 (channels, side, side)."""
        squared = _squared(self.image.convert("L" if channels == GREY else "RGB"), side_px, fit)
        return np.asarray(squared, np.uint8).reshape(side_px, side_px, channels).transpose(2, 0, 1)

    @property
    def is_colourful(self) -> bool:
        """Whether it has colours besides grey."""
        if self.image.mode == "L":
            return False
        small = np.asarray(self.image.resize((32, 32), Image.Resampling.BOX), np.int16)
        return bool((small.max(axis=2) - small.min(axis=2)).max() > _COLOURFUL)

    def _read(self, content: bytes) -> Image.Image:
        if content.startswith(b"\x93NUMPY"):
            return self._of_array(_array(content))
        if content[128:132] == b"DICM":
            return self._of_array(_dicom(content))
        image = Image.open(BytesIO(content), formats=list(FORMATS))
        self.size = image.size
        with image, _bounded(image):
            if getattr(image, "n_frames", 1) > 1:
                self.done.add("first of several")
                image.seek(0)
            if image.mode[0] not in "IF" and ";16" in str(image.tile):
                self.done.add("deep colour")
            if image.getexif().get(_ORIENTATION) in range(2, 9):  # before a TIFF is read, which turns it
                self.done.add("turned")
            image.load()
            return self._flat(ImageOps.exif_transpose(image))

    def _flat(self, image: Image.Image) -> Image.Image:
        """Bring an image to mode L or RGB."""
        if image.mode.startswith(("I", "F")):
            return self._of_array(np.asarray(image))
        if image.has_transparency_data:
            self.done.add("transparent")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "black"), image.convert("RGBA"))
        return image.convert("L" if image.mode in ("1", "L") else "RGB")

    def _of_array(self, pixels: NDArray[Any]) -> Image.Image:
        """Make an image of (H, W), (H, W, 1) or (H, W, 3)."""
        if pixels.ndim == COLOUR and pixels.shape[-1] == GREY:
            pixels = pixels[..., 0]
        if pixels.ndim not in (2, 3) or pixels.shape[2:] not in ((), (COLOUR,)) or not pixels.size:
            raise ValueError(f"an array of shape {pixels.shape} is none of (H,W), (H,W,1) and (H,W,3)")
        if pixels.dtype.kind not in "buif":
            raise ValueError(f"an array of {pixels.dtype} holds no numbers")
        if pixels.dtype == bool:
            pixels = pixels * np.uint8(255)
        if pixels.dtype != np.uint8:
            self.done.add("deep")
            pixels = _windowed(pixels)
        self.size = pixels.shape[1], pixels.shape[0]
        return Image.fromarray(pixels)


def read(path: Path, side_px: int, channels: int, fit: Fit) -> NDArray[np.uint8]:
    """Read one image file as uint8 (channels, side, side). Raises DataError where it is none."""
    try:
        return Picture(path.read_bytes()).canonical(side_px, channels, fit)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    except DataError as error:
        raise DataError(f"{path} {error}") from error


def encoded(pixels: NDArray[Any]) -> bytes:
    """Encode an array (H, W), (H, W, 1) or (H, W, 3) as bytes, for `Picture`."""
    file = BytesIO()
    np.save(file, pixels, allow_pickle=False)
    return file.getvalue()


@contextmanager
def _bounded(image: Image.Image) -> Iterator[None]:
    """Keep memory bounded while a picture is read that is open, and not read yet."""
    width, height = image.size
    if width * height <= LARGE_PIXELS:
        yield
        return
    image.draft(None, (LARGE_JPEG_PX, LARGE_JPEG_PX))
    if image.width * image.height > MOST_PIXELS:
        raise ValueError(f"{width} x {height} px are more than {MOST_PIXELS // 10**6} million: make it smaller")
    with _one_large_at_a_time:
        yield


def _windowed(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Scale any numbers to uint8: from the lower to the upper percentile of the finite ones; all others are black."""
    values = pixels.astype(np.float64)
    finite = np.isfinite(values)
    if not finite.any():
        raise ValueError("it holds no finite value")
    values /= max(1.0, np.abs(values[finite]).max() / 1e300)  # a difference is finite as well
    low, high = np.percentile(values[finite], WINDOW)
    if high == low:  # a few values in a flat picture
        low, high = values[finite].min(), values[finite].max()
    scaled = np.zeros_like(values) if high == low else (values - low) / (high - low) * 255
    return np.where(finite, scaled.clip(0, 255), 0).round().astype(np.uint8)


def _array(content: bytes) -> NDArray[Any]:
    """Read an .npy array; its first bytes may say anything."""
    try:
        with _one_header_at_a_time:
            found: NDArray[Any] = np.load(BytesIO(content), allow_pickle=False)
    except (MemoryError, TokenError) as error:
        raise ValueError(str(error)) from error
    return found


def _dicom(content: bytes) -> NDArray[Any]:
    """Read the first frame of a DICOM file, dark is low."""
    try:
        import pydicom
        from pydicom.pixels.processing import apply_rescale, convert_color_space
    except ImportError as error:
        raise ValueError("it is DICOM, which takes ganbalance[dicom]") from error

    try:
        file = pydicom.dcmread(BytesIO(content))
        pixels = file.pixel_array
    except (
        AttributeError, RuntimeError, pydicom.errors.InvalidDicomError, pydicom.errors.BytesLengthException,
    ) as error:  # fmt: skip
        raise ValueError(str(error)) from error
    if int(file.get("NumberOfFrames", 1)) > 1:
        pixels = pixels[0]
    shown = str(file.PhotometricInterpretation)
    if shown.startswith("YBR"):
        return convert_color_space(pixels, shown, "RGB")
    if file.SamplesPerPixel == COLOUR:
        return pixels
    rescaled = apply_rescale(pixels, file).astype(np.float64)
    return -rescaled if shown == "MONOCHROME1" else rescaled


def _squared(image: Image.Image, side_px: int, fit: Fit) -> Image.Image:
    """Resize to a square of that side; larger pictures shrunk by box averages, smaller ones enlarged bilinearly."""
    longest = max(image.size)
    resampling = Image.Resampling.BOX if longest > side_px else Image.Resampling.BILINEAR
    size = (side_px, side_px)
    if fit == "stretch":
        return image.resize(size, resampling)
    if fit == "crop":
        return ImageOps.fit(image, size, resampling)
    if min(image.size) < longest // side_px:  # a line that would become no pixel at all
        image = image.resize((side_px, 1) if image.width == longest else (1, side_px), resampling)
    return ImageOps.pad(image, size, resampling)
