"""Kernels of blur, 5 by 5 pixels, made on the host: one per image.

Weights are whole multiples of 1/65536 and sum to exactly 1, so that whole levels weighed by them
add up without rounding, in whatever order a device takes them.
"""

import numpy as np

RADIUS_PX = 2
SIDE_PX = 2 * RADIUS_PX + 1
UNITS = 65536

LINE = np.arange(-RADIUS_PX, RADIUS_PX + 1)
IDENTITY = np.zeros(SIDE_PX**2)
IDENTITY[SIDE_PX**2 // 2] = 1


def motion_kernels(length_px: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Spread light evenly over a straight path through the centre.

    Args:
        length_px: Pixels that the path covers along an axis, `(count,)`, from 1 to 5.
        angle: Radians from the horizontal, turning from right to down, `(count,)`.

    Returns:
        Weights, row by row, `(count, 25)`.
    """
    along = np.linspace(-0.5, 0.5, SIDE_PX) * (length_px[:, None] - 1)
    # Each of five points gives its light to the four pixels around it, as in interpolation.
    down, across = (
        np.maximum(0, 1 - np.abs((along * turn(angle)[:, None])[:, :, None] - LINE))
        for turn in (np.sin, np.cos)
    )
    return quantise(np.einsum("npi,npj->nij", down, across).reshape(len(angle), -1))


def gaussian_kernels(deviation_px: np.ndarray) -> np.ndarray:
    """Weigh pixels by a round Gaussian, cut off at 2 pixels along either axis.

    Args:
        deviation_px: Standard deviation, `(count,)`, above 0.

    Returns:
        Weights, row by row, `(count, 25)`.
    """
    weights = np.exp(-0.5 * np.square(LINE / deviation_px[:, None]))
    return quantise(np.einsum("ni,nj->nij", weights, weights).reshape(len(deviation_px), -1))


def quantise(weights: np.ndarray) -> np.ndarray:
    """Bring weights to the sum 1 and round them; the centre takes what rounding leaves."""
    weights = np.round(UNITS * weights / weights.sum(axis=1, keepdims=True))
    weights[:, SIDE_PX**2 // 2] += UNITS - weights.sum(axis=1)
    return weights / UNITS
