"""Saturation, contrast, brightness, hue-saturation-value and CLAHE on planes.

Planes are RGB, `(batch, 3, size, size)` float32 in levels of 0-255.
"""

import keras
from keras import ops

from pipeline.network.augmentation.lookup import INDEX_DTYPE, image_numbers, look_up

Tensor = keras.KerasTensor

# ITU-R BT.601.
LUMA = (0.299, 0.587, 0.114)
CLAHE_TILES = 8
LEVELS = 256


def luma_of(pixels: Tensor) -> Tensor:
    """Weigh the channels by how bright they look, `(batch, size, size)`."""
    red, green, blue = (weight * pixels[:, k] for k, weight in enumerate(LUMA))
    return red + green + blue


def saturate(pixels: Tensor, factor: Tensor) -> Tensor:
    """Multiply the distance from grey of the same luma by `(batch,)` factors."""
    luma = luma_of(pixels)[:, None]
    return luma + (pixels - luma) * factor[:, None, None, None]


def mean_level(images: Tensor) -> Tensor:
    """Average bytes, `(batch, size, size, 3)`, over each image, `(batch,)` float32.

    Sums stay whole numbers below 2²⁴, so that they are exact in whatever order they are taken.
    """
    rows = ops.sum(ops.cast(images, "float32"), axis=(2, 3))  # (batch, size)
    high = ops.floor(rows / 4096)
    low = rows - high * 4096
    pixels = images.shape[1] * images.shape[2] * 3
    return (ops.sum(high, axis=1) * 4096 + ops.sum(low, axis=1)) / pixels


def stretch(pixels: Tensor, factor: Tensor, shift: Tensor, pivot: Tensor) -> Tensor:
    """Change contrast and brightness.

    Args:
        pixels: Planes.
        factor: Of the distance from the pivot, `(batch,)`.
        shift: Levels added afterwards, `(batch,)`.
        pivot: Level that contrast leaves alone, `(batch,)`.
    """
    offset = pivot - pivot * factor + shift
    return pixels * factor[:, None, None, None] + offset[:, None, None, None]


def shift_hsv(pixels: Tensor, shifts: Tensor) -> Tensor:
    """Shift hue, saturation and value.

    Args:
        pixels: Planes; clipped to 0-255 where anything is shifted.
        shifts: Of hue in turns, of saturation and value as shares of full range, `(batch, 3)`.

    Returns:
        Planes; an image whose shifts are all 0 is not changed.
    """
    clipped = ops.clip(pixels, 0, 255) / 255
    red, green, blue = clipped[:, 0], clipped[:, 1], clipped[:, 2]
    value = ops.maximum(ops.maximum(red, green), blue)
    chroma = value - ops.minimum(ops.minimum(red, green), blue)
    divisor = ops.maximum(chroma, 1e-6)
    sixth = ops.where(
        red == value,
        (green - blue) / divisor,
        ops.where(green == value, 2 + (blue - red) / divisor, 4 + (red - green) / divisor),
    )
    moved = shifts[:, :, None, None]
    sixth = sixth + 6 * moved[:, 0]
    saturation = ops.clip(chroma / ops.maximum(value, 1e-6) + moved[:, 1], 0, 1)
    # Grey has no hue: what is added to its saturation would make it red.
    saturation = ops.where(chroma > 0, saturation, 0.0)
    value = ops.clip(value + moved[:, 2], 0, 1)
    depth = value * saturation
    # Source: https://en.wikipedia.org/wiki/HSL_and_HSV#HSV_to_RGB_alternative
    channels = []
    for start in (5, 3, 1):
        k = sixth + start
        k = k - 6 * ops.floor(k / 6)
        channels.append(value - depth * ops.clip(ops.minimum(k, 4 - k), 0, 1))
    is_moved = ops.any(shifts != 0, axis=1)[:, None, None, None]
    return ops.where(is_moved, 255 * ops.stack(channels, axis=1), pixels)


def equalise(pixels: Tensor, clip_limit: Tensor) -> Tensor:
    """Equalise luma by contrast-limited histograms of 8 by 8 tiles (CLAHE).

    Between the middles of tiles their tables are interpolated. A side that 8 does not divide is
    mirrored until it does, as OpenCV does it.

    Args:
        pixels: Planes; colour is kept, all channels of a pixel are shifted alike.
        clip_limit: Largest count of a level, in counts of an even histogram, `(batch,)`; below 1
            an image is not changed.

    Source: K. Zuiderveld, Contrast Limited Adaptive Histogram Equalization, Graphics Gems IV, 1994.
    """
    size_px = pixels.shape[2]
    tile_px = -(-size_px // CLAHE_TILES)
    level = ops.round(ops.clip(luma_of(pixels), 0, LEVELS - 1))
    tables = _tables(level, clip_limit, tile_px)  # (batch, tiles * levels, 1)
    place = (ops.arange(size_px, dtype="float32") + 0.5) / tile_px - 0.5
    first = ops.floor(place)
    share = place - first
    near = ops.clip(first, 0, CLAHE_TILES - 1)
    far = ops.clip(first + 1, 0, CLAHE_TILES - 1)
    looked_up = [
        look_up(tables, (down[:, None] * CLAHE_TILES + across[None]) * LEVELS + level)[..., 0]
        for down in (near, far)
        for across in (near, far)
    ]
    upper = looked_up[0] + (looked_up[1] - looked_up[0]) * share
    lower = looked_up[2] + (looked_up[3] - looked_up[2]) * share
    new = upper + (lower - upper) * share[:, None]
    is_changed = (clip_limit >= 1)[:, None, None]
    return pixels + ops.where(is_changed, new - level, 0.0)[:, None]


def _tables(level: Tensor, clip_limit: Tensor, tile_px: int) -> Tensor:
    """Make each tile's table from level to level, `(batch, tiles * levels, 1)`.

    All numbers are whole multiples of 1/256 below 2¹⁶, so that sums are exact in any order.
    """
    missing = CLAHE_TILES * tile_px - level.shape[1]
    padded = ops.pad(level, ((0, 0), (0, missing), (0, missing)), mode="symmetric")
    tile = ops.floor(ops.arange(CLAHE_TILES * tile_px, dtype="float32") / tile_px)
    within = (tile[:, None] * CLAHE_TILES + tile[None]) * LEVELS + padded
    tiles, tile_pixels = CLAHE_TILES**2, tile_px**2
    image = image_numbers(level) * (tiles * LEVELS)
    segments = ops.cast(within, INDEX_DTYPE) + image[:, None, None]
    counts = ops.segment_sum(
        ops.ones_like(ops.reshape(within, (-1,))),
        ops.reshape(segments, (-1,)),
        num_segments=ops.shape(level)[0] * tiles * LEVELS,
    )
    counts = ops.reshape(counts, (-1, tiles, LEVELS))
    limit = ops.maximum(1.0, ops.floor(clip_limit * tile_pixels / LEVELS))[:, None, None]
    clipped = ops.minimum(counts, limit)
    excess = tile_pixels - ops.sum(clipped, axis=-1, keepdims=True)
    tables = ops.cumsum(clipped + excess / LEVELS, axis=-1) * ((LEVELS - 1) / tile_pixels)
    return ops.reshape(tables, (-1, tiles * LEVELS, 1))
