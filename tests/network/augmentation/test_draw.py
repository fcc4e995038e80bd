"""Tests of `pipeline.network.augmentation.draw`."""

import numpy as np
import pytest

from pipeline.network.augmentation.draw import AUGMENTATION_WIDTH, COLUMNS, draw_augmentation
from tests.network.networks import FULL_AUGMENTATION, NO_AUGMENTATION, STRENGTHS, augmentation


def draw(params=FULL_AUGMENTATION, seed=3, epoch=0, count=200, size_px=40, repetition=0):
    return draw_augmentation(
        params, seed=seed, epoch=epoch, count=count, size_px=size_px, repetition=repetition
    )


def test_a_row_is_repeated_exactly_and_depends_on_no_other():
    whole = draw()

    np.testing.assert_array_equal(whole, draw())
    np.testing.assert_array_equal(whole[:7], draw(count=7))
    assert whole.dtype == np.float32
    assert whole.shape == (200, AUGMENTATION_WIDTH)


@pytest.mark.parametrize("change", [{"seed": 4}, {"epoch": 1}, {"repetition": 1}])
def test_another_seed_epoch_or_repetition_is_another_draw_of_every_operation(change):
    first, other = draw(), draw(**change)

    for name, columns in COLUMNS.items():
        differ = (first[:, columns] != other[:, columns]).any(axis=1)
        assert differ.mean() > 0.5, name


def test_strength_of_one_operation_changes_no_other():
    first, other = draw(), draw(augmentation(dict.fromkeys(STRENGTHS, 0.6) | {"clahe": 0.0}))

    assert (other[:, COLUMNS["clahe"]] == 0).all()
    for name in set(COLUMNS) - {"clahe", "affine"}:
        np.testing.assert_array_equal(first[:, COLUMNS[name]], other[:, COLUMNS[name]])


def test_group_draws_each_of_its_kinds_alike_and_never_two():
    params = augmentation({"softening": 0.8, "distortion": 0.8})
    drawn = draw(params, count=4000)
    distortion, softening = drawn[:, COLUMNS["distortion"]], drawn[:, COLUMNS["softening"]]

    parts = (distortion[:, :1], distortion[:, 1:13], distortion[:, 13:])
    used = np.stack([(part != 0).any(axis=1) for part in parts], axis=1)
    assert (used.sum(axis=1) <= 1).all()
    np.testing.assert_allclose(used.mean(axis=0), 0.8 / 3, atol=0.03)

    blurred = softening[:, 12] < 1  # the centre of the kernel
    used = np.stack([blurred, softening[:, 25] > 0, softening[:, 26] > 0], axis=1)
    assert (used.sum(axis=1) <= 1).all()
    np.testing.assert_allclose(used.mean(axis=0), [0.4, 0.2, 0.2], atol=0.03)


def test_switched_off_draws_nothing():
    drawn = draw(NO_AUGMENTATION)

    np.testing.assert_array_equal(drawn[:, COLUMNS["affine"]], [[1, 0, 0, 0, 1, 0]] * 200)
    np.testing.assert_array_equal(drawn[:, COLUMNS["distortion"]], 0)
    np.testing.assert_array_equal(drawn[:, COLUMNS["colour"]], [[1, 1, 0]] * 200)
    np.testing.assert_array_equal(drawn[:, COLUMNS["hairs"]].reshape(200, -1, 8)[:, :, 7], 0)


def test_angle_scale_and_shift_stay_within_their_strengths_and_reach_them():
    params = augmentation({"shift_scale_rotate": 1.0})
    a = draw(params, count=4000, size_px=100)[:, COLUMNS["affine"]].astype(float)

    degrees = np.rad2deg(np.arctan2(a[:, 3], a[:, 0]))
    scale = 1 / np.hypot(a[:, 0], a[:, 3])
    assert 19.5 < np.abs(degrees).max() <= 20.0001
    assert scale.min() == pytest.approx(0.9, abs=0.002)
    assert scale.max() == pytest.approx(1.1, abs=0.002)
    assert 6.2 < np.abs(a[:, [2, 5]]).max() <= 6.25


def test_hairs_are_as_many_as_allowed_at_most():
    params = augmentation({"hairs": 0.5}, hairs={"count": 3})
    hairs = draw(params, count=2000)[:, COLUMNS["hairs"]].reshape(2000, -1, 8)

    number = (hairs[:, :, 7] > 0).sum(axis=1)

    assert set(number) == {0, 1, 2, 3}
    assert (number > 0).mean() == pytest.approx(0.5, abs=0.05)
