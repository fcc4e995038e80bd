"""Tests of `pipeline.images.copies`."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from pipeline.images.copies import copy_jpeg, encode_jpeg
from tests.images.pictures import psnr, textured

ORIGINAL = encode_jpeg(textured(90, 120), 90)


def pixels_of(data):
    return np.asarray(Image.open(BytesIO(data)))


def test_an_exact_copy_has_the_same_bytes():
    assert copy_jpeg(ORIGINAL, "exact") == ORIGINAL


def test_a_resaved_copy_is_smaller_and_nearly_equal():
    copy = copy_jpeg(ORIGINAL, "resaved")

    assert len(copy) < len(ORIGINAL)
    assert psnr(pixels_of(copy), pixels_of(ORIGINAL)) > 25


def test_a_halved_copy_averages():
    copy = pixels_of(copy_jpeg(ORIGINAL, "halved"))

    means = pixels_of(ORIGINAL).reshape(45, 2, 60, 2, 3).mean(axis=(1, 3))
    assert copy.shape == (45, 60, 3)
    assert psnr(copy, means) > 25


def test_a_flipped_copy_is_mirrored():
    copy = pixels_of(copy_jpeg(ORIGINAL, "flipped"))

    assert psnr(copy[:, ::-1], pixels_of(ORIGINAL)) > 25


def test_unknown_change_is_refused():
    with pytest.raises(ValueError, match=r"^change must be one of .* Got: 'turned'\.$"):
        copy_jpeg(ORIGINAL, "turned")
