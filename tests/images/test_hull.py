"""Tests of `pipeline.images.hull`."""

import numpy as np
import pytest
from scipy.spatial import Delaunay

from pipeline.images.hull import fill_circle, fill_hull


@pytest.mark.parametrize("seed", range(8))
def test_hull_is_that_of_the_pixels_corners(seed):
    """Centres on the hull's edge count; shrinking or growing it a little decides them."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((30, 40), bool)
    mask[rng.integers(5, 25, 12), rng.integers(5, 35, 12)] = True

    hull = fill_hull(mask)

    y, x = np.nonzero(mask)
    corners = np.concatenate([np.stack([x + i, y + j], axis=1) for i in (0, 1) for j in (0, 1)])
    centres = np.indices(mask.shape)[::-1].reshape(2, -1).T + 0.5
    middle = corners.mean(axis=0)
    for factor, compare in ((1 + 1e-6, np.greater_equal), (1 - 1e-6, np.less_equal)):
        triangles = Delaunay(middle + (corners - middle) * factor)
        inside = (triangles.find_simplex(centres) >= 0).reshape(mask.shape)
        assert compare(inside, hull).all()


def test_hull_of_one_pixel_is_itself():
    mask = np.zeros((4, 5), bool)
    mask[2, 3] = True

    np.testing.assert_array_equal(fill_hull(mask), mask)


def test_hull_fills_holes_and_dents():
    mask = np.ones((5, 6), bool)
    mask[2, 2] = mask[0, 2] = mask[4, 3] = False

    assert fill_hull(mask).all()


Y, X = np.mgrid[:128, :170] + 0.5


@pytest.mark.parametrize("radius", [50, 75])
def test_circle_is_completed_where_a_chord_cuts_it(radius):
    circle = np.hypot(Y - 62, X - 80) < radius
    chord = 80 - 0.75 * radius
    cut = fill_hull(circle & (chord < X))

    whole = fill_circle(cut)

    assert (cut & ~whole).sum() == 0
    assert (whole ^ circle).sum() <= 0.02 * circle.sum() < (cut ^ circle).sum()


def test_whole_circle_is_left_alone():
    hull = fill_hull(np.hypot(Y - 62, X - 80) < 55)

    np.testing.assert_array_equal(fill_circle(hull), hull)


@pytest.mark.parametrize(
    "hull",
    [
        np.ones((128, 170), bool),
        (Y > 20) & (Y < 108),
        (X > 30) & (X < 140) & (Y > 20) & (Y < 108),
        np.abs(X - 85) + np.abs(Y - 64) < 60,
        (X > 84) & (X < 86) & (Y > 63) & (Y < 65),
    ],
    ids=["image", "letterbox", "rectangle", "diamond", "pixel"],
)
def test_what_is_not_round_is_left_alone(hull):
    np.testing.assert_array_equal(fill_circle(hull), hull)
