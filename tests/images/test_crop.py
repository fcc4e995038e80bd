"""Tests of `pipeline.images.crop`."""

import re

import numpy as np
import pytest

from pipeline.images.crop import Box, CropParams, crop_to_square, find_box
from pipeline.images.decode import decode
from tests.images.pictures import BORDER, DECODE, encode, framed, psnr, textured


def decode_at(data, least_side_px=None):
    return decode(data, params=DECODE, least_side_px=least_side_px)


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [
        (60, 90, (15, 0, 75, 60)),
        (90, 60, (0, 15, 60, 75)),
        (60, 60, (0, 0, 60, 60)),
        (60, 91, (16, 0, 76, 60)),  # 15.5, but whole pixels
    ],
)
def test_without_a_surround_the_centred_square_is_kept(height, width, expected):
    box = find_box(decode_at(encode(textured(height, width))), BORDER, "centre")

    assert box == Box(*expected, "no_border")


def test_with_a_surround_the_square_follows_the_field():
    box = find_box(decode_at(encode(framed(300, 400, (140, 170), 100))), BORDER, "centre")

    assert box.reason == "dark_surround"
    np.testing.assert_allclose(box.region, (70, 40, 270, 240), atol=5)


def test_square_of_the_field_is_square_inside_it_and_on_whole_pixels():
    box = find_box(decode_at(encode(framed(301, 403, (140, 170), 100))), BORDER, "centre")

    assert box.right_px - box.left_px == box.bottom_px - box.top_px == box.side_px
    assert all(side == int(side) for side in box.region)


@pytest.mark.parametrize("least_side_px", [120, 240])
def test_box_does_not_depend_on_the_scale_of_decoding(least_side_px):
    data = encode(framed(961, 1281, (450, 500), 400), "JPEG", quality=95)

    full = find_box(decode_at(data), BORDER, "centre")
    small = find_box(decode_at(data, least_side_px), BORDER, "centre")

    assert small.reason == full.reason == "dark_surround"
    np.testing.assert_allclose(small.region, full.region, atol=4)


def test_crop_of_the_boxs_own_size_is_untouched():
    pixels = textured(60, 90)
    decoded = decode_at(encode(pixels))

    crop = crop_to_square(decoded, find_box(decoded, BORDER, "centre"), 60, "centre")

    np.testing.assert_array_equal(crop, pixels[:, 15:75])


def test_crop_of_a_scaled_decode_is_close_to_that_of_a_full_one():
    data = encode(textured(801, 1009), "JPEG", quality=95)
    box = Box(104.0, 0.0, 905.0, 801.0, "no_border")

    crops = [crop_to_square(decode_at(data, least), box, 160, "centre") for least in (None, 200)]

    assert psnr(*crops) >= 45


def test_fine_structure_becomes_even_grey():
    board = np.indices((400, 500)).sum(axis=0) % 2 * 255
    decoded = decode_at(encode(np.repeat(board[..., None], 3, axis=2).astype(np.uint8)))

    crop = crop_to_square(decoded, find_box(decoded, BORDER, "centre"), 64, "centre")

    np.testing.assert_allclose(crop, 127.5, atol=1)


def test_small_image_is_enlarged_to_the_size_asked_for():
    decoded = decode_at(encode(textured(40, 50)))

    crop = crop_to_square(decoded, find_box(decoded, BORDER, "centre"), 96, "centre")

    assert crop.shape == (96, 96, 3)
    assert psnr(crop[::12, ::12], decoded.pixels[::5, 5:45:5]) > 20


@pytest.mark.parametrize("least_side_px", [None, 100])
def test_box_over_the_whole_image_is_not_refused_for_rounding(least_side_px):
    decoded = decode_at(encode(textured(801, 801), "JPEG"), least_side_px)

    assert crop_to_square(
        decoded, Box(0.0, 0.0, 801.0, 801.0, "no_border"), 32, "centre"
    ).shape == (32, 32, 3)


@pytest.mark.parametrize("sizes", [(), (512, 512), (0, 512)])
def test_sizes_that_make_no_sense_are_refused(sizes):
    message = f"sizes_px must be different sizes of at least 1. Got: {list(sizes)}."

    with pytest.raises(ValueError, match=rf"^{re.escape(message)}$"):
        CropParams(sizes, 1, "centre", BORDER)


def test_empty_shards_are_refused():
    with pytest.raises(ValueError, match=r"^shard_images must be at least 1\. Got: 0\.$"):
        CropParams((512,), 0, "centre", BORDER)


@pytest.mark.parametrize("squaring", ["pad", "stretch"])
def test_other_squarings_keep_the_whole_rectangle(squaring):
    box = find_box(decode_at(encode(textured(60, 90))), BORDER, squaring)

    assert box == Box(0.0, 0.0, 90.0, 60.0, "no_border")
    assert box.side_px == 60


def test_stretch_fills_the_crop_with_the_rectangle():
    """Left half dark, right half bright: so they stay, whatever the shape."""
    pixels = np.zeros((60, 90, 3), np.uint8)
    pixels[:, 45:] = 200
    decoded = decode_at(encode(pixels))

    crop = crop_to_square(decoded, Box(0, 0, 90, 60, "no_border"), 30, "stretch")

    assert (crop[:, :12] == 0).all() and (crop[:, 18:] == 200).all()


@pytest.mark.parametrize(
    ("height", "width", "picture"),
    [(60, 90, np.s_[5:25, :]), (90, 60, np.s_[:, 5:25]), (50, 80, np.s_[5:24, :])],
)
def test_pad_keeps_the_shape_between_black_bars(height, width, picture):
    decoded = decode_at(encode(np.full((height, width, 3), 200, np.uint8)))

    crop = crop_to_square(decoded, Box(0, 0, width, height, "no_border"), 30, "pad")

    bars = np.ones((30, 30), bool)
    bars[picture] = False
    assert (crop[picture] == 200).all() and (crop[bars] == 0).all()


def test_very_long_rectangle_is_padded_to_one_row_at_least():
    decoded = decode_at(encode(np.full((32, 3200, 3), 200, np.uint8)))

    crop = crop_to_square(decoded, Box(0, 0, 3200, 32, "no_border"), 30, "pad")

    assert (crop[14] == 200).all() and crop.sum() == 200 * 30 * 3


def test_squarings_agree_on_a_square():
    decoded = decode_at(encode(textured(90, 90)))
    box = Box(0, 0, 90, 90, "no_border")

    crops = [crop_to_square(decoded, box, 40, name) for name in ("centre", "pad", "stretch")]

    np.testing.assert_array_equal(crops[0], crops[1])
    np.testing.assert_array_equal(crops[0], crops[2])


def test_unknown_squaring_is_refused():
    message = "squaring must be one of ['centre', 'pad', 'stretch']. Got: 'circle'."

    with pytest.raises(ValueError, match=rf"^{re.escape(message)}$"):
        CropParams((512,), 1, "circle", BORDER)
