"""Tests of `pipeline.images.field`."""

import dataclasses
import re

import numpy as np
import pytest

from pipeline.images.decode import decode
from pipeline.images.field import find_field, otsu_threshold
from tests.images.pictures import BORDER, DECODE, encode, framed, textured


def find(pixels):
    return find_field(decode(encode(pixels), params=DECODE, least_side_px=None), BORDER)


@pytest.mark.parametrize(
    ("centre", "radius"), [((150, 200), 130), ((140, 160), 100), ((170, 230), 90)]
)
def test_box_follows_the_field(centre, radius):
    """Blurring at the analysis size moves the edge outwards by a few pixels."""
    half = 0.9 * radius
    expected = (centre[1] - half, centre[0] - half, centre[1] + half, centre[0] + half)

    np.testing.assert_allclose(find(framed(300, 400, centre, radius)), expected, atol=6)


@pytest.mark.parametrize("scale", [1, 3])
def test_box_is_in_pixels_of_the_original(scale):
    field = framed(300, 400, (140, 160), 100)
    enlarged = field.repeat(scale, axis=0).repeat(scale, axis=1)

    np.testing.assert_allclose(find(enlarged), np.array(find(field)) * scale, atol=1.5 * scale)


def test_image_without_surround_has_no_field():
    assert find(textured(300, 400)) is None


def test_field_that_leaves_the_image_is_not_boxed():
    assert find(framed(300, 400, (150, 200), 190)) is None


def test_bright_surround_is_not_dark():
    """A surround at half the field's brightness: skin in shadow, not a dark surround."""
    assert find(framed(300, 400, (150, 200), 120, surround=70)) is None


def test_dark_lesion_in_the_middle_is_no_surround():
    y, x = np.mgrid[:300, :400]
    lesion = np.hypot(y - 150, x - 200) < 100

    assert find(np.where(lesion[..., None], np.uint8(8), textured(300, 400))) is None


def test_rim_around_the_field_is_passed_over():
    """The region of largest axis is the rim; the field inside it is the second."""
    pixels = framed(300, 400, (150, 200), 110)
    pixels[:3], pixels[-3:], pixels[:, :3], pixels[:, -3:] = 200, 200, 200, 200

    np.testing.assert_allclose(find(pixels), (101, 51, 299, 249), atol=6)


def test_label_in_a_dark_corner_is_not_taken_for_the_field():
    """A dim field leaves the image, and a white label lies inside it: a box around the label would
    pass every other rule."""
    pixels = framed(300, 400, (100, 100), 160) // 4
    pixels[240:280, 330:380] = 255

    assert find(pixels) is None


def test_black_image_has_no_field():
    assert find(np.zeros((300, 400, 3), np.uint8)) is None


def test_otsu_finds_the_gap_between_two_groups():
    grey = np.array([10] * 50 + [20] * 30 + [180] * 60 + [200] * 40)

    assert 20 <= otsu_threshold(grey) < 180


def test_otsu_has_the_largest_variance_between_parts():
    grey = np.random.default_rng(0).normal(90, 40, 5000).clip(0, 255).round()

    def between(level):
        dark, bright = grey[grey <= level], grey[grey > level]
        return dark.size * bright.size * (dark.mean() - bright.mean()) ** 2

    assert otsu_threshold(grey) == max(range(20, 180), key=between)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"radius_share": 1.1}, "radius_share must be above 0 and at most 1. Got: 1.1."),
        ({"otsu_share": 0.0}, "otsu_share must be above 0 and at most 1. Got: 0.0."),
        ({"sigma_px": -1.0}, "sigma_px must be at least 0. Got: -1.0."),
        ({"analysis_px": 8}, "analysis_px must be at least 32. Got: 8."),
    ],
)
def test_values_out_of_range_are_refused(change, message):
    with pytest.raises(ValueError, match=rf"^{re.escape(message)}$"):
        dataclasses.replace(BORDER, **change)
