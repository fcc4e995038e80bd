"""Pictures that tests of pixels share: generated, so that their true content is known."""

import functools
import struct
import zlib
from io import BytesIO

import numpy as np
from PIL import Image
from scipy import ndimage

from pipeline.images.crop import CropParams
from pipeline.images.decode import DecodeParams
from pipeline.images.field import BorderParams

DECODE = DecodeParams(limit_pixels=50_000_000, limit_side_px=12_000, minimum_side_px=32)
BORDER = BorderParams(
    analysis_px=128,
    dark_share=0.27,
    white_level=240,
    least_share=0.01,
    left_share=0.0001,
    margin_share=0.047,
)
CROP = CropParams(sizes_px=(64, 96), shard_images=2, squaring="centre", border=BORDER)


@functools.cache
def textured(height, width, seed=0):
    """Skin-coloured pixels with structure of 2 to 60 px, without any symmetry."""
    rng = np.random.default_rng(seed)
    pixels = np.array([190.0, 140.0, 120.0]) * np.ones((height, width, 1))
    for scale, strength in ((2, 12), (8, 15), (60, 30)):
        noise = ndimage.gaussian_filter(rng.standard_normal((height, width)), scale)
        pixels += strength * (noise / noise.std())[..., None] * np.array([1.0, 0.8, 0.6])
    pixels = np.clip(pixels, 0, 255).astype(np.uint8)
    pixels.flags.writeable = False  # shared by all tests
    return pixels


def framed(height, width, centre, radius, surround=4, seed=0):
    """A textured field, a circle around `centre` (y, x), in an almost black surround."""
    y, x = np.mgrid[:height, :width] + 0.5
    inside = np.hypot(y - centre[0], x - centre[1]) < radius
    return np.where(inside[..., None], textured(height, width, seed), np.uint8(surround))


def with_lesion(pixels, centre, radius, colour=(96, 52, 40)):
    """Draw a brown disc around `centre` (y, x) on what is not darker than it."""
    y, x = np.mgrid[: pixels.shape[0], : pixels.shape[1]] + 0.5
    inside = np.hypot(y - centre[0], x - centre[1]) < radius
    return np.where(inside[..., None], np.minimum(pixels, np.uint8(colour)), pixels)


def encode(pixels, form="PNG", **options):
    """Encode an array, or a Pillow image of any mode."""
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    stream = BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def deep_png(pixels):
    """A PNG of 16 bits a channel, which Pillow cannot write, from `(height, width, 3)` uint16."""
    height, width = pixels.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )


def oriented(pixels, orientation, form="PNG", **options):
    """Encode an image as a camera held otherwise would: turned, with the tag that turns it back."""
    turns = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    image = Image.fromarray(pixels)
    exif = Image.Exif()
    exif[274] = orientation
    turned = image if orientation == 1 else image.transpose(turns[orientation])
    return encode(turned, form, exif=exif, **options)


def psnr(one, other):
    """Peak signal to noise ratio in dB."""
    error = np.mean((one.astype(float) - other.astype(float)) ** 2)
    return float("inf") if error == 0 else 10 * np.log10(255**2 / error)
