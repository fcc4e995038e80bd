"""Tests of `pipeline.images.corruptions.skin_tone`."""

import numpy as np
import pytest
from PIL import Image

from pipeline.images.colour_space import srgb_to_lab
from pipeline.images.corruptions.skin_tone import (
    DARKEST,
    LIGHTEST,
    darken_skin,
    estimate_tone,
    lighten_skin,
)
from tests.images.pictures import framed, textured, with_lesion

SKIN = (205, 160, 140)
LESION = (96, 60, 48)


def lesion(skin=SKIN, height=120, width=160):
    pixels = np.full((height, width, 3), skin, np.uint8)
    return with_lesion(pixels, (height / 2, width / 2), 30, LESION)


def tone_of(pixels):
    return estimate_tone(Image.fromarray(pixels))


def angle_of(lab):
    """The individual typology angle in degrees, also where b* is not above 0."""
    return np.degrees(np.arctan2(lab[0] - 50, lab[2]))


def lab_at(pixels, y, x):
    return srgb_to_lab(pixels[y, x])


def test_tone_is_that_of_skin_not_of_lesion_or_surround():
    wanted = srgb_to_lab(np.array(SKIN))
    plain = lesion()
    y, x = np.mgrid[:120, :160] + 0.5
    in_surround = np.where(np.hypot(y - 60, x - 80)[..., None] < 58, plain, np.uint8(4))

    np.testing.assert_allclose(tone_of(plain), wanted, atol=0.01)
    np.testing.assert_allclose(tone_of(in_surround), wanted, atol=0.01)


@pytest.mark.parametrize(("change", "goal"), [(lighten_skin, LIGHTEST), (darken_skin, DARKEST)])
@pytest.mark.parametrize("share", [0.25, 0.8, 1.0])
def test_skin_goes_its_share_of_the_way(change, goal, share):
    start = srgb_to_lab(np.array(SKIN))

    pixels = change(lesion(), share, None)

    np.testing.assert_allclose(lab_at(pixels, 5, 5), start + share * (goal - start), atol=1.0)


def test_typology_angle_moves_from_light_to_dark_types():
    angles = [
        angle_of(tone_of(change(lesion(), share, None)))
        for change, share in [
            *((lighten_skin, share) for share in (0.8, 0.4)),
            *((darken_skin, share) for share in (0.001, 0.3, 0.6, 0.8)),
        ]
    ]

    assert (np.diff(angles) < 0).all()
    assert angles[0] > 55  # very light
    assert angles[-1] < -30  # dark


@pytest.mark.parametrize("share", [0.3, 0.8])
def test_lesion_stays_darker_and_dark_skin_shrinks_its_contrast(share):
    def contrast(pixels):
        return lab_at(pixels, 5, 5)[0] - lab_at(pixels, 60, 80)[0]

    clean = contrast(lesion())
    dark, light = (
        contrast(change(lesion(), share, None)) for change in (darken_skin, lighten_skin)
    )
    assert 0.3 * clean < dark < clean
    assert clean < light < 1.5 * clean


def test_lesion_does_not_glow_on_dark_skin():
    """Where less light comes back, less colour does."""

    def own_chroma(pixels):
        return np.hypot(*lab_at(pixels, 60, 80)[1:])

    assert own_chroma(darken_skin(lesion(), 0.8, None)) < 0.75 * own_chroma(lesion())


def test_surround_stays_black():
    picture = framed(120, 160, (60, 80), 58, surround=0)

    for change in (lighten_skin, darken_skin):
        assert (change(picture, 0.8, None)[picture.max(axis=2) == 0] == 0).all()


def test_reflections_stay_white_on_lighter_skin():
    pixels = lesion().copy()
    pixels[20:24, 20:24] = 255

    assert (lighten_skin(pixels, 0.8, None)[21, 21] >= 253).all()


def test_no_share_is_no_change():
    pixels = textured(120, 160)

    moved = darken_skin(pixels, 0.0, None)

    # The colour table is interpolated between knots.
    assert np.abs(moved.astype(int) - pixels).max() <= 1


def test_overexposed_skin_is_not_darkened_to_make_it_light():
    pixels = np.full((64, 64, 3), (250, 244, 240), np.uint8)

    moved = lighten_skin(pixels, 0.8, None)

    assert lab_at(moved, 5, 5)[0] >= lab_at(pixels, 5, 5)[0] - 1  # as far as a screen shows it
