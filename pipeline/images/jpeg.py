"""Decode the pixels of a JPEG with simplejpeg (libjpeg-turbo), at full size or a power of two less.

The accurate integer transform and the smooth upsampling of chroma are used, as in Pillow, so the
two give the same pixels, on every machine. See docs/decisions/0010-fast-decoder-and-filters.md.
"""

import numpy as np
import simplejpeg

SHRINKS = (1, 2, 4, 8)  # of these, the transform has fast code


class JpegError(ValueError):
    """The file has a flaw, or is of a kind, that this decoder does not take."""


def choose_shrink(width: int, height: int, least_side_px: int | None) -> int:
    """Return the largest of `SHRINKS` that leaves the shorter side at least so many pixels."""
    if least_side_px is None:
        return 1
    return max(s for s in SHRINKS if s == 1 or min(width, height) >= s * least_side_px)


def decode_jpeg(data: bytes, width: int, height: int, shrink: int) -> np.ndarray:
    """Decode a grey or colour JPEG.

    Args:
        data: The whole file.
        width: From the header, in pixels.
        height: From the header, in pixels.
        shrink: One of `SHRINKS`.

    Returns:
        RGB, `(ceil(height / shrink), ceil(width / shrink), 3)` uint8, not turned.

    Raises:
        JpegError: Data are missing, superfluous or damaged, also where libjpeg could go on, or the
            kind of JPEG is not supported.
    """
    shape = -(-height // shrink), -(-width // shrink), 3
    try:
        pixels = simplejpeg.decode_jpeg(data, "RGB", min_height=shape[0], min_width=shape[1])
    except (ValueError, KeyError, RuntimeError) as error:
        raise JpegError(str(error)) from error
    if pixels.shape != shape:
        raise JpegError(f"pixels must be {shape}. Got: {pixels.shape}.")
    return pixels
