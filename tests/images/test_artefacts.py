"""Tests of `pipeline.images.artefacts`."""

import numpy as np
import pytest
from PIL import Image

from pipeline.images.artefacts import (
    add_artefacts,
    darken_surround,
    draw_bubbles,
    draw_hairs,
    draw_ruler,
)

SKIN = (200, 150, 130)


def skin():
    return Image.new("RGB", (160, 120), SKIN)


@pytest.mark.parametrize("draw", [draw_hairs, draw_ruler, draw_bubbles])
def test_an_artefact_leaves_most_of_the_image_as_it_was(draw):
    image = skin()

    draw(image, np.random.default_rng(4))

    changed = (np.asarray(image) != SKIN).any(axis=2).mean()
    assert 0 < changed < 0.2


def test_surround_darkens_the_corners_and_keeps_the_middle():
    pixels = np.asarray(darken_surround(skin(), np.random.default_rng(0)))

    assert pixels[[0, 0, -1, -1], [0, -1, 0, -1]].max() < 20
    np.testing.assert_array_equal(pixels[30:90, 50:110], np.broadcast_to(SKIN, (60, 60, 3)))


def test_some_images_have_artefacts_and_some_have_none():
    images = [skin() for _ in range(40)]

    for seed, image in enumerate(images):
        add_artefacts(image, np.random.default_rng(seed))

    clean = sum(image.tobytes() == skin().tobytes() for image in images)
    assert 10 < clean < 35
