"""Tests of `pipeline.network.augmentation.overlays`."""

import numpy as np
import pytest

from pipeline.network.augmentation import overlays
from tests.network.augmentation.pictures import augmented, noise, planes, unplaned
from tests.network.networks import augmentation

pytestmark = pytest.mark.slow  # imports TensorFlow


def white(count, size):
    return np.full((count, size, size, 3), 255, np.uint8)


def one_hair(angle=0.0, bend=0.0, width_px=3.0, size=41):
    """Draw a hair of 20 px through the middle of a white image, taking all light."""
    hair = [[0, 0, np.cos(angle), np.sin(angle), bend, 10, width_px, 1]]
    image = unplaned(overlays.draw_hairs(planes(white(1, size)), np.float32(hair), 1))
    return 1 - image[0, :, :, 0] / 255


def test_hair_has_its_length_and_width_at_any_angle():
    for angle in np.linspace(0, np.pi, 7):
        # A line of 20 px by 3 px, its ends soft.
        assert one_hair(angle).sum() == pytest.approx(21 * 3, rel=0.08)


def test_level_hair_covers_its_rows_and_columns():
    dark = one_hair()

    np.testing.assert_allclose(dark[19:22, 11:30], 1)
    assert (dark[:18] == 0).all() and (dark[23:] == 0).all()
    assert (dark[:, :9] == 0).all() and (dark[:, 32:] == 0).all()


def test_bent_hair_follows_its_parabola():
    dark = one_hair(bend=0.04)

    for column in (12, 16, 20, 24, 28):
        rows = np.flatnonzero(dark[:, column] > 0.9)
        assert rows.mean() == pytest.approx(20 + 0.04 * (column - 20) ** 2, abs=0.6)


def test_hair_thinner_than_a_pixel_takes_its_share_of_light():
    assert one_hair(width_px=0.3).max() == pytest.approx(0.3, abs=1e-5)


def test_hairs_only_darken_and_keep_hue():
    images = noise(count=20, size=48)

    results = augmented(images, augmentation({"hairs": 1}))

    assert (results <= images).all()
    darker = (results < images).any(axis=-1).mean(axis=(1, 2))
    assert (darker > 0.003).all()
    assert darker.mean() < 0.25
    assert (augmented(white(4, 48), augmentation({"hairs": 1})).std(axis=-1) == 0).all()


def test_surround_leaves_a_disc_of_its_radius():
    surround = np.float32([[3, -5, 30, 4, 10]])  # centre, radius, edge, level

    result = unplaned(overlays.darken_surround(planes(white(1, 101)), surround))[0, :, :, 0]

    down, across = np.indices((101, 101)) - 50
    distance = np.hypot(across - 3, down + 5)
    np.testing.assert_allclose(result[distance < 27.5], 255)
    np.testing.assert_allclose(result[distance > 32.5], 10)
    at_edge = np.abs(distance - 30) < 0.5
    assert result[at_edge].mean() == pytest.approx((255 + 10) / 2, abs=10)


def test_surround_of_any_draw_darkens_corners_and_spares_the_middle():
    results = augmented(white(50, 60), augmentation({"surround": 1}))

    corners = np.stack([results[:, y, x, 0] for y in (0, -1) for x in (0, -1)])
    assert (corners.min(axis=0) <= 20).all()
    assert (results[:, 25:35, 25:35] == 255).all()


def test_cutout_blackens_one_square_of_its_share():
    params = augmentation({"cutout": 0.5}, cutout={"side": 0.25})

    black = (augmented(white(200, 40), params) == 0).all(axis=-1).sum(axis=(1, 2))

    assert 0.35 < (black > 0).mean() < 0.65
    assert black.max() == 10 * 10


def test_cutout_is_where_its_box_is():
    result = unplaned(overlays.cut_out(planes(white(1, 20)), np.float32([[0.25, 0.5, 0.5, 0.9]])))[
        0, :, :, 0
    ]

    expected = np.full((20, 20), 255)
    expected[10:18, 5:10] = 0
    np.testing.assert_array_equal(result, expected)
