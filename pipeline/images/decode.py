"""Decode one JPEG or PNG file into upright RGB pixels, or say in one line why it cannot be.

Pixels are `(height, width, 3)` uint8 RGB. Nothing is decoded before the header has passed the
limits of section `ingest`. Transparency is dropped (the stored colour stays), colour profiles are
ignored, 16-bit values are scaled to 8 bits. A large JPEG may be decoded at 1/2, 1/4 or 1/8 of its
size. Pillow reads headers, and the pixels of what the fast decoder of JPEG does not take.
"""

import threading
import warnings
from contextlib import ExitStack
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import ExifTags
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from pipeline.images.jpeg import SHRINKS, JpegError, choose_shrink, decode_jpeg

# The readers are called directly: `Image.open` would warn at, and above twice its limit refuse, a
# size of Pillow's own choice, and would try every other format.
READERS: dict[bytes, type[ImageFile]] = {
    b"\xff\xd8\xff": JpegImageFile,
    b"\x89PNG\r\n\x1a\n": PngImageFile,
}
# EXIF orientation -> (transpose, then flip top to bottom, then flip left to right).
ORIENTATIONS = {
    1: (False, False, False),
    2: (False, False, True),
    3: (False, True, True),
    4: (False, True, False),
    5: (True, False, False),
    6: (True, False, True),
    7: (True, True, True),
    8: (True, True, False),
}
# Colours of four channels are left to Pillow: simplejpeg turns them into RGB by another formula.
FAST_MODES = ("RGB", "L")
# Which decoder gave the pixels; a flawed JPEG goes from the fast one to Pillow, and is counted.
FAST = "simplejpeg"
PILLOW = "pillow"
FALLBACK = "pillow_fallback"
# Python's warning filters belong to the whole process until Python 3.14.
_WARNINGS = threading.Lock()


class ImageError(ValueError):
    """A file is not an image that can be used; the message names it and says why."""


@dataclass(frozen=True)
class DecodeParams:
    """Section `ingest` of `params.yaml`: what an image may measure, read from its header."""

    limit_pixels: int
    limit_side_px: int
    minimum_side_px: int

    def __post_init__(self) -> None:
        if not 1 <= self.minimum_side_px <= self.limit_side_px:
            raise ValueError(
                "minimum_side_px must be from 1 to limit_side_px. "
                f"Got: {self.minimum_side_px} and {self.limit_side_px}."
            )
        if self.limit_pixels < self.minimum_side_px**2:
            raise ValueError(
                f"limit_pixels must be at least minimum_side_px squared. Got: {self.limit_pixels}."
            )


@dataclass(frozen=True, eq=False)
class Decoded:
    """An upright image, perhaps decoded at a fraction of its size.

    Attributes:
        pixels: RGB, `(height, width, 3)` uint8.
        width_px: Width of the original after orientation.
        height_px: Height of the original after orientation.
        shrink: Original pixels per decoded pixel: 1, 2, 4 or 8.
        left: Column of `pixels`, a fraction, at which the original's left edge lies.
        top: Row of `pixels`, a fraction, at which the original's top edge lies.
        decoder: `FAST`, `PILLOW`, or `FALLBACK` where the fast one failed.
    """

    pixels: np.ndarray
    width_px: int
    height_px: int
    shrink: int
    left: float
    top: float
    decoder: str

    def locate(
        self, left_px: float, top_px: float, right_px: float, bottom_px: float
    ) -> tuple[float, float, float, float]:
        """Turn a box in pixels of the original into the same box in `pixels`.

        `pixels` has ceil(width / shrink) columns, the last of them partly outside the original (the
        first, where the image was flipped), so its own shape must not be used for the scale.
        """
        return (
            self.left + left_px / self.shrink,
            self.top + top_px / self.shrink,
            self.left + right_px / self.shrink,
            self.top + bottom_px / self.shrink,
        )


