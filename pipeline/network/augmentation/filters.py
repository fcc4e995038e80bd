"""Blur, median and noise on planes, `(batch, 3, size, size)` float32 in levels of 0-255.

Beyond the edge an image goes on as its mirror image, the outermost pixel repeated.
"""

from statistics import NormalDist

import keras
from keras import ops

from pipeline.network.augmentation.kernels import RADIUS_PX, SIDE_PX
from pipeline.network.augmentation.lookup import INDEX_DTYPE

Tensor = keras.KerasTensor

# Middles of 1024 equally likely parts of the normal distribution: ten bits choose one.
NORMAL_BITS = 10
NORMAL = [NormalDist().inv_cdf((part + 0.5) / 2**NORMAL_BITS) for part in range(2**NORMAL_BITS)]


def blur(pixels: Tensor, kernels: Tensor) -> Tensor:
    """Weigh each pixel's surroundings by its image's kernel.

    Args:
        pixels: Planes; rounded to whole levels, whose weighed sums are exact.
        kernels: Weights as `kernels` makes them, `(batch, 25)`.
    """
    rows, columns = pixels.shape[2:]
    pixels = ops.round(ops.clip(pixels, 0, 255))
    # A depthwise convolution of one image whose channels are all planes of the batch.
    stacked = ops.transpose(_pad(pixels, RADIUS_PX), (2, 3, 0, 1))
    side = 2 * RADIUS_PX
    stacked = ops.reshape(stacked, (1, rows + side, columns + side, -1))
    weights = ops.repeat(ops.transpose(kernels), 3, axis=1)
    weights = ops.reshape(weights, (SIDE_PX, SIDE_PX, -1, 1))
    blurred = ops.depthwise_conv(stacked, weights, data_format="channels_last")
    return ops.transpose(ops.reshape(blurred, (rows, columns, -1, 3)), (2, 3, 0, 1))


def median(pixels: Tensor) -> Tensor:
    """Take the median of each pixel's surroundings of 3 by 3.

    Of three sorted columns it is the median of the largest of the least, the median of the
    medians and the least of the largest.
    """
    padded = _pad(pixels, 1)
    rows = pixels.shape[2]
    upper, middle, lower = (padded[:, :, k : k + rows] for k in range(3))
    least, largest = ops.minimum(upper, lower), ops.maximum(upper, lower)
    sorted_columns = (
        ops.minimum(least, middle),
        ops.maximum(least, ops.minimum(largest, middle)),
        ops.maximum(largest, middle),
    )
    columns = pixels.shape[3]
    least, middle, largest = (
        [values[:, :, :, k : k + columns] for k in range(3)] for values in sorted_columns
    )
    return _median_of_three(
        ops.maximum(ops.maximum(*least[:2]), least[2]),
        _median_of_three(*middle),
        ops.minimum(ops.minimum(*largest[:2]), largest[2]),
    )


def add_noise(pixels: Tensor, deviation: Tensor, seeds: Tensor) -> Tensor:
    """Add Gaussian noise, another for each pixel and channel.

    Args:
        pixels: Planes.
        deviation: Standard deviation in levels, `(batch,)`.
        seeds: Whole numbers below 2²⁴, `(batch, 2)`.

    Returns:
        Planes. The noise is a function of seeds and place alone: no generator is kept.
    """
    rows, columns = pixels.shape[2:]
    place = ops.reshape(ops.arange(rows * columns, dtype="float32"), (1, rows, columns))
    # Mixed first: neighbouring seeds would give the same noise, moved by a pixel.
    seeds = mix(ops.cast(seeds, "uint32"))[:, :, None, None]
    bits = mix(mix(ops.cast(place, "uint32") + seeds[:, 0]) ^ seeds[:, 1])
    last = ops.cast(2**NORMAL_BITS - 1, "uint32")
    shifts = [ops.cast(k * NORMAL_BITS, "uint32") for k in range(3)]
    parts = ops.stack([ops.right_shift(bits, shift) & last for shift in shifts], axis=1)
    normal = ops.take(ops.convert_to_tensor(NORMAL, "float32"), ops.cast(parts, INDEX_DTYPE))
    return pixels + deviation[:, None, None, None] * normal


def mix(bits: Tensor) -> Tensor:
    """Scatter 32 bits, each over all.

    Source: https://github.com/skeeto/hash-prospector, "lowbias32".
    """
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B), (16, 1)):
        bits = bits ^ ops.right_shift(bits, ops.cast(shift, "uint32"))
        bits = bits * ops.cast(factor, "uint32") if factor > 1 else bits
    return bits


def _pad(pixels: Tensor, by_px: int) -> Tensor:
    return ops.pad(pixels, ((0, 0), (0, 0), (by_px, by_px), (by_px, by_px)), mode="symmetric")


def _median_of_three(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    return ops.maximum(ops.minimum(a, b), ops.minimum(ops.maximum(a, b), c))
