"""Tests of `pipeline.images.colour_space`."""

import numpy as np
import pytest

from pipeline.images.colour_space import lab_to_srgb, srgb_to_lab


@pytest.mark.parametrize(
    ("pixel", "lab"),
    [
        # By hand: red is X 0.4124 / 0.9505, Y 0.2126, Z 0.0193 / 1.089 of white; cube roots
        # 0.75706, 0.59686, 0.26073.
        ((255, 0, 0), (53.236, 80.10, 67.23)),
        # ((119 / 255 + 0.055) / 1.055) ** 2.4 = 0.184475, its cube root 0.56926.
        ((119, 119, 119), (50.034, 0, 0)),
        # In the feet of both curves: 10 / 255 / 12.92 = 0.0030353, times 116 * 841 / 108.
        ((10, 10, 10), (2.742, 0, 0)),
        ((255, 255, 255), (100, 0, 0)),
        ((0, 0, 0), (0, 0, 0)),
    ],
)
def test_colours_worked_by_hand(pixel, lab):
    np.testing.assert_allclose(srgb_to_lab(np.array(pixel, np.uint8)), lab, atol=0.01)


def test_there_and_back_is_the_same_colour():
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)

    np.testing.assert_allclose(lab_to_srgb(srgb_to_lab(pixels)), pixels, atol=1e-3)


def test_colour_beyond_srgb_lies_outside_its_levels():
    assert lab_to_srgb(np.array([50, 0, -120])).min() < 0 < 255 < lab_to_srgb([50, 0, -120]).max()


def test_bytes_and_fractions_of_levels_are_taken_alike():
    pixels = np.array([[200, 150, 130]], np.uint8)

    np.testing.assert_array_equal(srgb_to_lab(pixels), srgb_to_lab(pixels.astype(float)))
