"""Tests of `pipeline.scoring.deletion`."""

import itertools

import numpy as np
import pytest
from scipy.stats import spearmanr

from pipeline.scoring.bootstrap import Estimate, draw_counts
from pipeline.scoring.deletion import (
    PairedGain,
    area_under,
    energy_inside,
    map_similarity,
    paired_gain,
    pointing_hit,
    random_like,
    removal_curves,
    removal_masks,
)

UNDEFINED = np.full((2, 2), np.nan)
CONSTANT = np.full((2, 2), 0.5)


def bump(row, column, side=24, width=3.0):
    """A smooth spot, as the maps of a network are."""
    rows, columns = np.indices((side, side))
    return np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / (2 * width**2))


def sees(weights):
    """A network whose score is what shows of each pixel, weighted."""
    return lambda masks: ((1 - masks) * weights / weights.sum()).sum(axis=(1, 2))


def areas(heat, weights, steps=20):
    curves = removal_curves(heat, sees(weights), steps=steps)
    return area_under(curves.deletion), area_under(curves.insertion)


def test_pixels_are_hidden_from_the_most_important_down():
    masks = removal_masks(np.array([[4.0, 1.0], [3.0, 2.0]]), 4)

    np.testing.assert_array_equal(
        masks,
        [[[0, 0], [0, 0]], [[1, 0], [0, 0]], [[1, 0], [1, 0]], [[1, 0], [1, 1]], [[1, 1], [1, 1]]],
    )


def test_pixels_of_one_value_fade_together():
    """Planted: a sort would hide the upper one first, for being upper."""
    masks = removal_masks(np.array([[2.0, 1.0], [1.0, 0.0]]), 2)

    np.testing.assert_array_equal(masks[1], [[1, 0.5], [0.5, 0]])


def test_every_step_hides_the_same_share_more():
    masks = removal_masks(np.random.default_rng(0).integers(0, 5, (7, 9)).astype(float), 6)

    np.testing.assert_allclose(masks.mean(axis=(1, 2)), np.arange(7) / 6, atol=1e-6)
    assert (np.diff(masks, axis=0) >= 0).all()


def test_curves_and_areas_by_hand():
    weights = np.array([[0.5, 0.3], [0.2, 0.0]])

    curves = removal_curves(weights, sees(weights), steps=4)

    np.testing.assert_allclose(curves.deletion, [1, 0.5, 0.2, 0, 0], atol=1e-6)
    np.testing.assert_allclose(curves.insertion, [0, 0.5, 0.8, 1, 1], atol=1e-6)
    assert area_under(curves.deletion) == pytest.approx((0.5 + 0.5 + 0.2) / 4)
    assert area_under(curves.insertion) == pytest.approx((0.5 + 0.8 + 1 + 0.5) / 4)


def test_no_order_of_the_pixels_beats_the_true_one():
    weights = np.array([[0.5, 0.3], [0.15, 0.05]])
    deleted, inserted = areas(weights, weights, steps=4)

    for order in itertools.permutations([4.0, 3.0, 2.0, 1.0]):
        other = areas(np.reshape(order, (2, 2)), weights, steps=4)
        assert other[0] >= deleted - 1e-9
        assert other[1] <= inserted + 1e-9


def test_scale_of_a_map_does_not_matter():
    heat, weights = bump(8, 15), bump(9, 12)

    assert areas(heat, weights) == areas(7 * heat + 3, weights)


def test_a_map_without_order_has_no_area_and_asks_nothing_of_the_network():
    for heat in (UNDEFINED, CONSTANT):
        curves = removal_curves(heat, lambda masks: pytest.fail("scored"), steps=3)

        assert np.isnan(curves.deletion).all() and np.isnan(curves.insertion).all()
        assert np.isnan(area_under(curves.deletion))


def test_a_random_map_has_the_values_and_the_smoothness_of_the_map_and_not_its_place():
    heat, rng = bump(6, 17), np.random.default_rng(0)
    drawn = [random_like(heat, rng) for _ in range(200)]

    def roughness(one):
        return np.abs(np.diff(one, axis=0)).mean() + np.abs(np.diff(one, axis=1)).mean()

    for other in drawn[:20]:
        np.testing.assert_array_equal(np.sort(other, axis=None), np.sort(heat, axis=None))
    found = np.mean([roughness(other) for other in drawn])
    shuffled = roughness(rng.permuted(heat, axis=None).reshape(heat.shape))
    assert found < 2.5 * roughness(heat) < 0.5 * shuffled
    assert abs(np.mean([map_similarity(heat, other) for other in drawn])) < 0.1


def planted(count=16):
    """Places that decide, one an image, and another that decides another class."""
    rng = np.random.default_rng(3)
    at = rng.uniform(3, 9, (count, 2))  # left of the middle, so that a mirror image is elsewhere
    return [(bump(*one), bump(*(20 - one))) for one in at]


def shuffle_pixels(own, other):
    return np.random.default_rng(1).permuted(own, axis=None).reshape(own.shape)


