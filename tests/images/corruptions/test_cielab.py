"""Tests of `pipeline.images.corruptions.cielab`."""

import numpy as np
import pytest

from pipeline.images.corruptions.cielab import from_lab, to_lab, typology_angle


@pytest.mark.parametrize(
    ("srgb", "lab"),
    [
        ((1, 1, 1), (100, 0, 0)),
        ((0, 0, 0), (0, 0, 0)),
        ((1, 0, 0), (53.24, 80.09, 67.20)),  # published values of sRGB's primaries
        ((0, 1, 0), (87.73, -86.18, 83.18)),
        ((0, 0, 1), (32.30, 79.19, -107.86)),
        ((0.5, 0.5, 0.5), (53.39, 0, 0)),
    ],
)
def test_known_colours(srgb, lab):
    np.testing.assert_allclose(to_lab(np.array(srgb, float)), lab, atol=0.02)


def test_every_colour_comes_back():
    colours = np.random.default_rng(0).random((500, 3))

    np.testing.assert_allclose(from_lab(to_lab(colours)), colours, atol=1e-6)


def test_colour_outside_srgb_is_cut():
    red, green, blue = from_lab(np.array([60.0, 127.0, -20.0]))

    assert (red, green) == pytest.approx((1, 0))
    assert 0.6 < blue < 0.8


@pytest.mark.parametrize(
    ("lab", "degrees"), [((70, 12, 20), 45), ((50, 9, 15), 0), ((30, 9, 20), -45)]
)
def test_typology_angle_by_hand(lab, degrees):
    assert typology_angle(np.array(lab, float)) == pytest.approx(degrees)
