"""Apply drawn changes on the device."""

import keras
from keras import ops

from pipeline.network.augmentation.draw import (
    AFFINE,
    BRIGHTNESS,
    CONTRAST,
    CUTOUT,
    LUMA,
    SATURATION,
)
from pipeline.network.augmentation.params import AugmentParams


def apply_augmentation(
    images: keras.KerasTensor, drawn: keras.KerasTensor, params: AugmentParams
) -> keras.KerasTensor:
    """Change images as drawn.

    Args:
        images: RGB pixels, `(batch, size, size, 3)` uint8.
        drawn: Their rows of `draw_augmentation`, `(batch, AUGMENTATION_WIDTH)` float32.

    Returns:
        RGB pixels, `(batch, size, size, 3)` uint8.
    """
    pixels = ops.cast(images, "float32")
    pixels = ops.image.affine_transform(
        pixels, drawn[:, AFFINE], interpolation="bilinear", fill_mode="reflect"
    )
    luma = ops.sum(pixels * ops.array(LUMA, "float32"), axis=-1, keepdims=True)
    pixels = luma + (pixels - luma) * _per_image(drawn[:, SATURATION])
    mean = ops.mean(pixels, axis=(1, 2, 3), keepdims=True)
    pixels = mean + (pixels - mean) * _per_image(drawn[:, CONTRAST])
    pixels = pixels + _per_image(drawn[:, BRIGHTNESS])
    pixels = pixels * _cutout_mask(drawn[:, CUTOUT], images.shape[1])
    return ops.cast(ops.round(ops.clip(pixels, 0, 255)), "uint8")


def _cutout_mask(box: keras.KerasTensor, size_px: int) -> keras.KerasTensor:
    """Return 0 inside each image's square and 1 outside, `(batch, size, size, 1)`."""
    place = (ops.arange(size_px, dtype="float32") + 0.5) / size_px
    across = (place[None] >= box[:, 0:1]) & (place[None] < box[:, 2:3])  # (batch, width)
    down = (place[None] >= box[:, 1:2]) & (place[None] < box[:, 3:4])  # (batch, height)
    inside = down[:, :, None, None] & across[:, None, :, None]
    return 1 - ops.cast(inside, "float32")


def _per_image(values: keras.KerasTensor) -> keras.KerasTensor:
    return values[:, None, None, None]
