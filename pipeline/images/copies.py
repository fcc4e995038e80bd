"""JPEG bytes of an image, and the copies by which archives come to hold an image twice."""

from collections.abc import Callable
from io import BytesIO

import numpy as np
from PIL import Image

RESAVED_QUALITY = 60
COPY_QUALITY = 90

# From the original's pixels to the copy's pixels and JPEG quality; `exact` keeps the bytes.
CHANGES: dict[str, Callable[[Image.Image], tuple[Image.Image, int]]] = {
    "resaved": lambda image: (image, RESAVED_QUALITY),
    "halved": lambda image: (image.reduce(2), COPY_QUALITY),  # the mean of each 2 × 2 pixels
    "flipped": lambda image: (image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), COPY_QUALITY),
}


def encode_jpeg(pixels: np.ndarray, quality: int) -> bytes:
    """Encode RGB pixels, `(height, width, 3)` uint8, at a quality from 1 to 95."""
    stream = BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=quality)
    return stream.getvalue()


def copy_jpeg(data: bytes, change: str) -> bytes:
    """Make a duplicate of a JPEG file.

    Args:
        data: The original's bytes.
        change: `exact`, or a key of `CHANGES`.

    Raises:
        ValueError: There is no such change.
    """
    if change == "exact":
        return data
    if change not in CHANGES:
        raise ValueError(f"change must be one of {['exact', *CHANGES]}. Got: {change!r}.")
    with Image.open(BytesIO(data)) as image:
        changed, quality = CHANGES[change](image.convert("RGB"))
    return encode_jpeg(np.asarray(changed), quality)
