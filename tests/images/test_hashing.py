"""Tests of `pipeline.images.hashing`."""

import re

import imagehash
import numpy as np
import pytest
from PIL import Image

from pipeline.images.decode import decode
from pipeline.images.hashing import perceptual_hashes
from tests.images.pictures import DECODE, encode, textured

NEAR_BITS = 24


def distance(one, other):
    """Least number of differing bits between the first hash of one and any of the other."""
    first = int(one.split("-")[0], 16)
    return min((first ^ int(text, 16)).bit_count() for text in other.split("-"))


def test_eight_hashes_of_256_bits():
    assert re.fullmatch(r"[0-9a-f]{64}(-[0-9a-f]{64}){7}", perceptual_hashes(textured(90, 120)))


def test_first_hash_is_that_of_imagehash():
    pixels = textured(90, 120)

    first = perceptual_hashes(pixels).split("-")[0]

    assert first == str(imagehash.phash(Image.fromarray(pixels), hash_size=16))


def test_every_orientation_is_hashed():
    pixels = textured(128, 128)
    views = [
        np.rot90(view, turns) for view in (pixels, pixels.swapaxes(0, 1)) for turns in range(4)
    ]

    hashes = perceptual_hashes(pixels)

    assert len(set(hashes.split("-"))) == 8
    assert [distance(perceptual_hashes(view), hashes) for view in views] == pytest.approx(
        [0] * 8, abs=4
    )


def test_saved_again_at_half_size_is_near():
    pixels = textured(400, 600)
    again = encode(Image.fromarray(pixels).resize((300, 200)), "JPEG", quality=70)

    copy = decode(again, params=DECODE, least_side_px=None).pixels

    assert distance(perceptual_hashes(copy), perceptual_hashes(pixels)) <= NEAR_BITS


def test_different_images_are_far():
    hashes = [perceptual_hashes(textured(200, 300, seed)) for seed in range(8)]

    nearest = min(distance(one, other) for one in hashes for other in hashes if one != other)

    assert nearest > NEAR_BITS
