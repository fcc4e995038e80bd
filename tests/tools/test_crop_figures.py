"""Tests of `tools.crop_figures`; of whole images, see `test_measure_crop.py`."""

import numpy as np
import pytest

from tools.crop_figures import corner_levels, mark_surround, share_inside


def test_dark_lesion_is_no_surround():
    grey = np.full((64, 64), 150.0)
    grey[:8], grey[30:40, 30:40] = 5, 5

    marked = mark_surround(grey)

    assert marked[:8].all() and marked.sum() == 8 * 64


def test_share_inside_counts_pixels():
    mask = np.zeros((10, 20), bool)
    mask[2:6, 5:15] = True

    assert share_inside(mask, (0, 0, 20, 10)) == 1
    assert share_inside(mask, (10, 0, 20, 4)) == pytest.approx(10 / 40)
    assert np.isnan(share_inside(np.zeros((10, 20), bool), (0, 0, 20, 10)))


def test_corner_levels_are_those_of_the_corners():
    grey = np.full((64, 96), 150.0)
    grey[:4, :4], grey[-4:, -4:] = 10, 30

    np.testing.assert_array_equal(corner_levels(grey), [10, 150, 150, 30])
