"""Tests of `tools.gate_pictures`."""

import numpy as np
import pytest

from tools.gate_pictures import DESIGNED_ON, KEPT_ASIDE, checkerboard, spectral

pytestmark = pytest.mark.slow

KINDS = DESIGNED_ON | KEPT_ASIDE


def test_what_was_designed_on_is_not_kept_aside():
    assert not set(DESIGNED_ON) & set(KEPT_ASIDE)
    assert len(set(KINDS.values())) == len(DESIGNED_ON) + len(KEPT_ASIDE)


@pytest.mark.parametrize("kind", KINDS)
def test_picture_is_drawn_from_its_seed_alone(kind):
    one, again, other = (KINDS[kind](np.random.default_rng(seed)) for seed in (1, 1, 2))

    np.testing.assert_array_equal(one, again)
    assert one.dtype == np.uint8 and one.shape[2] == 3
    assert (one.shape != other.shape) or (one != other).any()


def test_board_has_two_colours():
    board = checkerboard(np.random.default_rng(0))

    assert len(np.unique(board.reshape(-1, 3), axis=0)) == 2


def test_steeper_spectrum_is_smoother():
    rough, smooth = (spectral(np.random.default_rng(0), slope) for slope in (0.5, 3))

    assert rough.std() == pytest.approx(1) == smooth.std()
    assert np.diff(smooth).std() < 0.3 * np.diff(rough).std()
