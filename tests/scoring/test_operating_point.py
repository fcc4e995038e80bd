"""Tests of `pipeline.scoring.operating_point`."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.scoring.operating_point import highest_threshold, sensitivity_and_specificity

SCORES = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
POSITIVE = np.array([True, False, True, True, False, True])


@pytest.mark.parametrize(
    ("sensitivity", "threshold"),
    [
        (0.25, 0.9),  # one of four positives
        (0.26, 0.7),
        (0.5, 0.7),
        (0.75, 0.6),
        (0.76, 0.4),
        (1.0, 0.4),
    ],
)
def test_threshold_is_the_highest_that_reaches_the_sensitivity(sensitivity, threshold):
    assert highest_threshold(SCORES, POSITIVE, sensitivity) == threshold


def test_seven_of_a_hundred_positives_reach_seven_percent():
    """0.07 * 100 is a little above 7 in floating point."""
    scores = np.arange(100.0)

    assert highest_threshold(scores, np.ones(100, bool), 0.07) == 93.0


def test_threshold_is_undefined_without_a_positive():
    assert highest_threshold(SCORES, np.zeros(6, bool), 0.9) is None


@given(
    st.lists(st.tuples(st.sampled_from([0.1, 0.2, 0.3, 0.7]), st.booleans()), min_size=1),
    st.floats(0.01, 1),
)
def test_no_higher_score_reaches_the_sensitivity(cases, sensitivity):
    scores, positive = (np.array(column) for column in zip(*cases, strict=True))
    threshold = highest_threshold(scores, positive, sensitivity)

    if positive.any():
        assert (scores[positive] >= threshold).mean() >= sensitivity
        assert not (scores[positive] > threshold).mean() >= sensitivity
    else:
        assert threshold is None


@pytest.mark.parametrize("sensitivity", [0.0, -0.1, 1.1, float("nan")])
def test_a_sensitivity_outside_its_range_is_refused(sensitivity):
    with pytest.raises(ValueError, match=r"^sensitivity must be in \(0, 1\]\. Got: "):
        highest_threshold(SCORES, POSITIVE, sensitivity)


def test_scores_that_are_no_numbers_are_refused():
    with pytest.raises(ValueError, match=r"^scores must be finite\. Got: \[nan\]\.$"):
        highest_threshold(np.array([0.5, np.nan]), np.array([True, False]), 0.9)


def test_sensitivity_and_specificity_are_shares_of_positives_and_negatives():
    counts = np.array([[1, 1, 1, 1, 1, 1], [2, 0, 0, 1, 3, 1]])

    sensitivity, specificity = sensitivity_and_specificity(SCORES >= 0.6, POSITIVE, counts)

    np.testing.assert_allclose(sensitivity, [3 / 4, 3 / 4])
    np.testing.assert_allclose(specificity, [1 / 2, 1])


def test_shares_of_nothing_are_undefined():
    counts = np.array([[1, 0, 1, 1, 0, 1], [0, 1, 0, 0, 1, 0]])

    sensitivity, specificity = sensitivity_and_specificity(SCORES >= 0.6, POSITIVE, counts)

    np.testing.assert_array_equal(np.isnan(sensitivity), [False, True])
    np.testing.assert_array_equal(np.isnan(specificity), [True, False])
