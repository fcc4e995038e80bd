"""Tests of `pipeline.network.augmentation.colour`."""

import colorsys

import numpy as np
import pytest
from keras import ops

from pipeline.network.augmentation import colour
from tests.network.augmentation.pictures import augmented, noise, planes, smooth, unplaned
from tests.network.networks import augmentation

pytestmark = pytest.mark.slow  # imports TensorFlow


def flat(*levels):
    """One image of one colour."""
    return np.full((1, 3, 3, 3), levels, np.uint8)


def shifted(image, turns=0.0, saturation=0.0, value=0.0):
    shifts = ops.convert_to_tensor(np.float32([[turns, saturation, value]] * len(image)))
    return unplaned(colour.shift_hsv(planes(image), shifts))


def test_brightness_shifts_every_channel_alike():
    grey = np.full((8, 6, 6, 3), 100, np.uint8)
    params = augmentation({"brightness": 1}, brightness={"strength": 0.2})
    results = augmented(grey, params).astype(int)

    shifts = results.reshape(8, -1) - 100
    assert (shifts == shifts[:, :1]).all()
    assert np.abs(shifts).max() <= 51
    assert len(set(shifts[:, 0])) > 4


def test_contrast_changes_the_distance_from_the_mean_of_the_image():
    images = smooth(count=2)
    pivot = colour.mean_level(images)

    results = unplaned(
        colour.stretch(planes(images), np.float32([0.5, 1.2]), np.float32([0, 3]), pivot)
    )

    means = images.mean(axis=(1, 2, 3), keepdims=True)
    expected = means + (images - means) * [[[[0.5]]], [[[1.2]]]] + [[[[0]]], [[[3]]]]
    np.testing.assert_allclose(results, expected, atol=1e-3)


def test_mean_of_a_large_image_is_exact():
    """A plain float32 sum of 600 by 600 pixels is not."""
    images = noise(count=1, size=600)

    assert float(colour.mean_level(images)[0]) == np.float32(images.mean(dtype=float))


def test_saturation_leaves_grey_grey_and_takes_colours_away():
    colours = np.concatenate([flat(90, 90, 90), flat(200, 100, 50)])

    results = unplaned(colour.saturate(planes(colours), ops.convert_to_tensor([1.9, 0.0])))

    luma = 0.299 * 200 + 0.587 * 100 + 0.114 * 50
    np.testing.assert_allclose(results[0], 90, atol=1e-3)
    np.testing.assert_allclose(results[1], luma, atol=1e-3)


@pytest.mark.parametrize(
    ("turns", "expected"), [(1 / 3, (0, 255, 0)), (-1 / 3, (0, 0, 255)), (0.5, (0, 255, 255))]
)
def test_hue_of_pure_red_turns_to_the_next_pure_colour(turns, expected):
    np.testing.assert_allclose(shifted(flat(255, 0, 0), turns)[0, 0, 0], expected, atol=1e-3)


def test_hue_saturation_and_value_agree_with_colorsys():
    image = noise(count=1, size=12)

    result = shifted(image, 0.07, -0.1, 0.05)

    for before, after in zip(image.reshape(-1, 3), result.reshape(-1, 3), strict=True):
        hue, saturation, value = colorsys.rgb_to_hsv(*before / 255)
        saturation = max(0, saturation - 0.1)
        rgb = colorsys.hsv_to_rgb((hue + 0.07) % 1, saturation, min(1, value + 0.05))
        np.testing.assert_allclose(after, 255 * np.array(rgb), atol=0.01)


def test_added_saturation_leaves_grey_grey():
    np.testing.assert_array_equal(shifted(flat(120, 120, 120), saturation=0.2), 120)


def slow_clahe(level, clip_limit):
    """CLAHE by its definition, tile by tile and pixel by pixel, `(size, size)` whole numbers."""
    size = len(level)
    tile = -(-size // 8)
    padded = np.pad(level, ((0, 8 * tile - size),) * 2, mode="symmetric")
    tables = np.zeros((8, 8, 256))
    for y in range(8):
        for x in range(8):
            part = padded[y * tile : (y + 1) * tile, x * tile : (x + 1) * tile]
            counts = np.bincount(part.ravel(), minlength=256).astype(float)
            limit = max(1, int(clip_limit * tile**2 / 256))
            over = np.maximum(counts - limit, 0).sum()
            counts = np.minimum(counts, limit) + over / 256
            tables[y, x] = counts.cumsum() * 255 / tile**2
    result = np.zeros((size, size))
    for row in range(size):
        for column in range(size):
            y, x = (row + 0.5) / tile - 0.5, (column + 0.5) / tile - 0.5
            total = 0.0
            for j in (int(np.floor(y)), int(np.floor(y)) + 1):
                for i in (int(np.floor(x)), int(np.floor(x)) + 1):
                    weight = (1 - abs(y - j)) * (1 - abs(x - i))
                    table = tables[min(max(j, 0), 7), min(max(i, 0), 7)]
                    total += weight * table[level[row, column]]
            result[row, column] = total
    return result


@pytest.mark.parametrize(("size", "clip_limit"), [(64, 4.0), (50, 2.5), (33, 1.0), (96, 40.0)])
def test_clahe_agrees_with_its_definition(size, clip_limit):
    grey = smooth(count=1, size=size)[..., :1] // 3 + 60
    image = np.repeat(grey, 3, axis=3)

    result = unplaned(colour.equalise(planes(image), ops.convert_to_tensor([clip_limit])))

    expected = slow_clahe(image[0, :, :, 0].astype(int), clip_limit)
    np.testing.assert_allclose(result[0], np.repeat(expected[..., None], 3, axis=2), atol=0.01)


def test_clahe_raises_contrast_and_keeps_colour_differences():
    image = smooth(count=1, size=64) // 5 + 90

    result = unplaned(colour.equalise(planes(image), ops.convert_to_tensor([4.0])))

    luma = [pixels[0] @ colour.LUMA for pixels in (image, result)]
    assert luma[1].std() > 1.5 * luma[0].std()
    differences = [pixels[..., 0] - pixels[..., 2].astype(float) for pixels in (image, result)]
    np.testing.assert_allclose(*differences, atol=1e-3)
