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
    box = find_box(decode_at(encode(textured(height, width))), BORDER)

    assert box == Box(*expected, "centre")


def test_with_a_surround_the_square_follows_the_field():
    box = find_box(decode_at(encode(framed(300, 400, (140, 170), 100))), BORDER)

    assert box.reason == "dark_surround"
    np.testing.assert_allclose(box.region, (80, 50, 260, 230), atol=5)


def test_square_of_the_field_is_square_inside_it_and_on_whole_pixels():
    box = find_box(decode_at(encode(framed(301, 403, (140, 170), 100))), BORDER)

    assert box.right_px - box.left_px == box.bottom_px - box.top_px == box.side_px
    assert all(side == int(side) for side in box.region)


@pytest.mark.parametrize("least_side_px", [120, 240])
def test_box_does_not_depend_on_the_scale_of_decoding(least_side_px):
    data = encode(framed(961, 1281, (450, 500), 400), "JPEG", quality=95)

    full = find_box(decode_at(data), BORDER)
    small = find_box(decode_at(data, least_side_px), BORDER)

    assert small.reason == full.reason == "dark_surround"
    np.testing.assert_allclose(small.region, full.region, atol=4)


def test_crop_of_the_boxs_own_size_is_untouched():
    pixels = textured(60, 90)
    decoded = decode_at(encode(pixels))

    crop = crop_to_square(decoded, find_box(decoded, BORDER), 60)

    np.testing.assert_array_equal(crop, pixels[:, 15:75])


def test_crop_of_a_scaled_decode_is_close_to_that_of_a_full_one():
    data = encode(textured(801, 1009), "JPEG", quality=95)
    box = Box(104.0, 0.0, 905.0, 801.0, "centre")

    crops = [crop_to_square(decode_at(data, least), box, 160) for least in (None, 200)]

    assert psnr(*crops) >= 45


def test_fine_structure_becomes_even_grey():
    board = np.indices((400, 500)).sum(axis=0) % 2 * 255
    decoded = decode_at(encode(np.repeat(board[..., None], 3, axis=2).astype(np.uint8)))

    crop = crop_to_square(decoded, find_box(decoded, BORDER), 64)

    np.testing.assert_allclose(crop, 127.5, atol=1)


def test_small_image_is_enlarged_to_the_size_asked_for():
    decoded = decode_at(encode(textured(40, 50)))

    crop = crop_to_square(decoded, find_box(decoded, BORDER), 96)

    assert crop.shape == (96, 96, 3)
    assert psnr(crop[::12, ::12], decoded.pixels[::5, 5:45:5]) > 20


@pytest.mark.parametrize("least_side_px", [None, 100])
def test_box_over_the_whole_image_is_not_refused_for_rounding(least_side_px):
    decoded = decode_at(encode(textured(801, 801), "JPEG"), least_side_px)

    assert crop_to_square(decoded, Box(0.0, 0.0, 801.0, 801.0, "centre"), 32).shape == (32, 32, 3)


@pytest.mark.parametrize("sizes", [(), (512, 512), (0, 512)])
def test_sizes_that_make_no_sense_are_refused(sizes):
    message = f"sizes_px must be different sizes of at least 1. Got: {list(sizes)}."

    with pytest.raises(ValueError, match=rf"^{re.escape(message)}$"):
        CropParams(sizes, 1, BORDER)


def test_empty_shards_are_refused():
    with pytest.raises(ValueError, match=r"^shard_images must be at least 1\. Got: 0\.$"):
        CropParams((512,), 0, BORDER)
