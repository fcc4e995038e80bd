"""Tests of `pipeline.images.corruptions.lines`."""

import numpy as np
import pytest

from pipeline.images.corruptions.lines import PAPER, draw_hairs, draw_ink, lay_ruler
from tests.images.pictures import framed

SKIN = (200, 150, 130)


def skin(height=240, width=320):
    return np.broadcast_to(np.uint8(SKIN), (height, width, 3))


def covered(pixels):
    return (pixels != SKIN).any(axis=2)


def rng(seed=0):
    return np.random.default_rng(seed)


def test_hairs_are_dark_thin_and_many():
    few, many = (draw_hairs(skin(), count, rng()) for count in (4, 60))

    assert 0.001 < covered(few).mean() < 0.03
    assert 0.05 < covered(many).mean() < 0.3
    assert many[covered(many)].max() <= 200
    assert many.min() < 75


def test_hairs_take_the_same_share_of_a_large_image():
    small, large = (
        np.abs(draw_hairs(skin(height, 2 * height), 20, rng(1)).astype(int) - SKIN).mean()
        for height in (300, 1200)
    )

    assert small == pytest.approx(large, rel=0.02)


def test_hairs_are_not_seen_in_the_surround():
    picture = framed(240, 320, (120, 160), 100)

    pixels = draw_hairs(picture, 60, rng())

    np.testing.assert_array_equal(pixels[:12], picture[:12])
    assert (pixels != picture).any()


@pytest.mark.parametrize("seed", range(6))
def test_ruler_covers_its_depth_on_one_side(seed):
    pixels = lay_ruler(skin(200, 200), 0.2, rng(seed))

    is_paper = covered(pixels)
    # The strip is tilted about the middle of its side: the mean depth stays.
    assert is_paper.mean() == pytest.approx(0.2, abs=0.015)
    sides = [is_paper[0], is_paper[-1], is_paper[:, 0], is_paper[:, -1]]
    assert sorted(side.mean() > 0.9 for side in sides) == [False, False, False, True]
    assert not is_paper[80:120, 80:120].any()


def test_ruler_is_paper_with_print():
    pixels = lay_ruler(skin(), 0.2, rng())

    on_paper = pixels[covered(pixels)].astype(int)
    assert (np.abs(on_paper - PAPER).max(axis=1) < 3).mean() > 0.6
    assert 0.01 < (on_paper.max(axis=1) < 100).mean() < 0.2


def test_rulers_lie_on_every_side():
    sides = set()
    for seed in range(20):
        is_paper = covered(lay_ruler(skin(100, 100), 0.15, rng(seed)))
        lines = [is_paper[0], is_paper[:, 0], is_paper[-1], is_paper[:, -1]]
        sides.add(int(np.argmax([line.mean() for line in lines])))

    assert sides == {0, 1, 2, 3}


def test_ink_is_violet_goes_around_and_leaves_the_middle():
    pixels = draw_ink(skin(240, 240), 1.0, rng())

    inked = covered(pixels)
    y, x = np.nonzero(inked)
    angles = np.degrees(np.arctan2(y - 119.5, x - 119.5))
    assert len(np.unique(angles // 10)) == 36  # a full turn
    assert not inked[80:160, 80:160].any()
    red, green, blue = pixels[inked].mean(axis=0) / SKIN  # what the ink lets through
    assert blue > red > green


def test_ink_takes_light_away_and_lets_the_skin_through():
    pattern = np.where(np.indices((240, 240)).sum(axis=0)[..., None] % 2, np.uint8(200), 160)
    picture = np.broadcast_to(pattern, (240, 240, 3)).astype(np.uint8)

    pixels = draw_ink(picture, 2.0, rng())

    assert (pixels <= picture).all()
    inked = (pixels[:, :-1] < 150).all(axis=2) & (pixels[:, 1:] < 150).all(axis=2)
    assert (pixels[:, :-1] != pixels[:, 1:])[inked].mean() > 0.9
