"""Tests of `pipeline.images.lesions`."""

import numpy as np
import pytest

from pipeline.classes import CLASSES
from pipeline.images.lesions import DRAW
from pipeline.images.structures import Lesion, Pose

LESION = Lesion(Pose(240, 320, centre_px=(120, 160), radius_px=88, angle=0.3, stretch=1.1))


def test_every_class_can_be_drawn():
    assert tuple(DRAW) == CLASSES


@pytest.mark.parametrize("label", CLASSES)
def test_a_drawing_is_a_mask_and_a_pattern_that_change_with_the_seed(label):
    mask, pattern = DRAW[label](LESION, np.random.default_rng(0))
    other, _ = DRAW[label](LESION, np.random.default_rng(1))

    assert mask.shape == (240, 320)
    assert pattern.shape == (240, 320, 3)
    assert mask.min() >= 0
    assert mask.max() <= 1
    assert not np.array_equal(mask, other)


@pytest.mark.parametrize("label", CLASSES)
def test_lesions_of_all_classes_are_about_equally_large(label):
    """Else the share of lesion in an image, and so its mean colour, would tell the class."""
    areas = [DRAW[label](LESION, np.random.default_rng(seed))[0].sum() for seed in range(8)]

    assert np.mean(areas) == pytest.approx(np.pi * 88**2, rel=0.15)
