"""Tests of `pipeline.images.boxes`."""

import numpy as np

from pipeline.images.boxes import bounding_box, grow_box


def test_bounding_box_ends_after_the_last_pixel():
    mask = np.zeros((6, 9), bool)
    mask[2, 3] = mask[4, 7] = True

    assert bounding_box(mask) == (2, 3, 5, 8)


def test_box_grows_to_whole_pixels_and_not_beyond_another():
    assert grow_box((4, 5, 6, 8), 1.5, (0, 0, 20, 20)) == (2, 3, 8, 10)
    assert grow_box((4, 5, 6, 8), 3, (2, 3, 7, 20)) == (2, 3, 7, 11)
