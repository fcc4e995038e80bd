"""Tests of `pipeline.network.augmentation.filters`."""

import numpy as np
import pytest
from keras import ops
from scipy import ndimage, stats

from pipeline.network.augmentation import filters
from pipeline.network.augmentation.kernels import IDENTITY, gaussian_kernels, motion_kernels
from tests.network.augmentation.pictures import noise, planes, unplaned

pytestmark = pytest.mark.slow  # imports TensorFlow


def blurred(images, kernels):
    return unplaned(filters.blur(planes(images), ops.convert_to_tensor(kernels, "float32")))


def test_gaussian_agrees_with_scipy():
    images, deviations = noise(count=3, size=17), np.array([0.6, 1.0, 1.1])

    results = blurred(images, gaussian_kernels(deviations))

    for image, deviation, result in zip(images, deviations, results, strict=True):
        expected = ndimage.gaussian_filter(
            image.astype(float), deviation, mode="reflect", axes=(0, 1), radius=2
        )
        np.testing.assert_allclose(result, expected, atol=0.1)


def test_motion_smears_a_dot_along_its_path_and_each_image_has_its_own():
    dots = np.zeros((2, 9, 9, 3), np.uint8)
    dots[:, 4, 4] = 250

    across, down = blurred(dots, motion_kernels(np.array([5.0, 5.0]), np.array([0, np.pi / 2])))

    np.testing.assert_allclose(across[4, 2:7], 50, atol=0.1)
    np.testing.assert_allclose(down[2:7, 4], 50, atol=0.1)
    assert across.sum() == down.sum() == 3 * 250


def test_kernel_of_a_dot_is_not_mirrored():
    """A kernel with one weight off the centre takes the pixel that lies there."""
    image = noise(count=1, size=9)
    kernel = np.zeros((1, 5, 5))
    kernel[0, 1, 4] = 1  # one up, two to the right

    result = blurred(image, kernel.reshape(1, 25))

    np.testing.assert_array_equal(result[0, 1:, :-2], image[0, :-1, 2:])


def test_identity_kernel_changes_nothing():
    image = noise(count=2, size=9)

    np.testing.assert_array_equal(blurred(image, np.tile(IDENTITY, (2, 1))), image)


@pytest.mark.parametrize("size", [8, 17])
def test_median_agrees_with_scipy(size):
    images = noise(count=3, size=size)

    results = unplaned(filters.median(planes(images)))

    expected = ndimage.median_filter(images, size=(1, 3, 3, 1), mode="reflect")
    np.testing.assert_array_equal(results, expected)


def noise_of(seeds, size=100):
    seeds = ops.convert_to_tensor(np.float32(seeds))
    grey = ops.zeros((len(seeds), 3, size, size))
    return np.asarray(filters.add_noise(grey, ops.ones(len(seeds)), seeds))


def test_noise_is_gaussian():
    sample = noise_of([[5, 9], [2**24 - 1, 123456]]).ravel()

    assert abs(sample.mean()) < 0.02
    assert sample.std() == pytest.approx(1, abs=0.02)
    assert stats.kstest(sample, "norm").statistic < 0.01


def test_noise_of_neighbours_channels_images_and_seeds_is_unrelated():
    first, second, third = noise_of([[5, 9], [6, 9], [5, 10]])

    pairs = {
        "next column": (first[:, :, 1:], first[:, :, :-1]),
        "next row": (first[:, 1:], first[:, :-1]),
        "channels": (first[0], first[1]),
        "first seed": (first, second),
        "second seed": (first, third),
        # Seeds that differ by one must not give the same noise, moved by a pixel.
        "moved": (first[:, :, 1:], second[:, :, :-1]),
    }
    for name, (a, b) in pairs.items():
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 0.03, name


def test_noise_has_its_standard_deviation_per_image():
    grey = ops.zeros((2, 3, 60, 60)) + 100.0
    seeds = ops.convert_to_tensor(np.float32([[1, 2], [3, 4]]))

    noisy = np.asarray(filters.add_noise(grey, ops.convert_to_tensor([0.0, 7.0]), seeds))

    assert (noisy[0] == 100).all()
    assert noisy[1].std() == pytest.approx(7, rel=0.03)


def test_mixing_agrees_with_plain_integers():
    """The hash that its source defines, in Python's unbounded numbers."""

    def mixed(x):
        x ^= x >> 16
        x = x * 0x7FEB352D % 2**32
        x ^= x >> 15
        x = x * 0x846CA68B % 2**32
        return x ^ x >> 16

    values = [0, 1, 2, 12345, 2**24, 2**31 + 7, 2**32 - 1]

    result = np.asarray(filters.mix(ops.convert_to_tensor(np.uint32(values))))

    assert result.tolist() == [mixed(value) for value in values]
