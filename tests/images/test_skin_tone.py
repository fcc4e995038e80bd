"""Tests of `pipeline.images.skin_tone`."""

import numpy as np
import pytest

from pipeline.images.colour_space import lab_to_srgb, srgb_to_lab
from pipeline.images.skin_tone import ITA_GROUPS, estimate_ita, ita_group, typology_angle

SIDE = 256
SKIN = (68.0, 12.0, 18.0)  # arctan(18 / 18): 45 degrees, light


def skin(lab=SKIN, seed=0):
    """Even skin of one colour, with a grain of two levels."""
    grain = np.random.default_rng(seed).normal(0, 2, (SIDE, SIDE, 1))
    return np.clip(lab_to_srgb(np.array(lab)) + grain, 0, 255).round().astype(np.uint8)


def disc(radius, centre=(SIDE / 2, SIDE / 2)):
    y, x = np.mgrid[:SIDE, :SIDE] + 0.5
    return np.hypot(y - centre[0], x - centre[1]) < radius


def paint(pixels, where, colour):
    return np.where(where[..., None], np.uint8(colour), pixels)


@pytest.mark.parametrize(
    ("lab", "degrees"),
    [
        ((68, 12, 18), 45.0),  # arctan(18 / 18)
        ((50, 12, 18), 0.0),
        ((50 + 10 * np.sqrt(3), 12, 10), 60.0),
        ((40, 12, 10), -45.0),
    ],
)
def test_angles_worked_by_hand(lab, degrees):
    assert typology_angle(np.array(lab)) == pytest.approx(degrees)


@pytest.mark.parametrize("b", [0.0, -1.0])
def test_skin_turned_blue_by_the_camera_has_no_angle(b):
    """The arctangent would jump from 90 to -90 degrees: from very light to dark."""
    assert typology_angle(np.array([70.0, 5.0, b])) is None
    assert estimate_ita(skin((70, 5, b - 1))) is None


@pytest.mark.parametrize(
    ("degrees", "group"),
    [
        (55.1, "very light"),
        (55.0, "light"),
        (41.0, "intermediate"),
        (28.0, "tan"),
        (10.0, "brown"),
        (-29.9, "brown"),
        (-30.0, "dark"),
        (-90.0, "dark"),
    ],
)
def test_group_ends_at_its_limit(degrees, group):
    assert ita_group(degrees) == group


def test_groups_go_from_light_to_dark():
    limits = [limit for _, limit in ITA_GROUPS]

    assert limits == sorted(limits, reverse=True)


@pytest.mark.parametrize("lab", [SKIN, (55, 14, 22), (35, 12, 16)])
def test_colour_of_plain_skin_is_found(lab):
    found = estimate_ita(skin(lab))

    assert found.degrees == pytest.approx(typology_angle(np.array(lab)), abs=1.5)
    assert found.group == ita_group(found.degrees)
    assert found.skin_share > 0.5


def test_what_is_not_skin_is_left_out():
    """A lesion over a third of the crop, hairs, a glint and dark corners, all at once."""
    pixels = paint(skin(), disc(85), (96, 52, 40))
    for column in range(10, SIDE, 60):
        pixels[:, column : column + 2] = (40, 30, 25)
    pixels = paint(pixels, disc(14, (50, 200)), 255)
    pixels = paint(pixels, ~disc(150), 6)

    found = estimate_ita(pixels)

    assert found.degrees == pytest.approx(45, abs=4)
    assert found.skin_share < 0.5


def test_lesion_that_covers_most_of_the_crop_leaves_its_skin():
    """The median of all is the lesion, of the darkest group: skin must be looked for."""
    pixels = paint(skin(), disc(112), (96, 52, 40))
    everywhere = np.median(srgb_to_lab(pixels.reshape(-1, 3)), axis=0)

    assert ita_group(typology_angle(everywhere)) == "dark"
    assert estimate_ita(pixels).degrees == pytest.approx(45, abs=2)


@pytest.mark.parametrize("level", [0, 255])
def test_without_skin_there_is_no_estimate(level):
    assert estimate_ita(np.full((SIDE, SIDE, 3), level, np.uint8)) is None


def test_turned_image_has_the_same_skin():
    pixels = paint(skin(), disc(60, (110, 140)), (96, 52, 40))

    assert estimate_ita(np.rot90(pixels)).degrees == pytest.approx(
        estimate_ita(pixels).degrees, abs=0.5
    )
