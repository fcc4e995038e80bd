"""Tests of `pipeline.images.protect`, on pictures of the size that is analysed."""

import numpy as np
import pytest

from pipeline.images.protect import find_protected
from tests.images.pictures import with_lesion

SHAPE = (128, 170)
WHOLE = (0, 0, *SHAPE)
MARGIN = 0.05
Y, X = np.mgrid[: SHAPE[0], : SHAPE[1]] + 0.5
FIELD = np.hypot(Y - 64, X - 85) < 80


def skin(noise=2.0):
    """Skin whose light falls to half at the rim of the field."""
    rng = np.random.default_rng(0)
    light = 1 - 0.5 * (np.hypot(Y - 64, X - 85) / 80) ** 2
    pixels = np.array([190, 140, 120]) * light[..., None] + rng.normal(0, noise, (*SHAPE, 3))
    return np.where(FIELD[..., None], pixels.clip(0, 255), 3).astype(np.uint8)


def protect(pixels):
    return find_protected(pixels, FIELD, WHOLE, MARGIN)


@pytest.mark.parametrize("centre", [(64, 85), (45, 60), (85, 115)])
@pytest.mark.parametrize("colour", [(96, 52, 40), (15, 12, 12), (40, 44, 55)])
def test_box_lies_around_a_lesion_of_any_colour(centre, colour):
    """Brown, black and blue-grey, in the middle and beside it."""
    box = protect(with_lesion(skin(), centre, 15, colour))

    exact = np.array([centre[0] - 15, centre[1] - 15, centre[0] + 15, centre[1] + 15])
    away = np.array([1, 1, -1, -1]) * (exact - box)  # outwards
    assert (away >= 0.05 * 128).all() or box == WHOLE
    assert (away <= 18).all()


def test_light_that_falls_towards_the_rim_is_no_lesion():
    """Beside a lesion the rim, at half its brightness, is not protected."""
    box = protect(with_lesion(skin(), (64, 85), 15))

    assert box[0] > 30 and box[1] > 50 and box[2] < 98 and box[3] < 120


def test_both_parts_of_a_lesion_are_inside():
    pixels = with_lesion(with_lesion(skin(), (50, 60), 12), (80, 105), 10)

    top, left, bottom, right = protect(pixels)

    assert top < 38 and left < 48 and bottom > 90 and right > 115


def test_speck_far_from_the_lesion_does_not_widen_the_box():
    pixels = with_lesion(with_lesion(skin(), (64, 85), 15), (64, 130), 2)

    assert protect(pixels) == protect(with_lesion(skin(), (64, 85), 15))


def pale(pixels):
    """A round spot that is 5 % darker."""
    return np.where((np.hypot(Y - 64, X - 85) < 20)[..., None], pixels * 0.95, pixels).astype(
        np.uint8
    )


def spotted(pixels):
    """Brown spots everywhere."""
    for y in range(8, 128, 16):
        for x in range(8, 170, 16):
            pixels = with_lesion(pixels, (y, x), 4, (130, 80, 60))
    return pixels


@pytest.mark.parametrize(
    "pixels",
    [skin(), pale(skin()), with_lesion(skin(), (64, 85), 60), spotted(skin())],
    ids=["no lesion", "pale", "wide", "spotted"],
)
def test_where_the_lesion_is_not_told_from_skin_all_is_protected(pixels):
    assert protect(pixels) == WHOLE


def test_field_with_too_little_skin_is_protected():
    field = np.hypot(Y - 64, X - 85) < 12

    assert find_protected(skin(), field, (52, 73, 76, 97), MARGIN) == (52, 73, 76, 97)
