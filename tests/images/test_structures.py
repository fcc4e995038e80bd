"""Tests of `pipeline.images.structures`."""

import numpy as np
import pytest

from pipeline.images.structures import Lesion, Pose, fade, outline, paint, scatter


def lesion(angle=0.0, stretch=1.0):
    return Lesion(Pose(101, 121, centre_px=(50, 60), radius_px=30, angle=angle, stretch=stretch))


def test_fade_keeps_the_ends_and_the_middle():
    np.testing.assert_array_equal(fade(np.array([-1, 0, 0.5, 1, 2])), [0, 0, 0.5, 1, 1])


def test_a_round_outline_fills_a_circle():
    mask = lesion().inside(outline(np.random.default_rng(0), {}), 0.05)

    assert mask.sum() == pytest.approx(np.pi * 30**2, rel=0.01)
    assert mask[50, 60] == 1
    assert mask[50, 60 + 33] == 0


def test_stretching_keeps_the_area_and_turning_moves_the_long_axis():
    mask = lesion(angle=np.pi / 2, stretch=1.25).inside(np.ones(512), 0.05)

    assert mask.sum() == pytest.approx(np.pi * 30**2, rel=0.01)
    assert mask[50 + 35, 60] == 1
    assert mask[50, 60 + 26] == 0


def test_points_and_fields_use_the_same_axes():
    turned = lesion(angle=0.7, stretch=1.2)
    point = np.array([[0.4, -0.3]])
    column, row = turned.to_px(point)[0]

    disc = turned.discs(point, np.array([0.1]))

    assert turned.p[round(row), round(column)] == pytest.approx(0.4, abs=0.03)
    assert turned.q[round(row), round(column)] == pytest.approx(-0.3, abs=0.03)
    assert disc[round(row), round(column)] > 0.9


def test_lattice_has_cells_at_the_spacing_that_was_asked_for():
    """Cells of a honeycomb of spacing s take s² √3 / 2 each; their peaks take a known share."""
    big = Lesion(Pose(400, 400, centre_px=(200, 200), radius_px=100, angle=0, stretch=1))

    field = big.lattice(np.random.default_rng(3), 0.5)

    inner = field[1:-1, 1:-1]
    neighbours = [
        np.roll(field, shift, (0, 1))[1:-1, 1:-1] for shift in ((0, 1), (0, -1), (1, 0), (-1, 0))
    ]
    peaks = (inner > np.max(neighbours, axis=0)) & (inner > 0.5)
    assert peaks.sum() == pytest.approx(16 / (0.5**2 * np.sqrt(3) / 2), rel=0.2)
    assert field.max() == pytest.approx(1, abs=0.01)


def test_scattered_points_keep_their_distance():
    points = scatter(np.random.default_rng(1), 12, reach=0.8, apart=0.3)

    gaps = np.hypot(*(points[:, None] - points[None]).transpose(2, 0, 1))
    assert gaps[~np.eye(len(points), dtype=bool)].min() > 0.3
    assert np.hypot(*points.T).max() < 0.8


def test_what_is_painted_last_lies_on_top():
    half, full = np.full((1, 1), 0.5, np.float32), np.ones((1, 1), np.float32)

    pattern = paint((full, (10, 20, 30)), (half, (0, 0, 100)))

    np.testing.assert_allclose(pattern[0, 0], [5, 10, 65])
