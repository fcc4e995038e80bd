"""Tests of `pipeline.images.corruptions.quality`."""

from io import BytesIO
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from pipeline.images.corruptions.quality import (
    add_noise,
    compress,
    defocus,
    lower_resolution,
    shake,
)
from tests.images.pictures import psnr, textured


def edge(height=100, width=120):
    """Black on the left, white on the right half."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, width // 2 :] = 255
    return pixels


def along(degrees):
    """A stand-in for a generator that draws this direction."""
    return SimpleNamespace(uniform=lambda low, high: np.deg2rad(degrees))


def grey(level, height=300, width=400):
    return np.full((height, width, 3), level, np.uint8)


@pytest.mark.parametrize("offset", [0, 2, 5, 8])
def test_defocused_edge_is_that_of_a_disc(offset):
    pixels = defocus(edge(), 0.1, None)  # 10 px

    u = (offset + 0.5) / 10
    share = 0.5 + (u * np.sqrt(1 - u * u) + np.arcsin(u)) / np.pi  # of the disc beyond a chord
    assert pixels[50, 60 + offset, 0] == pytest.approx(255 * share, abs=3)
    assert pixels[50, 59 - offset, 0] == pytest.approx(255 * (1 - share), abs=3)


def test_defocus_ends_at_its_radius():
    pixels = defocus(edge(), 0.1, None)

    assert pixels[50, 72:].min() >= 252
    assert pixels[50, :48].max() <= 3


@pytest.mark.parametrize("offset", [0, 3, 7])
def test_shaken_edge_is_a_ramp_as_long_as_the_path(offset):
    pixels = shake(edge(), 0.2, along(0))  # 20 px across

    assert pixels[50, 60 + offset, 0] == pytest.approx(255 * (0.5 + (offset + 0.5) / 20), abs=4)


def test_shaking_along_an_edge_does_not_blur_it():
    np.testing.assert_array_equal(shake(edge(), 0.2, along(90)), edge())


@pytest.mark.parametrize("blur", [defocus, shake])
def test_blur_keeps_the_mean_and_mirrors_at_the_edges(blur):
    pixels = textured(90, 70)

    blurred = blur(pixels, 0.04, along(30))

    np.testing.assert_allclose(blurred.mean((0, 1)), pixels.mean((0, 1)), atol=0.5)
    assert np.abs(blurred[0].astype(int) - pixels[0]).mean() < 15


@pytest.mark.parametrize("blur", [defocus, shake])
def test_large_image_is_blurred_at_a_fraction_of_its_size_alike(blur):
    small, large = (blur(edge(side, side), 0.03, along(20)).mean((0, 2)) for side in (1200, 2400))

    np.testing.assert_allclose(large.reshape(-1, 2).mean(axis=1), small, atol=4)


def test_noise_has_its_deviation_at_the_middle_level():
    noise = add_noise(grey(128), 12, np.random.default_rng(0)).astype(int) - 128

    np.testing.assert_allclose(noise.std((0, 1)), 12, rtol=0.02)
    assert abs(noise.mean()) < 0.1
    assert abs(np.corrcoef(noise[..., 0].ravel(), noise[..., 1].ravel())[0, 1]) < 0.02


def test_noise_grows_with_light_less_than_light_does():
    """In light, shot noise grows as its root; in bytes, which follow the eye, it shrinks."""
    dark, bright = (
        add_noise(grey(level), 6, np.random.default_rng(0)).std() for level in (60, 220)
    )

    assert bright < 6 < dark < 12


@pytest.mark.parametrize("level", [0, 255])
def test_noise_is_cut_at_the_ends_not_wrapped(level):
    noisy = add_noise(grey(level), 10, np.random.default_rng(0)).astype(int)

    assert np.abs(noisy - level).max() < 128
    assert 0.4 < (noisy == level).mean() < 0.7


def test_noise_of_a_large_image_is_coarse_and_as_strong():
    noise = add_noise(grey(128, 1800, 1800), 12, np.random.default_rng(0)).astype(int) - 128

    assert noise.std() == pytest.approx(12, rel=0.03)
    neighbours = np.corrcoef(noise[:, :-1, 0].ravel(), noise[:, 1:, 0].ravel())[0, 1]
    assert neighbours > 0.7


@pytest.mark.parametrize("quality", [60, 8])
def test_jpeg_goes_through_its_quality(quality):
    pixels, stream = textured(90, 120), BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=quality, subsampling="4:2:0")

    compressed = compress(pixels, quality, None)

    with Image.open(stream) as image:
        np.testing.assert_array_equal(compressed, np.asarray(image))


def test_blocks_of_a_large_jpeg_are_as_coarse_as_those_of_a_small_one():
    small = textured(600, 600)
    large = np.asarray(Image.fromarray(small).resize((1800, 1800), Image.Resampling.BICUBIC))

    quality = [psnr(pixels, compress(pixels, 10, None)) for pixels in (small, large)]

    assert quality[0] == pytest.approx(quality[1], abs=2)


def test_half_of_the_pixels_remain_where_both_are_alike():
    """100 px, and 100 of a very large image: pixels twice as large, so these stripes are grey."""
    stripes = np.zeros((100, 100, 3), np.uint8)
    stripes[:, ::2] = 255

    lowered = lower_resolution(stripes, 100, None)

    np.testing.assert_allclose(lowered[10:-10, 10:-10], 127.5, atol=20)


def test_coarse_structure_survives_a_lower_resolution():
    pixels = edge(100, 100)

    lowered = lower_resolution(pixels, 100, None)

    np.testing.assert_array_equal(lowered[:, :45], 0)
    np.testing.assert_array_equal(lowered[:, 55:], 255)
