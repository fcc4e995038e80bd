"""Tests of `pipeline.images.corruptions.geometry`."""

import numpy as np
import pytest
from scipy import ndimage

from pipeline.images.corruptions.geometry import extend, miss, rescale, rotate, turn, zoom
from tests.images.pictures import framed, textured

SKIN = 180


def dot(height, width, centre, radius=4):
    """A black dot on skin."""
    y, x = np.mgrid[:height, :width] + 0.5
    inside = np.hypot(y - centre[0], x - centre[1]) < radius
    return np.where(inside[..., None], np.uint8(0), np.uint8(SKIN)) * np.ones(3, np.uint8)


def centre_of(pixels):
    """Where the dot nearest to the middle is, `(y, x)`, and its area in pixels."""
    darkness = SKIN - pixels[..., 0].astype(float)
    labels, count = ndimage.label(darkness > 60)
    places = np.array(ndimage.center_of_mass(darkness, labels, range(1, count + 1))) + 0.5
    areas = ndimage.sum(darkness / SKIN, labels, range(1, count + 1))
    nearest = np.hypot(*(places - np.array(pixels.shape[:2]) / 2).T).argmin()
    return places[nearest], areas[nearest]


@pytest.mark.parametrize("quarter", [1, 2, 3])
def test_quarter_turns_move_whole_pixels(quarter):
    pixels = textured(64, 64)

    turned = turn(pixels, 90 * quarter)

    difference = np.abs(turned.astype(int) - np.rot90(pixels, quarter))
    assert difference.max() <= 1  # rounding of sines


@pytest.mark.parametrize("degrees", [30, -20, 45])
def test_turning_moves_a_dot_counter_clockwise(degrees):
    # 40 px right of the middle; y points down.
    pixels = dot(120, 160, (60, 120))

    place, area = centre_of(turn(pixels, degrees))

    angle = np.deg2rad(degrees)
    np.testing.assert_allclose(place, (60 - 40 * np.sin(angle), 80 + 40 * np.cos(angle)), atol=0.3)
    assert area == pytest.approx(np.pi * 4**2, rel=0.1)


def test_corners_are_filled_with_skin():
    assert turn(np.full((60, 90, 3), SKIN, np.uint8), 45).min() == SKIN


def test_surround_stays_where_it_is_when_the_skin_turns():
    picture = framed(240, 320, (120, 160), 100)

    turned = turn(picture, 30)

    np.testing.assert_array_equal(turned[:15], picture[:15])
    assert np.abs(turned[60:180, 100:220].astype(int) - picture[60:180, 100:220]).mean() > 3


def test_images_are_turned_both_ways():
    pixels = dot(120, 160, (60, 120))

    downward = {
        bool(centre_of(rotate(pixels, 30, np.random.default_rng(seed)))[0][0] > 60)
        for seed in range(9)
    }

    assert downward == {True, False}


@pytest.mark.parametrize("factor", [2.0, 1.5, 0.8, 0.5])
def test_zoom_moves_and_enlarges_a_dot_about_the_middle(factor):
    # 20 px below and 20 px left of the middle.
    pixels = dot(120, 160, (80, 60))

    zoomed = zoom(pixels, factor)

    place, area = centre_of(zoomed)
    assert zoomed.shape == pixels.shape
    np.testing.assert_allclose(place, (60 + 20 * factor, 80 - 20 * factor), atol=0.6)
    assert area == pytest.approx(np.pi * (4 * factor) ** 2, rel=0.12)


def test_images_come_nearer_and_go_farther():
    pixels = dot(120, 160, (60, 80), radius=10)

    areas = {
        round(centre_of(rescale(pixels, 2.0, np.random.default_rng(seed)))[1]) for seed in range(9)
    }

    assert sorted(areas) == pytest.approx([314 / 4, 314 * 4], rel=0.05)


def test_image_with_dark_corners_only_comes_nearer():
    """Nobody knows what lies beyond a vignette; a mirrored one would look like dark diamonds."""
    y, x = np.mgrid[:120, :160] + 0.5
    inside = np.hypot(y - 60, x - 80)[..., None] < 85
    picture = np.where(inside, np.uint8(SKIN), np.uint8(90)) * np.ones(3, np.uint8)

    nearer = [rescale(picture, 1.5, np.random.default_rng(seed)) for seed in range(9)]

    assert np.min(nearer) == SKIN  # nothing of the corners is left


def test_missed_image_is_a_part_of_the_original():
    pixels = textured(80, 120)

    part = miss(pixels, 0.25, np.random.default_rng(3))

    assert part.shape == (60, 90, 3)
    found = [
        (y, x)
        for y in range(21)
        for x in range(31)
        if np.array_equal(pixels[y : y + 60, x : x + 90], part)
    ]
    assert len(found) == 1
    assert found[0][0] in (0, 20) or found[0][1] in (0, 30)  # at least at one side


def test_lesion_goes_off_centre_with_the_share_lost():
    pixels = dot(200, 200, (100, 100))

    moves = []
    for share in (0.1, 0.2, 0.3):
        part = miss(pixels, share, np.random.default_rng(5))
        place, _ = centre_of(part)
        moves.append(np.abs(place / part.shape[0] - 0.5).max())

    # A part of 1 - s that touches a side has its middle s / 2 off, which is s / 2 / (1 - s) of it.
    np.testing.assert_allclose(moves, [0.5 * s / (1 - s) for s in (0.1, 0.2, 0.3)], atol=0.01)


def test_extension_mirrors():
    pixels = textured(40, 50)

    extended = extend(pixels, (3, 2))

    np.testing.assert_array_equal(extended[3:-3, 2:-2], pixels)
    np.testing.assert_array_equal(extended[:3, 2:-2], pixels[2::-1])
    np.testing.assert_array_equal(extended[3:-3, -2:], pixels[:, -1:-3:-1])
