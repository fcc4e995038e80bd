"""Tests of `pipeline.images.preprocess`; against the stages, see `tests/stages/test_resize.py`."""

import dataclasses
import re

import numpy as np
import pytest

from pipeline.images.crop import CROP_RESAMPLE, CropParams, crop_to_square
from pipeline.images.decode import ImageError, decode
from pipeline.images.preprocess import cut_crops, preprocess
from pipeline.images.resize import resize_to_square
from tests.images.pictures import (
    BORDER,
    CROP,
    DECODE,
    encode,
    framed,
    oriented,
    psnr,
    textured,
)


def run(file, inputs=((96, 32), (64, 40)), crop_params=CROP):
    return preprocess(
        file, decode_params=DECODE, crop_params=crop_params, resample="bicubic", inputs=inputs
    )


def test_one_array_for_each_input():
    result = run(encode(textured(200, 300), "JPEG"))

    assert {pair: array.shape for pair, array in result.arrays.items()} == {
        (96, 32): (32, 32, 3),
        (64, 40): (40, 40, 3),
    }
    assert (result.width_px, result.height_px) == (300, 200)
    assert result.box.region == (50, 0, 250, 200)


def test_arrays_are_the_crops_resized():
    data = encode(framed(300, 400, (140, 170), 100), "JPEG")

    crops = cut_crops(data, decode_params=DECODE, crop_params=CROP).crops
    arrays = run(data).arrays

    for (crop_px, input_px), array in arrays.items():
        expected = resize_to_square(crops[crop_px], input_px, resample="bicubic")
        np.testing.assert_array_equal(array, expected)


def test_arrays_do_not_depend_on_which_other_inputs_are_asked_for():
    """A bundle of one member sees the pixels that the member was trained on with the others."""
    data = encode(textured(801, 1009), "JPEG")

    alone = run(data, inputs=[(64, 40)]).arrays[64, 40]

    np.testing.assert_array_equal(alone, run(data).arrays[64, 40])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_camera_held_otherwise_gives_the_same_arrays(orientation):
    pixels = framed(300, 400, (140, 170), 100)

    turned = run(oriented(pixels, orientation))

    np.testing.assert_array_equal(turned.arrays[96, 32], run(encode(pixels)).arrays[96, 32])
    assert turned.box.reason == "dark_surround"


def test_small_field_of_a_large_image_is_decoded_finely():
    """At the first scale the field has 73 pixels for a crop of 96; the crop must not be blurred."""
    pixels = framed(1001, 1203, (500, 600), 330)
    data = encode(pixels, "JPEG", quality=95, subsampling=0)

    cropped = cut_crops(data, decode_params=DECODE, crop_params=CROP)

    coarse = decode(data, params=DECODE, least_side_px=CROP.least_side_px)
    assert cropped.box.side_px / coarse.shrink < 96
    exact = crop_to_square(
        decode(encode(pixels), params=DECODE, least_side_px=None), cropped.box, 96, "centre"
    )
    assert psnr(cropped.crops[96], exact) >= 42
    assert psnr(crop_to_square(coarse, cropped.box, 96, "centre"), exact) < 42


def test_size_that_is_not_cut_is_refused():
    with pytest.raises(ValueError, match=r"^crop_px must be one of \[64, 96\]\. Got: \[512\]\.$"):
        run(encode(textured(200, 300)), inputs=[(512, 40)])


def test_bad_file_is_named(tmp_path):
    path = tmp_path / "ISIC_1.jpg"
    path.write_bytes(b"%PDF-1.7")

    with pytest.raises(ImageError, match=rf"^{re.escape(str(path))} must be a JPEG or PNG image"):
        run(path)


def test_order_of_sizes_changes_nothing():
    data = encode(textured(801, 1009), "JPEG")
    turned = CropParams(sizes_px=(96, 64), shard_images=2, squaring="centre", border=BORDER)

    one, other = run(data).arrays, run(data, crop_params=turned).arrays

    for pair in one:
        np.testing.assert_array_equal(one[pair], other[pair])


@pytest.mark.parametrize("squaring", ["pad", "stretch"])
def test_squaring_reaches_the_arrays(squaring):
    """Training and CAD both come through here."""
    data = encode(textured(200, 300))
    params = dataclasses.replace(CROP, squaring=squaring)

    array = run(data, crop_params=params).arrays[96, 32]

    assert psnr(array, run(data).arrays[96, 32]) < 30
    assert (array[0] == 0).all() == (squaring == "pad")


def test_smaller_crop_is_cut_out_of_the_larger_one():
    crops = cut_crops(encode(textured(200, 300)), decode_params=DECODE, crop_params=CROP).crops

    expected = resize_to_square(crops[96], 64, resample=CROP_RESAMPLE)
    np.testing.assert_array_equal(crops[64], expected)


def test_smaller_crop_is_not_cut_out_of_one_that_was_enlarged():
    """The middle of 80 pixels is enlarged to 96: what shrinks to 64 comes from the 80."""
    data = encode(textured(80, 120))
    decoded = decode(data, params=DECODE, least_side_px=None)

    cropped = cut_crops(data, decode_params=DECODE, crop_params=CROP)

    np.testing.assert_array_equal(
        cropped.crops[64], crop_to_square(decoded, cropped.box, 64, "centre")
    )
