"""Change training images on the device, as drawn on the host."""

from collections.abc import Callable

import keras
import numpy as np
from keras import ops

from pipeline.network.augmentation import colour, filters, overlays, warp
from pipeline.network.augmentation.draw import COLUMNS
from pipeline.network.augmentation.kernels import SIDE_PX
from pipeline.network.augmentation.params import AugmentParams

Tensor = keras.KerasTensor
Operation = Callable[[Tensor], Tensor]


def apply_augmentation(
    images: Tensor | np.ndarray, drawn: Tensor | np.ndarray, params: AugmentParams
) -> Tensor:
    """Change images as drawn; what is off in `params` is not computed.

    Args:
        images: RGB pixels, `(batch, size, size, 3)` uint8.
        drawn: Their rows of `draw_augmentation`, `(batch, AUGMENTATION_WIDTH)` float32.
        params: What `drawn` was drawn with.

    Returns:
        RGB pixels, `(batch, size, size, 3)` uint8: each a function of its own pixels and row alone,
        to the bit.
    """
    images, drawn = ops.convert_to_tensor(images), ops.convert_to_tensor(drawn)
    groups = {name: drawn[:, columns] for name, columns in COLUMNS.items()}
    operations = [*_overlays(groups, params), *_colours(images, groups, params)]
    operations += [*_softenings(groups, params), *_equalisations(groups, params)]
    if params.cutout.is_on:
        operations.append(lambda pixels: overlays.cut_out(pixels, groups["cutout"]))
    if not operations and not params.moves_pixels:
        return images
    if params.moves_pixels:
        kinds = params.distortion.kinds
        pixels = warp.warp(images, groups["affine"], groups["distortion"], kinds)
    else:
        pixels = warp.to_planes(images)
    for operation in operations:
        pixels = operation(pixels)
    return warp.to_bytes(pixels)


def _overlays(groups: dict[str, Tensor], params: AugmentParams) -> list[Operation]:
    """List what lies between skin and lens."""
    operations: list[Operation] = []
    if params.hairs.is_on:
        count = params.hairs.count
        operations.append(lambda pixels: overlays.draw_hairs(pixels, groups["hairs"], count))
    if params.surround.is_on:
        operations.append(lambda pixels: overlays.darken_surround(pixels, groups["surround"]))
    return operations


def _colours(images: Tensor, groups: dict[str, Tensor], params: AugmentParams) -> list[Operation]:
    """List saturation, then contrast and brightness at once."""
    operations: list[Operation] = []
    factors, contrasts, shifts = (groups["colour"][:, k] for k in range(3))
    if params.saturation.is_on:
        operations.append(lambda pixels: colour.saturate(pixels, factors))
    if params.contrast.is_on or params.brightness.is_on:
        pivot = colour.mean_level(images) if params.contrast.is_on else ops.zeros_like(shifts)
        operations.append(lambda pixels: colour.stretch(pixels, contrasts, shifts, pivot))
    return operations


def _softenings(groups: dict[str, Tensor], params: AugmentParams) -> list[Operation]:
    """List blur, median and noise, of which an image undergoes one at most."""
    operations: list[Operation] = []
    kinds, columns, end = params.softening.kinds, groups["softening"], SIDE_PX**2
    if "motion_px" in kinds or "gaussian_px" in kinds:
        operations.append(lambda pixels: filters.blur(pixels, columns[:, :end]))
    if "median" in kinds:
        is_drawn = columns[:, end, None, None, None] > 0
        operations.append(lambda pixels: ops.where(is_drawn, filters.median(pixels), pixels))
    if "noise" in kinds:
        deviation, seeds = columns[:, end + 1], columns[:, end + 2 :]
        operations.append(lambda pixels: filters.add_noise(pixels, deviation, seeds))
    return operations


def _equalisations(groups: dict[str, Tensor], params: AugmentParams) -> list[Operation]:
    """List CLAHE, then hue-saturation-value."""
    operations: list[Operation] = []
    if params.clahe.is_on:
        limit = groups["clahe"][:, 0]
        operations.append(lambda pixels: colour.equalise(pixels, limit))
    if params.hue_saturation_value.is_on:
        shifts = groups["hue_saturation_value"]
        operations.append(lambda pixels: colour.shift_hsv(pixels, shifts))
    return operations
