"""Lossless bytes of one crop, and back: what stage `crop` writes and stage `resize` reads."""

import zlib
from io import BytesIO

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

# On dermoscopy higher levels save a few percent for several times the time. Run-length matching
# makes files 16 % smaller than the default strategy, and is faster: PNG's filters leave little else
# to match.
COMPRESSION = {"compress_level": 1, "compress_type": zlib.Z_RLE}


def encode_png(pixels: np.ndarray) -> bytes:
    """Encode RGB pixels, `(height, width, 3)` uint8."""
    stream = BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", **COMPRESSION)
    return stream.getvalue()


def decode_png(data: bytes) -> np.ndarray:
    """Decode what `encode_png` wrote, to the same `(height, width, 3)` uint8 pixels."""
    with PngImageFile(BytesIO(data)) as image:
        return np.asarray(image)
