"""Tests of `pipeline.network.augment`."""

import dataclasses

import numpy as np
import pytest

from pipeline.network.augment import AugmentParams, apply_augmentation, draw_augmentation
from tests.network.networks import AUGMENTATION, NO_AUGMENTATION

pytestmark = pytest.mark.slow  # imports TensorFlow


def noise(count=16, size=12):
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3)).astype(np.uint8)


def augmented(images, params, epoch=0):
    drawn = draw_augmentation(
        params, seed=3, epoch=epoch, count=len(images), size_px=images.shape[1]
    )
    return np.asarray(apply_augmentation(images, drawn))


def test_switched_off_leaves_pixels_untouched():
    images = noise()

    np.testing.assert_array_equal(augmented(images, NO_AUGMENTATION), images)


def test_dihedral_gives_exactly_the_eight_views():
    """Turning and flipping moves pixels and never blends them."""
    images = noise(count=64)
    results = augmented(images, dataclasses.replace(NO_AUGMENTATION, dihedral=True))

    seen = set()
    for image, result in zip(images, results, strict=True):
        views = [
            np.rot90(flipped, turns) for flipped in (image, image[:, ::-1]) for turns in range(4)
        ]
        matches = [i for i, view in enumerate(views) if np.array_equal(view, result)]
        assert len(matches) == 1
        seen.add(matches[0])
    assert seen == set(range(8))


def test_same_seed_epoch_and_image_give_the_same_result_whatever_the_batch():
    images = noise()
    whole = augmented(images, AUGMENTATION)
    drawn = draw_augmentation(AUGMENTATION, seed=3, epoch=0, count=len(images), size_px=12)

    alone = [np.asarray(apply_augmentation(images[[i]], drawn[[i]]))[0] for i in range(len(images))]

    np.testing.assert_array_equal(whole, alone)
    assert not np.array_equal(whole, augmented(images, AUGMENTATION, epoch=1))


def test_brightness_shifts_every_channel_alike():
    grey = np.full((8, 6, 6, 3), 100, np.uint8)
    results = augmented(grey, dataclasses.replace(NO_AUGMENTATION, brightness=0.2)).astype(int)

    shifts = results.reshape(8, -1) - 100
    assert (shifts == shifts[:, :1]).all()
    assert np.abs(shifts).max() <= 51
    assert len(set(shifts[:, 0])) > 4


def test_saturation_leaves_grey_grey():
    grey = np.full((4, 6, 6, 3), 90, np.uint8)

    np.testing.assert_array_equal(
        augmented(grey, dataclasses.replace(NO_AUGMENTATION, saturation=0.9)), grey
    )


def test_cutout_blackens_one_square_of_its_share():
    white = np.full((200, 40, 40, 3), 255, np.uint8)
    params = dataclasses.replace(NO_AUGMENTATION, cutout_side=0.25, cutout_probability=0.5)

    black = (augmented(white, params) == 0).all(axis=-1).sum(axis=(1, 2))

    assert 0.35 < (black > 0).mean() < 0.65
    assert black.max() == 10 * 10


def test_strength_out_of_range_is_refused():
    with pytest.raises(ValueError, match=r"augment.contrast must be in \[0, 1\). Got: 1.5"):
        AugmentParams(False, 0, 1.5, 0, 0, 0, 0, 0, 0)
