"""Tests of `pipeline.images.gate.fit`."""

import numpy as np
import pytest

from pipeline.images.gate.descriptors import FEATURES
from pipeline.images.gate.fit import (
    FAR,
    LEAST_IMAGES,
    choose_limits,
    fit_distance,
    fit_gate,
    limits_at,
    measure_apart,
)
from pipeline.images.gate.limits import RULES, WORDS
from tests.images.gate.gates import GOOD, draw, typical


def flagged(gate, descriptors):
    return np.any(list(gate.judge(descriptors)[1].values()), axis=0)


@pytest.mark.parametrize("share", [0.02, 0.1])
@pytest.mark.parametrize("count", [100, 600])
def test_share_of_new_genuine_images_is_the_wanted_one(count, share):
    """Limits taken on the images that the distance was fitted on would flag several times more."""
    gates = [
        fit_gate(draw(count, seed), groups=np.arange(count), false_positive_share=share)
        for seed in range(3)
    ]

    found = np.mean([flagged(gate, draw(3000, 99)).mean() for gate in gates])

    assert found == pytest.approx(share, abs=0.4 * share + 0.01)


def test_distance_is_one_for_typical_images_whatever_their_units_and_ties():
    descriptors = draw(800)
    descriptors[:, 12] = 1000 * descriptors[:, 13] + 7  # the same thing in other units

    distance = fit_distance(descriptors).measure(draw_tied(400))

    assert np.median(distance) == pytest.approx(1, abs=0.15)


def draw_tied(count):
    found = draw(count, 5)
    found[:, 12] = 1000 * found[:, 13] + 7
    return found


def test_image_that_breaks_a_tie_is_far_though_each_value_is_usual():
    """What single limits cannot see, and the reason for a covariance."""
    fitted = fit_distance(draw_tied(800))
    usual, broken = np.array([typical(), typical()])
    usual[[12, 13]] = 1507, 1.5
    broken[[12, 13]] = -1493, 1.5

    near, far = fitted.measure(np.array([usual, broken]))

    assert far > 2 * near


def test_long_tail_counts_by_its_own_spread():
    """The side with a long tail forgives more than the other."""
    descriptors = draw(800)
    descriptors[:, 12] = np.exp(descriptors[:, 12])
    fitted = fit_distance(descriptors)
    above, below = typical(), typical()
    above[12], below[12] = 1 + 3, 1 - 3

    assert fitted.measure(below[None]) > 1.5 * fitted.measure(above[None])


def test_feature_that_never_varied_is_left_out():
    descriptors = draw(100)
    descriptors[:, 12] = 4.0
    changed = typical()
    changed[12] = 50.0

    before, after = fit_distance(descriptors).measure(np.array([typical(), changed]))

    assert before == after


def test_sharp_bright_training_images_make_no_strict_limits():
    """Spared values hold: 4 : 3 originals alone must not make 3 : 2 a wrong aspect."""
    gate = fit_gate(draw(60, aspect_ratio=4 / 3), groups=np.arange(60), false_positive_share=0.05)

    assert {code: gate.limits[code] for code in RULES} == {
        code: rule.spared for code, rule in RULES.items()
    }
    assert gate.limits["not_a_lesion"] == FAR * gate.limits["unlike_training"]
    assert set(gate.limits) == set(WORDS)


def test_training_images_beyond_a_spared_value_move_the_limit():
    descriptors = draw(400)
    column = FEATURES.index("sharpness")
    descriptors[:, column] = np.linspace(-1, 1, 400)

    gate = fit_gate(descriptors, groups=np.arange(400), false_positive_share=0.1)

    assert -1 < gate.limits["blurred"] < -0.9


def test_limits_flag_the_wanted_share_together():
    """Two reasons for one image count once."""
    rng = np.random.default_rng(0)
    values = {"blurred": -rng.exponential(2, 5000), "unlike_training": rng.exponential(1, 5000)}

    limits = choose_limits(values, 0.05)

    beyond = (values["blurred"] < limits["blurred"]) | (
        values["unlike_training"] > limits["unlike_training"]
    )
    assert 0.049 <= beyond.mean() <= 0.05


def test_limits_at_a_level_worked_by_hand():
    """Of six shares of the level five are the distance's: 0.5 of 0.6, of ten images five."""
    values = {"blurred": -np.arange(10.0), "unlike_training": np.arange(10.0)}

    limits = limits_at(1.0, values)

    # Weights are 1 of 10 for each rule and 5 of 10 for the distance.
    assert limits == {"blurred": -9.0, "unlike_training": 5.0}


def test_distance_of_a_group_is_measured_by_the_others():
    """Ten copies of one strange image: had they fitted their own distance, they were near."""
    descriptors = draw(60)
    descriptors[:10] = draw(1, 9) * 8
    descriptors[:10, [FEATURES.index(name) for name in GOOD]] = list(GOOD.values())
    together = np.array([0] * 10 + list(range(1, 51)))

    apart = measure_apart(descriptors, together)[:10]
    own = fit_distance(descriptors).measure(descriptors)[:10]

    assert apart.min() > 1.2 * own.max()


def test_order_of_images_changes_nothing():
    descriptors, groups = draw(100), np.repeat(np.arange(50), 2)
    order = np.random.default_rng(1).permutation(100)

    one = fit_gate(descriptors, groups=groups, false_positive_share=0.05)
    other = fit_gate(descriptors[order], groups=groups[order], false_positive_share=0.05)

    for code in WORDS:
        assert other.limits[code] == pytest.approx(one.limits[code]), code


def test_too_few_images_are_refused():
    few = LEAST_IMAGES - 1
    with pytest.raises(ValueError, match=rf"needs at least {LEAST_IMAGES} images .* Got: {few}\."):
        fit_gate(draw(few), groups=np.arange(few), false_positive_share=0.05)


def test_images_of_too_few_groups_are_refused():
    with pytest.raises(ValueError, match=r"^groups must have at least 5 different values\. Got: 2"):
        fit_gate(draw(50), groups=np.arange(50) % 2, false_positive_share=0.05)


@pytest.mark.parametrize("share", [0, 1, 3])
def test_share_out_of_bounds_is_refused(share):
    with pytest.raises(ValueError, match=r"^false_positive_share must be in \(0, 1\)\. Got: "):
        fit_gate(draw(50), groups=np.arange(50), false_positive_share=share)
