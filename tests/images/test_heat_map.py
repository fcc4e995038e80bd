"""Tests of `pipeline.images.heat_map`."""

import numpy as np
import pytest

from pipeline.images.heat_map import SCALE, cubehelix, draw_scale, overlay, resize_map

# What dichromats see of linear RGB: Machado et al. 2009, https://doi.org/10.1109/TVCG.2009.113
SEEN = {
    "all colours": np.eye(3),
    "protanopia": [
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ],
    "deuteranopia": [
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ],
    "tritanopia": [
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ],
}


def lightness(colours, seen="all colours"):
    """CIE L*, 0-100, of sRGB colours as one sees them."""
    parts = colours / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    luminance = np.clip(linear @ np.transpose(SEEN[seen]), 0, 1) @ (0.2126, 0.7152, 0.0722)
    return np.where(
        luminance > (6 / 29) ** 3, 116 * np.cbrt(luminance) - 16, luminance * (29 / 3) ** 3
    )


def order_survives(scale, seen):
    """Whether each colour is lighter than that of a value 1/32 lower, and the ends far apart."""
    light = lightness(scale, seen)
    return bool((light[8:] - light[:-8] > 0.5).all() and np.ptp(light) > 60)


@pytest.mark.parametrize("seen", SEEN)
def test_colours_are_ordered_by_lightness_whatever_colours_one_sees(seen):
    assert order_survives(SCALE, seen)


def test_a_rainbow_is_not_ordered():
    """Planted: the scale that most tools use for heat maps."""
    value = np.linspace(0, 1, 256)
    rainbow = [np.clip(1.5 - np.abs(4 * value - peak), 0, 1) for peak in (3, 2, 1)]

    assert not order_survives(255 * np.stack(rainbow, axis=1), "all colours")


def test_lightness_rises_evenly():
    light = lightness(SCALE)

    steps = np.diff(light[::16])
    assert steps.max() < 3 * steps.min()


def test_colours_are_greens_formula():
    """By hand for lightness 0.485, in the middle of the scale."""
    angle = 2 * np.pi * (0.75 / 3 - 0.8 * 0.485)
    amplitude = 1.6 * 0.485 * 0.515 / 2
    cosine, sine = amplitude * np.cos(angle), amplitude * np.sin(angle)
    red = 0.485 - 0.14861 * cosine + 1.78277 * sine
    green = 0.485 - 0.29227 * cosine - 0.90649 * sine
    blue = 0.485 + 1.97294 * cosine

    np.testing.assert_array_equal(
        cubehelix(np.array(0.5)), np.round(255 * np.clip((red, green, blue), 0, 1))
    )


def test_a_map_is_enlarged_between_the_centres_of_its_cells():
    enlarged = resize_map(np.array([[0.0, 1.0]]), (2, 4))

    np.testing.assert_allclose(enlarged, [[0, 0.25, 0.75, 1]] * 2)
    assert enlarged.dtype == np.float32


def test_a_map_of_the_same_size_stays_and_a_checkerboard_shrinks_to_grey():
    board = np.indices((8, 8)).sum(axis=0) % 2.0

    np.testing.assert_array_equal(resize_map(board, (8, 8)), board)
    np.testing.assert_allclose(resize_map(board, (1, 1)), 0.5, atol=1e-6)


def test_an_undefined_map_stays_undefined_at_any_size():
    assert np.isnan(resize_map(np.full((3, 3), np.nan), (7, 5))).all()


def picture(height=60, width=80):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)


def test_without_opacity_or_importance_the_image_stays():
    image = picture()

    for heat, opacity in ((np.ones((3, 3)), 0.0), (np.zeros((3, 3)), 1.0)):
        np.testing.assert_array_equal(overlay(image, heat, opacity=opacity, contours=()), image)


