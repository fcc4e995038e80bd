"""Random changes to training images: drawn on the host, applied on the device.

Drawing is separate from applying: what an image undergoes depends on (seed, epoch, image) alone,
never on batch, worker or device, so that a resumed run repeats it exactly.
"""

import numpy as np

from pipeline.network.augmentation.params import AugmentParams

# Columns of what `draw_augmentation` returns.
AFFINE = slice(0, 8)  # rows of the matrix that maps output to input pixels, without its last 1
BRIGHTNESS, CONTRAST, SATURATION = 8, 9, 10
CUTOUT = slice(11, 15)  # left, top, right, bottom, as shares of the side
AUGMENTATION_WIDTH = 15

# ITU-R BT.601 luma, of which saturation is the distance.
LUMA = (0.299, 0.587, 0.114)


def draw_augmentation(
    params: AugmentParams, *, seed: int, epoch: int, count: int, size_px: int, repetition: int
) -> np.ndarray:
    """Draw what each of `count` images undergoes in one epoch.

    Args:
        params: How strong each operation may be.
        seed: Seed of the training run.
        epoch: Epoch, from 0.
        count: Images of the training set, in its fixed order.
        size_px: Side of the images in pixels.

    Returns:
        `(count, AUGMENTATION_WIDTH)` float32; row i belongs to image i of the training set.
    """
    rng = np.random.default_rng([seed, epoch, 1, repetition])
    u = rng.uniform(-1, 1, (count, 9))
    drawn = np.zeros((count, AUGMENTATION_WIDTH), np.float32)
    drawn[:, AFFINE] = _affine(params, u[:, :4], rng.integers(0, 2, (count, 3)), size_px)
    drawn[:, BRIGHTNESS] = 255 * params.brightness * u[:, 4]
    drawn[:, CONTRAST] = 1 + params.contrast * u[:, 5]
    drawn[:, SATURATION] = 1 + params.saturation * u[:, 6]
    drawn[:, CUTOUT] = _cutout(params, u[:, 7:9], rng.random(count))
    return drawn


def _affine(params: AugmentParams, u: np.ndarray, flips: np.ndarray, size_px: int) -> np.ndarray:
    """Rotation, scale, shift and the eight dihedral views as one matrix per image, `(count, 8)`."""
    angle = np.deg2rad(params.rotate_degrees) * u[:, 0]
    factor = 1 / (1 + params.scale * u[:, 1])
    matrix = np.zeros((len(u), 2, 2))
    matrix[:, 0, 0] = matrix[:, 1, 1] = factor * np.cos(angle)
    matrix[:, 0, 1] = -factor * np.sin(angle)
    matrix[:, 1, 0] = factor * np.sin(angle)
    if params.dihedral:
        matrix[flips[:, 0] == 1] = matrix[flips[:, 0] == 1][:, :, ::-1]  # transpose
        matrix *= np.where(flips[:, 1:, None] == 1, -1.0, 1.0)  # left-right, top-bottom
    centre = (size_px - 1) / 2
    shift = params.shift * size_px * u[:, 2:4]
    # Turn about the centre: input = matrix · (output − centre) + centre + shift.
    offset = centre + shift - matrix.sum(axis=2) * centre
    rows = np.concatenate([matrix, offset[:, :, None]], axis=2).reshape(len(u), 6)
    return np.pad(rows, ((0, 0), (0, 2)))


def _cutout(params: AugmentParams, u: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """One square per image, empty where chance has it, `(count, 4)`."""
    centre = (u + 1) / 2
    half = np.where(chance < params.cutout_probability, params.cutout_side / 2, -1.0)[:, None]
    return np.concatenate([centre - half, centre + half], axis=1)
