"""Tests of `pipeline.scoring.paired`."""

import numpy as np
import pytest

from pipeline.scoring.bootstrap import draw_counts, measure_model
from pipeline.scoring.delong import compare_aurocs
from pipeline.scoring.metrics import ScoredCases
from pipeline.scoring.paired import compare_models, measure_ranking, subtract
from pipeline.scoring.ranking import RANKED

NONE = np.zeros(4)


def drawn(seed, patients=150):
    """Labels and the scores of two models, the first of them better, one image per patient."""
    rng = np.random.default_rng(seed)
    positive = rng.random(patients) < 0.4
    shared, own = rng.normal(size=patients), rng.normal(size=(2, patients))
    return positive, positive * np.array([[1.3], [0.9]]) + shared + 0.6 * own


def model(labels, scores):
    return ScoredCases(labels, scores.argmax(axis=1), scores, scores)


def drawn_models(seed, count=90):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 9, size=count)
    models = []
    for lift in (0.4, 0.2):
        scores = rng.dirichlet(np.ones(9), count)
        scores[np.arange(count), labels] += lift
        models.append(model(labels, scores / scores.sum(axis=1, keepdims=True)))
    return models


def compared(positive, scores, units, repeats=1000):
    counts = draw_counts(units, repeats=repeats, seed=0)
    values = [measure_ranking(positive, own, counts)["auroc"] for own in scores]
    return subtract(*values, 0.95)


def test_difference_is_taken_on_each_resample():
    first, second = np.array([5.0, 6, 7, 8]), np.array([4.0, 4, 4, 9])

    found = subtract((3.0, first), (2.5, second), 0.5)

    assert found.value == 0.5
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile([1, 2, 3, -1], [0.25, 0.75])))
    assert found.resamples == 4


@pytest.mark.parametrize(
    ("resampled", "p_value"),
    [
        ([1, 2, 3, -1], 2 * (1 + 1) / 5),  # one of four at or below 0
        ([1, 2, 3, 0], 2 * (1 + 1) / 5),  # 0 is on both sides
        ([1, 2, 3, 4], 2 * 1 / 5),  # none: not 0, for four resamples cannot say so much
        ([-1, -2, 1, 2], 1.0),  # 6/5 without the limit
        ([-1, -2, -3, -4], 2 * 1 / 5),  # two-sided
    ],
)
def test_p_value_is_worked_by_hand(resampled, p_value):
    found = subtract((1.0, np.array(resampled, float)), (0.0, NONE), 0.95)

    assert found.p_value == pytest.approx(p_value)


def test_p_value_is_below_5_percent_where_the_interval_leaves_out_0():
    for seed in range(40):
        shift = np.linspace(-3, 3, 40)[seed]
        resampled = shift + np.random.default_rng(seed).normal(size=999)
        found = subtract((shift, resampled), (0.0, np.zeros(999)), 0.95)
        # At the very edge the added one decides.
        if abs(found.p_value - 0.05) > 0.003:
            assert (found.p_value < 0.05) == (found.low > 0 or found.high < 0)


def test_models_that_say_the_same_have_no_p_value():
    one, _ = drawn_models(0)
    counts = draw_counts(np.arange(90), repeats=50, seed=0)

    found = compare_models(one, one, counts, 0.95)["accuracy"]

    assert (found.value, found.low, found.high) == (0, 0, 0)
    assert found.p_value is None


def test_undefined_resamples_are_skipped_in_both():
    first, second = np.array([1.0, np.nan, 3, 4, 5]), np.array([0.0, 0, np.nan, 0, 0])

    found = subtract((1.0, first), (0.0, second), 0.95)

    assert found.resamples == 3
    assert found.p_value == pytest.approx(2 * 1 / 4)


@pytest.mark.parametrize(
    ("point", "resampled", "value"),
    [(np.nan, [1.0, 2, 3, 4], None), (1.0, [1.0, np.nan, np.nan, np.nan], 1.0)],
)
def test_what_is_undefined_is_none(point, resampled, value):
    found = subtract((point, np.array(resampled)), (0.0, NONE), 0.95)

    assert found.value == value
    assert (found.low, found.high, found.p_value) == (None, None, None)


