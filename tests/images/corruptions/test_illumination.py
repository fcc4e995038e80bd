"""Tests of `pipeline.images.corruptions.illumination`."""

import numpy as np
import pytest

from pipeline.images.corruptions.illumination import (
    LUMA,
    add_glare,
    apply_gains,
    bend_gamma,
    brighten,
    cast_colour,
    cast_shadow,
    darken,
)
from tests.images.pictures import framed


def rng(seed=0):
    return np.random.default_rng(seed)


def flat(*colour, height=60, width=90):
    return np.broadcast_to(np.uint8(colour), (height, width, 3))


@pytest.mark.parametrize(
    ("change", "stops", "before", "after"),
    [
        (brighten, 2.2, 100, 200),  # 2.2 stops are a factor of 2 in bytes
        (brighten, 1.1, 128, 181),  # 128 * sqrt(2) = 181.02
        (brighten, 2.2, 128, 255),  # lost in white, not wrapped around to 0
        (darken, 2.2, 128, 64),
        (darken, 1.1, 128, 91),  # 90.51
        (darken, 4.4, 255, 64),  # 63.75
    ],
)
def test_stop_is_a_factor_of_bytes(change, stops, before, after):
    assert (change(flat(before, before, before), stops, rng()) == after).all()


def test_gamma_bends_midtones_either_way_and_keeps_the_ends():
    pixels = np.repeat(np.uint8([0, 128, 255]), 30 * 3).reshape(3, 30, 3)

    found = {tuple(bend_gamma(pixels, 2.0, rng(seed))[:, 0, 0].tolist()) for seed in range(9)}

    # 255 (128/255)^2 = 64.3 and 255 (128/255)^0.5 = 180.7
    assert found == {(0, 64, 255), (0, 181, 255)}


@pytest.mark.parametrize("seed", range(6))
def test_cast_separates_red_from_blue_and_keeps_greys_luma(seed):
    pixels = cast_colour(flat(120, 120, 120), 1.1, rng(seed))

    red, green, blue = pixels[0, 0].astype(float)
    ratio = max(red, blue) / min(red, blue)
    assert ratio == pytest.approx(2**0.5, abs=0.02)  # 1.1 stops
    assert LUMA @ (red, green, blue) == pytest.approx(120, abs=0.6)


def test_casts_are_warm_and_cold():
    casts = [
        cast_colour(flat(120, 120, 120), 1.0, rng(seed))[0, 0].astype(int) for seed in range(9)
    ]

    assert {bool(red > blue) for red, _, blue in casts} == {True, False}


def test_gains_are_of_their_own_channel():
    pixels = apply_gains(flat(100, 100, 100), np.array([0.5, 1.0, 3.0]))

    assert pixels[5, 5].tolist() == [50, 100, 255]


@pytest.mark.parametrize("seed", range(5))
def test_shadow_has_a_dark_part_a_lit_part_and_no_hard_edge(seed):
    pixels = cast_shadow(flat(200, 200, 200, height=240, width=320), 2.2, rng(seed))[..., 0]

    assert 99 <= pixels.min() <= 101  # 2.2 stops
    assert pixels.max() == 200
    assert 0.15 < (pixels < 150).mean() < 0.85
    steps = [np.abs(np.diff(pixels.astype(int), axis=axis)).max() for axis in (0, 1)]
    assert max(steps) < 10


def test_glare_is_white_and_leaves_most_of_the_image():
    pixels = add_glare(flat(150, 100, 90, height=240, width=320), 1.4, rng())

    assert (pixels == 255).all(axis=2).mean() > 0.002
    assert (pixels == (150, 100, 90)).all(axis=2).mean() > 0.5


def test_lamp_is_not_reflected_by_the_surround():
    picture = framed(240, 320, (120, 160), 100)

    pixels = add_glare(picture, 1.4, rng(1))

    np.testing.assert_array_equal(pixels[:12], picture[:12])
    assert (pixels != picture).any()
