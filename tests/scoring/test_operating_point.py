"""Tests of `pipeline.scoring.operating_point`."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.classes import CLASSES
from pipeline.scoring.operating_point import (
    BinaryCases,
    binary_cases,
    choose_thresholds,
    highest_threshold,
    lowest_threshold,
    rates_by_threshold,
    sensitivity_and_specificity,
)

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


@pytest.mark.parametrize(
    ("specificity", "threshold"),
    [
        (0.4, 0.6),  # one of two negatives, 0.5, is below 0.6
        (0.5, 0.6),
        (0.51, 0.9),  # both: the negative at 0.8 too
        (1.0, 0.9),
    ],
)
def test_threshold_is_the_lowest_that_reaches_the_specificity(specificity, threshold):
    assert lowest_threshold(SCORES, POSITIVE, specificity) == threshold


def test_seven_of_a_hundred_negatives_reach_seven_percent():
    assert lowest_threshold(np.arange(100.0), np.zeros(100, bool), 0.07) == 7.0


@pytest.mark.parametrize(
    ("scores", "positive"),
    [
        (SCORES, np.ones(6, bool)),  # no negative
        (np.full(6, 0.5), POSITIVE),  # above a constant, nobody is flagged
        (-SCORES, POSITIVE),  # a negative is not the highest, but 1.0 asks for all
    ],
)
def test_threshold_is_undefined_where_no_score_reaches_the_specificity(scores, positive):
    scores = np.where(positive, scores, scores.max())

    assert lowest_threshold(scores, positive, 1.0) is None


@given(
    st.lists(st.tuples(st.sampled_from([0.1, 0.2, 0.3, 0.7]), st.booleans()), min_size=1),
    st.floats(0.01, 1),
)
def test_no_lower_score_reaches_the_specificity(cases, specificity):
    scores, positive = (np.array(column) for column in zip(*cases, strict=True))
    threshold = lowest_threshold(scores, positive, specificity)

    if threshold is None:
        assert positive.all() or (scores[~positive] < scores.max()).mean() < specificity
    else:
        assert threshold in scores
        assert (scores[~positive] < threshold).mean() >= specificity
        lower = scores[scores < threshold]
        assert not len(lower) or (scores[~positive] < lower.max()).mean() < specificity


@pytest.mark.parametrize("specificity", [0.0, 1.1, float("nan")])
def test_a_specificity_outside_its_range_is_refused(specificity):
    with pytest.raises(ValueError, match=r"^specificity must be in \(0, 1\]\. Got: "):
        lowest_threshold(SCORES, POSITIVE, specificity)


def test_chosen_thresholds_say_what_they_reached():
    cases = BinaryCases(POSITIVE, SCORES)

    first, second = choose_thresholds(cases, sensitivities=[0.7], specificities=[0.6])

    assert (first.quantity, first.wanted, first.threshold) == ("sensitivity", 0.7, 0.6)
    assert (first.sensitivity, first.specificity) == (0.75, 0.5)
    assert (second.quantity, second.threshold) == ("specificity", 0.9)
    assert (second.sensitivity, second.specificity) == (0.25, 1.0)
    assert (first.n, first.positives) == (6, 4)


def test_what_a_threshold_reached_without_negatives_is_undefined():
    cases = BinaryCases(np.ones(6, bool), SCORES)

    first, second = choose_thresholds(cases, sensitivities=[0.5], specificities=[0.5])

    assert (first.threshold, first.sensitivity, first.specificity) == (0.7, 0.5, None)
    assert (second.threshold, second.sensitivity, second.specificity) == (None, None, None)


def test_the_classes_decide_what_is_positive():
    labels = np.array([CLASSES.index(name) for name in ("MEL", "AK", "NV")])
    probabilities = np.zeros((3, 9))
    probabilities[:, [0, 1, 3]] = [[0.5, 0.3, 0.2], [0.1, 0.3, 0.6], [0.2, 0.7, 0.1]]

    with_ak = binary_cases(labels, probabilities, ("MEL", "AK"))
    without = binary_cases(labels, probabilities, ("MEL",))

    np.testing.assert_array_equal(with_ak.positive, [True, True, False])
    np.testing.assert_allclose(with_ak.scores, [0.7, 0.7, 0.3])
    np.testing.assert_array_equal(without.positive, [True, False, False])
    np.testing.assert_allclose(without.scores, [0.5, 0.1, 0.2])


def test_a_sum_of_probabilities_is_never_above_one():
    probabilities = np.full((1, 9), 1 / 9, np.float32) * np.float32(1.0000004)

    assert binary_cases(np.array([0]), probabilities, CLASSES).scores == [1.0]


@pytest.mark.parametrize("classes", [(), ("MEL", "MEL"), ("mel",)])
def test_classes_of_no_target_are_refused(classes):
    with pytest.raises(ValueError, match=r"^classes must be some of .*, each once\. Got: \["):
        binary_cases(np.array([0]), np.full((1, 9), 1 / 9), classes)


def test_rates_at_every_threshold_are_those_of_each_alone():
    rng = np.random.default_rng(0)
    cases = BinaryCases(rng.random(80) < 0.3, rng.integers(0, 9, 80) / 8)

    thresholds, sensitivity, specificity = rates_by_threshold(cases)

    for row in zip(thresholds, sensitivity, specificity, strict=True):
        flagged = cases.scores >= row[0]
        once = np.ones((1, 80), int)
        alone = sensitivity_and_specificity(flagged, cases.positive, once)
        assert row[1:] == pytest.approx([float(value) for (value,) in alone])


def test_rates_without_a_positive_are_undefined():
    _, sensitivity, specificity = rates_by_threshold(BinaryCases(np.zeros(3, bool), np.ones(3)))

    assert np.isnan(sensitivity).all()
    assert (specificity == 0).all()
