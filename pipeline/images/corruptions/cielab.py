"""sRGB and CIELAB, in which skin's tone is measured.

sRGB is 0 to 1, CIELAB L* 0 to 100, white point D65.

Source: IEC 61966-2-1 (sRGB); CIE 015 (CIELAB).
"""

import numpy as np

# Rows: X, Y, Z of the white point D65; columns: linear red, green, blue.
TO_XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
WHITE = TO_XYZ.sum(axis=1)
TOE = 6 / 29  # below it the cube root becomes a line


def to_light(srgb: np.ndarray) -> np.ndarray:
    """Turn sRGB into light, 0 to 1 linear."""
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def from_light(light: np.ndarray) -> np.ndarray:
    """Turn light into sRGB; what no screen can show is cut to 0-1."""
    light = np.clip(light, 0, 1)
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def to_lab(srgb: np.ndarray) -> np.ndarray:
    """Turn sRGB, `(..., 3)` 0 to 1, into L*, a*, b*."""
    ratio = to_light(srgb) @ TO_XYZ.T / WHITE
    f = np.where(ratio > TOE**3, np.cbrt(ratio), ratio / (3 * TOE**2) + 4 / 29)
    x, y, z = f[..., 0], f[..., 1], f[..., 2]
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def from_lab(lab: np.ndarray) -> np.ndarray:
    """Turn L*, a*, b* into sRGB; colours outside it are cut to 0-1."""
    y = (lab[..., 0] + 16) / 116
    f = np.stack([y + lab[..., 1] / 500, y, y - lab[..., 2] / 200], axis=-1)
    ratio = np.where(f > TOE, f**3, 3 * TOE**2 * (f - 4 / 29))
    return from_light((ratio * WHITE) @ np.linalg.inv(TO_XYZ).T)


def typology_angle(lab: np.ndarray) -> float:
    """Return the individual typology angle in degrees: above 55 very light, below -30 dark.

    Source: A. Chardon, I. Cretois, C. Hourseau, Skin colour typology and suntanning pathways,
    International Journal of Cosmetic Science 13, 1991.
    """
    return float(np.degrees(np.arctan2(lab[0] - 50, lab[2])))
