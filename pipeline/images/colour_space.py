"""Turn sRGB into CIELAB and back.

sRGB is that of IEC 61966-2-1: levels from 0 to 255, D65. CIELAB is that of CIE 15: L* from 0 to
100, a* from green to red, b* from blue to yellow, relative to the white of sRGB, so that every grey
has a* = b* = 0. Colour is the last axis; the other axes are free.
"""

import numpy as np

# IEC 61966-2-1: linear sRGB to XYZ. Rows sum to the white point, which every grey keeps.
TO_XYZ = np.array(
    [
        [0.4124, 0.3576, 0.1805],
        [0.2126, 0.7152, 0.0722],
        [0.0193, 0.1192, 0.9505],
    ]
)
WHITE = TO_XYZ.sum(axis=1)
LINEAR_BELOW, LINEAR_SLOPE = 0.04045, 12.92  # of the transfer curve's foot
OFFSET, EXPONENT = 0.055, 2.4
FOOT = 6 / 29  # CIE 15: below its cube the cube root is replaced by a line


def srgb_to_light(pixels: np.ndarray) -> np.ndarray:
    """Turn sRGB, uint8 or float from 0 to 255, into light, float64 from 0 to 1."""
    share = np.asarray(pixels, np.float64) / 255
    curve = ((share + OFFSET) / (1 + OFFSET)) ** EXPONENT
    return np.where(share <= LINEAR_BELOW, share / LINEAR_SLOPE, curve)


def srgb_to_lab(pixels: np.ndarray) -> np.ndarray:
    """Turn sRGB into CIELAB.

    Args:
        pixels: `(..., 3)` uint8 or float, 0 to 255.

    Returns:
        L*, a*, b*: `(..., 3)` float64.
    """
    ratio = srgb_to_light(pixels) @ TO_XYZ.T / WHITE
    foot = ratio / (3 * FOOT**2) + 4 / 29
    x, y, z = np.moveaxis(np.where(ratio > FOOT**3, np.cbrt(ratio), foot), -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def lab_to_srgb(lab: np.ndarray) -> np.ndarray:
    """Turn CIELAB into sRGB.

    Args:
        lab: L*, a*, b*: `(..., 3)` float.

    Returns:
        `(..., 3)` float64; below 0 or above 255 where sRGB does not have the colour.
    """
    lightness, a, b = np.moveaxis(np.asarray(lab, np.float64), -1, 0)
    y = (lightness + 16) / 116
    root = np.stack([y + a / 500, y, y - b / 200], axis=-1)
    ratio = np.where(root > FOOT, root**3, 3 * FOOT**2 * (root - 4 / 29))
    linear = (ratio * WHITE) @ np.linalg.inv(TO_XYZ).T
    curve = (1 + OFFSET) * np.abs(linear) ** (1 / EXPONENT) - OFFSET
    return 255 * np.where(linear <= LINEAR_BELOW / LINEAR_SLOPE, linear * LINEAR_SLOPE, curve)
