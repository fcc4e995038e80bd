"""Draw on the host what each training image undergoes in an epoch: one row of numbers per image.

Drawing is separate from applying: what an image undergoes depends on (seed, epoch, repetition,
image) alone, never on batch, worker or device, so that a resumed run repeats it exactly. Each group
of columns has a generator of its own: the strength of one operation does not change what another
draws.
"""

from collections.abc import Callable

import numpy as np

from pipeline.network.augmentation import draw_geometry, draw_overlays, draw_pixels
from pipeline.network.augmentation.draw_geometry import CONTROL_POINTS, GRID_KNOTS
from pipeline.network.augmentation.draw_overlays import HAIR_WIDTH
from pipeline.network.augmentation.kernels import SIDE_PX
from pipeline.network.augmentation.params import MOST_HAIRS, AugmentParams

Draw = Callable[[AugmentParams, np.random.Generator, int, int], np.ndarray]


def _columns(widths: dict[str, int]) -> dict[str, slice]:
    """Lay groups of columns side by side."""
    ends = np.cumsum(list(widths.values())).tolist()
    return {name: slice(end - widths[name], end) for name, end in zip(widths, ends, strict=True)}


# What the columns of a group hold stands with the function that draws them.
COLUMNS = _columns(
    {
        "affine": 6,
        "distortion": 1 + 2 * GRID_KNOTS + 2 * CONTROL_POINTS**2,
        "hairs": MOST_HAIRS * HAIR_WIDTH,
        "surround": 5,
        "colour": 3,
        "softening": SIDE_PX**2 + 4,
        "clahe": 1,
        "hue_saturation_value": 3,
        "cutout": 4,
    }
)
AUGMENTATION_WIDTH = max(columns.stop for columns in COLUMNS.values())

DRAWS: dict[str, Draw] = {
    "affine": draw_geometry.draw_affine,
    "distortion": draw_geometry.draw_distortion,
    "hairs": draw_overlays.draw_hairs,
    "surround": draw_overlays.draw_surround,
    "colour": draw_pixels.draw_colour,
    "softening": draw_pixels.draw_softening,
    "clahe": draw_pixels.draw_clahe,
    "hue_saturation_value": draw_pixels.draw_hue_saturation_value,
    "cutout": draw_overlays.draw_cutout,
}


def draw_augmentation(
    params: AugmentParams, *, seed: int, epoch: int, count: int, size_px: int, repetition: int
) -> np.ndarray:
    """Draw what each of `count` images undergoes in one epoch.

    Args:
        params: Which operations, how often, how strongly.
        seed: Seed of the training run.
        epoch: Epoch, from 0.
        count: Images of the training set, in its fixed order.
        size_px: Side of the images in pixels.
        repetition: 0 where an image is taken for the first time in the epoch, 1 for the second.

    Returns:
        `(count, AUGMENTATION_WIDTH)` float32; row i belongs to image i of the training set and does
        not depend on `count`.
    """
    drawn = np.zeros((count, AUGMENTATION_WIDTH), np.float32)
    for index, (name, columns) in enumerate(COLUMNS.items()):
        rng = np.random.default_rng([seed, epoch, 1, repetition, index])
        drawn[:, columns] = DRAWS[name](params, rng, count, size_px)
    return drawn
