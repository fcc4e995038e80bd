"""Tests of `pipeline.images.corruptions.covers`."""

import numpy as np
import pytest

from pipeline.images.corruptions.covers import (
    PATCH_COLOURS,
    add_bubbles,
    darken_surround,
    lay_patches,
)

SKIN = (200, 150, 130)


def skin(height=240, width=320):
    return np.broadcast_to(np.uint8(SKIN), (height, width, 3))


def covered(pixels):
    return (pixels != SKIN).any(axis=2)


def rng(seed=0):
    return np.random.default_rng(seed)


def test_bubbles_have_dark_rims_and_bright_spots():
    pixels = add_bubbles(skin(), 60, rng()).astype(int)

    brightness = pixels.sum(axis=2) - sum(SKIN)
    assert brightness.min() < -100
    assert brightness.max() > 200
    assert 0.02 < covered(pixels).mean() < 0.25


def test_bubble_at_the_edge_is_cut_not_wrapped():
    for seed in range(10):
        pixels = add_bubbles(skin(64, 64), 60, rng(seed))
        assert pixels.shape == (64, 64, 3)
        assert covered(pixels).mean() < 0.5


def test_radius_is_a_share_of_half_the_diagonal():
    # Half the diagonal of 300 x 400 is 250; the middle is off by at most 4.5 px down and across.
    pixels = darken_surround(skin(300, 400), 0.8, rng())

    y, x = np.mgrid[:300, :400] + 0.5
    from_middle = np.hypot(y - 150, x - 200)
    assert not covered(pixels)[from_middle < 200 - 8].any()
    assert covered(pixels)[from_middle > 200 + 8].all()
    assert pixels[from_middle > 200 + 8].max() <= 15


@pytest.mark.parametrize("shape", [(100, 100), (100, 300), (450, 600)], ids=str)
@pytest.mark.parametrize("seed", range(3))
def test_weakest_surround_still_reaches_a_corner(shape, seed):
    pixels = darken_surround(skin(*shape), 0.9, rng(seed))

    assert covered(pixels)[[0, 0, -1, -1], [0, -1, 0, -1]].all()


@pytest.mark.parametrize("seed", range(12))
def test_patches_cover_their_share_and_leave_the_middle(seed):
    pixels = lay_patches(skin(), 0.28, rng(seed))

    hidden = covered(pixels)
    assert 0.25 < hidden.mean() < 0.295  # soft edges are counted whole
    assert not hidden[110:130, 150:170].any()


def test_patches_are_opaque_and_of_one_colour():
    pixels = lay_patches(skin(), 0.2, rng())

    colours, counts = np.unique(pixels[covered(pixels)], axis=0, return_counts=True)
    assert tuple(colours[counts.argmax()].tolist()) in PATCH_COLOURS
    assert counts.max() > 0.9 * counts.sum()  # the rest are soft edges


def test_patches_come_in_several_kinds():
    colours = set()
    for seed in range(30):
        pixels = lay_patches(skin(64, 64), 0.28, rng(seed))
        found, counts = np.unique(pixels[covered(pixels)], axis=0, return_counts=True)
        colours.add(tuple(found[counts.argmax()].tolist()))

    assert colours == set(PATCH_COLOURS)
