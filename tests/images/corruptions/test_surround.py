"""Tests of `pipeline.images.corruptions.surround`."""

import numpy as np
import pytest
from PIL import Image

from pipeline.images.corruptions.surround import find_lit, has_dark_corners
from tests.images.pictures import framed, with_lesion


def skin():
    """Skin without texture that could look like a dark corner."""
    return np.full((120, 160, 3), (205, 160, 140), np.uint8)


@pytest.mark.parametrize("size", [(120, 160), (450, 600), (64, 64)], ids=str)
def test_field_is_lit_and_its_surround_is_not(size):
    short = min(size)
    centre = size[0] / 2, size[1] / 2
    picture = framed(*size, centre, 0.45 * short)

    lit = np.asarray(find_lit(Image.fromarray(picture)))

    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    from_middle = np.hypot(y - centre[0], x - centre[1]) / short
    assert lit.shape == size
    assert (lit[from_middle < 0.40] == 255).all()
    assert (lit[from_middle > 0.50] == 0).all()


@pytest.mark.parametrize(
    "pixels",
    [
        skin(),
        np.zeros((120, 160, 3), np.uint8),  # no light at all: there is nothing to tell apart
        np.full((120, 160, 3), 255, np.uint8),
        with_lesion(skin(), (0, 0), 50, (5, 4, 4)),  # a dark lesion at one corner
        with_lesion(skin(), (60, 80), 40, (5, 4, 4)),  # and in the middle
    ],
    ids=["skin", "black", "white", "lesion at a corner", "lesion"],
)
def test_image_without_surround_is_lit_everywhere(pixels):
    image = Image.fromarray(pixels)

    assert find_lit(image) is None
    assert not has_dark_corners(image)


def test_dark_lesion_inside_a_surround_is_lit():
    picture = with_lesion(framed(240, 320, (120, 160), 110), (120, 160), 40, (5, 4, 4))

    lit = np.asarray(find_lit(Image.fromarray(picture)))

    assert (lit[90:150, 130:190] == 255).all()


def test_dim_corners_are_dark_before_they_are_a_surround():
    y, x = np.mgrid[:120, :160] + 0.5
    inside = np.hypot(y - 60, x - 80)[..., None] < 85
    image = Image.fromarray(np.where(inside, skin(), np.uint8(90)))

    assert has_dark_corners(image)
    assert find_lit(image) is None
