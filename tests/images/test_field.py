"""Tests of `pipeline.images.field`."""

import dataclasses
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.images.decode import decode
from pipeline.images.field import cut_lines, find_field
from tests.images.pictures import BORDER, DECODE, encode, framed, textured, with_lesion

STEP_PX = 3  # of the original, that a pixel of the analysis covers in pictures of 300 by 400


def calm(pixels):
    """Take most of the texture out, so that a lesion is told from its skin."""
    mean = np.array([190, 140, 120])
    return np.where(pixels > 20, mean + (pixels - mean.astype(float)) / 4, pixels).astype(np.uint8)


def find(pixels, border=BORDER):
    return find_field(decode(encode(pixels), params=DECODE, least_side_px=None), border)


def share_kept(marked, region):
    left, top, right, bottom = (int(side) for side in region)
    return marked[top:bottom, left:right].sum() / marked.sum()


def dark_left(pixels, region):
    left, top, right, bottom = (int(side) for side in region)
    return (pixels[top:bottom, left:right].max(axis=2) < 20).mean()


@pytest.mark.parametrize(
    ("centre", "radius"), [((150, 200), 130), ((140, 160), 100), ((170, 230), 90)]
)
def test_without_a_lesion_to_be_told_the_whole_field_is_kept(centre, radius):
    """A pale lesion could be anywhere: only lines without a lit pixel go."""
    y, x = centre

    field = find(framed(300, 400, centre, radius))

    assert field.reason == "dark_surround"
    expected = (x - radius, y - radius, x + radius, y + radius)
    np.testing.assert_allclose(field.region, expected, atol=2 * STEP_PX)


def test_around_a_lesion_in_the_middle_the_surround_is_cut_off():
    pixels = with_lesion(calm(framed(300, 400, (150, 200), 130)), (150, 200), 40)

    field = find(pixels)

    assert field.reason == "dark_surround"
    assert dark_left(pixels, field.region) <= 0.003
    half = 130 / np.sqrt(2)
    expected = (200 - half, 150 - half, 200 + half, 150 + half)
    np.testing.assert_allclose(field.region, expected, atol=4 * STEP_PX)


def test_corners_of_a_circle_that_the_image_cuts_are_cut_off():
    pixels = with_lesion(calm(framed(300, 400, (150, 200), 210)), (150, 200), 40)

    field = find(pixels)

    assert field.reason == "dark_corners"
    assert dark_left(pixels, field.region) <= 0.003
    left, top, right, bottom = field.region
    assert (right - left) * (bottom - top) > 0.6 * 300 * 400


@pytest.mark.parametrize("axis", [0, 1])
def test_letterbox_is_cut_to_its_picture(axis):
    pixels = textured(300, 400).copy()
    bars = [slice(None), slice(None)]
    for bars[axis] in (slice(None, 40), slice(-40, None)):
        pixels[*bars] = 3

    field = find(pixels)

    expected = (0, 40, 400, 260) if axis == 0 else (40, 0, 360, 300)
    assert field.reason == "dark_surround"
    np.testing.assert_allclose(field.region, expected, atol=STEP_PX)


def test_bright_line_around_a_letterbox_changes_nothing():
    pixels = textured(300, 400).copy()
    pixels[:40], pixels[-40:] = 3, 3
    pixels[:3], pixels[-3:], pixels[:, :3], pixels[:, -3:] = 200, 200, 200, 200

    np.testing.assert_allclose(find(pixels).region, (0, 40, 400, 260), atol=2 * STEP_PX)


def test_white_surround_is_cut_off():
    field = calm(framed(300, 400, (150, 200), 140))
    on_white = np.where(field < 20, np.uint8(252), field)
    pixels = with_lesion(on_white, (150, 200), 40)

    field = find(pixels)

    assert field.reason == "white_surround"
    left, top, right, bottom = (int(side) for side in field.region)
    assert (pixels[top:bottom, left:right].min(axis=2) > 250).mean() <= 0.003


def test_lesion_on_overexposed_skin_has_no_white_surround():
    skin = np.full((300, 400, 3), 252, np.uint8)
    y, x = np.mgrid[:300, :400]
    wave = 100 + 25 * np.sin(7 * np.arctan2(y - 150, x - 200))
    lesion = np.hypot(y - 150, x - 200) < wave

    assert find(np.where(lesion[..., None], np.uint8((120, 70, 50)), skin)) is None


@pytest.mark.parametrize("radius", [20, 60, 100])
def test_lesion_that_touches_the_rim_is_kept(radius):
    """Its outermost pixels are as dark as the surround."""
    field = framed(300, 400, (150, 200), 210)
    pixels = with_lesion(field, (150, 70), radius)
    lesion = (pixels < field).any(axis=2)

    kept = share_kept(lesion, find(pixels).region)

    assert kept >= 0.999


def test_lesion_as_dark_as_the_surround_is_kept():
    field = framed(300, 400, (150, 200), 210)
    pixels = with_lesion(field, (150, 90), 70, colour=(12, 8, 8))
    lesion = (pixels < field).any(axis=2)

    assert share_kept(lesion, find(pixels).region) >= 0.999


