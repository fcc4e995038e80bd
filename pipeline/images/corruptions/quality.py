"""Quality: what lens, hand, sensor and file format take from an image.

Grain and blocks are never finer than 1/600 of the shorter side: as coarse in an original of 24
megapixels as in one of 600 pixels, so that they survive its shrinking alike.
"""

from collections.abc import Callable
from io import BytesIO

import numpy as np
from PIL import Image
from scipy import fft, special

from pipeline.images.colour_space import srgb_to_light
from pipeline.images.resize import resize_box

FINEST = 600  # grains or blocks' pixels along the shorter side, at most
SHARPEST = 1200  # a shorter side of twice as many pixels or more is blurred at a fraction of it
# Of a sensor's noise at full light, the variance that is there in the dark.
READ_SHARE = 0.002
MIDDLE = 128  # level at which a strength of noise is its standard deviation
CHROMA_HALVED = 2  # Pillow's code for 4:2:0

Transfer = Callable[[np.ndarray, np.ndarray], np.ndarray]


def defocus(pixels: np.ndarray, radius: float, _: np.random.Generator) -> np.ndarray:
    """Blur by a disc, the image of a point out of focus.

    Args:
        pixels: RGB, `(height, width, 3)` uint8.
        radius: Of the disc, in shares of the shorter side.

    Source: J. W. Goodman, Introduction to Fourier Optics: the transform of a disc is 2 J1(x) / x.
    """

    def transfer(y: np.ndarray, x: np.ndarray) -> np.ndarray:
        phase = np.maximum(np.float32(2 * np.pi * radius) * np.hypot(y, x), np.float32(1e-6))
        return 2 * special.j1(phase) / phase

    return _blur(pixels, radius, transfer)


def shake(pixels: np.ndarray, length: float, rng: np.random.Generator) -> np.ndarray:
    """Blur along a straight line, the path of a hand during the exposure.

    Args:
        pixels: RGB, `(height, width, 3)` uint8.
        length: Of the path, in shares of the shorter side.
        rng: Chooses the direction.
    """
    angle = rng.uniform(0, np.pi)
    down, across = np.float32(length * np.sin(angle)), np.float32(length * np.cos(angle))
    return _blur(pixels, length / 2, lambda y, x: np.sinc(down * y + across * x))


def _blur(pixels: np.ndarray, reach: float, transfer: Transfer) -> np.ndarray:
    """Blur by what a lens or a path leaves of each wave; beyond its edges the image is mirrored.

    Args:
        pixels: RGB, `(height, width, 3)` uint8.
        reach: How far a point is spread, in shares of the shorter side.
        transfer: Takes waves per shorter side, down and across; returns the share that is left.
    """
    size = pixels.shape[:2]
    shrink = max(1, min(size) // SHARPEST)
    if shrink > 1:
        smaller = size[0] // shrink, size[1] // shrink
        pixels = resize_box(pixels, None, smaller, resample="bicubic")
    height, width = pixels.shape[:2]
    short = min(height, width)
    margin = int(np.ceil(reach * short)) + 2
    padded = [fft.next_fast_len(side + 2 * margin, real=True) for side in (height, width)]
    y, x = fft.fftfreq(padded[0], 1 / short), fft.rfftfreq(padded[1], 1 / short)
    left = transfer(y[:, None].astype(np.float32), x[None, :].astype(np.float32))
    after = [
        (margin, whole - side - margin) for whole, side in zip(padded, (height, width), strict=True)
    ]
    blurred = np.empty_like(pixels)
    for channel in range(3):
        plane = np.pad(pixels[..., channel].astype(np.float32), after, mode="symmetric")
        plane = fft.irfft2(fft.rfft2(plane) * left, s=padded)
        plane = plane[margin : margin + height, margin : margin + width]
        blurred[..., channel] = np.clip(np.rint(plane), 0, 255)
    return blurred if shrink == 1 else resize_box(blurred, None, size, resample="bicubic")


def add_noise(pixels: np.ndarray, deviation: float, rng: np.random.Generator) -> np.ndarray:
    """Add a sensor's noise: of photons, which grows with light, and of reading, which does not.

    Args:
        pixels: RGB, `(height, width, 3)` uint8.
        deviation: Standard deviation at level 128, in levels.
        rng: Chooses the noise, each channel's its own.
    """
    size = pixels.shape[:2]
    scale = min(1.0, FINEST / min(size))
    grains = tuple(round(side * scale) for side in size)
    deviations = np.float32(deviation) * _noise_by_level()
    noisy = np.empty_like(pixels)
    for channel in range(3):
        noise = rng.standard_normal(grains, np.float32)
        if grains != size:
            large = Image.fromarray(noise).resize(size[::-1], Image.Resampling.BICUBIC)
            noise = np.array(large)
            noise /= noise.std()
        noise *= deviations[pixels[..., channel]]
        noise += pixels[..., channel]
        noisy[..., channel] = np.clip(np.rint(noise, out=noise), 0, 255, out=noise)
    return noisy


def _noise_by_level() -> np.ndarray:
    """Return the noise of each level as a share of that of level 128, `(256,)` float32."""
    levels = np.arange(256)
    light = srgb_to_light(levels)
    deviation = np.sqrt(light + READ_SHARE) * np.gradient(levels, light)
    return (deviation / deviation[MIDDLE]).astype(np.float32)


def compress(pixels: np.ndarray, quality: float, _: np.random.Generator) -> np.ndarray:
    """Save as JPEG, chroma halved, and read again; a large image is shrunk first, as messengers do.

    Args:
        pixels: RGB, `(height, width, 3)` uint8.
        quality: Of libjpeg's tables, 1 to 95.
    """
    size = pixels.shape[:2]
    scale = min(1.0, FINEST / min(size))
    if scale < 1:
        small = (round(size[0] * scale), round(size[1] * scale))
        pixels = resize_box(pixels, None, small, resample="bicubic")
    stream = BytesIO()
    Image.fromarray(pixels).save(
        stream, "JPEG", quality=int(quality), subsampling=CHROMA_HALVED, optimize=False
    )
    with Image.open(stream, formats=["JPEG"]) as image:
        read = np.asarray(image)
    return read if scale == 1 else resize_box(read, None, size, resample="bicubic")


def lower_resolution(pixels: np.ndarray, kept_px: float, _: np.random.Generator) -> np.ndarray:
    """Shrink and enlarge again: a small picture, or a part of a large one.

    Args:
        pixels: RGB, `(height, width, 3)` uint8.
        kept_px: Pixels along the shorter side that remain of a very large image. Of any other fewer
            remain: a pixel becomes as large as its own and one of the very large image's together.
    """
    size = pixels.shape[:2]
    scale = 1 / (1 + min(size) / kept_px)
    small = tuple(max(1, round(side * scale)) for side in size)
    shrunk = resize_box(pixels, None, small, resample="bilinear")
    return resize_box(shrunk, None, size, resample="bicubic")
