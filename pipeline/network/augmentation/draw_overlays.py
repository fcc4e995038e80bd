"""Draw what lies over each image: hairs, a dark surround, a black square."""

import numpy as np

from pipeline.network.augmentation.params import MOST_HAIRS, AugmentParams

# Columns of one hair, in pixels from the centre of the image: where its middle is, across and
# down; cosine and sine of its direction; its bend, of a parabola, per pixel; half its length; its
# width; and its darkness, the share of light that it takes.
HAIR_WIDTH = 8
# A surround of this radius, in sides, is seen in the outermost corners alone.
WIDEST_RADIUS = 0.68
# How bright a surround may be, in levels; real ones are not quite black.
SURROUND_LEVELS = (2, 20)


def draw_hairs(
    params: AugmentParams, rng: np.random.Generator, count: int, size_px: int
) -> np.ndarray:
    """Draw up to `hairs.count` hairs for a share of images; the others' are not dark.

    Returns:
        `(count, MOST_HAIRS · HAIR_WIDTH)`, one hair after another.
    """
    hairs = params.hairs
    u = rng.random((count, 2 + 7 * MOST_HAIRS))
    number = np.where(u[:, 0] < hairs.probability, np.ceil(u[:, 1] * hairs.count), 0)
    shape = np.moveaxis(u[:, 2:].reshape(count, MOST_HAIRS, 7), 2, 0)
    angle = 2 * np.pi * shape[2]
    half_px = size_px * (0.15 + 0.35 * shape[3])
    # The ends lie off the straight line by at most 0.4 of half the length.
    bend = 0.4 * (2 * shape[4] - 1) / half_px
    drawn = [
        *(size_px * (shape[:2] - 0.5)),
        np.cos(angle),
        np.sin(angle),
        bend,
        half_px,
        hairs.width * size_px * (0.5 + 0.5 * shape[5]),
        hairs.darkness * (0.6 + 0.4 * shape[6]) * (np.arange(MOST_HAIRS) < number[:, None]),
    ]
    return np.stack(drawn, axis=2).reshape(count, -1)


def draw_surround(
    params: AugmentParams, rng: np.random.Generator, count: int, size_px: int
) -> np.ndarray:
    """Draw a round field of view for a share of images.

    Returns:
        `(count, 5)`: its centre from that of the image, across and down, its radius and the width
        of its edge, in pixels; the level outside, or -1 for no surround.
    """
    surround = params.surround
    u = rng.random((count, 6))
    radius = surround.least_radius + (WIDEST_RADIUS - surround.least_radius) * u[:, 1]
    edge = surround.edge * (0.5 + 0.5 * u[:, 2])
    centre = 0.03 * (2 * u[:, 3:5] - 1)
    darkest, brightest = SURROUND_LEVELS
    level = darkest + (brightest - darkest) * u[:, 5]
    level = np.where(u[:, 0] < surround.probability, level, -1.0)
    return np.stack([*(size_px * centre.T), size_px * radius, size_px * edge, level], axis=1)


def draw_cutout(
    params: AugmentParams, rng: np.random.Generator, count: int, size_px: int
) -> np.ndarray:
    """Draw one square: left, top, right, bottom as shares of the side; empty where none is."""
    u = rng.random((count, 3))
    half = np.where(u[:, :1] < params.cutout.probability, params.cutout.side / 2, -1.0)
    return np.concatenate([u[:, 1:] - half, u[:, 1:] + half], axis=1)