def test_black_lesion_along_the_rim_is_kept():
    """It hides a quarter of the field's outline; the circle is completed."""
    field = framed(300, 400, (150, 200), 140)
    pixels = with_lesion(field, (150, 60), 100, colour=(8, 6, 6))
    lesion = (pixels < field).any(axis=2)

    assert share_kept(lesion, find(pixels).region) >= 0.999


def test_rule_that_cut_without_the_lesions_box_would_lose_it():
    """The check of the two tests above can fail."""
    field = framed(300, 400, (150, 200), 210)
    lesion = (with_lesion(field, (150, 70), 60) < field).any(axis=2)
    dark = field.max(axis=2) < 20

    top, left, bottom, right = cut_lines(dark, (0, 0, 300, 400), (150, 200, 150, 200), 0.0003)

    assert share_kept(lesion, (left, top, right, bottom)) < 0.9


def test_image_without_surround_has_no_field():
    assert find(textured(300, 400)) is None


def test_one_dark_corner_is_no_surround():
    """It may be a lesion."""
    pixels = textured(300, 400).copy()
    pixels[:80, :80] = 5

    assert find(pixels) is None


def test_few_dark_pixels_are_left_alone():
    pixels = textured(300, 400).copy()
    for rows in (slice(None, 20), slice(-20, None)):
        pixels[rows, :20] = 5

    assert find(pixels) is None
    assert find(pixels, dataclasses.replace(BORDER, least_share=0.001)) is not None


def test_bright_surround_is_not_dark():
    """A surround at half the field's brightness: skin in shadow, not a dark surround."""
    assert find(framed(300, 400, (150, 200), 120, surround=70)) is None


def test_dark_lesion_in_the_middle_is_no_surround():
    assert find(with_lesion(textured(300, 400), (150, 200), 100, colour=(8, 8, 8))) is None


def test_surround_that_cannot_be_cut_is_named():
    assert find(framed(300, 400, (150, 200), 210)).reason == "surround_kept"


@pytest.mark.parametrize("level", [0, 255])
def test_even_image_has_no_field(level):
    assert find(np.full((300, 400, 3), level, np.uint8)) is None


@pytest.mark.parametrize("scale", [1, 3])
def test_region_is_in_pixels_of_the_original(scale):
    field = with_lesion(framed(300, 400, (140, 160), 130), (140, 160), 30)
    enlarged = field.repeat(scale, axis=0).repeat(scale, axis=1)

    np.testing.assert_allclose(
        find(enlarged).region, np.array(find(field).region) * scale, atol=STEP_PX * scale
    )


@pytest.mark.slow
@settings(max_examples=40, derandomize=True)
@given(
    radius=st.floats(90, 225),
    centre=st.tuples(st.floats(120, 180), st.floats(160, 240)),
    direction=st.floats(0, 2 * np.pi),
    distance=st.floats(0, 1),
    size=st.floats(0.1, 0.5),
    surround=st.integers(0, 20),
    is_calm=st.booleans(),
)
def test_lit_lesion_is_never_cut(radius, centre, direction, distance, size, surround, is_calm):
    """Fields and lesions anywhere, also across the rim."""
    field = framed(300, 400, centre, radius, surround)
    field = calm(field) if is_calm else field
    y = centre[0] + distance * radius * np.sin(direction)
    x = centre[1] + distance * radius * np.cos(direction)
    pixels = with_lesion(field, (y, x), size * radius)
    lesion = (pixels < field).any(axis=2) & (field.max(axis=2) > 40)

    found = find(pixels)

    region = (0, 0, 400, 300) if found is None else found.region
    left, top, right, bottom = region
    assert 0 <= left < right <= 400 and 0 <= top < bottom <= 300
    assert all(side == int(side) for side in region)
    assert not lesion.any() or share_kept(lesion, region) >= 0.999


def test_lines_with_most_surround_go_first():
    outside = np.zeros((10, 10), bool)
    outside[0], outside[:, 9] = True, True

    assert cut_lines(outside, (0, 0, 10, 10), (5, 5, 5, 5), 0.01) == (1, 0, 10, 9)
    assert cut_lines(outside, (0, 0, 10, 10), (0, 5, 5, 5), 0.01) == (0, 0, 10, 9)
    assert cut_lines(outside, (0, 0, 10, 10), (5, 5, 5, 5), 0.5) == (0, 0, 10, 10)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dark_share": 1.0}, "dark_share must be above 0 and below 1. Got: 1.0."),
        ({"left_share": 0.0}, "left_share must be above 0 and below 1. Got: 0.0."),
        ({"white_level": 300}, "white_level must be from 128 to 255. Got: 300."),
        ({"analysis_px": 8}, "analysis_px must be at least 64. Got: 8."),
    ],
)
def test_values_out_of_range_are_refused(change, message):
    with pytest.raises(ValueError, match=rf"^{re.escape(message)}$"):
        dataclasses.replace(BORDER, **change)
