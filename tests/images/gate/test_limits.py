"""Tests of `pipeline.images.gate.limits`."""

import dataclasses

import numpy as np
import pytest

from pipeline.images.gate.descriptors import FEATURES
from pipeline.images.gate.limits import MOST_SPREADS, OF_DISTANCE, RULES, WORDS
from tests.images.gate.gates import LIMITS, draw, plain_gate, typical

OTHERS = [name for name in OF_DISTANCE if name not in {rule.feature for rule in RULES.values()}]


def codes(descriptor, gate=None):
    return [reason.code for reason in (gate or plain_gate()).reasons(descriptor)]


def test_typical_image_has_no_reason():
    assert plain_gate().reasons(typical()) == ()


@pytest.mark.parametrize(
    ("code", "feature", "value"),
    [
        ("blurred", "sharpness", 0.3),
        ("under_exposed", "light_p90", 49.0),
        ("over_exposed", "clipped_share", 0.11),
        ("empty", "plan_spread", 0.9),
        ("wrong_aspect", "aspect_ratio", 2.1),
    ],
)
def test_value_beyond_its_limit_is_the_one_reason(code, feature, value):
    (reason,) = plain_gate().reasons(typical(**{feature: value}))

    assert reason.code == code
    assert reason.words == WORDS[code]
    assert reason.value == value
    assert reason.limit == LIMITS[code]


@pytest.mark.parametrize("code", RULES)
def test_value_on_its_limit_is_no_reason(code):
    assert codes(typical(**{RULES[code].feature: LIMITS[code]})) == []


@pytest.mark.parametrize(
    ("away", "expected"), [(1.4, []), (1.6, ["unlike_training"]), (3.1, ["not_a_lesion"])]
)
def test_of_both_distances_only_the_graver_is_given(away, expected):
    """Every feature by as much: the root mean square is that much."""
    gate = plain_gate()
    beyond = dataclasses.replace(gate, limits={**gate.limits, "blurred": -9, "empty": -9})
    shifted = typical()
    shifted[[FEATURES.index(name) for name in OF_DISTANCE]] += away
    shifted[FEATURES.index("clipped_share")] = 0

    found = beyond.reasons(shifted)

    assert [reason.code for reason in found] == expected
    assert all(reason.value == pytest.approx(away, rel=0.02) for reason in found)


def test_one_feature_alone_cannot_put_an_image_far_away():
    """Black that no training image had must not make of an image what is no lesion."""
    far, further = (typical(**{OTHERS[0]: value}) for value in (MOST_SPREADS, 1e6))
    distance = plain_gate().distance

    np.testing.assert_array_equal(distance.measure(far[None]), distance.measure(further[None]))
    assert codes(further) == []


def test_reasons_stand_in_the_order_of_their_words():
    bad = typical(sharpness=0, light_p90=10, plan_spread=0, aspect_ratio=3)

    found = codes(bad)

    assert found == [code for code in WORDS if code in found]
    assert {"blurred", "under_exposed", "empty", "wrong_aspect"} <= set(found)


def test_image_is_judged_alike_alone_and_among_others():
    descriptors = draw(50, sharpness=0.4) * 1.6
    gate = plain_gate()

    _, flags = gate.judge(descriptors)

    for row, descriptor in enumerate(descriptors):
        assert codes(descriptor, gate) == [code for code in WORDS if flags[code][row]]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_descriptor_that_is_not_finite_is_refused(value):
    with pytest.raises(ValueError, match=r"^descriptors must be finite\. Got: rows \[0\] are not"):
        plain_gate().reasons(typical(sharpness=value))


def test_descriptor_of_another_length_is_refused():
    with pytest.raises(ValueError, match=rf"^descriptors must have {len(FEATURES)} features each"):
        plain_gate().reasons(np.zeros(3))