def test_colours_cover_as_opacity_and_value_say():
    image = np.full((4, 4, 3), 200, np.uint8)

    high = overlay(image, np.ones((2, 2)), opacity=0.6, contours=())
    low = overlay(image, np.full((2, 2), 0.2), opacity=0.5, contours=())

    np.testing.assert_allclose(high[0, 0], 0.4 * 200 + 0.6 * SCALE[255], atol=0.51)
    # 0.2 is two fifths of the way to full cover.
    np.testing.assert_allclose(low[0, 0], 0.8 * 200 + 0.2 * SCALE[51], atol=0.51)


def test_a_map_lies_where_it_is_in_the_image():
    image, heat = np.full((80, 120, 3), 90, np.uint8), np.zeros((8, 12))
    heat[2, 9] = 1

    changed = (overlay(image, heat, opacity=1.0, contours=()) != 90).any(axis=2)

    rows, columns = np.nonzero(changed)
    assert (rows.mean(), columns.mean()) == pytest.approx((24.5, 94.5), abs=0.01)


def test_a_contour_runs_around_what_is_as_high_light_within_and_dark_without():
    image, heat = np.full((40, 40, 3), 90, np.uint8), np.zeros((40, 40))
    heat[10:20, 12:30] = 0.7

    shown = overlay(image, heat, opacity=0.0, contours=[0.5])

    white = (shown == 255).all(axis=2)
    black = (shown == 0).all(axis=2)
    assert white[10, 12:30].all() and white[19, 12:30].all() and white[10:20, 12].all()
    assert white.sum() == 2 * 18 + 2 * 8
    assert black[9, 12:30].all() and black[10:20, 30].all()
    assert (shown[11:19, 13:29] == 90).all()
    assert not overlay(image, heat, opacity=0.0, contours=[0.8]).max() > 90


def test_a_contour_does_not_follow_the_border_of_the_image():
    image, heat = np.full((40, 40, 3), 90, np.uint8), np.zeros((40, 40))
    heat[:20] = 0.7

    shown = overlay(image, heat, opacity=0.0, contours=[0.5])

    assert (shown[:19] == 90).all()
    assert (shown[19] == 255).all()


def test_a_contour_of_a_large_image_is_thicker():
    image, heat = np.full((1024, 1024, 3), 90, np.uint8), np.zeros((1024, 1024))
    heat[:512] = 1

    shown = overlay(image, heat, opacity=0.0, contours=[0.5])

    assert (shown[:, 0] == 255).all(axis=1).sum() == 4


def test_the_image_that_is_given_is_left_alone():
    image = picture()
    before = image.copy()

    overlay(image, np.eye(5), opacity=0.5, contours=[0.5])

    np.testing.assert_array_equal(image, before)


def test_legend_runs_from_the_lowest_colour_to_the_highest():
    legend = draw_scale((3, 100))

    assert legend.shape == (3, 100, 3)
    np.testing.assert_array_equal(legend[2, 0], SCALE[0])
    np.testing.assert_array_equal(legend[0, -1], SCALE[-1])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"heat": np.full((3, 3), np.nan)}, r"map must be defined and in \[0, 1\]\. Got: nan"),
        ({"heat": np.array([[0.0, 1.5]])}, r"map must be .* Got: 0\.0 to 1\.5\.$"),
        ({"heat": np.zeros((3, 3, 1))}, r"^map must be \(height, width\)\. Got: \(3, 3, 1\)\.$"),
        ({"image": np.zeros((3, 3), np.uint8)}, r"^image must be .* Got: \(3, 3\) uint8\.$"),
        ({"image": np.zeros((3, 3, 3))}, r"^image must be .* Got: \(3, 3, 3\) float64\.$"),
        ({"opacity": 1.2}, r"^opacity must be in \[0, 1\]\. Got: 1\.2\.$"),
        ({"contours": [0.5, 1.0]}, r"^contours must be in \(0, 1\)\. Got: \[0\.5, 1\.0\]\.$"),
    ],
)
def test_what_cannot_be_shown_is_refused(changes, message):
    given = {"image": picture(), "heat": np.eye(3), "opacity": 0.5, "contours": ()} | changes

    with pytest.raises(ValueError, match=message):
        overlay(given.pop("image"), given.pop("heat"), **given)
