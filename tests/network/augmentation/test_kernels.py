"""Tests of `pipeline.network.augmentation.kernels`."""

import numpy as np
import pytest

from pipeline.network.augmentation.kernels import UNITS, gaussian_kernels, motion_kernels


def motion(length_px, degrees):
    return motion_kernels(np.array([length_px]), np.deg2rad([degrees]))[0].reshape(5, 5)


def test_horizontal_motion_of_five_pixels_averages_five_pixels_of_a_row():
    kernel = np.zeros((5, 5))
    kernel[2] = 0.2

    np.testing.assert_allclose(motion(5, 0), kernel, atol=13 / UNITS)
    np.testing.assert_allclose(motion(5, 90), kernel.T, atol=13 / UNITS)


def test_motion_goes_down_to_the_right_at_45_degrees():
    kernel = motion(5, 45)

    assert kernel[1, 1] == pytest.approx(kernel[3, 3]) and kernel[1, 1] > 0.1
    assert kernel[3, 1] == kernel[1, 3] < 0.1
    np.testing.assert_allclose(kernel, np.fliplr(motion(5, 135)), atol=13 / UNITS)


def test_motion_over_one_pixel_moves_nothing():
    assert motion(1, 30)[2, 2] == 1


@pytest.mark.parametrize("deviation_px", [0.3, 0.8, 1.1, 2.0])
def test_gaussian_falls_off_by_its_formula(deviation_px):
    kernel = gaussian_kernels(np.array([deviation_px]))[0].reshape(5, 5)

    falls = kernel[2, 1] / kernel[2, 2], kernel[1, 1] / kernel[2, 2]
    expected = np.exp(-0.5 / deviation_px**2), np.exp(-1 / deviation_px**2)
    np.testing.assert_allclose(falls, expected, atol=0.002)


def test_weights_are_whole_units_that_sum_to_one_and_are_the_same_turned_about():
    rng = np.random.default_rng(0)
    kernels = np.concatenate(
        [
            motion_kernels(rng.uniform(1, 5, 500), rng.uniform(0, 3.2, 500)),
            gaussian_kernels(rng.uniform(0.1, 2, 500)),
        ]
    )

    np.testing.assert_array_equal(kernels * UNITS, np.round(kernels * UNITS))
    np.testing.assert_array_equal(kernels.sum(axis=1), 1)
    np.testing.assert_array_equal(kernels, kernels[:, ::-1])
    assert kernels.min() >= 0
