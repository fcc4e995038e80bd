"""Tell a photograph from the dark surround that a dermatoscope leaves at its corners.

What lies on the skin or in the gel is not seen in the surround, and the surround does not turn with
the skin. A coarse look is enough for that; `pipeline.images.field`, which crops by it, needs more.
"""

import numpy as np
from PIL import Image
from scipy import ndimage

LOOK_PX = 64  # shorter side of the image that is looked at
BRIGHT_PERCENTILE = 90
DARK_SHARE = 0.2  # of the bright level
CORNERS = 2  # that are dark; a single one may be a dark lesion
CORNER_SHARE = 0.08  # side of a corner, of the shorter side
DIM_SHARE = 0.75  # of the image's median; a corner below it is dark, if not black
MOST_SHARE = 0.8  # of the image; more is an unlit image, not a surround


def find_lit(image: Image.Image) -> Image.Image | None:
    """Find what a dark surround leaves of an image.

    Args:
        image: RGB.

    Returns:
        A mask, 255 inside the field of view and 0 in the surround; `None` where there is none.
    """
    surround = _find_surround(image)
    if surround is None:
        return None
    lit = Image.fromarray(np.where(surround, 0, 255).astype(np.uint8))
    return lit.resize(image.size, Image.Resampling.BILINEAR)


def has_dark_corners(image: Image.Image) -> bool:
    """Tell whether corners are dark: a surround, or a lens that lights its middle most."""
    grey = np.asarray(Image.fromarray(_look(image)).convert("L"))
    side = max(1, round(CORNER_SHARE * min(grey.shape)))
    ends = slice(None, side), slice(-side, None)
    corners = [grey[rows, columns].mean() for rows in ends for columns in ends]
    return sorted(corners)[CORNERS - 1] < DIM_SHARE * np.median(grey)


def _look(image: Image.Image) -> np.ndarray:
    return np.asarray(image.reduce(max(1, min(image.size) // LOOK_PX)))


def _find_surround(image: Image.Image) -> np.ndarray | None:
    """Mark what is dark and hangs together with a dark corner, `(rows, columns)` bool."""
    brightest = _look(image).max(axis=2)
    labels, _ = ndimage.label(brightest < DARK_SHARE * np.percentile(brightest, BRIGHT_PERCENTILE))
    corners = labels[[0, 0, -1, -1], [0, -1, 0, -1]]
    if np.count_nonzero(corners) < CORNERS:
        return None
    surround = np.isin(labels, corners[corners > 0])
    return surround if surround.mean() < MOST_SHARE else None
