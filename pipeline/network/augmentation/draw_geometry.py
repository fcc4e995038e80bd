"""Draw where pixels move: the matrix and the distortion of each image.

Both map a place in the result to the place in the image that it is taken from, in pixels from the
centre, across to the right and down.
"""

import numpy as np

from pipeline.network.augmentation.params import AugmentParams

# Knots of grid distortion along an axis: the ends of five fifths of the side.
GRID_KNOTS = 6
# Control points of elastic distortion along an axis: a cubic spline over four quarters of the side.
CONTROL_CELLS = 4
CONTROL_POINTS = CONTROL_CELLS + 3


def draw_affine(
    params: AugmentParams, rng: np.random.Generator, count: int, size_px: int
) -> np.ndarray:
    """Draw turn, scale, shift and one of the eight views.

    Returns:
        `(count, 6)`: the two rows of `[matrix | shift]`; a view alone has only 0, 1 and -1.
    """
    u = rng.random((count, 10))
    turned = u[:, 0] < params.rotate.probability
    moved = u[:, 1] < params.shift_scale_rotate.probability
    signed = 2 * u[:, 2:7] - 1  # turn twice, scale, shift twice
    degrees = turned * params.rotate.degrees * signed[:, 0]
    degrees += moved * params.shift_scale_rotate.degrees * signed[:, 1]
    factor = 1 / (1 + moved * params.shift_scale_rotate.scale * signed[:, 2])
    angle = np.deg2rad(degrees)
    matrix = np.zeros((count, 2, 2))
    matrix[:, 0, 0] = matrix[:, 1, 1] = factor * np.cos(angle)
    matrix[:, 0, 1] = -factor * np.sin(angle)
    matrix[:, 1, 0] = factor * np.sin(angle)
    if params.dihedral:
        flips = u[:, 7:10] < 0.5
        matrix[flips[:, 0]] = matrix[flips[:, 0]][:, :, ::-1]  # transpose
        matrix *= np.where(flips[:, 1:, None], -1.0, 1.0)  # left-right, top-bottom
    shift = moved[:, None] * params.shift_scale_rotate.shift * size_px * signed[:, 3:5]
    return np.concatenate([matrix, shift[:, :, None]], axis=2).reshape(count, 6)


def draw_distortion(
    params: AugmentParams, rng: np.random.Generator, count: int, size_px: int
) -> np.ndarray:
    """Draw one of optical, grid and elastic distortion.

    Returns:
        `(count, 1 + 2 · GRID_KNOTS + 2 · CONTROL_POINTS²)`: the lens' k; how far each knot of a
        grid moves across, then down, in pixels; how far each control point moves across, row by
        row, then down. All 0 where nothing or another is drawn.
    """
    distortion = params.distortion
    cells = 2 * (GRID_KNOTS - 1)
    u = rng.random((count, 3 + cells + 2 * CONTROL_POINTS**2))
    chosen = choose(u, distortion.probability, distortion.kinds)
    signed = 2 * u[:, 2:] - 1
    widths = 1 + distortion.grid * signed[:, 1 : 1 + cells].reshape(count, 2, -1)
    knots = np.concatenate([np.zeros((count, 2, 1)), widths.cumsum(axis=2)], axis=2)
    knots = knots / knots[:, :, -1:] - np.linspace(0, 1, GRID_KNOTS)
    parts = {
        "optical": distortion.optical * signed[:, :1],
        "grid": size_px * knots.reshape(count, -1),
        "elastic": distortion.elastic * size_px * signed[:, 1 + cells :],
    }
    return np.concatenate([part * (chosen == name) for name, part in parts.items()], axis=1)


def choose(u: np.ndarray, probability: float, kinds: tuple[str, ...]) -> np.ndarray:
    """Choose one of some kinds for a share of images, `(count, 1)`; the empty word for the rest."""
    index = np.minimum((u[:, 1] * len(kinds)).astype(int), len(kinds) - 1)
    names = np.array([*kinds, ""])
    return np.where(u[:, 0] < probability, names[index], "")[:, None]
