"""Lossless bytes of one crop, and back: what stage `crop` writes and stage `resize` reads.

The encoder stores every line as its difference from the line above, where Pillow tries five filters
on each: on dermoscopy files are 4 % larger, and written and read in half the time. They are plain
PNG, which any viewer opens.
"""

import struct
import zlib
from io import BytesIO

import numpy as np
from PIL.PngImagePlugin import PngImageFile

SIGNATURE = b"\x89PNG\r\n\x1a\n"
FILTER_UP = 2  # each byte less the one above it: PNG specification, section 9.2
# 8 bits, colour type 2 (RGB), the only methods of compression and filtering, not interlaced.
FORM = (8, 2, 0, 0, 0)
# Higher levels save a few percent for several times the time. Run-length matching makes smaller
# files than the default strategy, and is faster: the differences leave little else to match.
LEVEL = 1
STRATEGY = zlib.Z_RLE


def encode_png(pixels: np.ndarray) -> bytes:
    """Encode RGB pixels, `(height, width, 3)` uint8; the same pixels give the same bytes."""
    height, width = pixels.shape[:2]
    lines = pixels.reshape(height, 3 * width)
    filtered = np.empty((height, 1 + 3 * width), np.uint8)
    filtered[:, 0] = FILTER_UP
    filtered[0, 1:] = lines[0]
    np.subtract(lines[1:], lines[:-1], out=filtered[1:, 1:])  # modulo 256, as PNG wants it
    compressor = zlib.compressobj(LEVEL, strategy=STRATEGY)
    data = compressor.compress(filtered) + compressor.flush()
    header = struct.pack(">II5B", width, height, *FORM)
    chunks = _chunk(b"IHDR", header), _chunk(b"IDAT", data), _chunk(b"IEND", b"")
    return b"".join([SIGNATURE, *chunks])


def decode_png(data: bytes) -> np.ndarray:
    """Decode what `encode_png` wrote, to the same `(height, width, 3)` uint8 pixels."""
    with PngImageFile(BytesIO(data)) as image:
        return np.asarray(image)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return b"".join(
        [struct.pack(">I", len(data)), kind, data, struct.pack(">I", zlib.crc32(kind + data))]
    )