def test_bootstrap_agrees_with_delong_on_independent_cases():
    positive, scores = drawn(1)
    units = np.arange(len(positive))

    found = compared(positive, scores, units, repeats=2000)

    tested = compare_aurocs(positive, *scores, units=units, interval=0.95)
    assert found.value == pytest.approx(tested.value)
    assert found.high - found.low == pytest.approx(tested.high - tested.low, rel=0.1)
    assert found.p_value == pytest.approx(tested.p_value, abs=0.01)


def test_pairing_makes_the_interval_narrow():
    """What makes a resample hard for both models must not count."""
    positive, scores = drawn(2)
    units = np.arange(len(positive))
    other = measure_ranking(positive, scores[1], draw_counts(units, repeats=1000, seed=1))
    one = measure_ranking(positive, scores[0], draw_counts(units, repeats=1000, seed=0))

    unpaired = subtract(one["auroc"], other["auroc"], 0.95)
    paired = compared(positive, scores, units)

    assert paired.high - paired.low < 0.8 * (unpaired.high - unpaired.low)


@pytest.mark.parametrize("copies", [3, 6])
def test_copies_of_an_image_tell_nothing_new(copies):
    """The planted fault, images drawn apart, makes the interval too narrow by their root."""
    positive, scores = drawn(3)
    units = np.arange(len(positive))
    once = compared(positive, scores, units)
    positive, scores, units = (np.repeat(a, copies, axis=-1) for a in (positive, scores, units))

    again = compared(positive, scores, units)
    as_if_new = compared(positive, scores, np.arange(len(units)))

    assert (again.low, again.high) == pytest.approx((once.low, once.high))
    assert again.p_value == once.p_value
    width = (once.high - once.low) / np.sqrt(copies)
    assert as_if_new.high - as_if_new.low == pytest.approx(width, rel=0.25)


def test_every_metric_of_both_models_is_compared():
    one, other = drawn_models(4)
    counts = draw_counts(np.arange(90), repeats=60, seed=0)

    found = compare_models(one, other, counts, 0.95)

    first, second = (measure_model(m, counts) for m in (one, other))
    assert set(found) == set(first)
    for name in ("accuracy", "macro_auroc", "brier_score", "isic_2024_pauc_MEL"):
        assert found[name].value == pytest.approx(first[name][0] - second[name][0])
    assert found["accuracy"].low > 0
    assert found["brier_score"].high < 0


def test_a_metric_that_one_model_lacks_is_left_out():
    one, other = drawn_models(5)
    unscored = ScoredCases(other.labels, other.predicted, None, None)

    found = compare_models(one, unscored, draw_counts(np.arange(90), repeats=20, seed=0), 0.95)

    assert "accuracy" in found
    assert "macro_auroc" not in found


def test_order_of_cases_changes_no_difference():
    positive, scores = drawn(6)
    rows = np.random.default_rng(0).permutation(len(positive))
    units = np.arange(len(positive))

    moved = compared(positive[rows], scores[:, rows], units[rows], repeats=50)

    assert moved == compared(positive, scores, units, repeats=50)


def test_ranking_is_measured_as_the_nine_classes_are():
    one, _ = drawn_models(7)
    counts = draw_counts(np.arange(90), repeats=15, seed=0)
    whole = measure_model(one, counts)

    found = measure_ranking(one.labels == 3, one.scores[:, 3], counts)

    for name in RANKED:
        value, resampled = whole[f"{name}_AK"]
        assert found[name][0] == value
        np.testing.assert_array_equal(found[name][1], resampled)


def test_other_cases_are_refused():
    one, other = drawn_models(8)[0], drawn_models(9)[0]

    with pytest.raises(ValueError, match=r"^models must be compared on the same cases\. Got: "):
        compare_models(one, other, np.ones((1, 90), int), 0.95)


def test_other_resamples_are_refused():
    with pytest.raises(ValueError, match=r"^models must be measured .* Got: 4 and 3\.$"):
        subtract((0.0, NONE), (0.0, NONE[:3]), 0.95)
