"""Boxes of whole pixels in a small image: `(top, left, bottom, right)`, the last two excluded."""

import math

import numpy as np

Box = tuple[int, int, int, int]


def bounding_box(mask: np.ndarray) -> Box:
    """Return the smallest box around a `(height, width)` mask that is not empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1


def grow_box(box: Box, margin: float, within: Box) -> Box:
    """Move every side of a box outwards by a margin, to whole pixels, and not beyond another."""
    return (
        max(within[0], math.floor(box[0] - margin)),
        max(within[1], math.floor(box[1] - margin)),
        min(within[2], math.ceil(box[2] + margin)),
        min(within[3], math.ceil(box[3] + margin)),
    )