def decode(file: Path | bytes, *, params: DecodeParams, least_side_px: int | None) -> Decoded:
    """Decode a JPEG or PNG file.

    Args:
        file: Path of the file, or its bytes.
        params: Limits that the header must keep.
        least_side_px: A JPEG may be decoded at 1/2, 1/4 or 1/8, the smallest whose shorter side is
            at least this many pixels; `None` always decodes at full size.

    Raises:
        ImageError: The file is absent, not a JPEG or PNG, outside the limits, or damaged.
    """
    name = f"image ({len(file)} bytes)" if isinstance(file, bytes) else str(file)
    with ExitStack() as stack:
        image = stack.enter_context(_open(_open_stream(file, name, stack), name))
        width, height = image.size
        _check_size(width, height, params, name)
        try:
            pixels, decoder = _read_pixels(image, least_side_px)
        except MemoryError:
            raise
        except (
            Exception
        ) as error:  # Pillow raises many types for damaged data, all meaning the same
            raise _damaged(name, error) from error
        orientation = _read_orientation(image)
    return _turn_upright(pixels, width, height, orientation, decoder)


def _read_pixels(image: ImageFile, least_side_px: int | None) -> tuple[np.ndarray, str]:
    """Decode the pixels, and say with what."""
    if not isinstance(image, JpegImageFile):
        return _to_rgb(image), PILLOW
    shrink = choose_shrink(*image.size, least_side_px)
    decoder = PILLOW
    if image.mode in FAST_MODES:
        image.fp.seek(0)
        try:
            return decode_jpeg(image.fp.read(), *image.size, shrink), FAST
        except JpegError:
            decoder = FALLBACK
    if shrink > 1:
        width, height = image.size
        image.draft(None, (width // shrink, height // shrink))
    return _to_rgb(image), decoder


def _open_stream(file: Path | bytes, name: str, stack: ExitStack) -> BinaryIO:
    if isinstance(file, bytes):
        return BytesIO(file)
    try:
        return stack.enter_context(open(file, "rb"))
    except OSError as error:
        raise ImageError(f"{name} must be a readable file. Got: {error.strerror}.") from error


def _open(stream: BinaryIO, name: str) -> ImageFile:
    """Read the header with the reader of the format that the first bytes tell."""
    head = stream.read(8)
    stream.seek(0)
    reader = next((READERS[magic] for magic in READERS if head.startswith(magic)), None)
    if reader is None:
        found = f"a file that starts with {head!r}" if head else "0 bytes"
        raise ImageError(f"{name} must be a JPEG or PNG image. Got: {found}.")
    try:
        with _WARNINGS, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # damaged EXIF data, which the pixels do not need
            return reader(stream)
    except MemoryError:
        raise
    except Exception as error:
        raise _damaged(name, error) from error


def _damaged(name: str, error: Exception) -> ImageError:
    return ImageError(f"{name} must be a whole, undamaged image. Got: {error}.")


def _check_size(width: int, height: int, params: DecodeParams, name: str) -> None:
    shorter, longer = sorted((width, height))
    if (
        shorter < params.minimum_side_px
        or longer > params.limit_side_px
        or width * height > params.limit_pixels
    ):
        raise ImageError(
            f"{name} must have sides of {params.minimum_side_px} to {params.limit_side_px} px "
            f"and at most {params.limit_pixels} pixels. Got: {width} x {height} px."
        )


def _to_rgb(image: ImageFile) -> np.ndarray:
    image.load()
    if image.mode.startswith("I"):  # 16-bit grey, which `convert` would clip at 255
        grey = np.round(np.asarray(image, np.float32) / 257).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    image.info.pop("transparency", None)  # else `convert` warns for palettes
    return np.asarray(image.convert("RGB"))


def _read_orientation(image: ImageFile) -> int:
    """Return the EXIF orientation; 1, upright, where there is none or it is damaged."""
    try:
        with _WARNINGS, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            orientation = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # the pixels are whole: a damaged tag is no reason to lose the case
        return 1
    return orientation if orientation in ORIENTATIONS else 1


def _turn_upright(
    pixels: np.ndarray, width: int, height: int, orientation: int, decoder: str
) -> Decoded:
    """Apply the orientation; `width` and `height` are those of the header."""
    transpose, flip_rows, flip_columns = ORIENTATIONS[orientation]
    shrink = next(s for s in SHRINKS if pixels.shape[:2] == (-(-height // s), -(-width // s)))
    if transpose:
        pixels, width, height = pixels.swapaxes(0, 1), height, width
    pixels = pixels[:: -1 if flip_rows else 1, :: -1 if flip_columns else 1]
    return Decoded(
        pixels=np.ascontiguousarray(pixels),
        width_px=width,
        height_px=height,
        shrink=shrink,
        left=pixels.shape[1] - width / shrink if flip_columns else 0.0,
        top=pixels.shape[0] - height / shrink if flip_rows else 0.0,
        decoder=decoder,
    )
