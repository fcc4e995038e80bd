"""Tests of `pipeline.scoring.delong`."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from pipeline.scoring.delong import clustered_variance, compare_aurocs, structural_components

# Two positives, two negatives; the first model ties one pair.
POSITIVE = np.array([True, True, False, False])
FIRST, SECOND = np.array([3.0, 2, 1, 2]), np.array([1.0, 4, 2, 3])


def compare(positive, first, second, units=None):
    units = np.arange(len(positive)) if units is None else units
    return compare_aurocs(positive, first, second, units=units, interval=0.95)


def drawn_patients(rng, patients=40, images=5):
    """Two models of equal worth; images of one patient share mood and, four in five, label."""
    units = np.repeat(np.arange(patients), images)
    label = np.repeat(rng.random(patients) < 0.5, images)
    positive = label ^ (rng.random(len(units)) < 0.2)
    mood = rng.normal(size=(2, patients))[:, units]
    return positive, positive + mood + 0.5 * rng.normal(size=mood.shape), units


def coverage(unit_of, simulations=400):
    """Share of the intervals that hold the true difference, 0."""
    rng = np.random.default_rng(20200601)
    held = 0
    for _ in range(simulations):
        positive, scores, units = drawn_patients(rng)
        found = compare(positive, *scores, units=unit_of(units))
        held += found.low <= 0 <= found.high
    return held / simulations


def test_components_are_the_pairs_that_a_case_wins():
    np.testing.assert_array_equal(structural_components(POSITIVE, FIRST), [1, 0.75, 1, 0.75])
    np.testing.assert_array_equal(structural_components(POSITIVE, SECOND), [0, 1, 0.5, 0.5])


def test_components_are_those_of_all_pairs():
    rng = np.random.default_rng(0)
    positive, scores = rng.random(60) < 0.4, rng.normal(size=60).round(1)
    mine, theirs = scores[positive, None], scores[None, ~positive]
    wins = (mine > theirs) + (mine == theirs) / 2

    found = structural_components(positive, scores)

    np.testing.assert_allclose(found[positive], wins.mean(axis=1))
    np.testing.assert_allclose(found[~positive], wins.mean(axis=0))
    assert found[positive].mean() == pytest.approx(roc_auc_score(positive, scores))
    assert found[~positive].mean() == pytest.approx(roc_auc_score(positive, scores))


def test_delong_is_worked_by_hand():
    """Components differ by 1, -.25 and .5, .25 around .375; squares .78125 and .03125, halved."""
    found = compare(POSITIVE, FIRST, SECOND)

    error = np.sqrt(0.78125 / 2 + 0.03125 / 2)
    assert (found.n, found.positives, found.units) == (4, 2, 4)
    assert found.value == 0.375
    assert found.standard_error == pytest.approx(error)
    assert found.z == pytest.approx(0.375 / error)
    assert found.low == pytest.approx(0.375 - 1.959964 * error)
    assert found.high == pytest.approx(0.375 + 1.959964 * error)
    assert found.p_value == pytest.approx(0.5563, abs=1e-4)


def test_obuchowski_is_worked_by_hand():
    """The first of each kind are of one patient, of three: 3/2 · 2 · (.625/2) · (.125/2) more."""
    found = compare(POSITIVE, FIRST, SECOND, units=np.array([0, 1, 0, 2]))

    assert found.units == 3
    assert found.standard_error**2 == pytest.approx(0.40625 + 3 * 0.3125 * 0.0625)


def test_a_single_auroc_has_its_variance_too():
    components = structural_components(POSITIVE, FIRST)

    assert clustered_variance(POSITIVE, components, np.arange(4)) == pytest.approx(0.03125)


def test_the_other_model_first_turns_the_sign():
    rng = np.random.default_rng(1)
    positive, scores, units = drawn_patients(rng)

    one, other = compare(positive, *scores, units), compare(positive, *scores[::-1], units)

    assert one.value == pytest.approx(-other.value)
    assert one.low == pytest.approx(-other.high)
    assert one.p_value == pytest.approx(other.p_value)


def test_order_of_cases_and_names_of_patients_change_nothing():
    rng = np.random.default_rng(2)
    positive, scores, units = drawn_patients(rng)
    rows = rng.permutation(len(units))

    moved = compare(positive[rows], *scores[:, rows], 7 * units[rows] + 3)

    expected = compare(positive, *scores, units)
    assert vars(moved) == pytest.approx(vars(expected))


def test_a_rising_map_of_a_models_scores_changes_nothing():
    rng = np.random.default_rng(3)
    positive, (first, second), units = drawn_patients(rng)

    assert compare(positive, np.exp(first), second, units) == compare(
        positive, first, second, units
    )


def test_interval_of_patients_holds_the_truth_as_often_as_it_says():
    assert coverage(lambda units: units) == pytest.approx(0.95, abs=0.03)


def test_interval_of_images_does_not():
    """The planted fault: images of one patient taken for patients of their own."""
    assert coverage(lambda units: np.arange(len(units))) < 0.85


@pytest.mark.parametrize("copies", [2, 5])
def test_copies_of_an_image_tell_nothing_new(copies):
    positive, scores, _ = drawn_patients(np.random.default_rng(4), images=1)
    units = np.arange(len(positive))
    once = compare(positive, *scores, units)

    many = [np.repeat(part, copies) for part in (positive, *scores, units)]
    again = compare(*many)
    as_if_new = compare(*many[:3])

    assert (again.n, again.units) == (copies * once.n, once.units)
    assert (again.low, again.high) == pytest.approx((once.low, once.high))
    assert again.p_value == pytest.approx(once.p_value)
    assert as_if_new.standard_error == pytest.approx(
        once.standard_error / np.sqrt(copies), rel=0.05
    )


def test_models_that_rank_alike_have_no_p_value():
    positive, (first, _), units = drawn_patients(np.random.default_rng(5))

    found = compare(positive, first, 2 * first + 1, units)

    assert found.value == 0
    assert (found.standard_error, found.low, found.high, found.z, found.p_value) == (None,) * 5


def test_a_difference_that_is_the_same_for_all_cases_has_no_p_value():
    """A perfect and a constant score: each positive wins all pairs here, and half of them there."""
    found = compare(POSITIVE, POSITIVE.astype(float), np.zeros(4))

    assert found.value == 0.5
    assert found.p_value is None


@pytest.mark.parametrize("positive", [np.zeros(4, bool), np.ones(4, bool)])
def test_one_kind_of_case_has_no_difference(positive):
    found = compare(positive, FIRST, SECOND)

    assert (found.n, found.positives) == (4, positive.sum())
    assert found.value is None
    assert found.p_value is None


@pytest.mark.parametrize("units", [[0, 0, 1, 2], [0, 1, 2, 2]])
def test_one_patient_with_positives_or_negatives_has_no_spread(units):
    found = compare(POSITIVE, FIRST, SECOND, units=np.array(units))

    assert found.value == 0.375
    assert found.standard_error is None


def test_a_score_that_is_no_number_is_refused():
    with pytest.raises(ValueError, match=r"^scores must be finite\. Got: \[nan\]\.$"):
        compare(POSITIVE, np.array([1, np.nan, 2, 3]), SECOND)
