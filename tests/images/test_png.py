"""Tests of `pipeline.images.png`."""

import numpy as np
import pytest

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
