"""Tests of `pipeline.images.png`."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from pipeline.images.png import decode_png, encode_png
from tests.images.pictures import textured


@pytest.mark.parametrize(
    "pixels",
    [
        textured(64, 64),
        np.zeros((5, 7, 3), np.uint8),
        np.random.default_rng(0).integers(0, 256, (33, 33, 3), np.uint8),
    ],
)
def test_pixels_come_back_unchanged(pixels):
    np.testing.assert_array_equal(decode_png(encode_png(pixels)), pixels)


def test_the_same_pixels_give_the_same_bytes():
    assert encode_png(textured(64, 64)) == encode_png(textured(64, 64).copy())


def test_any_reader_of_png_opens_the_bytes():
    """`Image.open` checks each chunk's sum, `load` that no byte is missing."""
    pixels = textured(64, 80)

    with Image.open(BytesIO(encode_png(pixels))) as image:
        image.load()

    assert (image.format, image.mode, image.size) == ("PNG", "RGB", (80, 64))
    np.testing.assert_array_equal(np.asarray(image), pixels)


def test_part_of_a_larger_array_is_encoded_as_its_copy():
    part = textured(64, 80)[3:40, 5:60]

    assert encode_png(part) == encode_png(part.copy())


def test_bytes_are_fewer_than_pixels():
    pixels = textured(256, 256)

    assert len(encode_png(pixels)) < 0.8 * pixels.nbytes