FAULTS = {
    "flipped left to right": lambda own, other: own[:, ::-1],
    "of another class": lambda own, other: other,
    "shuffled": shuffle_pixels,
    "upside down in value": lambda own, other: -own,
}


def gain_of(make):
    """Compare maps with random ones of the same smoothness on all planted images."""
    rng, found = np.random.default_rng(2), []
    for own, other in planted():
        heat = make(own, other)
        controls = [areas(random_like(heat, rng), own) for _ in range(4)]
        found.append((areas(heat, own), np.mean(controls, axis=0)))
    (deleted, inserted), (control_deleted, control_inserted) = np.transpose(found, (1, 2, 0))
    counts = draw_counts(np.arange(len(found)), repeats=500, seed=0)
    return (
        paired_gain(control_deleted, deleted, counts=counts, interval=0.95),
        paired_gain(inserted, control_inserted, counts=counts, interval=0.95),
    )


def test_the_true_map_beats_random_ones_of_its_smoothness():
    for gain in gain_of(lambda own, other: own):
        assert gain.n == 16
        assert gain.gain.low > 0.1
        assert gain.wins > 0.9


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_does_not_beat_random_maps(fault):
    for gain in gain_of(FAULTS[fault]):
        assert gain.gain.low < 0.02


def test_a_constant_map_is_not_counted():
    for gain in gain_of(lambda own, other: np.ones_like(own)):
        assert gain == PairedGain(0, Estimate(None, None, None, 0), None)


def test_paired_gain_by_hand():
    better, worse = np.array([0.9, 0.6, 0.5, np.nan]), np.array([0.5, 0.6, 0.7, 0.1])
    counts = np.array([[1, 1, 1, 1], [2, 1, 0, 1], [0, 0, 3, 1], [0, 0, 0, 4]])

    gain = paired_gain(better, worse, counts=counts, interval=0.5)

    assert gain.n == 3
    assert gain.gain.value == pytest.approx(0.2 / 3)
    assert gain.wins == pytest.approx(0.5)
    # Means of the resamples: 0.2 / 3, 0.8 / 3, -0.2, and none: the fourth holds no such image.
    assert gain.gain.resamples == 3
    assert (gain.gain.low, gain.gain.high) == pytest.approx((-0.2 / 3, 0.5 / 3))


def test_paired_gain_does_not_depend_on_the_order_of_images():
    rng = np.random.default_rng(0)
    better, worse, order = rng.random(30), rng.random(30), rng.permutation(30)
    counts = draw_counts(np.arange(30), repeats=200, seed=1)

    one = paired_gain(better, worse, counts=counts, interval=0.9)
    other = paired_gain(better[order], worse[order], counts=counts[:, order], interval=0.9)

    assert (one.gain.value, one.gain.low) == pytest.approx((other.gain.value, other.gain.low))
    assert one.wins == other.wins


def test_maps_do_not_beat_themselves():
    values = np.random.default_rng(0).random(8)

    gain = paired_gain(values, values, counts=np.ones((3, 8), int), interval=0.9)

    assert (gain.gain.value, gain.gain.low, gain.gain.high, gain.wins) == (0, 0, 0, 0.5)


REGION = np.array([[True, False], [False, False]])


def test_pointing_is_at_the_highest_place():
    assert pointing_hit(np.array([[0.9, 0.1], [0.2, 0.8]]), REGION) == 1
    assert pointing_hit(np.array([[0.7, 0.1], [0.2, 0.8]]), REGION) == 0


def test_several_highest_places_share_the_pointing():
    assert pointing_hit(np.array([[0.8, 0.8], [0.2, 0.8]]), REGION) == pytest.approx(1 / 3)


def test_energy_inside_is_the_share_of_the_sum():
    assert energy_inside(np.array([[0.6, 0.1], [0.2, 0.3]]), REGION) == pytest.approx(0.5)
    assert energy_inside(CONSTANT, REGION) == pytest.approx(0.25)


def test_what_is_undefined_points_nowhere():
    assert np.isnan(pointing_hit(UNDEFINED, REGION))
    assert np.isnan(pointing_hit(CONSTANT, REGION))
    assert np.isnan(energy_inside(UNDEFINED, REGION))
    assert np.isnan(energy_inside(np.zeros((2, 2)), REGION))


def test_similarity_is_spearmans():
    rng = np.random.default_rng(0)
    one, other = rng.integers(0, 6, (9, 7)), rng.integers(0, 4, (9, 7)) + 0.0

    assert map_similarity(one, other) == pytest.approx(spearmanr(one.ravel(), other.ravel())[0])
    assert map_similarity(one, 3 * one + 1) == pytest.approx(1)
    assert map_similarity(one, -one) == pytest.approx(-1)


def test_similarity_with_a_map_without_order_is_undefined():
    assert np.isnan(map_similarity(CONSTANT, np.eye(2)))
    assert np.isnan(map_similarity(np.eye(2), UNDEFINED))


def test_no_steps_are_refused():
    with pytest.raises(ValueError, match=r"^steps must be at least 1\. Got: 0\.$"):
        removal_masks(np.eye(2), 0)
