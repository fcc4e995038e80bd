"""Tests of `pipeline.network.augmentation.warp`."""

import numpy as np
import pytest
from scipy import ndimage

from pipeline.network.augmentation import warp
from pipeline.network.augmentation.draw import COLUMNS
from tests.network.augmentation.pictures import draw_for, noise, smooth, unplaned
from tests.network.networks import augmentation

pytestmark = pytest.mark.slow  # imports TensorFlow

IDENTITY = [1, 0, 0, 0, 1, 0]
DISTORTION_WIDTH = COLUMNS["distortion"].stop - COLUMNS["distortion"].start


def warped(images, affine=IDENTITY, distortion=None, kinds=()):
    count = len(images)
    affine = np.broadcast_to(np.float32(affine), (count, 6))
    if distortion is None:
        distortion = np.zeros((count, DISTORTION_WIDTH), np.float32)
    return unplaned(warp.warp(images, affine, distortion, kinds))


def sampled(image, rows, columns):
    """Look one image up with SciPy, mirrored beyond its edge."""
    channels = np.moveaxis(image.astype(float), 2, 0)
    look_up = [
        ndimage.map_coordinates(channel, [rows, columns], order=1, mode="reflect")
        for channel in channels
    ]
    return np.stack(look_up, axis=-1)


@pytest.mark.parametrize("size", [12, 33])
def test_rotation_scale_and_shift_agree_with_scipy(size):
    images = noise(count=3, size=size)
    params = augmentation({"shift_scale_rotate": 1, "rotate": 1}, dihedral=True)
    affine = draw_for(images, params)[:, COLUMNS["affine"]]

    results = unplaned(warp.warp(images, affine, np.zeros((3, DISTORTION_WIDTH), np.float32), ()))

    centre = (size - 1) / 2
    for image, row, result in zip(images, affine.astype(float), results, strict=True):
        down, across = np.indices((size, size)) - centre
        columns = row[0] * across + row[1] * down + row[2] + centre
        rows = row[3] * across + row[4] * down + row[5] + centre
        np.testing.assert_allclose(result, sampled(image, rows, columns), atol=0.01)


def test_positive_angle_turns_clockwise():
    """A bright pixel above the centre comes to lie on its right after a quarter turn."""
    image = np.zeros((1, 9, 9, 3), np.uint8)
    image[0, 1, 4] = 255

    result = warped(image, affine=[0, 1, 0, -1, 0, 0])

    assert result[0, 4, 7].tolist() == [255, 255, 255]
    assert result.sum() == 3 * 255


def test_beyond_the_edge_the_image_goes_on_as_its_mirror_image():
    image = noise(count=1, size=6)

    result = warped(image, affine=[1, 0, -4, 0, 1, 0])

    np.testing.assert_array_equal(result[0, :, :4], image[0, :, 3::-1])
    np.testing.assert_array_equal(result[0, :, 4:], image[0, :, :2])


def test_lens_moves_a_known_point_by_its_formula():
    """At half a side to the right, r = 0.5: r (1 + 0.4 (0.25 + 0.0625))."""
    size = 101
    distortion = np.zeros((1, DISTORTION_WIDTH), np.float32)
    distortion[0, 0] = 0.4

    across, down = (np.asarray(move) for move in warp.displace(distortion, ("optical",), size))

    r = 50 / 101
    expected = 50 * 0.4 * (r**2 + r**4)
    assert across[0, 50, 100] == pytest.approx(expected, rel=1e-5)
    assert down[0, 50, 100] == 0
    assert across[0, 50, 50] == down[0, 50, 50] == 0
    assert down[0, 0, 50] == pytest.approx(-expected, rel=1e-5)


def test_grid_interpolates_between_its_knots_and_keeps_the_edges():
    size = 51
    params = augmentation({"distortion": 1}, distortion={"optical": 0.0, "elastic": 0.0})
    distortion = draw_for(noise(6, size), params)[:, COLUMNS["distortion"]]

    across, down = (np.asarray(move) for move in warp.displace(distortion, ("grid",), size))

    for image in range(6):
        knots = distortion[image, 1:13].reshape(2, 6)
        places = np.linspace(0, 1, size)
        for moved, knot in zip((across[image, 0], down[image, :, 0]), knots, strict=True):
            expected = np.interp(places, np.linspace(0, 1, 6), knot)
            np.testing.assert_allclose(moved, expected, atol=1e-4)
            np.testing.assert_allclose(moved[[0, -1]], 0, atol=1e-4)
            assert (np.diff(moved) > -1).all()  # no two places change order
    assert np.abs(across).max() > 1


def test_elastic_field_is_smooth_and_bounded_and_never_folds():
    size, strength = 120, 0.1
    params = augmentation(
        {"distortion": 1}, distortion={"optical": 0.0, "grid": 0.0, "elastic": strength}
    )
    distortion = draw_for(noise(20, size), params)[:, COLUMNS["distortion"]]

    moves = np.stack(warp.displace(distortion, ("elastic",), size))

    assert 0.3 * strength * size < np.abs(moves).max() <= strength * size
    slopes = np.abs(np.diff(moves, axis=-1)), np.abs(np.diff(moves, axis=-2))
    assert max(slope.max() for slope in slopes) < 1
    # The second difference of a cubic spline of such control points is at most four strengths.
    bends = np.abs(np.diff(moves, n=2, axis=-1)).max()
    assert bends <= 4 * strength * size * (4 / (size - 1)) ** 2 * 1.01


def test_elastic_field_is_the_spline_of_its_control_points():
    """SciPy's cubic B-spline, whose coefficients are the control points."""
    size = 41
    distortion = np.zeros((1, DISTORTION_WIDTH), np.float32)
    points = np.random.default_rng(2).normal(size=(2, 7, 7)).astype(np.float32)
    distortion[0, 13:] = points.ravel()

    across, down = (np.asarray(move)[0] for move in warp.displace(distortion, ("elastic",), size))

    places = np.stack(np.meshgrid(*[1 + np.linspace(0, 4, size)] * 2, indexing="ij"))
    for moved, control in zip((across, down), points, strict=True):
        expected = ndimage.map_coordinates(control, places, order=3, prefilter=False)
        np.testing.assert_allclose(moved, expected, atol=1e-5)


def test_distortion_and_affine_are_one_look_up():
    """The displaced place is what the matrix is applied to."""
    images = smooth(count=2, size=40)
    params = augmentation({"distortion": 1, "shift_scale_rotate": 1}, dihedral=True)
    drawn = draw_for(images, params)
    affine, distortion = drawn[:, COLUMNS["affine"]], drawn[:, COLUMNS["distortion"]]
    kinds = params.distortion.kinds

    results = warped(images, affine, distortion, kinds)

    moves = np.stack(warp.displace(distortion, kinds, 40))
    for n, (image, row) in enumerate(zip(images, affine, strict=True)):
        down, across = np.indices((40, 40)) - 19.5
        across, down = across + moves[0, n], down + moves[1, n]
        columns = row[0] * across + row[1] * down + row[2] + 19.5
        rows = row[3] * across + row[4] * down + row[5] + 19.5
        np.testing.assert_allclose(results[n], sampled(image, rows, columns), atol=0.05)
